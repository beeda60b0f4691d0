"""Tensors filled with a constant or with random numbers.

All take the keywords device (default: the CPU), dtype (default: "float32") and requires_grad
(default: False). Random numbers come from NumPy's global generator (`numpy.random.seed` repeats
them): one call for each tensor, with its final shape.
"""

import needle as ndl


def _tensor(make, device=None, dtype="float32", requires_grad=False):
    """A Tensor on the array `make(device)`: shared, unless it still has to change its dtype."""
    array = make(device or ndl.cpu())
    if array.dtype == dtype:
        return ndl.Tensor.make_const(array, requires_grad=requires_grad)
    return ndl.Tensor(array, device=device, dtype=dtype, requires_grad=requires_grad)


def rand(*shape, low=0.0, high=1.0, **keywords):
    """Random numbers, uniform between `low` and `high`."""
    return _tensor(lambda device: device.rand(*shape) * (high - low) + low, **keywords)


def randn(*shape, mean=0.0, std=1.0, **keywords):
    """Random numbers, normal with the given mean and standard deviation."""
    return _tensor(lambda device: device.randn(*shape) * std + mean, **keywords)


def randb(*shape, p=0.5, dtype="bool", **keywords):
    """Random ones (with probability `p`) and zeros. An NDArray has no bools: there, float32."""
    dtype = ndl.library.BOOL if dtype == "bool" else dtype
    return _tensor(lambda device: device.rand(*shape) <= p, dtype=dtype, **keywords)


def constant(*shape, c=1.0, dtype="float32", **keywords):
    """Every element is `c`."""
    return _tensor(lambda device: device.full(shape, c, dtype=dtype), dtype=dtype, **keywords)


def ones(*shape, **keywords):
    """Every element is 1."""
    return constant(*shape, c=1.0, **keywords)


def zeros(*shape, **keywords):
    """Every element is 0."""
    return constant(*shape, c=0.0, **keywords)


def one_hot(n, i, device=None, dtype="float32", requires_grad=False):
    """Rows that are 1 at one place and else 0: class ids, a Tensor of any shape -> (*i.shape, n)."""
    ids = i.numpy().astype("int32")
    return _tensor(lambda device: device.one_hot(n, ids, dtype=dtype), device, dtype, requires_grad)


def zeros_like(array, *, device=None, **keywords):
    """Zeros of the shape, dtype and (unless given) device of `array`."""
    return zeros(*array.shape, device=device or array.device, dtype=array.dtype, **keywords)


def ones_like(array, *, device=None, **keywords):
    """Ones of the shape, dtype and (unless given) device of `array`."""
    return ones(*array.shape, device=device or array.device, dtype=array.dtype, **keywords)
