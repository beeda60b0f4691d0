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
        ### BEGIN SOLUTION train-big/checkpoint
        self.random_state = np.random.get_state()
        return self.fn(Tensor.make_const(x)).realize_cached_data()
        ### END SOLUTION

    def gradient(self, out_grad, node):
        """The adjoints of x and of each parameter; zeros for a parameter that fn does not use."""
        ### BEGIN SOLUTION train-big/checkpoint
        x, *parameters = node.inputs
        start = Tensor.make_const(x, requires_grad=x.requires_grad)  # a leaf: backward ends here
        for parameter in parameters:
            parameter.grad = None

        later = np.random.get_state()
        np.random.set_state(self.random_state)
        y = self.fn(start)
        np.random.set_state(later)
        y.backward(out_grad.detach())

        # Without their graphs, which hold everything that was computed again.
        grads = [init.zeros_like(p) if p.grad is None else p.grad.detach() for p in parameters]
        return start.grad.detach() if x.requires_grad else None, *grads
        ### END SOLUTION


def checkpoint(fn, x):
    """fn(x), with the gradients of fn(x), in the memory of x and the result.

    Args:
        fn: a Module of one Tensor. It runs once now and, if a gradient is asked for, once more then,
            with the same random numbers.
        x: Tensor.
    """
    ### BEGIN SOLUTION train-big/checkpoint
    return Checkpoint(fn)(x, *fn.parameters())
    ### END SOLUTION


def checkpoint_sequential(modules, x, segments):
    """The modules one after the other, cut into `segments` runs, each a checkpoint.

    The runs are as equal as can be; where they are not, the longer ones come first.

    Args:
        modules: list of Modules of one Tensor.
        segments: int, from 1 to the number of modules.
    """
    ### BEGIN SOLUTION train-big/checkpoint
    length, longer = divmod(len(modules), segments)
    begin = 0
    for number in range(segments):
        end = begin + length + (number < longer)
        x = checkpoint(nn.Sequential(*modules[begin:end]), x)
        begin = end
    return x
    ### END SOLUTION
