"""Small networks and batches that the lab's tests train on one rank and on many."""

import needle as ndl
import numpy as np
from needle import nn


def tensor(array, requires_grad=False):
    return ndl.Tensor(array, dtype="float32", requires_grad=requires_grad)


def normal(*shape, seed=0):
    return np.random.RandomState(seed).randn(*shape).astype("float32")


def network(layers=4, width=8, seed=0):
    """Linear layers and ReLUs; the same for the same seed. A rank's random numbers stay as they are."""
    kept = np.random.get_state()
    np.random.seed(seed)
    modules = []
    for _ in range(layers):
        modules += [nn.Linear(width, width), nn.ReLU()]
    np.random.set_state(kept)
    return nn.Sequential(*modules)


def loss_of(model, batch):
    """A number that falls when the network learns to give 1: a mean over the rows of the batch."""
    error = model(tensor(batch)) - 1.0
    return (error * error).sum() / batch.shape[0]


def gradients(params):
    """NumPy arrays."""
    return [param.grad.numpy() for param in params]


def arrays(params):
    return [param.numpy() for param in params]
