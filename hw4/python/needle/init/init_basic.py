"""Tensors filled with a constant or with random numbers.

All take the keywords device (default: the CPU), dtype (default: "float32") and requires_grad
(default: False); and `like`, a Tensor that gives its dtype and, where none is named, its device.
Random numbers come from NumPy's global generator (`numpy.random.seed` repeats them): one call for
each tensor, with its final shape.
"""

import needle as ndl


def _tensor(make, device=None, dtype="float32", requires_grad=False, like=None):
    """A Tensor on the array `make(device, dtype)`: shared, unless that still has another dtype."""
    if like is not None:
        device, dtype = device or like.device, like.dtype
    array = make(device or ndl.cpu(), dtype)
    if getattr(array, "dtype", None) == dtype:  # of no shape, NumPy draws a number of Python's
        return ndl.Tensor.make_const(array, requires_grad)
    return ndl.Tensor(array, device=device, dtype=dtype, requires_grad=requires_grad)


def rand(*shape, low=0.0, high=1.0, **keywords):
    """Random numbers, uniform between `low` and `high`."""
    return _tensor(lambda device, _: device.rand(*shape) * (high - low) + low, **keywords)


def randn(*shape, mean=0.0, std=1.0, **keywords):
    """Random numbers, normal with the given mean and standard deviation."""
    return _tensor(lambda device, _: device.randn(*shape) * std + mean, **keywords)


def randb(*shape, p=0.5, dtype="bool", **keywords):
    """Random ones (with probability `p`) and zeros. An NDArray has no bools: there, float32."""
    dtype = ndl.library.BOOL if dtype == "bool" else dtype
    return _tensor(lambda device, _: device.rand(*shape) <= p, dtype=dtype, **keywords)


def constant(*shape, c=1.0, **keywords):
    """Every element is `c`."""
    return _tensor(lambda device, dtype: device.full(shape, c, dtype), **keywords)


def ones(*shape, **keywords):
    """Every element is 1."""
    return constant(*shape, **keywords)


def zeros(*shape, **keywords):
    """Every element is 0."""
    return constant(*shape, c=0.0, **keywords)


def one_hot(n, i, device=None, dtype="float32", **keywords):
    """Rows that are 1 at one place and else 0: class ids, a Tensor of any shape -> (*i.shape, n)."""
    ids = i.numpy().astype("int32")
    if ids.min(initial=0) < 0:
        raise IndexError(f"class and word ids are 0 or more, got {ids.min()}")
    return _tensor(lambda device, dtype: device.one_hot(n, ids, dtype), device, dtype, **keywords)


def zeros_like(array, **keywords):
    """Zeros of the shape, dtype and (unless given) device of `array`."""
    return zeros(*array.shape, like=array, **keywords)


def ones_like(array, **keywords):
    """Ones of the shape, dtype and (unless given) device of `array`."""
    return constant(*array.shape, like=array, **keywords)
