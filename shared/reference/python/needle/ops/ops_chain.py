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


@composite
def relu(x):
    """max(x, 0), element by element."""
    return ops_mathematic.relu(x)


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

    Its own slots are empty, but for `_path`: (start, tensors, relus) are the Tensor that goes into
    the first layer, weight and bias (or None) of each, and for each whether a ReLU follows.
    """

    __slots__ = ()

    def __getattr__(self, name):
        """Whoever looks at the Tensor itself has it computed; from then on it is an ordinary one."""
        start, tensors, relus = self._path
        if tensors:
            self.become(linears(start, *tensors, relus=relus))
        else:  # what `start` is, as a node of its own
            self.become(ops_mathematic.to_device(start, start.device))
        return getattr(self, name)

    def joined(self, name, args):
        """The chain with one more function of this name, or None if it does not belong here."""
        start, tensors, relus = self._path
        if name == "linear" and len(args) == 3:
            return _chain(start, (*tensors, *args[1:]), (*relus, False))
        return _chain(start, tensors, (*relus[:-1], True)) if name == "relu" and relus else None


def _chain(*path):
    """A new Chain; calling the class would cost twice as much, and there is one for every layer."""
    chain = object.__new__(Chain)
    chain._path = path
    return chain


def chained(forward):
    """`forward(self, x)`, with a Chain for x where the device has a kernel for one."""

    @functools.wraps(forward)
    def run(self, x):
        if isinstance(x, Chain) or not kernel_for("linears", [x]):
            return forward(self, x)
        result = forward(self, _chain(x, (), ()))
        if type(result) is Chain:
            result.realize_cached_data()
        return result

    return run
