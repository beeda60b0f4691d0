"""Operators that make and take apart TensorTuples."""

import functools
from collections import defaultdict

from ..autograd import Tensor, TensorOp, TensorTuple, TensorTupleOp, sum_node_list
from ..init import zeros_like


class MakeTensorTuple(TensorTupleOp):
    """Tensors to one TensorTuple."""

    def compute(self, *args):
        return args

    def gradient(self, out_grad, node):
        return tuple(out_grad)


make_tuple = MakeTensorTuple()


class OnePart(TensorTuple):
    """The adjoint of one part of a TensorTuple of T parts: a TensorTuple with T - 1 zeros.

    Written out for each of the T parts, that would be T * T arrays to make and to add. Its own slots
    are empty, but for `_path`: a list of (index, part), and the arrays of the whole.
    """

    __slots__ = ()

    def __getattr__(self, name):
        """Whoever looks at it has the zeros made; from then on it is an ordinary TensorTuple."""
        return self.become(add_tuples([self]), name)


def add_tuples(tuples):
    """The sum of TensorTuples, part by part."""
    found = defaultdict(list)
    for value in tuples:
        parts, whole = value._path if type(value) is OnePart else (enumerate(value), value.tuple())
        for index, part in parts:
            found[index].append(part)
    return make_tuple(
        *[sum_node_list(found[k]) or zeros_like(Tensor.make_const(a)) for k, a in enumerate(whole)]
    )


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
        adjoint = object.__new__(OnePart)
        whole = node.inputs[0].realize_cached_data()
        adjoint._path = [(self.index % len(whole), out_grad)], whole
        return adjoint


tuple_get_item = TupleGetItem.apply_to
get_item = functools.cache(TupleGetItem)  # each made once: a backward pass takes many tuples apart


class FusedAddScalars(TensorTupleOp):
    """(a + c0, a + c1): the smallest operator with two results."""

    def __init__(self, c0, c1):
        self.c0, self.c1 = c0, c1

    def compute(self, a):
        return a + self.c0, a + self.c1

    def gradient(self, out_grad, node):
        return out_grad[0] + out_grad[1]


fused_add_scalars = FusedAddScalars.apply_to
