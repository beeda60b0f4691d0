"""Operators of arithmetic, shape and linear algebra: forward beside gradient.

`compute` is given arrays of the array library and returns one. `gradient` is given Tensors and
returns Tensors, so that a gradient can be differentiated again. The same text serves NumPy and
NDArray: it uses only what both have.
"""

# Names that programs written for this library take from it, beside those that are used here.
from numbers import Number
from typing import List, Optional, Tuple, Union  # noqa: UP035

import numpy

from ..autograd import NDArray, Op, Tensor, TensorOp, TensorTuple, TensorTupleOp, Value
from ..backend_selection import BACKEND, array_api


class ScalarOp(TensorOp):
    """An operator with a number beside its input. NumPy's numbers and arrays of one become
    Python's, which do not turn float32 arrays into float64."""

    def __init__(self, scalar):
        if getattr(scalar, "size", None) == 1:
            scalar = scalar.item()
        if not isinstance(scalar, (float, int, Number)):  # the last alone takes longer to ask for
            wanted = f"{self} takes a Tensor and a number, got {type(scalar).__name__}"
            raise TypeError(f"{wanted}: wrap arrays in Tensor(...)")
        self.scalar = scalar


class AxesOp(TensorOp):
    """An operator that works along `axes`: an int, a tuple, or None."""

    def __init__(self, axes=None):
        self.axes = axes


class ShapeOp(TensorOp):
    """An operator whose result has the `shape` that it is given."""

    def __init__(self, shape):
        self.shape = shape


class EWiseAdd(TensorOp):
    """a + b, element by element."""

    def compute(self, a, b):
        return a + b

    def gradient(self, out_grad, node):
        return out_grad, out_grad


add = EWiseAdd.function()


class AddAll(TensorOp):
    """The sum of two or more arrays of one shape, from left to right."""

    def compute(self, first, second, *others):
        total = first + second
        for array in others:
            total += array  # in its place where arrays can that, for nobody else has seen it
        return total

    def gradient(self, out_grad, node):
        return (out_grad,) * len(node.inputs)


class AddScalar(ScalarOp):
    """a + scalar."""

    def compute(self, a):
        return a + self.scalar

    def gradient(self, out_grad, node):
        return out_grad


add_scalar = AddScalar.apply_to


class EWiseMul(TensorOp):
    """a * b, element by element."""

    def compute(self, a, b):
        return a * b

    def gradient(self, out_grad, node):
        a, b = node.inputs
        return out_grad * b, out_grad * a


multiply = EWiseMul.function()


class MulScalar(ScalarOp):
    """a * scalar."""

    def compute(self, a):
        return a * self.scalar

    def gradient(self, out_grad, node):
        return out_grad * self.scalar


mul_scalar = MulScalar.apply_to


class EWisePow(TensorOp):
    """a ** b, element by element; a > 0 where the gradient is asked for."""

    def compute(self, a, b):
        ### BEGIN SOLUTION hw1/forward
        return a**b
        ### END SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN SOLUTION hw1/backward
        a, b = node.inputs
        grad_a, grad_b = out_grad * b * a ** (b - 1), out_grad * node * log(a)
        return sum_to_shape(grad_a, a.shape), sum_to_shape(grad_b, b.shape)
        ### END SOLUTION


power = EWisePow.function()


class PowerScalar(ScalarOp):
    """a ** scalar."""

    def compute(self, a):
        ### BEGIN SOLUTION hw1/forward
        return a**self.scalar
        ### END SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN SOLUTION hw1/backward
        if self.scalar == 0:  # a ** -1 would make 0 * inf at a == 0
            return out_grad * 0
        (a,) = node.inputs
        return out_grad * self.scalar * a ** (self.scalar - 1)
        ### END SOLUTION


power_scalar = PowerScalar.apply_to


class EWiseDiv(TensorOp):
    """a / b, element by element."""

    def compute(self, a, b):
        ### BEGIN SOLUTION hw1/forward
        return a / b
        ### END SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN SOLUTION hw1/backward
        _, b = node.inputs
        grad_a = out_grad / b
        return grad_a, -grad_a * node  # node is a / b; b ** 2 would overflow at 1e20
        ### END SOLUTION


divide = EWiseDiv.function()


class DivScalar(ScalarOp):
    """a / scalar."""

    def compute(self, a):
        ### BEGIN SOLUTION hw1/forward
        return a / self.scalar
        ### END SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN SOLUTION hw1/backward
        return out_grad / self.scalar
        ### END SOLUTION


divide_scalar = DivScalar.apply_to


class Transpose(AxesOp):
    """Two axes change places: `axes` is a pair of ints; None stands for the last two."""

    def compute(self, a):
        ### BEGIN SOLUTION hw1/forward
        first, second = self.axes or (-2, -1)
        return a.swapaxes(first, second)
        ### END SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN SOLUTION hw1/backward
        return transpose(out_grad, self.axes)
        ### END SOLUTION


def transpose(a, axes=None):
    return Transpose(axes)(a)


class Reshape(ShapeOp):
    """The same elements, in row-major order, in another shape."""

    def compute(self, a):
        ### BEGIN SOLUTION hw1/forward
        return array_api.reshape(a, self.shape)
        ### END SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN SOLUTION hw1/backward
        return reshape(out_grad, node.inputs[0].shape)
        ### END SOLUTION


def reshape(a, shape):
    return Reshape(shape)(a)


class BroadcastTo(ShapeOp):
    """Repeat `a` along new leading axes, and along axes of length 1, until it has `shape`."""

    def compute(self, a):
        ### BEGIN SOLUTION hw1/forward
        return array_api.broadcast_to(a, self.shape)
        ### END SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN SOLUTION hw1/backward
        return sum_to_shape(out_grad, node.inputs[0].shape)
        ### END SOLUTION


def broadcast_to(a, shape):
    return BroadcastTo(shape)(a)


def sum_to_shape(a, shape):
    """The adjoint of broadcasting from `shape` to `a.shape`: sum over the axes that it added or
    stretched. (Yours to use or not: more than one gradient needs it.)"""
    ### BEGIN SOLUTION hw1/backward optional
    if a.shape == shape:
        return a
    added = len(a.shape) - len(shape)
    stretched = [added + k for k, n in enumerate(shape) if n == 1 and a.shape[added + k] != 1]
    summed = summation(a, (*range(added), *stretched))
    return reshape(summed, shape) if stretched else summed
    ### END SOLUTION


class Summation(AxesOp):
    """Sum over `axes` (None: all), which the result no longer has."""

    def compute(self, a):
        ### BEGIN SOLUTION hw1/forward
        return a.sum(axis=self.axes)
        ### END SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN SOLUTION hw1/backward
        return spread_to_shape(out_grad, node.inputs[0].shape, self.axes)
        ### END SOLUTION


def summation(a, axes=None):
    return Summation(axes)(a)


def spread_to_shape(a, shape, axes):
    """The adjoint of summing an array of `shape` over `axes` to `a`: every element of the array
    gets what its sum got. (Yours to use or not: more than one gradient needs it.)"""
    ### BEGIN SOLUTION hw1/backward optional
    axes = range(len(shape)) if axes is None else numpy.atleast_1d(axes)
    kept = list(shape)
    for axis in axes:
        kept[axis] = 1
    return broadcast_to(reshape(a, tuple(kept)), shape)
    ### END SOLUTION


class MatMul(TensorOp):
    """a @ b over the last two axes; the axes before them, if any, are a batch and broadcast."""

    def compute(self, a, b):
        ### BEGIN SOLUTION hw1/forward
        return a @ b
        ### END SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN SOLUTION hw1/backward
        a, b = node.inputs
        # A constant needs no gradient: that is half of the work of a first layer.
        grad_a = sum_to_shape(out_grad @ transpose(b), a.shape) if a.requires_grad else None
        grad_b = sum_to_shape(transpose(a) @ out_grad, b.shape) if b.requires_grad else None
        return grad_a, grad_b
        ### END SOLUTION


matmul = MatMul.function()


class Negate(TensorOp):
    """-a."""

    def compute(self, a):
        ### BEGIN SOLUTION hw1/forward
        return -a
        ### END SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN SOLUTION hw1/backward
        return -out_grad
        ### END SOLUTION


negate = Negate.function()


class Log(TensorOp):
    """The natural logarithm."""

    def compute(self, a):
        ### BEGIN SOLUTION hw1/forward
        return array_api.log(a)
        ### END SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN SOLUTION hw1/backward
        return out_grad / node.inputs[0]
        ### END SOLUTION


log = Log.function()


class Exp(TensorOp):
    """e ** a."""

    def compute(self, a):
        ### BEGIN SOLUTION hw1/forward
        return array_api.exp(a)
        ### END SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN SOLUTION hw1/backward
        return out_grad * node
        ### END SOLUTION


exp = Exp.function()


class ToDevice(TensorOp):
    """The same values on another device; the gradient goes the way back."""

    def __init__(self, device):
        self.device = device

    def compute(self, a):
        return a.to(self.device)

    def gradient(self, out_grad, node):
        return to_device(out_grad, node.inputs[0].device)


to_device = ToDevice.apply_to


class ReLU(TensorOp):
    """max(a, 0); its derivative at 0 is taken to be 0."""

    def compute(self, a):
        ### BEGIN SOLUTION hw1/nn_epoch_ndl
        return array_api.maximum(a, 0)
        ### END SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN SOLUTION hw1/nn_epoch_ndl
        return out_grad * Tensor.make_const(node.realize_cached_data() > 0)
        ### END SOLUTION


relu = ReLU.function()
