"""Functions on NDArrays under NumPy's names, so that code may be written for either library."""

from operator import matmul, neg as negative, pow as power

import numpy as np

from .ndarray import NDArray


def _check_dtype(dtype):
    kind = np.dtype(dtype or np.float32)
    assert kind == np.float32, f"NDArray holds float32 only, got {kind}; use .astype('float32')"


def array(a, dtype="float32", device=None):
    """A new NDArray with the values of `a`."""
    _check_dtype(dtype)
    return NDArray(a, device=device)


def empty(shape, dtype="float32", device=None):
    """A new array, not initialized."""
    _check_dtype(dtype)
    return NDArray.make(shape, device=device)


def full(shape, fill_value, dtype="float32", device=None):
    """A new array with every element `fill_value`."""
    out = empty(shape, dtype=dtype, device=device)
    out.fill(fill_value)
    return out


def reshape(a, new_shape):
    """a.reshape(new_shape), after a copy where the array is not compact."""
    return a.compact().reshape(new_shape)


def maximum(a, b):
    return a.maximum(b) if isinstance(a, NDArray) else b.maximum(a)


def _method(name):
    """The function that calls the method of this name of its first argument."""

    def function(a, *args, **kwargs):
        return getattr(a, name)(*args, **kwargs)

    return function


broadcast_to, transpose, swapaxes = map(_method, ["broadcast_to", "transpose", "swapaxes"])
log, exp, tanh, sum, max = map(_method, ["log", "exp", "tanh", "sum", "max"])
flip, pad = map(_method, ["flip", "pad"])
