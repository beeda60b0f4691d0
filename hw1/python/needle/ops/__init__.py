"""The operators: each computes a result and passes a gradient back."""

from .ops_mathematic import *


def _method(of_tensors, of_number):
    """The method for `tensor <operator> other`, by the operator for a Tensor or for a number."""
    make = Tensor.make_from_op

    def method(self, other):
        if isinstance(other, Tensor):
            return make(of_tensors(), (self, other))
        return make(of_number(other), (self,))

    return method


# What a Tensor can do by one operator.
Tensor.__add__ = Tensor.__radd__ = _method(EWiseAdd, AddScalar)
Tensor.__mul__ = Tensor.__rmul__ = _method(EWiseMul, MulScalar)
Tensor.__truediv__ = _method(EWiseDiv, DivScalar)
Tensor.__pow__ = _method(EWisePow, PowerScalar)
Tensor.__neg__ = negate
Tensor.__matmul__ = Tensor.matmul = matmul
Tensor.sum, Tensor.broadcast_to = summation, broadcast_to
Tensor.reshape, Tensor.transpose = reshape, transpose
