"""NDArray: a view (shape, strides, offset) of a flat float32 buffer on a device.

Reshaping, permuting, broadcasting and slicing only make another view of the same buffer. The
kernels of a device see compact arrays: row-major, without gaps, from the start of their buffer.
Operands of an operator must have the same shape; nothing is broadcast behind your back.
"""

import functools
import math
import numbers
import operator
from operator import attrgetter

import numpy as np

from .device import BackendDevice, all_devices, cpu, cpu_numpy, cuda, default_device


prod = math.prod  # of some numbers; 1 for none


class _Layouts(dict):
    """{shape: (shape as Python ints, row-major strides, number of elements)}, filled as it is asked.

    Every operation asks, and a dictionary answers at once, sooner than functools.lru_cache does.
    """

    def __missing__(self, given):
        if len(self) >= 4096:  # a program of ever new shapes: begin anew
            self.clear()
        shape = tuple(map(operator.index, given))
        if any(length < 0 for length in shape):
            raise ValueError(f"the axes of a shape must not be negative, got {shape}")
        strides = tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))
        return self.setdefault(given, (shape, strides, prod(shape)))


_layout = _Layouts()


def _shape_of(shape):
    """A shape as a tuple of Python ints; a bare int is one axis."""
    if type(shape) is not tuple:
        shape = tuple(shape) if np.iterable(shape) else (shape,)
    return _layout[shape][0]


def _make(shape, strides=None, device=None, handle=None, offset=0):
    """A view of `handle`, or of a new buffer (not initialized) when there is none."""
    array = object.__new__(NDArray)
    array._shape, row_major, size = _layout[shape if type(shape) is tuple else _shape_of(shape)]
    array._strides = row_major if strides is None else tuple(strides)
    array._offset = offset
    array._device = device or default_device()
    array._handle = array._device.Array(size) if handle is None else handle
    return array


_placed = attrgetter("_handle", "_strides", "_offset")  # how kernels for views take an operand


def _operator(name):
    """The operator of an NDArray and another or a number, by a device's kernels for it."""
    ewise, scalar, views = f"ewise_{name}", f"scalar_{name}", f"ewise_{name}_views"

    def apply(self, other):
        table = self._device._table
        return self.ewise_or_scalar(other, table[ewise], table[scalar], table.get(views))

    return apply


def _function(name):
    """A function of each element of an NDArray, by a device's kernel for it."""
    ewise = f"ewise_{name}"

    def apply(self):
        out = _make(self._shape, None, self._device)
        self._device._table[ewise](self.compact()._handle, out._handle)
        return out

    return apply


class NDArray:
    """An n-dimensional array of float32 on a device.

    NDArray(other, device=None) copies another NDArray, a NumPy array, or what numpy.array takes.
    """

    __slots__ = ("_device", "_handle", "_offset", "_shape", "_strides")
    __array_ufunc__ = None  # numpy_scalar * ndarray comes to __rmul__ instead of NumPy's loops
    __hash__ = None  # == compares element by element
    dtype = "float32"  # always

    def __init__(self, other, device=None):
        values = np.asarray(other, dtype=np.float32, order="C")
        self._shape, self._strides, size = _layout[values.shape]
        self._offset = 0
        self._device = device or (other._device if isinstance(other, NDArray) else default_device())
        self._handle = self._device.Array(size)
        self._device.from_numpy(values, self._handle)

    # ------------------------------------------------------------------------------ construction

    @staticmethod
    def compact_strides(shape):
        """Row-major strides of a shape, in elements."""
        return _layout[_shape_of(shape)][1]

    make = staticmethod(_make)  # found more slowly than _make, by which this file calls it

    # -------------------------------------------------------------------------------- properties

    shape = property(attrgetter("_shape"), doc="Tuple of ints; () for a number.")
    strides = property(attrgetter("_strides"), doc="Elements between neighbours, for each axis.")
    device = property(attrgetter("_device"), doc="Where the buffer lives.")

    ndim = property(lambda self: len(self._shape), doc="Number of axes.")
    size = property(lambda self: _layout[self._shape][2], doc="Number of elements.")

    # A view, so that `a.flat[j] += 1` changes a.
    flat = property(lambda self: self.reshape((self.size,)), doc="The elements as one axis.")

    def __repr__(self):
        return f"NDArray({self.numpy()}, device={self._device})"

    def __str__(self):
        return str(self.numpy())

    def item(self):
        """The one element as a Python float; a ValueError if there are more."""
        return self.numpy().item()

    __float__ = item

    def __bool__(self):
        return bool(self.item())

    # ------------------------------------------------------------------------ copies and devices

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.numpy(), dtype)

    def numpy(self):
        """A copy as a NumPy array."""
        return self._device.to_numpy(self._handle, self._shape, self._strides, self._offset)

    def __reduce__(self):  # for pickle and copy.deepcopy
        return NDArray, (self.numpy(), self._device)

    def to(self, device):
        """This array on `device`: itself when it is there already."""
        return self if device == self._device else NDArray(self, device=device)

    def fill(self, value):
        """Sets every element of this array (of this view) to a number."""
        if self.is_compact():
            self._device.fill(self._handle, value)
        else:
            self[(slice(None),) * self.ndim] = value

    def is_compact(self):
        """Whether the elements lie in row-major order and fill the whole buffer."""
        _, strides, size = _layout[self._shape]
        return self._strides == strides and self._handle.size == size

    def compact(self):
        """This array in row-major order: itself when it is compact, else a copy."""
        if self.is_compact():
            return self
        out = _make(self._shape, None, self._device)
        self._device.compact(self._handle, out._handle, self._shape, self._strides, self._offset)
        return out

    # ------------------------------------------------------------------------------------- views

    def _view(self, shape, strides, offset):
        """Another view of the same buffer; shape and strides are tuples of Python ints."""
        view = object.__new__(NDArray)
        view._shape, view._strides, view._offset = shape, strides, offset
        view._device, view._handle = self._device, self._handle
        return view

    def as_strided(self, shape, strides):
        """A view of the same buffer and offset with any shape and strides (in elements)."""
        assert len(shape) == len(strides), f"one stride an axis, not {strides} for {shape}"
        return _make(shape, strides, self._device, self._handle, self._offset)

    def reshape(self, new_shape):
        """A view of a compact array with another shape of the same size.

        Raises ValueError when the sizes differ or the array is not compact.
        """
        ### BEGIN YOUR SOLUTION hw3/ndarray_python_ops
        raise NotImplementedError("hw3/ndarray_python_ops: NDArray.reshape is yours to write")
        ### END YOUR SOLUTION

    def permute(self, new_axes):
        """A view with its axes in another order: axis i of the result is axis new_axes[i] of this.

        Example: shape (2, 3, 4) permuted by (0, 2, 1) has shape (2, 4, 3).
        """
        ### BEGIN YOUR SOLUTION hw3/ndarray_python_ops
        raise NotImplementedError("hw3/ndarray_python_ops: NDArray.permute is yours to write")
        ### END YOUR SOLUTION

    def broadcast_to(self, new_shape):
        """A view that repeats axes of length 1, and may add axes at the left, without a copy.

        Raises AssertionError when an axis that is not 1 would change its length.
        """
        ### BEGIN YOUR SOLUTION hw3/ndarray_python_ops
        raise NotImplementedError("hw3/ndarray_python_ops: NDArray.broadcast_to is yours to write")
        ### END YOUR SOLUTION

    def transpose(self, axes=None):
        """permute(axes), as in NumPy: None turns the order of all axes round."""
        return self.permute(range(self.ndim)[::-1] if axes is None else _axes_of(axes, self.ndim))

    def swapaxes(self, axis1, axis2):
        """A view with two axes exchanged."""
        axis1, axis2 = _axes_of(axis1, self.ndim) + _axes_of(axis2, self.ndim)
        return self.permute([{axis1: axis2, axis2: axis1}.get(k, k) for k in range(self.ndim)])

    def flip(self, axes=None):
        """A compact copy with the order of elements along `axes` (None: all) turned round."""
        ### BEGIN YOUR SOLUTION hw4/new_ops
        raise NotImplementedError("hw4/new_ops: NDArray.flip is yours to write")
        ### END YOUR SOLUTION

    def pad(self, axes):
        """A copy with zeros around: `axes` is one pair (before, after) for each axis."""
        ### BEGIN YOUR SOLUTION hw4/new_ops
        raise NotImplementedError("hw4/new_ops: NDArray.pad is yours to write")
        ### END YOUR SOLUTION

    # ---------------------------------------------------------------------------------- indexing

    def process_slice(self, sl, dim):
        """Slice or int `sl` along axis `dim` as slice(start, stop, step).

        0 <= start <= stop <= length, as Python cuts and counts from the end. An int outside the
        axis is an IndexError; a step below 1 an AssertionError (flip turns an axis round).
        """
        length = self._shape[dim]
        if isinstance(sl, slice):
            start, stop, step = sl.indices(length)
            assert step > 0, f"slices need a step of 1 or more, got {sl}; use flip"
            return slice(start, stop if stop > start else start, step)
        index = operator.index(sl)
        if not -length <= index < length:
            raise IndexError(f"index {index} is outside axis {dim}, which has length {length}")
        index %= length
        return slice(index, index + 1, 1)

    def __getitem__(self, idxs):
        """A view of the elements at `idxs`: an int or a slice for each axis.

        Unlike NumPy the number of axes stays: an int i selects like the slice i:i+1.
        """
        idxs = idxs if isinstance(idxs, tuple) else (idxs,)
        ndim = len(self._shape)
        assert len(idxs) == ndim, f"{len(idxs)} indices for an array of shape {self._shape}"
        idxs = [self.process_slice(sl, dim) for dim, sl in enumerate(idxs)]
        ### BEGIN YOUR SOLUTION hw3/ndarray_python_ops
        raise NotImplementedError("hw3/ndarray_python_ops: NDArray.__getitem__ is yours to write")
        ### END YOUR SOLUTION

    def __setitem__(self, idxs, other):
        """Writes a number or an array of as many elements to the view at `idxs`."""
        view = self[idxs]
        target = (view._handle, view._shape, view._strides, view._offset)
        if not isinstance(other, NDArray):
            self._device.scalar_setitem(view.size, _number(other), *target)
            return
        self._check_device(other)
        assert view.size == other.size, f"{other._shape} does not fit a view of {view._shape}"
        source = other.compact()
        if source._handle is self._handle:  # its elements may be overwritten before they are read
            source = NDArray(source)
        self._device.ewise_setitem(source._handle, *target)

    # ----------------------------------------------------------------------- elementwise operators

    def _check_device(self, other):
        if other._device not in (self._device,):  # `in` looks first whether they are one object
            both = f"{self._device} and {other._device}"
            raise ValueError(f"operands are on {both}; move one with .to(device)")

    def ewise_or_scalar(self, other, ewise_func, scalar_func, views=None):
        """ewise_func for an NDArray of the same shape, scalar_func for a number.

        views: a form of ewise_func that takes operands as they lie; None if the device has none.
        """
        out = _make(self._shape, None, self._device)
        if not isinstance(other, NDArray):
            scalar_func(self.compact()._handle, _number(other), out._handle)
            return out
        if self._shape != other._shape or self._device is not other._device:
            self._check_fit(other)
        a, b, c = self._handle, other._handle, out._handle
        compact = other._strides == out._strides == self._strides and a.size == c.size == b.size
        if compact and ewise_func:
            ewise_func(a, b, c)
        elif views:
            views(a, self._strides, self._offset, b, other._strides, other._offset, c, out._shape)
        else:
            ewise_func(self.compact()._handle, other.compact()._handle, c)
        return out

    def _check_fit(self, other):
        """An error unless an operator can take self and `other` together."""
        a, b = self._shape, other._shape
        assert a == b, f"operands of shapes {a} and {b} must be equal: use broadcast_to"
        self._check_device(other)

    __add__ = __radd__ = _operator("add")
    __mul__ = __rmul__ = _operator("mul")

    def __neg__(self):
        return self * -1.0

    def __sub__(self, other):
        kernel = self._device.kernel("ewise_sub", views=True)
        if kernel and isinstance(other, NDArray):
            return self.ewise_or_scalar(other, None, None, kernel)
        return self + (-other)

    def __rsub__(self, other):
        return -self + other

    __truediv__ = _operator("div")

    def __rtruediv__(self, other):
        return self._device.full(self._shape, _number(other)) / self

    def __pow__(self, other):
        if not isinstance(other, NDArray):
            return self.ewise_or_scalar(other, None, self._device.scalar_power)
        self._check_fit(other)  # no device has a kernel for powers of arrays: NumPy computes them
        with np.errstate(all="ignore"):
            return NDArray(np.power(self.numpy(), other.numpy()), device=self._device)

    def __rpow__(self, other):
        return self._device.full(self._shape, _number(other)) ** self

    maximum = _operator("maximum")  # the larger of two elements; NaN when one is NaN

    # Comparisons give 1.0 for true and 0.0 for false. All but == and >= are built from these two.

    __eq__ = _operator("eq")
    __ge__ = _operator("ge")

    def __ne__(self, other):
        return 1 - (self == other)

    def __le__(self, other):
        return other >= self if isinstance(other, NDArray) else -self >= -other

    def __gt__(self, other):
        return (self >= other) - (self == other)

    def __lt__(self, other):
        return (self <= other) - (self == other)

    log, exp, tanh = _function("log"), _function("exp"), _function("tanh")

    # ----------------------------------------------------------------------- matrix multiplication

    def __matmul__(self, other):
        """Matrix product of the last two axes; axes before them are a batch, broadcast as in NumPy."""
        self._check_device(other)
        left, right = self._shape, other._shape
        assert len(left) >= 2 and len(right) >= 2 and left[-1] == right[-2], (
            f"@ needs shapes (..., m, n) and (..., n, p), got {left} and {right}"
        )
        kernel = self._device.kernel("matmul", views=True)
        a, b = (self, other) if kernel else (self.compact(), other.compact())
        if len(right) == 2 and a.is_compact() and b.is_compact():
            # A batch times one matrix is one product: all rows of the batch below one another.
            out = _make((*left[:-1], right[1]), None, self._device)
            self._device.matmul(a._handle, b._handle, out._handle, prod(left[:-1]), *right)
            return out
        batch = np.broadcast_shapes(left[:-2], right[:-2])
        (m, n), p = left[-2:], right[-1]
        a, b = a.broadcast_to((*batch, m, n)), b.broadcast_to((*batch, n, p))
        out = _make((*batch, m, p), None, self._device)
        if kernel:
            kernel(*_placed(a), *_placed(b), out._handle, (*batch, m, n, p))
            return out
        for place in np.ndindex(batch):
            matrix = (*place, slice(None), slice(None))
            row = a[matrix].compact().reshape((m, n))
            out[matrix] = row @ b[matrix].compact().reshape((n, p))
        return out

    # ---------------------------------------------------------------------------------- reductions

    def reduce_view_out(self, axis, keepdims=False, stay=False):
        """(view, out) of a reduction: a compact view with the elements to reduce as its last axis,
        or, with `stay`, where its kernel takes them, as the middle one of three; `out` is empty."""
        axis = tuple(axis) if isinstance(axis, list) else axis
        order, sizes, result = _reduction(self._shape, axis, keepdims, stay)
        ordered = self.permute(order) if order else self
        view = _make(sizes, None, self._device, ordered.compact()._handle)
        return view, _make(result, None, self._device)

    def _reduce(self, name, axis, keepdims):
        kernel = self._device.kernel(name, views=True) if self.is_compact() else None
        view, out = self.reduce_view_out(axis, keepdims, stay=kernel is not None)
        if view._shape[1] == 0:
            if name == "reduce_max":
                raise ValueError(f"an array of shape {self._shape} has no maximum over axis {axis}")
            out.fill(0.0)
        elif len(view._shape) == 3:
            kernel(view._handle, out._handle, *view._shape)
        else:
            getattr(self._device, name)(view._handle, out._handle, view._shape[1])
        return out

    def sum(self, axis=None, keepdims=False):
        """Sum over an axis, several axes (a tuple) or all (None: the result has shape ())."""
        return self._reduce("reduce_sum", axis, keepdims)

    def max(self, axis=None, keepdims=False):
        """Largest element over axes as in sum; NaN where there is one."""
        return self._reduce("reduce_max", axis, keepdims)


@functools.lru_cache(maxsize=4096)
def _broadcast(shape, strides, new_shape):
    """Shape and strides of what broadcast_to makes of a view of this shape and these strides."""
    ### BEGIN YOUR SOLUTION hw3/ndarray_python_ops
    raise NotImplementedError("hw3/ndarray_python_ops: _broadcast is yours to write or not")
    ### END YOUR SOLUTION


@functools.lru_cache(maxsize=4096)
def _reduction(shape, axis, keepdims, stay):
    """How an array of this shape is reduced; `axis` is an int, a tuple, or None for all axes.

    Returns:
        order: of the axes, those to reduce as the last; None if they need not move.
        sizes: how many are kept, and how many reduced to each. With `stay` the first axes need not
            be the last: one, how many are reduced, and how many are kept.
        result: the shape of what is left.
    """
    everything = tuple(range(len(shape)))
    axes = _axes_of(axis, len(shape))
    if axis is not None and not axes:
        raise ValueError("a reduction needs at least one axis, got an empty tuple")
    others = tuple(k for k in everything if k not in axes)
    result = tuple(1 if k in axes else n for k, n in enumerate(shape) if keepdims or k in others)
    kept, reduced = prod(result), prod(shape[k] for k in axes)
    if others + axes == everything:
        return None, (kept, reduced), result
    if stay and axes + others == everything:
        return None, (1, reduced, kept), result
    return others + axes, (kept, reduced), result


def _number(value):
    """A number (NumPy's too, or an array of one) as a Python float."""
    value = value.item() if isinstance(value, np.ndarray) and value.size == 1 else value
    if not isinstance(value, (float, numbers.Real, np.bool_)):
        raise TypeError(f"NDArray computes with numbers and NDArrays, not {type(value).__name__}")
    return float(value)


def _axes_of(axes, ndim):
    """An axis, several or all (None) as a tuple of ints from 0 up; negative ones count from the
    end."""
    if axes is None:
        return tuple(range(ndim))
    axes = tuple(axes) if np.iterable(axes) else (axes,)
    for axis in axes:
        if not -ndim <= operator.index(axis) < ndim:
            raise ValueError(f"axis {axis} is out of bounds for an array with {ndim} axes")
    axes = tuple([axis % ndim for axis in axes])
    if len(set(axes)) < len(axes):
        raise ValueError(f"an axis stands twice in {axes}")
    return axes


BackendDevice.array_type = NDArray  # what `device.full` and its like make
