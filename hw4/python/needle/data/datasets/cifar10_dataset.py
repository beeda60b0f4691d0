"""CIFAR-10 (Krizhevsky, 2009): small colour images of ten classes, in files of Python pickles."""

import os
import pickle

import numpy as np

from ..data_basic import Dataset

_TRAIN_FILES = [f"data_batch_{k}" for k in range(1, 6)]
_TEST_FILES = ["test_batch"]


class _ArraysOnly(pickle.Unpickler):
    """Unpickles NumPy arrays and plain values; a file that asks for anything else is refused.

    A pickle may call any function of any module: pickles from elsewhere are programs.
    """

    def find_class(self, module, name):
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return np.empty(0).__reduce__()[0]
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        if (module, name) == ("_codecs", "encode"):  # how Python 3 writes bytes for Python 2
            return lambda text, encoding: text.encode(encoding)
        raise pickle.UnpicklingError(f"it refers to {module}.{name}, which no data set needs")


def read_batch(path):
    """Read one file of CIFAR-10.

    Returns:
        (pixels, labels): (n, 3072) uint8, for each image the red plane, then green, then blue,
        each of 32 rows of 32; and (n,) uint8, the classes 0 to 9.

    Raises:
        FileNotFoundError, ValueError: the file is missing, damaged, or no such batch.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"{path} is missing: get the data set with `hw data`, or name its folder"
        )
    try:
        with open(path, "rb") as file:
            content = _ArraysOnly(file, encoding="bytes").load()
        pixels, labels = content[b"data"], np.asarray(content[b"labels"])
    except Exception as error:  # a damaged pickle can fail in any way
        raise ValueError(
            f"{path} is not a whole batch of CIFAR-10 ({type(error).__name__}: {error}): "
            "delete it and fetch it again with `hw data`"
        ) from error
    rows = pixels.shape[0] if getattr(pixels, "ndim", 0) == 2 else None
    if (
        rows is None
        or pixels.shape[1] != 3072
        or pixels.dtype != np.uint8
        or labels.shape != (rows,)
        or (rows > 0 and not 0 <= labels.min() <= labels.max() <= 9)
    ):
        raise ValueError(
            f"{path} does not hold images (n, 3072) of uint8 with n labels from 0 to 9: "
            "delete it and fetch it again with `hw data`"
        )
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
        files = _TRAIN_FILES if train else _TEST_FILES
        batches = [read_batch(os.path.join(base_folder, name)) for name in files]
        ### BEGIN YOUR SOLUTION hw4/cifar10
        raise NotImplementedError("hw4/cifar10: CIFAR10Dataset.__init__ is yours to write")
        ### END YOUR SOLUTION

    def __getitem__(self, index):
        """(image, label); for a slice or an array of indices, arrays of images and of labels."""
        ### BEGIN YOUR SOLUTION hw4/cifar10
        raise NotImplementedError("hw4/cifar10: CIFAR10Dataset.__getitem__ is yours to write")
        ### END YOUR SOLUTION

    def __len__(self):
        ### BEGIN YOUR SOLUTION hw4/cifar10
        raise NotImplementedError("hw4/cifar10: CIFAR10Dataset.__len__ is yours to write")
        ### END YOUR SOLUTION
