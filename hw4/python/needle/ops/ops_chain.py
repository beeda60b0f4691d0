"""Linear layers and ReLUs one after the other, as one composite.

A narrow network spends its time between the kernels, not in them. A `Sequential` therefore hands
its modules a `Chain` in place of a Tensor: `linear` and `relu` only note themselves there, and
whatever else wants to see it, or the end of the Sequential, gets all of them from one kernel.
"""

import functools

from ..autograd import Tensor
from .ops_composite import composite, kernel_for
from .ops_layers import linear, relu


@composite
def linears(x, *tensors, relus):
    """Linear layers: `tensors` are weight and bias (or None) of each, `relus` says for each whether
    a ReLU follows."""
    for weight, bias, follows in zip(tensors[::2], tensors[1::2], relus):
        x = linear(x, weight, bias)
        x = relu(x) if follows else x
    return x


class Chain(Tensor):
    """A Tensor whose linear layers and ReLUs have not run yet: `start`, then `layers`.

    Attributes:
        layers: (weight, bias, whether a ReLU follows) of each.
    """

    __slots__ = ("layers", "made", "start")

    def __init__(self, start, layers=()):
        self.start, self.layers, self.made = start, layers, None

    def result(self):
        """The Tensor itself, computed now if it was not."""
        if self.made is None and self.layers:
            weights_and_biases = [value for layer in self.layers for value in layer[:2]]
            relus = tuple(layer[2] for layer in self.layers)
            self.made = linears(self.start, *weights_and_biases, relus=relus)
        return self.start if self.made is None else self.made

    _record = property(lambda self: self.result()._record)
    grad = property(lambda self: self.result().grad)

    def joined(self, name, *tensors):
        """The chain with one more function of this name, or None if it does not belong here."""
        start, layers = (self.start, self.layers) if self.made is None else (self.made, ())
        if name == "linear":
            weight, bias = (*tensors, None)[:2]
            return Chain(start, (*layers, (weight, bias, False)))
        if name == "relu" and layers:
            return Chain(start, (*layers[:-1], (*layers[-1][:2], True)))
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
