"""The operators: each computes a result and passes a gradient back."""

from .ops_mathematic import *

# What a Tensor can do by one operator.
Tensor.__neg__, Tensor.__matmul__, Tensor.matmul = negate, matmul, matmul
Tensor.sum, Tensor.broadcast_to = summation, broadcast_to
Tensor.reshape, Tensor.transpose = reshape, transpose
