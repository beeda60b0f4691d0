"""Functions on NDArrays under NumPy's names, so that code may be written for either library."""

from operator import attrgetter, matmul, methodcaller, neg as negative, pow as power

from .device import check_dtype, default_device
from .ndarray import NDArray


def array(a, dtype="float32", device=None):
    """A new NDArray with the values of `a`."""
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


def _method(name):
    """The function that calls the method of this name of its first argument."""

    def function(a, *args, **kwargs):
        return getattr(a, name)(*args, **kwargs)

    return function


broadcast_to, transpose, swapaxes = map(_method, ["broadcast_to", "transpose", "swapaxes"])
log, exp, tanh, sum, max = map(_method, ["log", "exp", "tanh", "sum", "max"])

# What needle asks of any array library (see backend_selection); backend_numpy.py has the same.

BOOL = "float32"  # the dtype of what is true or false


def new_array(a, device, dtype):
    """A new NDArray with the values of `a`; device None keeps the one where `a` is, if any."""
    return array(a, dtype, device)


device_of, to_numpy = attrgetter("device"), methodcaller("numpy")
