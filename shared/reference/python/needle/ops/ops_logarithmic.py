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
        ### BEGIN SOLUTION hw2/op_logsoftmax
        peak = Finite().compute(a.max(axis=1, keepdims=True))
        shifted = a - array_api.broadcast_to(peak, a.shape)
        total = array_api.exp(shifted).sum(axis=1, keepdims=True)
        return shifted - array_api.broadcast_to(array_api.log(total), a.shape)
        ### END SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN SOLUTION hw2/op_logsoftmax
        total = spread_to_shape(summation(out_grad, 1), node.shape, 1)
        return out_grad - exp(node) * total
        ### END SOLUTION


logsoftmax = LogSoftmax.function()


class LogSumExp(AxesOp):
    """log(sum(exp(a))) over `axes` (None: all), which the result no longer has.

    -inf if all elements are -inf, inf if one of them is inf.
    """

    def compute(self, a):
        ### BEGIN SOLUTION hw2/op_logsumexp
        peak = Finite().compute(a.max(axis=self.axes, keepdims=True))
        total = array_api.exp(a - array_api.broadcast_to(peak, a.shape)).sum(axis=self.axes)
        return array_api.log(total) + array_api.reshape(peak, total.shape)
        ### END SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN SOLUTION hw2/op_logsumexp
        (a,) = node.inputs
        return spread_to_shape(out_grad, a.shape, self.axes) * softmax_of(a, node, self.axes)
        ### END SOLUTION


logsumexp = LogSumExp.apply_to


def softmax_of(a, total, axes):
    """exp(a - total), where `total` is logsumexp(a, axes), which is nowhere less than `a`."""
    # -relu(total - a) is a - total, but at most 0 also where `a` is inf, and `total` made finite.
    return exp(-relu(spread_to_shape(finite(total), a.shape, axes) - a))
