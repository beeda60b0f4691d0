"""Functions on NDArrays under NumPy's names, so that code may be written for either library."""

import numpy as np

from .ndarray import NDArray


def _check_dtype(dtype):
    assert dtype is None or np.dtype(dtype) == np.float32, (
        f"NDArray holds float32 only, got dtype {dtype!r}; convert with .astype('float32')"
    )


def array(a, dtype="float32", device=None):
    """A new NDArray with the values of `a`."""
    _check_dtype(dtype)
    return NDArray(a, device=device)


def empty(shape, dtype="float32", device=None):
    """A new array, not initialised."""
    _check_dtype(dtype)
    return NDArray.make(shape, device=device)


def full(shape, fill_value, dtype="float32", device=None):
    """A new array with every element `fill_value`."""
    out = empty(shape, dtype=dtype, device=device)
    out.fill(fill_value)
    return out


def full_like(a, fill_value):
    return full(a.shape, fill_value, device=a.device)


def broadcast_to(array, new_shape):
    return array.broadcast_to(new_shape)


def reshape(array, new_shape):
    """array.reshape(new_shape), after a copy where the array is not compact."""
    return array.compact().reshape(new_shape)


def transpose(a, axes=None):
    return a.transpose(axes)


def swapaxes(a, axis1, axis2):
    return a.swapaxes(axis1, axis2)


def matmul(a, b):
    return a @ b


def maximum(a, b):
    return a.maximum(b) if isinstance(a, NDArray) else b.maximum(a)


def negative(a):
    return -a


def power(a, b):
    return a**b


def log(a):
    return a.log()


def exp(a):
    return a.exp()


def tanh(a):
    return a.tanh()


def sum(a, axis=None, keepdims=False):
    return a.sum(axis=axis, keepdims=keepdims)


def max(a, axis=None, keepdims=False):
    return a.max(axis=axis, keepdims=keepdims)


def flip(a, axes=None):
    return a.flip(axes)


def pad(a, axes):
    return a.pad(axes)


