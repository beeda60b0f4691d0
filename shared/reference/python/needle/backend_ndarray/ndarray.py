"""NDArray: a view (shape, strides, offset) of a flat float32 buffer on a device.

Reshaping, permuting, broadcasting and slicing only make another view of the same buffer. The
kernels of a device see compact arrays: row-major, without gaps, from the start of their buffer.
Operands of an operator must have the same shape; nothing is broadcast behind your back.
"""

import functools
import math
import operator

import numpy as np

from .device import default_device

_new = object.__new__


def prod(values):
    """Product of some numbers; 1 for none."""
    return math.prod(values)


@functools.lru_cache(maxsize=4096)
def _layout(shape):
    """(shape as Python ints, row-major strides, number of elements) of a tuple.

    Remembered, because every operation asks for it.
    """
    shape = tuple(map(operator.index, shape))
    strides, size = [], 1
    for length in reversed(shape):
        if length < 0:
            raise ValueError(f"the axes of a shape must not be negative, got {shape}")
        strides.append(size)
        size *= length
    return shape, tuple(reversed(strides)), size


def _shape_of(shape):
    """A shape as a tuple of Python ints; a bare int is one axis."""
    if type(shape) is not tuple:
        try:
            shape = tuple(shape)
        except TypeError:
            shape = (shape,)
    return _layout(shape)[0]


class NDArray:
    """An n-dimensional array of float32 on a device.

    NDArray(other, device=None) copies another NDArray, a NumPy array, or what numpy.array takes.
    """

    __slots__ = ("_device", "_handle", "_offset", "_shape", "_strides")
    __array_ufunc__ = None  # numpy_scalar * ndarray comes to __rmul__ instead of NumPy's loops

    def __init__(self, other, device=None):
        if isinstance(other, NDArray):
            device = device or other._device
            values = other.numpy()
        else:
            device = device or default_device()
            values = np.ascontiguousarray(other, dtype=np.float32).reshape(np.shape(other))
        array = NDArray.make(values.shape, device=device)
        device.from_numpy(values, array._handle)
        self._shape, self._strides, self._offset = array._shape, array._strides, 0
        self._device, self._handle = device, array._handle

    # ------------------------------------------------------------------------------ construction

    @staticmethod
    def compact_strides(shape):
        """Row-major strides of a shape, in elements."""
        return _layout(_shape_of(shape))[1]

    @staticmethod
    def make(shape, strides=None, device=None, handle=None, offset=0):
        """A view of `handle`, or of a new buffer (not initialised) when there is none."""
        shape, compact, size = _layout(shape if type(shape) is tuple else _shape_of(shape))
        array = _new(NDArray)
        array._shape = shape
        array._strides = compact if strides is None else tuple(strides)
        array._offset = offset
        array._device = device = device if device is not None else default_device()
        array._handle = device.Array(size) if handle is None else handle
        return array

    @staticmethod
    def _allocate(shape, device):
        """make(shape, device=device), for a shape that is a tuple of ints already."""
        array = _new(NDArray)
        array._shape, array._strides, size = _layout(shape)
        array._offset = 0
        array._device = device
        array._handle = device.Array(size)
        return array

    # -------------------------------------------------------------------------------- properties

    @property
    def shape(self):
        return self._shape

    @property
    def strides(self):
        """Distance in elements between neighbours along each axis."""
        return self._strides

    @property
    def device(self):
        return self._device

    @property
    def dtype(self):
        """Always "float32"."""
        return "float32"

    @property
    def ndim(self):
        return len(self._shape)

    @property
    def size(self):
        """Number of elements."""
        return _layout(self._shape)[2]

    @property
    def flat(self):
        """The elements as one axis; a view, so that `a.flat[j] += 1` changes a."""
        return self.reshape((self.size,))

    @property
    def T(self):
        return self.transpose()

    def __repr__(self):
        return f"NDArray({self.numpy()}, device={self._device})"

    def __str__(self):
        return str(self.numpy())

    def __len__(self):
        if not self._shape:
            raise TypeError("an array of shape () has no length")
        return self._shape[0]

    def __bool__(self):
        if self.size != 1:
            raise ValueError(
                f"the truth value of an array of shape {self._shape} is ambiguous; "
                "compare `.numpy()` with NumPy's all() or any()"
            )
        return bool(self.item())

    def __float__(self):
        return self.item()

    def item(self):
        """The one element as a Python float."""
        return self.numpy().item()

    # ------------------------------------------------------------------------ copies and devices

    def __array__(self, dtype=None, copy=None):
        return self.numpy() if dtype is None else self.numpy().astype(dtype)

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
            self._device.scalar_setitem(
                self.size, value, self._handle, self._shape, self._strides, self._offset
            )

    def is_compact(self):
        """Whether the elements lie in row-major order and fill the whole buffer."""
        _, strides, size = _layout(self._shape)
        return self._strides == strides and self._handle.size == size

    def compact(self):
        """This array in row-major order: itself when it is compact, else a copy."""
        if self.is_compact():
            return self
        out = NDArray._allocate(self._shape, self._device)
        self._device.compact(self._handle, out._handle, self._shape, self._strides, self._offset)
        return out

    # ------------------------------------------------------------------------------------- views

    def as_strided(self, shape, strides):
        """A view of the same buffer and offset with any shape and strides (in elements)."""
        assert len(shape) == len(strides), (
            f"as_strided needs one stride an axis, got shape {shape} and strides {strides}"
        )
        return NDArray.make(
            shape, strides=strides, device=self._device, handle=self._handle, offset=self._offset
        )

    def reshape(self, new_shape):
        """A view of a compact array with another shape of the same size.

        Raises ValueError when the sizes differ or the array is not compact.
        """
        ### BEGIN SOLUTION hw3/ndarray_python_ops
        new_shape = _shape_of(new_shape)
        if prod(new_shape) != self.size:
            raise ValueError(
                f"cannot reshape {self._shape} to {new_shape}: {self.size} elements, not "
                f"{prod(new_shape)}"
            )
        if not self.is_compact():
            raise ValueError("reshape needs a compact array; call .compact() before it")
        return self.as_strided(new_shape, NDArray.compact_strides(new_shape))
        ### END SOLUTION

    def permute(self, new_axes):
        """A view with its axes in another order: axis i of the result is axis new_axes[i] of this.

        Example: shape (2, 3, 4) permuted by (0, 2, 1) has shape (2, 4, 3).
        """
        ### BEGIN SOLUTION hw3/ndarray_python_ops
        new_axes = _shape_of(new_axes)
        if sorted(new_axes) != list(range(self.ndim)):
            raise ValueError(
                f"permute needs each of the {self.ndim} axes of shape {self._shape} once, "
                f"got {new_axes}"
            )
        return self.as_strided(
            tuple(self._shape[axis] for axis in new_axes),
            tuple(self._strides[axis] for axis in new_axes),
        )
        ### END SOLUTION

    def broadcast_to(self, new_shape):
        """A view that repeats axes of length 1, and may add axes at the left, without a copy.

        Raises AssertionError when an axis that is not 1 would change its length.
        """
        ### BEGIN SOLUTION hw3/ndarray_python_ops
        new_shape = _shape_of(new_shape)
        added = len(new_shape) - self.ndim
        assert added >= 0 and all(
            old in (1, new) for old, new in zip(self._shape, new_shape[added:])
        ), f"cannot broadcast {self._shape} to {new_shape}: only axes of length 1 can grow"
        strides = tuple(
            stride if old == new else 0
            for old, new, stride in zip(self._shape, new_shape[added:], self._strides)
        )
        return self.as_strided(new_shape, (0,) * added + strides)
        ### END SOLUTION

    def transpose(self, axes=None):
        """permute(axes), as in NumPy: None turns the order of all axes round."""
        if axes is None:
            axes = range(self.ndim)[::-1]
        return self.permute(_axes_of(axes, self.ndim))

    def swapaxes(self, axis1, axis2):
        """A view with two axes exchanged."""
        (axis1,), (axis2,) = _axes_of(axis1, self.ndim), _axes_of(axis2, self.ndim)
        order = list(range(self.ndim))
        order[axis1], order[axis2] = axis2, axis1
        return self.permute(tuple(order))

    ### FROM hw4
    def flip(self, axes=None):
        """A compact copy with the order of elements along `axes` (None: all) turned round."""
        ### BEGIN SOLUTION hw4/new_ops
        axes = range(self.ndim) if axes is None else _axes_of(axes, self.ndim)
        strides, offset = list(self._strides), self._offset
        for axis in axes:
            offset += (self._shape[axis] - 1) * strides[axis]
            strides[axis] = -strides[axis]
        if self.size == 0:
            return self
        return NDArray.make(self._shape, strides, self._device, self._handle, offset).compact()
        ### END SOLUTION

    def pad(self, axes):
        """A copy with zeros around: `axes` is one pair (before, after) for each axis."""
        ### BEGIN SOLUTION hw4/new_ops
        assert len(axes) == self.ndim, f"pad needs {self.ndim} pairs, got {axes}"
        shape = tuple(before + n + after for n, (before, after) in zip(self._shape, axes))
        out = NDArray.make(shape, device=self._device)
        out.fill(0.0)
        inside = tuple(slice(before, before + n) for n, (before, _) in zip(self._shape, axes))
        out[inside] = self
        return out
        ### END SOLUTION

    ### END
    # ---------------------------------------------------------------------------------- indexing

    def process_slice(self, sl, dim):
        """Slice or int `sl` along axis `dim` as slice(start, stop, step).

        0 <= start <= stop <= length, as Python cuts and counts from the end. An int outside the
        axis is an IndexError; a step below 1 a ValueError (flip turns an axis round).
        """
        length = self._shape[dim]
        if isinstance(sl, slice):
            start, stop, step = sl.indices(length)
            if step < 1:
                raise ValueError(f"slices need a step of 1 or more, got {sl}; use flip")
            return slice(start, max(start, stop), step)
        try:
            index = operator.index(sl)
        except TypeError:
            raise TypeError(
                f"NDArray is indexed by ints and slices, got {type(sl).__name__}"
            ) from None
        if not -length <= index < length:
            raise IndexError(f"index {index} is outside axis {dim}, which has length {length}")
        return slice(index % length, index % length + 1, 1)

    def __getitem__(self, idxs):
        """A view of the elements at `idxs`: an int or a slice for each axis.

        Unlike NumPy the number of axes stays: an int i selects like the slice i:i+1.
        """
        if not isinstance(idxs, tuple):
            idxs = (idxs,)
        assert len(idxs) == self.ndim, (
            f"an array of shape {self._shape} needs {self.ndim} indices, got {len(idxs)}"
        )
        idxs = tuple(self.process_slice(sl, dim) for dim, sl in enumerate(idxs))
        ### BEGIN SOLUTION hw3/ndarray_python_ops
        shape = tuple(-((sl.start - sl.stop) // sl.step) for sl in idxs)
        strides = tuple(sl.step * stride for sl, stride in zip(idxs, self._strides))
        offset = self._offset + sum(sl.start * stride for sl, stride in zip(idxs, self._strides))
        return NDArray.make(shape, strides, self._device, self._handle, offset)
        ### END SOLUTION

    def __setitem__(self, idxs, other):
        """Writes a number or an array of as many elements to the view at `idxs`."""
        view = self.__getitem__(idxs)
        target = (view._handle, view._shape, view._strides, view._offset)
        if isinstance(other, np.ndarray) and other.ndim > 0:
            other = NDArray(other, device=self._device)
        if not isinstance(other, NDArray):
            self._device.scalar_setitem(view.size, float(other), *target)
            return
        self._check_device(other)
        assert view.size == other.size, (
            f"cannot write an array of shape {other._shape} to a view of shape {view._shape}"
        )
        source = other.compact()
        if source._handle is self._handle:  # its elements may be overwritten before they are read
            source = NDArray(source)
        self._device.ewise_setitem(source._handle, *target)

    # ----------------------------------------------------------------------- elementwise operators

    def _check_device(self, other):
        if other._device is not self._device and other._device != self._device:
            raise ValueError(
                f"operands are on {self._device} and {other._device}; move one with .to(device)"
            )

    def ewise_or_scalar(self, other, ewise_func, scalar_func):
        """ewise_func for an NDArray of the same shape, scalar_func for a number."""
        if isinstance(other, NDArray):
            return self._ewise(other, ewise_func)
        if type(other) is not float:
            other = _number(other)
            if other is None:
                return NotImplemented
        a = self if self.is_compact() else self.compact()
        out = NDArray._allocate(self._shape, self._device)
        scalar_func(a._handle, other, out._handle)
        return out

    def _ewise(self, other, function):
        shape = self._shape
        assert other._shape == shape, (
            f"operands have shapes {shape} and {other._shape}; they must be equal "
            "(broadcast_to makes them so)"
        )
        self._check_device(other)
        out = NDArray._allocate(shape, self._device)
        if self.is_compact() and other.is_compact():
            function(self._handle, other._handle, out._handle)
        elif function in self._device.strided:
            _call_strided(self._device.strided[function], self, other, out)
        else:
            function(self.compact()._handle, other.compact()._handle, out._handle)
        return out

    def _unary(self, function):
        a = self if self.is_compact() else self.compact()
        out = NDArray._allocate(self._shape, self._device)
        function(a._handle, out._handle)
        return out

    def __add__(self, other):
        return self.ewise_or_scalar(other, self._device.ewise_add, self._device.scalar_add)

    __radd__ = __add__

    def __mul__(self, other):
        return self.ewise_or_scalar(other, self._device.ewise_mul, self._device.scalar_mul)

    __rmul__ = __mul__

    def __neg__(self):
        return self.ewise_or_scalar(-1.0, None, self._device.scalar_mul)

    def __sub__(self, other):
        if isinstance(other, NDArray):
            ### FROM hw4
            if hasattr(self._device, "strided_sub") and other._shape == self._shape:
                self._check_device(other)
                out = NDArray._allocate(self._shape, self._device)
                _call_strided(self._device.strided_sub, self, other, out)
                return out
            ### END
            return self + (-other)
        number = _number(other)
        return NotImplemented if number is None else self + -number

    def __rsub__(self, other):
        return (-self).__add__(other)

    def __truediv__(self, other):
        return self.ewise_or_scalar(other, self._device.ewise_div, self._device.scalar_div)

    def __rtruediv__(self, other):
        number = _number(other)
        return NotImplemented if number is None else self._filled(number) / self

    def __pow__(self, other):
        if isinstance(other, NDArray):
            return self._power(other)
        return self.ewise_or_scalar(other, None, self._device.scalar_power)

    def __rpow__(self, other):
        number = _number(other)
        return NotImplemented if number is None else self._filled(number)._power(self)

    def _filled(self, number):
        """An array of this shape, every element `number`."""
        out = NDArray._allocate(self._shape, self._device)
        self._device.fill(out._handle, number)
        return out

    def _power(self, exponents):
        """Elementwise power; no device has a kernel for it, so it goes through NumPy."""
        assert self._shape == exponents._shape, (
            f"operands have shapes {self._shape} and {exponents._shape}; they must be equal"
        )
        self._check_device(exponents)
        with np.errstate(all="ignore"):
            return NDArray(np.power(self.numpy(), exponents.numpy()), device=self._device)

    def maximum(self, other):
        """The larger of two elements; NaN when one is NaN."""
        return self.ewise_or_scalar(other, self._device.ewise_maximum, self._device.scalar_maximum)

    # Comparisons give 1.0 for true and 0.0 for false. All but == and >= are built from these two.

    def __eq__(self, other):
        return self.ewise_or_scalar(other, self._device.ewise_eq, self._device.scalar_eq)

    __hash__ = None

    def __ge__(self, other):
        return self.ewise_or_scalar(other, self._device.ewise_ge, self._device.scalar_ge)

    def __ne__(self, other):
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else 1 - equal

    def __gt__(self, other):
        at_least = self.__ge__(other)
        return at_least if at_least is NotImplemented else at_least + -(self == other)

    def __le__(self, other):
        if isinstance(other, NDArray):
            return other >= self
        number = _number(other)
        return NotImplemented if number is None else (-self) >= -number

    def __lt__(self, other):
        at_most = self.__le__(other)
        return at_most if at_most is NotImplemented else at_most + -(self == other)

    def log(self):
        return self._unary(self._device.ewise_log)

    def exp(self):
        return self._unary(self._device.ewise_exp)

    def tanh(self):
        return self._unary(self._device.ewise_tanh)

    # ----------------------------------------------------------------------- matrix multiplication

    def __matmul__(self, other):
        """Matrix product of the last two axes; axes before them are a batch, broadcast as in NumPy."""
        if not isinstance(other, NDArray):
            return NotImplemented
        self._check_device(other)
        left, right = self._shape, other._shape
        assert len(left) >= 2 and len(right) >= 2 and left[-1] == right[-2], (
            f"@ needs shapes (..., m, n) and (..., n, p), got {left} and {right}"
        )
        if len(right) > 2 or not (self.is_compact() and other.is_compact()):
            return self._batched_matmul(other)
        # A batch times one matrix is one product: all rows of the batch below one another.
        n, p = right
        out = NDArray._allocate((*left[:-1], p), self._device)
        rows = prod(left[:-1])
        self._device.matmul(self._handle, other._handle, out._handle, rows, n, p)
        return out

    def _batched_matmul(self, other):
        batch, right_batch = self._shape[:-2], other._shape[:-2]
        if batch != right_batch:
            batch = np.broadcast_shapes(batch, right_batch)
        (m, n), p = self._shape[-2:], other._shape[-1]
        out = NDArray._allocate((*batch, m, p), self._device)
        a, b = self.broadcast_to((*batch, m, n)), other.broadcast_to((*batch, n, p))
        if hasattr(self._device, "matmul_strided"):  # takes views as they are
            self._device.matmul_strided(
                a._handle, b._handle, out._handle, (*batch, m, n, p),
                a._strides, a._offset, b._strides, b._offset,
            )  # fmt: skip
            return out
        if not batch:
            return self.compact() @ other.compact()
        for index in np.ndindex(*batch):
            pair = [x._matrix_at(index).compact() for x in (a, b)]
            out[(*index, slice(None), slice(None))] = pair[0] @ pair[1]
        return out

    def _matrix_at(self, index):
        """The 2-D view at `index` of the batch axes."""
        offset = self._offset + sum(i * s for i, s in zip(index, self._strides))
        return NDArray.make(
            self._shape[-2:], self._strides[-2:], self._device, self._handle, offset
        )

    # ---------------------------------------------------------------------------------- reductions

    def reduce_view_out(self, axis, keepdims=False):
        """(view, out) of a reduction: the view has the reduced axes as its last, `out` is empty."""
        shape = self._shape
        ndim = len(shape)
        if axis is None:
            view = self.compact()
            view = NDArray.make((view.size,), (1,), self._device, view._handle)
            return view, NDArray._allocate((1,) * ndim if keepdims else (), self._device)
        axes = _axes_of(axis, ndim)
        if not axes:
            raise ValueError("a reduction needs at least one axis, got an empty tuple")
        if axes == (ndim - 1,):
            kept, view = shape[:-1], self
        else:
            others = tuple(i for i in range(ndim) if i not in axes)
            kept, view = tuple(shape[i] for i in others), self.permute(others + axes)
        if len(axes) > 1:
            reduced = prod(shape[i] for i in axes)
            view = view.compact().reshape((*kept, reduced))
        if keepdims:
            kept = tuple(1 if i in axes else n for i, n in enumerate(shape))
        return view, NDArray._allocate(kept, self._device)

    ### FROM hw4
    def _reduce_axis(self, name, axis, keepdims):
        """Reduces neighbouring axes that are not the last without moving them; None if it cannot.

        To the kernel the array has three axes: those before, the reduced ones, those after.
        """
        if axis is None or not self.is_compact() or not hasattr(self._device, name):
            return None
        axes = sorted(_axes_of(axis, self.ndim))
        first, end = (axes[0], axes[-1] + 1) if axes else (0, self.ndim)
        before, shape, after = self._shape[:first], self._shape[first:end], self._shape[end:]
        if not after or len(shape) != len(axes) or prod(shape) == 0:
            return None
        kept = (1,) * len(axes) if keepdims else ()
        out = NDArray._allocate((*before, *kept, *after), self._device)
        function = getattr(self._device, name)
        function(self._handle, out._handle, prod(before), prod(shape), prod(after))
        return out

    ### END
    def sum(self, axis=None, keepdims=False):
        """Sum over an axis, several axes (a tuple) or all (None: the result has shape ())."""
        ### FROM hw4
        out = self._reduce_axis("reduce_sum_axis", axis, keepdims)
        if out is not None:
            return out
        ### END
        view, out = self.reduce_view_out(axis, keepdims=keepdims)
        terms = view._shape[-1]
        if terms == 0:
            out.fill(0.0)
        else:
            self._device.reduce_sum(view.compact()._handle, out._handle, terms)
        return out

    def max(self, axis=None, keepdims=False):
        """Largest element over axes as in sum; NaN where there is one."""
        ### FROM hw4
        out = self._reduce_axis("reduce_max_axis", axis, keepdims)
        if out is not None:
            return out
        ### END
        view, out = self.reduce_view_out(axis, keepdims=keepdims)
        terms = view._shape[-1]
        if terms == 0:
            raise ValueError(f"an array of shape {self._shape} has no maximum over axis {axis}")
        self._device.reduce_max(view.compact()._handle, out._handle, terms)
        return out


def _call_strided(function, a, b, out):
    """out = function(a, b), for a kernel that takes any views."""
    function(
        a._handle, a._strides, a._offset, b._handle, b._strides, b._offset, out._handle, out._shape
    )


def _number(value):
    """`value` as a Python float when it is a number (also NumPy's, or an array of one), else None."""
    if isinstance(value, (bool, int, float, np.generic)):
        return float(value)
    if isinstance(value, np.ndarray) and value.size == 1:
        return float(value.item())
    return None


def _axes_of(axes, ndim):
    """An axis or several as a tuple of ints from 0 up; negative ones count from the end."""
    if type(axes) is int:
        axes = (axes,)
    else:
        try:
            axes = (operator.index(axes),)
        except TypeError:
            axes = tuple(operator.index(axis) for axis in axes)
    for axis in axes:
        if not -ndim <= axis < ndim:
            raise ValueError(f"axis {axis} is out of bounds for an array with {ndim} axes")
    axes = tuple(axis % ndim for axis in axes)
    if len(set(axes)) != len(axes):
        raise ValueError(f"an axis stands twice in {axes}")
    return axes


def __getattr__(name):
    """ndarray.sum, ndarray.array, ...: the functions live in functions.py.

    Were they defined here, `sum` and `max` in NDArray's methods would no longer be Python's own.
    """
    from . import functions

    return getattr(functions, name)
