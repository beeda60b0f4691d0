"""The data sets."""

from .mnist_dataset import MNISTDataset
from .ndarray_dataset import NDArrayDataset

