"""The data sets."""

from .mnist_dataset import MNISTDataset
from .ndarray_dataset import NDArrayDataset

from .cifar10_dataset import CIFAR10Dataset
from .ptb_dataset import Corpus, Dictionary, batchify, get_batch
