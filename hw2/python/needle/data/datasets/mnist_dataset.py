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
        ### BEGIN YOUR SOLUTION hw2/mnist_dataset
        raise NotImplementedError("hw2/mnist_dataset: MNISTDataset.__init__ is yours to write")
        ### END YOUR SOLUTION

    def __getitem__(self, index):
        """(image, label); for a slice or an array of indices, arrays of images and of labels."""
        ### BEGIN YOUR SOLUTION hw2/mnist_dataset
        raise NotImplementedError("hw2/mnist_dataset: MNISTDataset.__getitem__ is yours to write")
        ### END YOUR SOLUTION

    def __len__(self):
        ### BEGIN YOUR SOLUTION hw2/mnist_dataset
        raise NotImplementedError("hw2/mnist_dataset: MNISTDataset.__len__ is yours to write")
        ### END YOUR SOLUTION
