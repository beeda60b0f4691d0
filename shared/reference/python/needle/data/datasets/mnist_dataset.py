"""Handwritten digits in MNIST's files: gzipped IDX (http://yann.lecun.com/exdb/mnist/)."""

import gzip

import numpy as np

from ..data_basic import Dataset


class MNISTDataset(Dataset):
    """Images (28, 28, 1), float32 in [0, 1], and their labels, uint8.

    Args:
        image_filename, label_filename: gzipped IDX files.
        transforms: list of functions from image to image; they run at every access.
    """

    def __init__(self, image_filename, label_filename, transforms=None):
        ### BEGIN SOLUTION hw2/mnist_dataset
        super().__init__(transforms)
        with gzip.open(image_filename) as file:
            pixels = np.frombuffer(file.read(), dtype=np.uint8, offset=16)
        with gzip.open(label_filename) as file:
            self.y = np.frombuffer(file.read(), dtype=np.uint8, offset=8)
        self.X = pixels.reshape(-1, 28, 28, 1).astype("float32") / 255
        ### END SOLUTION

    def __getitem__(self, index):
        """(image, label); for a slice or an array of indices, arrays of images and of labels."""
        ### BEGIN SOLUTION hw2/mnist_dataset
        images, labels = self.X[index], self.y[index]
        if images.ndim == 3:
            return self.apply_transforms(images), labels
        return np.stack([self.apply_transforms(image) for image in images]), labels
        ### END SOLUTION

    def __len__(self):
        ### BEGIN SOLUTION hw2/mnist_dataset
        return len(self.y)
        ### END SOLUTION
