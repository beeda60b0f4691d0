"""Operators of homework 4: tanh; stack and split; flip, dilate, pad; convolution, and the layers for
images as functions of Tensors.

`compute` is given arrays and `gradient` Tensors, as in `ops_mathematic`. The operators take images
as (N, H, W, C): batch, height, width, channels.
"""

import math

import numpy as np

from ..autograd import NDArray, TensorOp, TensorTupleOp
from ..backend_selection import array_api, library
from .ops_composite import composite
from .ops_layers import batch_norm
from .ops_mathematic import AxesOp, transpose
from .ops_tuple import make_tuple

# (array, shape, strides) -> a view; (array, shape) -> zeros of its dtype on its device. Strides are
# in elements for NDArray and in bytes for NumPy: formulas that only add and multiply an array's own
# strides hold for both.
as_strided, zeros_beside = library.as_strided, library.zeros_beside


class Tanh(TensorOp):
    """The hyperbolic tangent."""

    def compute(self, a):
        ### BEGIN YOUR SOLUTION hw4/new_nd_backend
        raise NotImplementedError("hw4/new_nd_backend: Tanh.compute is yours to write")
        ### END YOUR SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN YOUR SOLUTION hw4/new_nd_backend
        raise NotImplementedError("hw4/new_nd_backend: Tanh.gradient is yours to write")
        ### END YOUR SOLUTION


tanh = Tanh.function()


def slice_at(k, axis, ndim):
    """The index of the k-th slice along `axis` of an array with `ndim` axes. (Yours to use or not.)"""
    index = [slice(None)] * ndim
    index[axis] = k
    return tuple(index)


class Stack(TensorOp):
    """Arrays of one shape, k of them, along a new axis of length k at place `axis`."""

    def __init__(self, axis):
        self.axis = axis

    def compute(self, args):
        ### BEGIN YOUR SOLUTION hw4/new_nd_backend
        raise NotImplementedError("hw4/new_nd_backend: Stack.compute is yours to write")
        ### END YOUR SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN YOUR SOLUTION hw4/new_nd_backend
        raise NotImplementedError("hw4/new_nd_backend: Stack.gradient is yours to write")
        ### END YOUR SOLUTION


def stack(args, axis):
    """A list, tuple or TensorTuple of Tensors -> one Tensor with a new axis."""
    args = tuple(args)
    if not args:
        raise ValueError("stack needs at least one Tensor, got an empty list")
    return Stack(axis)(make_tuple(*args))


class Split(TensorTupleOp):
    """The slices along `axis`, which they no longer have, as a TensorTuple. Undoes Stack."""

    def __init__(self, axis):
        self.axis = axis

    def compute(self, a):
        ### BEGIN YOUR SOLUTION hw4/new_nd_backend
        raise NotImplementedError("hw4/new_nd_backend: Split.compute is yours to write")
        ### END YOUR SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN YOUR SOLUTION hw4/new_nd_backend
        raise NotImplementedError("hw4/new_nd_backend: Split.gradient is yours to write")
        ### END YOUR SOLUTION


split = Split.apply_to


class Flip(AxesOp):
    """The order of elements along `axes` (None: all axes) turned round."""

    def compute(self, a):
        ### BEGIN YOUR SOLUTION hw4/new_ops
        raise NotImplementedError("hw4/new_ops: Flip.compute is yours to write")
        ### END YOUR SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN YOUR SOLUTION hw4/new_ops
        raise NotImplementedError("hw4/new_ops: Flip.gradient is yours to write")
        ### END YOUR SOLUTION


flip = Flip.apply_to


class Dilate(TensorOp):
    """`dilation` zeros after every element along `axes`: length n becomes n * (dilation + 1)."""

    def __init__(self, axes, dilation):
        self.axes = axes
        self.dilation = dilation

    def steps(self, ndim):
        """A slice for each of `ndim` axes: every (dilation + 1)-th element along `axes`, all along
        the others. Axes that the array does not have are ignored."""
        axes, step = {*np.atleast_1d(self.axes)}, self.dilation + 1
        return tuple(slice(None, None, step if axes & {k, k - ndim} else 1) for k in range(ndim))

    def compute(self, a):
        ### BEGIN YOUR SOLUTION hw4/new_ops
        raise NotImplementedError("hw4/new_ops: Dilate.compute is yours to write")
        ### END YOUR SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN YOUR SOLUTION hw4/new_ops
        raise NotImplementedError("hw4/new_ops: Dilate.gradient is yours to write")
        ### END YOUR SOLUTION


dilate = Dilate.apply_to


class UnDilate(Dilate):
    """Every (dilation + 1)-th element along `axes`, from the first on. Undoes Dilate."""

    def compute(self, a):
        ### BEGIN YOUR SOLUTION hw4/new_ops
        raise NotImplementedError("hw4/new_ops: UnDilate.compute is yours to write")
        ### END YOUR SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN YOUR SOLUTION hw4/new_ops
        raise NotImplementedError("hw4/new_ops: UnDilate.gradient is yours to write")
        ### END YOUR SOLUTION


undilate = UnDilate.apply_to


class Pad(TensorOp):
    """Zeros around: `axes` is a pair (before, after) for each axis; a negative width cuts off."""

    def __init__(self, axes):
        self.axes = tuple(map(tuple, axes))

    def compute(self, a):
        ### BEGIN YOUR SOLUTION hw4/new_ops
        raise NotImplementedError("hw4/new_ops: Pad.compute is yours to write")
        ### END YOUR SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN YOUR SOLUTION hw4/new_ops
        raise NotImplementedError("hw4/new_ops: Pad.gradient is yours to write")
        ### END YOUR SOLUTION


def pad(a, axes):
    """`a` with zeros around it; `a` itself where all widths are 0."""
    return Pad(axes)(a) if np.any(axes) else a


def pad_images(a, rows, columns):
    """Images (N, H, W, C) with zeros around: `rows` (above, below), `columns` (left, right).
    (Yours to use or not.)"""
    return pad(a, ((0, 0), rows, columns, (0, 0)))


def move_axis(a, start, over, end):
    """The axis `start` changes places with `over`, and then with `end`. (Yours to use or not.)"""
    return transpose(transpose(a, (start, over)), (over, end))


class Conv(TensorOp):
    """Convolution of images with a kernel.

    Input (N, H, W, C), padded by `padding` zeros on all four sides; weight (K, L, C, O); result
    (N, H', W', O) with H' = (H + 2 * padding - K) // stride + 1, and W' likewise.
    """

    def __init__(self, stride=1, padding=0):
        self.stride, self.padding = stride, padding

    def compute(self, A, B):
        ### BEGIN YOUR SOLUTION hw4/conv_forward
        raise NotImplementedError("hw4/conv_forward: Conv.compute is yours to write")
        ### END YOUR SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN YOUR SOLUTION hw4/conv_backward
        raise NotImplementedError("hw4/conv_backward: Conv.gradient is yours to write")
        ### END YOUR SOLUTION


def conv(a, b, stride=1, padding=1):
    return Conv(stride, padding)(a, b)


def channels_last(x):
    """(N, C, H, W), as layers have images, -> (N, H, W, C)."""
    return move_axis(x, 1, 2, 3)


def channels_first(x):
    """(N, H, W, C) -> (N, C, H, W)."""
    return move_axis(x, 3, 2, 1)


@composite
def conv2d(x, weight, bias=None, *, stride, padding):
    """`conv` of images as layers have them, and a number added for each channel of the result.

    x (N, C, H, W), weight (K, K, C, O), bias (O,) or None -> (N, O, H', W').
    """
    ### BEGIN YOUR SOLUTION hw4/conv_forward
    raise NotImplementedError("hw4/conv_forward: conv2d is yours to write or not")
    ### END YOUR SOLUTION


@composite
def batch_norm2d(x, *tensors, **settings):
    """`batch_norm` of each channel, over the batch and all pixels: (N, C, H, W)."""
    images = channels_last(x)
    *sizes, channels = images.shape
    pixels = images.reshape((math.prod(sizes), channels))
    normal, *running = batch_norm(pixels, *tensors, **settings)
    return channels_first(normal.reshape(images.shape)), *running
