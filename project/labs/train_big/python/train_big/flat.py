"""Many tensors as one array, and back: messages like to be few and long."""

import math

import numpy as np
from needle.autograd import Tensor


def flat(tensors):
    """The numbers of all tensors one after another: a new array (n,)."""
    return np.concatenate([tensor.numpy().ravel() for tensor in tensors])


def unflat(numbers, shapes):
    """The way back: constants of these shapes, from the first of the numbers."""
    tensors, begin = [], 0
    for shape in shapes:
        end = begin + math.prod(shape)
        tensors.append(Tensor(numbers[begin:end].reshape(shape), requires_grad=False))
        begin = end
    return tensors
