"""Functions on NDArrays under NumPy's names, so that code may be written for either library."""

from operator import attrgetter, matmul, methodcaller, neg as negative, pow as power

from .device import check_dtype, default_device
from .ndarray import NDArray


def array(a, dtype="float32", device=None):
    """A new NDArray with the values of `a`; device None keeps the one where `a` is, if any."""
    check_dtype(dtype)
    return NDArray(a, device=device)


def empty(shape, dtype="float32", device=None):
    """A new array, not initialized."""
    return (device or default_device()).empty(shape, dtype)


def full(shape, fill_value, dtype="float32", device=None):
    """A new array with every element `fill_value`."""
    return (device or default_device()).full(shape, fill_value, dtype)


def reshape(a, new_shape):
    """a.reshape(new_shape), after a copy where the array is not compact."""
    return a.compact().reshape(new_shape)


def maximum(a, b):
    return a.maximum(b) if isinstance(a, NDArray) else b.maximum(a)


broadcast_to, transpose, swapaxes = NDArray.broadcast_to, NDArray.transpose, NDArray.swapaxes
log, exp, tanh = NDArray.log, NDArray.exp, NDArray.tanh
sum, max = NDArray.sum, NDArray.max
flip, pad = NDArray.flip, NDArray.pad

# What needle asks of any array library (see backend_selection); backend_numpy.py has the same.

BOOL = "float32"  # the dtype of what is true or false


new_array = array
device_of, to_numpy = attrgetter("_device"), methodcaller("numpy")
as_strided = NDArray.as_strided


def zeros_beside(array, shape):
    """A new array of zeros on the device of `array`."""
    return full(shape, 0.0, device=array.device)


