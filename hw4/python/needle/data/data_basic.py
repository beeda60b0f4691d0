"""Dataset: samples by index. DataLoader: batches of them as Tensors."""

import os

import numpy as np

from ..autograd import Tensor


def read_file(path, kind, parse):
    """`parse(file)` of a binary file; a missing or damaged file is one clear sentence.

    Args:
        kind: what the file should be, in words.
        parse: function of the open file; whatever it raises means that the file is damaged.

    Raises:
        FileNotFoundError, ValueError.
    """
    again = "get it (again) with `hw data`"
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path} is missing: {again}, or name its folder")
    try:
        with open(path, "rb") as file:
            return parse(file)
    except Exception as error:
        cause = f"{type(error).__name__}: {error}"
        raise ValueError(f"{path} is no {kind} ({cause}): {again}") from error


class Dataset:
    """Samples by index. A sample is a tuple: an image and its label, for instance.

    Args:
        transforms: list of functions from image to image, applied in order; or None.
    """

    def __init__(self, transforms=None):
        self.transforms = transforms

    def __getitem__(self, index):
        raise NotImplementedError(f"{type(self).__name__} has no __getitem__(self, index)")

    def __len__(self):
        raise NotImplementedError(f"{type(self).__name__} has no __len__(self)")

    def apply_transforms(self, x):
        """`x` after all transforms."""
        for transform in self.transforms or []:
            x = transform(x)
        return x


class DataLoader:
    """Batches of a data set, in order or, if `shuffle`, in a new random order at each iteration.

    A batch is a tuple of Tensors, one for each part of a sample, of the dtype of the samples; the
    last batch may be smaller.

    Args:
        dataset: a Dataset.
        batch_size: number of samples in a batch.
        shuffle: draw an order (`numpy.random.permutation`) whenever an iteration begins?
    """

    def __init__(self, dataset, batch_size=1, shuffle=False):
        self.dataset, self.batch_size, self.shuffle = dataset, batch_size, shuffle
        if not self.shuffle:
            self.ordering = self._split(np.arange(len(dataset)))

    def _split(self, indices):
        """A list of arrays of `batch_size` indices each; the last one may be shorter."""
        return np.array_split(indices, range(self.batch_size, len(indices), self.batch_size))

    def __len__(self):
        """The number of batches."""
        return -(-len(self.dataset) // self.batch_size)

    def __iter__(self):
        ### BEGIN YOUR SOLUTION hw2/dataloader
        raise NotImplementedError("hw2/dataloader: DataLoader.__iter__ is yours to write")
        ### END YOUR SOLUTION
        return self

    def __next__(self):
        ### BEGIN YOUR SOLUTION hw2/dataloader
        raise NotImplementedError("hw2/dataloader: DataLoader.__next__ is yours to write")
        ### END YOUR SOLUTION
