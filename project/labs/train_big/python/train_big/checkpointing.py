"""Activation checkpointing: what the backward pass needs is computed again, not kept.

Source: Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016.
"""

import numpy as np
from needle import init, nn
from needle.autograd import Tensor, TensorOp


class Checkpoint(TensorOp):
    """fn(x) as one operator: it keeps x, and nothing of what lies between x and the result.

    Its inputs are x and the parameters of fn, so that the backward pass reaches both. A gradient is a
    constant: it cannot be differentiated again.

    Args:
        fn: a Module of one Tensor.
    """

    def __init__(self, fn):
        self.fn = fn

    def compute(self, x, *parameters):
        """The arrays x and those of the parameters -> the array of fn(x)."""
        ### BEGIN YOUR SOLUTION train-big/checkpoint
        raise NotImplementedError("train-big/checkpoint: Checkpoint.compute is yours to write")
        ### END YOUR SOLUTION

    def gradient(self, out_grad, node):
        """The adjoints of x and of each parameter; zeros for a parameter that fn does not use."""
        ### BEGIN YOUR SOLUTION train-big/checkpoint
        raise NotImplementedError("train-big/checkpoint: Checkpoint.gradient is yours to write")
        ### END YOUR SOLUTION


def checkpoint(fn, x):
    """fn(x), with the gradients of fn(x), in the memory of x and the result.

    Args:
        fn: a Module of one Tensor. It runs once now and, if a gradient is asked for, once more then,
            with the same random numbers.
        x: Tensor.
    """
    ### BEGIN YOUR SOLUTION train-big/checkpoint
    raise NotImplementedError("train-big/checkpoint: checkpoint is yours to write")
    ### END YOUR SOLUTION


def checkpoint_sequential(modules, x, segments):
    """The modules one after the other, cut into `segments` runs, each a checkpoint.

    The runs are as equal as can be; where they are not, the longer ones come first.

    Args:
        modules: list of Modules of one Tensor.
        segments: int, from 1 to the number of modules.
    """
    ### BEGIN YOUR SOLUTION train-big/checkpoint
    raise NotImplementedError("train-big/checkpoint: checkpoint_sequential is yours to write")
    ### END YOUR SOLUTION
