"""Operators that make and take apart TensorTuples."""

import functools

from ..autograd import TensorOp, TensorTuple, TensorTupleOp
from ..backend_selection import array_api
from ..init import zeros


class MakeTensorTuple(TensorTupleOp):
    """Tensors to one TensorTuple."""

    def compute(self, *args):
        return args

    def gradient(self, out_grad, node):
        return tuple(out_grad)


make_tuple = MakeTensorTuple()


class MostlyZero(tuple):
    """Arrays of which only those at `places` may differ from zero.

    The adjoint of one part of a TensorTuple of T parts is a TensorTuple with T - 1 zeros. Written out
    for each of the T parts, that would be T * T arrays to make and to add. Here all zeros of one
    shape are views of one number, and `AddTuples` leaves them out.
    """

    def __new__(cls, arrays, places):
        self = super().__new__(cls, arrays)
        self.places = frozenset(places)
        return self


class OnePart(TensorTupleOp):
    """A Tensor -> a TensorTuple with it at place `index`, and at the other places what `zeros` has."""

    def __init__(self, index, zeros):
        self.index, self.zeros = index, zeros

    def compute(self, a):
        parts = list(self.zeros)
        parts[self.index] = a
        return MostlyZero(parts, [self.index % len(parts)])

    def gradient(self, out_grad, node):
        return out_grad[self.index]


class AddTuples(TensorTupleOp):
    """a + b, part by part."""

    def compute(self, a, b):
        everywhere = frozenset(range(len(a)))
        in_a, in_b = getattr(a, "places", everywhere), getattr(b, "places", everywhere)
        parts = list(a)
        for k in in_b:
            parts[k] = parts[k] + b[k] if k in in_a else b[k]
        return MostlyZero(parts, in_a | in_b)

    def gradient(self, out_grad, node):
        return out_grad, out_grad


class TupleGetItem(TensorOp):
    """One Tensor of a TensorTuple."""

    def __init__(self, index):
        self.index = index

    def __call__(self, a, fold_const=True):
        """`fold_const`: of a tuple just made by `make_tuple`, take the Tensor that went in."""
        if not isinstance(a, TensorTuple):
            raise TypeError(f"TupleGetItem takes a TensorTuple, got {type(a).__name__}")
        if fold_const and isinstance(a.op, MakeTensorTuple):
            return a.inputs[self.index]
        return super().__call__(a)

    def compute(self, a):
        return a[self.index]

    def gradient(self, out_grad, node):
        parts = node.inputs[0].realize_cached_data()
        zero = zeros(like=out_grad).realize_cached_data()
        view = functools.cache(lambda shape: array_api.broadcast_to(zero, shape))
        return OnePart(self.index, [view(part.shape) for part in parts])(out_grad)


tuple_get_item = TupleGetItem.apply_to


class FusedAddScalars(TensorTupleOp):
    """(a + c0, a + c1): the smallest operator with two results."""

    def __init__(self, c0, c1):
        self.c0, self.c1 = c0, c1

    def compute(self, a):
        return a + self.c0, a + self.c1

    def gradient(self, out_grad, node):
        return out_grad[0] + out_grad[1]


fused_add_scalars = FusedAddScalars.apply_to
