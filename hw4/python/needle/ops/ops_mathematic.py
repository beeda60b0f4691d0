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
        ### BEGIN YOUR SOLUTION hw1/forward
        raise NotImplementedError("hw1/forward: EWisePow.compute is yours to write")
        ### END YOUR SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN YOUR SOLUTION hw1/backward
        raise NotImplementedError("hw1/backward: EWisePow.gradient is yours to write")
        ### END YOUR SOLUTION


power = EWisePow.function()


class PowerScalar(ScalarOp):
    """a ** scalar."""

    def compute(self, a):
        ### BEGIN YOUR SOLUTION hw1/forward
        raise NotImplementedError("hw1/forward: PowerScalar.compute is yours to write")
        ### END YOUR SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN YOUR SOLUTION hw1/backward
        raise NotImplementedError("hw1/backward: PowerScalar.gradient is yours to write")
        ### END YOUR SOLUTION


power_scalar = PowerScalar.apply_to


class EWiseDiv(TensorOp):
    """a / b, element by element."""

    def compute(self, a, b):
        ### BEGIN YOUR SOLUTION hw1/forward
        raise NotImplementedError("hw1/forward: EWiseDiv.compute is yours to write")
        ### END YOUR SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN YOUR SOLUTION hw1/backward
        raise NotImplementedError("hw1/backward: EWiseDiv.gradient is yours to write")
        ### END YOUR SOLUTION


divide = EWiseDiv.function()


class DivScalar(ScalarOp):
    """a / scalar."""

    def compute(self, a):
        ### BEGIN YOUR SOLUTION hw1/forward
        raise NotImplementedError("hw1/forward: DivScalar.compute is yours to write")
        ### END YOUR SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN YOUR SOLUTION hw1/backward
        raise NotImplementedError("hw1/backward: DivScalar.gradient is yours to write")
        ### END YOUR SOLUTION


divide_scalar = DivScalar.apply_to


class Transpose(AxesOp):
    """Two axes change places: `axes` is a pair of ints; None stands for the last two."""

    def compute(self, a):
        ### BEGIN YOUR SOLUTION hw1/forward
        raise NotImplementedError("hw1/forward: Transpose.compute is yours to write")
        ### END YOUR SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN YOUR SOLUTION hw1/backward
        raise NotImplementedError("hw1/backward: Transpose.gradient is yours to write")
        ### END YOUR SOLUTION


def transpose(a, axes=None):
    return Transpose(axes)(a)


class Reshape(ShapeOp):
    """The same elements, in row-major order, in another shape."""

    def compute(self, a):
        ### BEGIN YOUR SOLUTION hw1/forward
        raise NotImplementedError("hw1/forward: Reshape.compute is yours to write")
        ### END YOUR SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN YOUR SOLUTION hw1/backward
        raise NotImplementedError("hw1/backward: Reshape.gradient is yours to write")
        ### END YOUR SOLUTION


def reshape(a, shape):
    return Reshape(shape)(a)


class BroadcastTo(ShapeOp):
    """Repeat `a` along new leading axes, and along axes of length 1, until it has `shape`."""

    def compute(self, a):
        ### BEGIN YOUR SOLUTION hw1/forward
        raise NotImplementedError("hw1/forward: BroadcastTo.compute is yours to write")
        ### END YOUR SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN YOUR SOLUTION hw1/backward
        raise NotImplementedError("hw1/backward: BroadcastTo.gradient is yours to write")
        ### END YOUR SOLUTION


def broadcast_to(a, shape):
    return BroadcastTo(shape)(a)


def sum_to_shape(a, shape):
    """The adjoint of broadcasting from `shape` to `a.shape`: sum over the axes that it added or
    stretched. (Yours to use or not: more than one gradient needs it.)"""
    ### BEGIN YOUR SOLUTION hw1/backward
    raise NotImplementedError("hw1/backward: sum_to_shape is yours to write or not")
    ### END YOUR SOLUTION


class Summation(AxesOp):
    """Sum over `axes` (None: all), which the result no longer has."""

    def compute(self, a):
        ### BEGIN YOUR SOLUTION hw1/forward
        raise NotImplementedError("hw1/forward: Summation.compute is yours to write")
        ### END YOUR SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN YOUR SOLUTION hw1/backward
        raise NotImplementedError("hw1/backward: Summation.gradient is yours to write")
        ### END YOUR SOLUTION


def summation(a, axes=None):
    return Summation(axes)(a)


def spread_to_shape(a, shape, axes):
    """The adjoint of summing an array of `shape` over `axes` to `a`: every element of the array
    gets what its sum got. (Yours to use or not: more than one gradient needs it.)"""
    ### BEGIN YOUR SOLUTION hw1/backward
    raise NotImplementedError("hw1/backward: spread_to_shape is yours to write or not")
    ### END YOUR SOLUTION


class MatMul(TensorOp):
    """a @ b over the last two axes; the axes before them, if any, are a batch and broadcast."""

    def compute(self, a, b):
        ### BEGIN YOUR SOLUTION hw1/forward
        raise NotImplementedError("hw1/forward: MatMul.compute is yours to write")
        ### END YOUR SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN YOUR SOLUTION hw1/backward
        raise NotImplementedError("hw1/backward: MatMul.gradient is yours to write")
        ### END YOUR SOLUTION


matmul = MatMul.function()


class Negate(TensorOp):
    """-a."""

    def compute(self, a):
        ### BEGIN YOUR SOLUTION hw1/forward
        raise NotImplementedError("hw1/forward: Negate.compute is yours to write")
        ### END YOUR SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN YOUR SOLUTION hw1/backward
        raise NotImplementedError("hw1/backward: Negate.gradient is yours to write")
        ### END YOUR SOLUTION


negate = Negate.function()


class Log(TensorOp):
    """The natural logarithm."""

    def compute(self, a):
        ### BEGIN YOUR SOLUTION hw1/forward
        raise NotImplementedError("hw1/forward: Log.compute is yours to write")
        ### END YOUR SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN YOUR SOLUTION hw1/backward
        raise NotImplementedError("hw1/backward: Log.gradient is yours to write")
        ### END YOUR SOLUTION


log = Log.function()


class Exp(TensorOp):
    """e ** a."""

    def compute(self, a):
        ### BEGIN YOUR SOLUTION hw1/forward
        raise NotImplementedError("hw1/forward: Exp.compute is yours to write")
        ### END YOUR SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN YOUR SOLUTION hw1/backward
        raise NotImplementedError("hw1/backward: Exp.gradient is yours to write")
        ### END YOUR SOLUTION


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
        ### BEGIN YOUR SOLUTION hw1/nn_epoch_ndl
        raise NotImplementedError("hw1/nn_epoch_ndl: ReLU.compute is yours to write")
        ### END YOUR SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN YOUR SOLUTION hw1/nn_epoch_ndl
        raise NotImplementedError("hw1/nn_epoch_ndl: ReLU.gradient is yours to write")
        ### END YOUR SOLUTION


relu = ReLU.function()
