"""log-softmax and log-sum-exp: operators of their own, because a chain of exp, sum and log would
overflow where their results are harmless."""

from ..autograd import TensorOp
from ..backend_selection import array_api
from .ops_mathematic import *


LARGEST = 3.4028234e38  # of all float32 numbers


class Finite(TensorOp):
    """`a`, with the largest and the smallest float32 number in place of inf and -inf.

    exp(a - max(a)) overflows for no a, but inf - inf is NaN: what is subtracted must be finite.
    """

    def compute(self, a):
        return -array_api.maximum(-array_api.maximum(a, -LARGEST), -LARGEST)

    def gradient(self, out_grad, node):
        return out_grad


finite = Finite.function()


class LogSoftmax(TensorOp):
    """a - log(sum(exp(a))) over axis 1 of a matrix: (n, k) -> (n, k)."""

    def compute(self, a):
        ### BEGIN YOUR SOLUTION hw2/op_logsoftmax
        raise NotImplementedError("hw2/op_logsoftmax: LogSoftmax.compute is yours to write")
        ### END YOUR SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN YOUR SOLUTION hw2/op_logsoftmax
        raise NotImplementedError("hw2/op_logsoftmax: LogSoftmax.gradient is yours to write")
        ### END YOUR SOLUTION


logsoftmax = LogSoftmax.function()


class LogSumExp(AxesOp):
    """log(sum(exp(a))) over `axes` (None: all), which the result no longer has.

    -inf if all elements are -inf, inf if one of them is inf.
    """

    def compute(self, a):
        ### BEGIN YOUR SOLUTION hw2/op_logsumexp
        raise NotImplementedError("hw2/op_logsumexp: LogSumExp.compute is yours to write")
        ### END YOUR SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN YOUR SOLUTION hw2/op_logsumexp
        raise NotImplementedError("hw2/op_logsumexp: LogSumExp.gradient is yours to write")
        ### END YOUR SOLUTION


logsumexp = LogSumExp.apply_to


def softmax_of(a, total, axes):
    """exp(a - total), where `total` is logsumexp(a, axes), which is nowhere less than `a`."""
    # -relu(total - a) is a - total, but at most 0 also where `a` is inf, and `total` made finite.
    return exp(-relu(spread_to_shape(finite(total), a.shape, axes) - a))
