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

    Its own slots are empty, but for `_path`, its last link: (before, weight, bias, relu) are the
    Chain or Tensor that goes into the last layer, weight and bias (or None) of that, and whether a
    ReLU follows. At the start of a chain there is no layer yet, and the weight is None.
    """

    __slots__ = ()

    def __getattr__(self, name):
        """Whoever looks at the Tensor itself has it computed; from then on it is an ordinary one."""
        before, tensors, relus = self, [], []
        while type(before) is Chain:  # from the last layer to the first
            before, *layer, relu = before._path
            tensors[:0], relus[:0] = layer, [relu]
        if tensors[0] is None:  # what it starts with, as a node of its own
            return self.become(ops_mathematic.to_device(before, before.device), name)
        return self.become(linears(before, *tensors, relus=tuple(relus)), name)

    def joined(self, name, args):
        """The chain with one more function of this name, or None if it does not belong here."""
        before, weight, bias, _ = self._path
        if name == "linear" and len(args) == 3:
            return _chain(before if weight is None else self, *args[1:], False)
        return None if name != "relu" or weight is None else _chain(before, weight, bias, True)


def _chain(*link):
    """A new Chain; calling the class would cost twice as much, and there is one for every layer."""
    chain = object.__new__(Chain)
    chain._path = link
    return chain


def chained(forward):
    """`forward(self, x)` of a Sequential, with a Chain for x where a linear layer is the first
    module and the device has a kernel for more of them."""

    @functools.wraps(forward)
    def run(self, x):
        begins = self.modules and hasattr(self.modules[0], "in_features")
        if type(x) is Chain or not begins or not kernel_for("linears", [x]):
            return forward(self, x)
        result = forward(self, _chain(x, None, None, False))
        if type(result) is Chain:
            result.realize_cached_data()
        return result

    return run
