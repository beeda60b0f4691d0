"""Linear layers and ReLUs one after the other, as one composite.

A narrow network spends its time between the kernels, not in them. A `Sequential` therefore hands
its modules a `Chain` in place of a Tensor: `linear` and `relu` only note themselves there, and
whatever else wants to see it, or the end of the Sequential, gets all of them from one kernel.
"""

import functools

from ..autograd import Tensor
from . import ops_mathematic
from .ops_composite import composite, kernel_for
from .ops_layers import linear

relu = composite(ops_mathematic.relu)


@composite
def linears(x, *tensors, relus):
    """Linear layers: `tensors` are weight and bias (or None) of each, `relus` says for each whether
    a ReLU follows."""
    for weight, bias, follows in zip(tensors[::2], tensors[1::2], relus):
        x = linear(x, weight, bias)
        x = relu(x) if follows else x
    return x


class Chain(Tensor):
    """A Tensor whose linear layers and ReLUs have not run yet.

    Attributes:
        start: the Tensor that goes into the first.
        tensors: weight and bias (or None) of each linear layer.
        relus: for each, whether a ReLU follows.
    """

    __slots__ = ("made", "relus", "start", "tensors")

    def __init__(self, start, tensors=(), relus=()):
        self.start, self.tensors, self.relus, self.made = start, tensors, relus, None

    def result(self):
        """The Tensor itself, computed now if it was not."""
        if self.made is None:
            run = self.tensors and linears(self.start, *self.tensors, relus=self.relus)
            self.made = run or self.start
        return self.made

    _record = property(lambda self: self.result()._record)
    grad = property(lambda self: self.result().grad)

    def joined(self, name, *tensors):
        """The chain with one more function of this name, or None if it does not belong here."""
        if name == "linear" and self.made is None:
            pair = (*tensors, None)[:2]
            return Chain(self.start, (*self.tensors, *pair), (*self.relus, False))
        if name == "relu" and self.made is None and self.relus:
            return Chain(self.start, self.tensors, (*self.relus[:-1], True))
        return None


def chained(forward):
    """`forward(self, x)`, with a Chain for x where the device has a kernel for one."""

    @functools.wraps(forward)
    def run(self, x):
        if isinstance(x, Chain) or not kernel_for("linears", [x]):
            return forward(self, x)
        result = forward(self, Chain(x))
        return result.result() if isinstance(result, Chain) else result

    return run
