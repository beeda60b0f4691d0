"""log-softmax and log-sum-exp: operators of their own, because a chain of exp, sum and log would
overflow where their results are harmless."""

from ..autograd import TensorOp
from ..backend_selection import array_api
from .ops_mathematic import *


class LogSoftmax(TensorOp):
    """a - log(sum(exp(a))) over axis 1 of a matrix: (n, k) -> (n, k)."""

    def compute(self, a):
        ### BEGIN SOLUTION hw2/op_logsoftmax
        peak = a.max(axis=1, keepdims=True)
        shifted = a - array_api.broadcast_to(peak, a.shape)
        total = array_api.exp(shifted).sum(axis=1, keepdims=True)
        return shifted - array_api.broadcast_to(array_api.log(total), a.shape)
        ### END SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN SOLUTION hw2/op_logsoftmax
        total = spread_to_shape(summation(out_grad, 1), node.shape, 1)
        return out_grad - exp(node) * total
        ### END SOLUTION


def logsoftmax(a):
    return LogSoftmax()(a)


class LogSumExp(AxesOp):
    """log(sum(exp(a))) over `axes` (None: all), which the result no longer has."""

    def compute(self, a):
        ### BEGIN SOLUTION hw2/op_logsumexp
        peak = a.max(axis=self.axes, keepdims=True)
        total = array_api.exp(a - array_api.broadcast_to(peak, a.shape)).sum(axis=self.axes)
        return array_api.log(total) + array_api.reshape(peak, total.shape)
        ### END SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN SOLUTION hw2/op_logsumexp
        (a,) = node.inputs
        softmax = exp(a - spread_to_shape(node, a.shape, self.axes))
        return spread_to_shape(out_grad, a.shape, self.axes) * softmax
        ### END SOLUTION


def logsumexp(a, axes=None):
    return LogSumExp(axes)(a)
