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
        ### BEGIN SOLUTION hw4/new_nd_backend
        return array_api.tanh(a)
        ### END SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN SOLUTION hw4/new_nd_backend
        return out_grad * (1 - node * node)
        ### END SOLUTION


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
        ### BEGIN SOLUTION hw4/new_nd_backend
        shape = args[0].shape
        axis = np.arange(len(shape) + 1)[self.axis]
        if any(part.shape != shape for part in args):
            raise ValueError("stack needs arrays of one shape")
        out = zeros_beside(args[0], (*shape[:axis], len(args), *shape[axis:]))
        for k, part in enumerate(args):
            out[slice_at(k, axis, out.ndim)] = part
        return out
        ### END SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN SOLUTION hw4/new_nd_backend
        return split(out_grad, self.axis)
        ### END SOLUTION


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
        ### BEGIN SOLUTION hw4/new_nd_backend
        shape = list(a.shape)
        length = shape.pop(self.axis)
        parts = [a[slice_at(k, self.axis, a.ndim)] for k in range(length)]
        return tuple(array_api.reshape(part, shape) for part in parts)
        ### END SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN SOLUTION hw4/new_nd_backend
        return stack(out_grad, self.axis)
        ### END SOLUTION


split = Split.apply_to


class Flip(AxesOp):
    """The order of elements along `axes` (None: all axes) turned round."""

    def compute(self, a):
        ### BEGIN SOLUTION hw4/new_ops
        return array_api.flip(a, self.axes)
        ### END SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN SOLUTION hw4/new_ops
        return flip(out_grad, self.axes)
        ### END SOLUTION


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
        ### BEGIN SOLUTION hw4/new_ops
        steps = self.steps(a.ndim)
        out = zeros_beside(a, tuple(n * along.step for n, along in zip(a.shape, steps)))
        out[steps] = a
        return out
        ### END SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN SOLUTION hw4/new_ops
        return undilate(out_grad, self.axes, self.dilation)
        ### END SOLUTION


dilate = Dilate.apply_to


class UnDilate(Dilate):
    """Every (dilation + 1)-th element along `axes`, from the first on. Undoes Dilate."""

    def compute(self, a):
        ### BEGIN SOLUTION hw4/new_ops
        return a[self.steps(a.ndim)]
        ### END SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN SOLUTION hw4/new_ops
        dilated = dilate(out_grad, self.axes, self.dilation)
        missing = np.subtract(node.inputs[0].shape, dilated.shape)
        return pad(dilated, [(0, n) for n in missing])
        ### END SOLUTION


undilate = UnDilate.apply_to


class Pad(TensorOp):
    """Zeros around: `axes` is a pair (before, after) for each axis; a negative width cuts off."""

    def __init__(self, axes):
        self.axes = tuple(map(tuple, axes))

    def compute(self, a):
        ### BEGIN SOLUTION hw4/new_ops
        if len(self.axes) != a.ndim:
            raise ValueError("pad needs a pair (before, after) for each axis")
        widths = np.array(self.axes)
        grown = array_api.pad(a, np.maximum(widths, 0))
        cut = np.maximum(-widths, 0)
        return grown[tuple(slice(i, n - j) for n, (i, j) in zip(grown.shape, cut))]
        ### END SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN SOLUTION hw4/new_ops
        return pad(out_grad, [(-before, -after) for before, after in self.axes])
        ### END SOLUTION


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
        ### BEGIN SOLUTION hw4/conv_forward
        p, s = self.padding, self.stride
        if A.ndim != 4 or B.ndim != 4 or A.shape[3] != B.shape[2]:
            raise ValueError("conv needs images (N, H, W, C) and a kernel (K, K, C, O), C the same")
        if p:
            A = array_api.pad(A, ((0, 0), (p, p), (p, p), (0, 0)))
        (N, H, W, C), (K, L, _, O) = A.shape, B.shape
        if H < K or W < L:
            raise ValueError(f"the kernel is larger than the padded images of {H} x {W}")
        h, w = (H - K) // s + 1, (W - L) // s + 1
        # im2col: for each output pixel, the window of the input that it sees.
        n_, h_, w_, c_ = A.strides
        windows = as_strided(A, (N, h, w, K, L, C), (n_, h_ * s, w_ * s, h_, w_, c_))
        columns = array_api.reshape(windows, (N, h, w, K * L * C))
        return columns @ array_api.reshape(B, (K * L * C, O))
        ### END SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN SOLUTION hw4/conv_backward
        A, B = node.inputs
        p, s = self.padding, self.stride
        (_, H, W, _), (K, L, _, _) = A.shape, B.shape
        # The last rows and columns of the padded input, which no window sees.
        rows, columns = (H + 2 * p - K) % s, (W + 2 * p - L) % s
        # With a stride, output pixels lie s input pixels apart: zeros between them, none after.
        cut = (0, 1 - s)
        spread = pad_images(dilate(out_grad, (1, 2), s - 1), cut, cut) if s > 1 else out_grad

        # Each input pixel collects from the windows that saw it: the kernel turned round.
        above, left = K - 1 - p, L - 1 - p
        around = pad_images(spread, (above, above + rows), (left, left + columns))
        turned = transpose(flip(B, (0, 1)), (2, 3))
        grad_A = conv(around, turned, padding=0)

        # Each weight joins input and output pixels at a fixed distance: the images are the
        # "channels" that are summed over, the adjoint is the kernel.
        used = pad_images(A, (p, p - rows), (p, p - columns))
        kernel = move_axis(spread, 0, 1, 2)  # (H', W', N, O)
        grad_B = conv(transpose(used, (0, 3)), kernel, padding=0)  # (C, K, L, O)
        return grad_A, move_axis(grad_B, 0, 1, 2)
        ### END SOLUTION


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
    ### BEGIN SOLUTION hw4/conv_forward optional
    out = conv(channels_last(x), weight, stride, padding)
    return channels_first(out if bias is None else out + bias.broadcast_to(out.shape))
    ### END SOLUTION


@composite
def batch_norm2d(x, *tensors, **settings):
    """`batch_norm` of each channel, over the batch and all pixels: (N, C, H, W)."""
    images = channels_last(x)
    *sizes, channels = images.shape
    pixels = images.reshape((math.prod(sizes), channels))
    normal, *running = batch_norm(pixels, *tensors, **settings)
    return channels_first(normal.reshape(images.shape)), *running
