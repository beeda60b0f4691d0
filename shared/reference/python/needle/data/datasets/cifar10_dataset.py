"""CIFAR-10 (Krizhevsky, 2009): small colour images of ten classes, in files of Python pickles."""

import os
import pickle

import numpy as np

from ..data_basic import Dataset, read_file


class _ArraysOnly(pickle.Unpickler):
    """Unpickles NumPy arrays and plain values; a file that asks for anything else is refused.

    A pickle may call any function of any module: pickles from elsewhere are programs.
    """

    def find_class(self, module, name):
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return np.empty(0).__reduce__()[0]
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        if (module, name) == ("_codecs", "encode"):  # how Python 3 writes bytes for Python 2
            return str.encode
        raise pickle.UnpicklingError(f"it refers to {module}.{name}, which no data set needs")


def parse_batch(file):
    """What one file of CIFAR-10 holds.

    Returns:
        (pixels, labels): (n, 3072) uint8, for each image the red plane, then green, then blue,
        each of 32 rows of 32; and (n,) uint8, the classes 0 to 9.
    """
    content = _ArraysOnly(file, encoding="bytes").load()
    pixels, labels = np.asarray(content[b"data"]), np.asarray(content[b"labels"])
    is_right = pixels.shape == (len(labels), 3072) and pixels.dtype == np.uint8
    if not is_right or not np.isin(labels, range(10)).all():
        raise ValueError("not images (n, 3072) of uint8 with n labels from 0 to 9")
    return pixels, labels.astype(np.uint8)


class CIFAR10Dataset(Dataset):
    """Images (3, 32, 32), float32 in [0, 1], and their labels.

    Args:
        base_folder: folder of the files data_batch_1 to data_batch_5 and test_batch.
        train: the five training files, in order, or the test file.
        p: not used; kept for programs that give it.
        transforms: list of functions from image to image, (32, 32, 3) each; they run at every
            access.

    Attributes:
        X: (N, 3, 32, 32) float32.
        y: (N,) uint8, the classes.
    """

    def __init__(self, base_folder, train, p=0.5, transforms=None):
        super().__init__(transforms)
        names = [f"data_batch_{k}" for k in range(1, 6)] if train else ["test_batch"]
        paths = [os.path.join(base_folder, name) for name in names]
        batches = [read_file(path, "batch of CIFAR-10", parse_batch) for path in paths]
        ### BEGIN SOLUTION hw4/cifar10
        pixels = np.concatenate([part for part, _ in batches])
        self.X = pixels.reshape(-1, 3, 32, 32).astype("float32") / 255
        self.y = np.concatenate([labels for _, labels in batches])
        ### END SOLUTION

    def __getitem__(self, index):
        """(image, label); for a slice or an array of indices, arrays of images and of labels."""
        ### BEGIN SOLUTION hw4/cifar10
        images, labels = self.X[index], self.y[index]
        if not self.transforms:
            return images, labels
        if images.ndim == 3:
            return self.apply_transforms(images.transpose(1, 2, 0)).transpose(2, 0, 1), labels
        changed = [self.apply_transforms(image.transpose(1, 2, 0)) for image in images]
        return np.stack(changed).transpose(0, 3, 1, 2), labels
        ### END SOLUTION

    def __len__(self):
        ### BEGIN SOLUTION hw4/cifar10
        return len(self.y)
        ### END SOLUTION
