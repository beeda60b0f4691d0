"""Tensors filled with a constant or with random numbers.

Random numbers come from NumPy's global generator (`numpy.random.seed` repeats them): one call for
each tensor, with its final shape.
"""

import needle as ndl


def _tensor_of(array, device, dtype, requires_grad):
    """A Tensor on an array that was just made: shared, unless it still has to change its dtype."""
    if array.dtype == dtype:
        return ndl.Tensor.make_const(array, requires_grad=requires_grad)
    return ndl.Tensor(array, device=device, dtype=dtype, requires_grad=requires_grad)


def rand(*shape, low=0.0, high=1.0, device=None, dtype="float32", requires_grad=False):
    """Random numbers, uniform between `low` and `high`."""
    array = (device or ndl.cpu()).rand(*shape) * (high - low) + low
    return _tensor_of(array, device, dtype, requires_grad)


def randn(*shape, mean=0.0, std=1.0, device=None, dtype="float32", requires_grad=False):
    """Random numbers, normal with the given mean and standard deviation."""
    array = (device or ndl.cpu()).randn(*shape) * std + mean
    return _tensor_of(array, device, dtype, requires_grad)


def randb(*shape, p=0.5, device=None, dtype="bool", requires_grad=False):
    """Random ones (with probability `p`) and zeros. An NDArray has no bools: there, float32."""
    dtype = ndl.library.BOOL if dtype == "bool" else dtype
    array = (device or ndl.cpu()).rand(*shape) <= p
    return _tensor_of(array, device, dtype, requires_grad)


def constant(*shape, c=1.0, device=None, dtype="float32", requires_grad=False):
    """Every element is `c`."""
    array = (device or ndl.cpu()).full(shape, c, dtype=dtype)
    return _tensor_of(array, device, dtype, requires_grad)


def ones(*shape, device=None, dtype="float32", requires_grad=False):
    """Every element is 1."""
    return constant(*shape, c=1.0, device=device, dtype=dtype, requires_grad=requires_grad)


def zeros(*shape, device=None, dtype="float32", requires_grad=False):
    """Every element is 0."""
    return constant(*shape, c=0.0, device=device, dtype=dtype, requires_grad=requires_grad)


def one_hot(n, i, device=None, dtype="float32", requires_grad=False):
    """Rows that are 1 at one place and else 0: class ids, a Tensor of any shape -> (*i.shape, n)."""
    array = (device or ndl.cpu()).one_hot(n, i.numpy().astype("int32"), dtype=dtype)
    return _tensor_of(array, device, dtype, requires_grad)


def zeros_like(array, *, device=None, requires_grad=False):
    """Zeros of the shape, dtype and (unless given) device of `array`."""
    device = device or array.device
    return zeros(*array.shape, device=device, dtype=array.dtype, requires_grad=requires_grad)


def ones_like(array, *, device=None, requires_grad=False):
    """Ones of the shape, dtype and (unless given) device of `array`."""
    device = device or array.device
    return ones(*array.shape, device=device, dtype=array.dtype, requires_grad=requires_grad)
