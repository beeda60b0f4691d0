"""log-softmax and log-sum-exp: operators of their own, because a chain of exp, sum and log would
overflow where their results are harmless."""

from ..autograd import TensorOp
from ..backend_selection import array_api
from .ops_mathematic import *


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


def logsoftmax(a):
    return LogSoftmax()(a)


class LogSumExp(AxesOp):
    """log(sum(exp(a))) over `axes` (None: all), which the result no longer has."""

    def compute(self, a):
        ### BEGIN YOUR SOLUTION hw2/op_logsumexp
        raise NotImplementedError("hw2/op_logsumexp: LogSumExp.compute is yours to write")
        ### END YOUR SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN YOUR SOLUTION hw2/op_logsumexp
        raise NotImplementedError("hw2/op_logsumexp: LogSumExp.gradient is yours to write")
        ### END YOUR SOLUTION


def logsumexp(a, axes=None):
    return LogSumExp(axes)(a)
