"""Operators that make and take apart TensorTuples."""

from ..autograd import TensorOp, TensorTuple, TensorTupleOp
from ..init import zeros_like


class MakeTensorTuple(TensorTupleOp):
    """Tensors to one TensorTuple."""

    def compute(self, *args):
        return tuple(args)

    def gradient(self, out_grad, node):
        return tuple(out_grad)


def make_tuple(*args):
    return MakeTensorTuple()(*args)


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
        (parts,) = node.inputs
        adjoints = [zeros_like(part) for part in parts]
        adjoints[self.index] = out_grad
        return make_tuple(*adjoints)


def tuple_get_item(value, index):
    return TupleGetItem(index)(value)


class FusedAddScalars(TensorTupleOp):
    """(a + c0, a + c1): the smallest operator with two results."""

    def __init__(self, c0, c1):
        self.c0, self.c1 = c0, c1

    def compute(self, a):
        return a + self.c0, a + self.c1

    def gradient(self, out_grad, node):
        return out_grad[0] + out_grad[1]


def fused_add_scalars(x, c0, c1):
    return FusedAddScalars(c0, c1)(x)
