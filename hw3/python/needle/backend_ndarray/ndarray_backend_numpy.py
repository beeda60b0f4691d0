"""The device cpu_numpy(): the device table written in NumPy.

It is the oracle: slow, short, and what the C++ and CUDA devices are tested against. A buffer
(`Array`) is flat; shapes, strides and offsets count elements.
"""

import numpy as np

__device_name__ = "numpy"

_FLOAT = np.dtype(np.float32)


class Array:
    """A flat buffer of `size` float32 elements, not initialized."""

    __slots__ = ("array", "size")

    def __init__(self, size):
        self.array, self.size = np.empty(size, dtype=_FLOAT), size

    def ptr(self):
        """Address of the first element, as an integer."""
        return self.array.ctypes.data


def _view(buffer, shape, strides, offset):
    """NumPy's view of `buffer`; a view that would leave the buffer is a ValueError."""
    size = _FLOAT.itemsize  # NumPy counts bytes
    byte_strides = tuple(size * stride for stride in strides)
    # A view of nothing may begin anywhere.
    return np.ndarray(shape, _FLOAT, buffer.array, size * min(offset, buffer.size), byte_strides)


def to_numpy(a, *place):
    return _view(a, *place).copy()


def from_numpy(a, out):
    out.array[:] = a.reshape(-1)


def fill(out, val):
    out.array.fill(val)


def compact(a, out, shape, *place):
    out.array.reshape(shape)[...] = _view(a, shape, *place)


def ewise_setitem(a, out, shape, *place):
    _view(out, shape, *place)[:] = a.array.reshape(shape)


def scalar_setitem(size, val, out, *place):
    _view(out, *place)[:] = val


def _kernel(function):
    """The kernel (operands ..., out) that applies `function` to arrays and numbers, by elements."""

    @np.errstate(all="ignore")
    def kernel(*operands):
        *operands, out = [x.array if isinstance(x, Array) else _FLOAT.type(x) for x in operands]
        function(*operands, out=out)

    return kernel


ewise_add = scalar_add = _kernel(np.add)
ewise_mul = scalar_mul = _kernel(np.multiply)
ewise_div = scalar_div = _kernel(np.divide)
ewise_maximum = scalar_maximum = _kernel(np.maximum)
ewise_eq = scalar_eq = _kernel(np.equal)
ewise_ge = scalar_ge = _kernel(np.greater_equal)
scalar_power = _kernel(np.power)
ewise_log, ewise_exp, ewise_tanh = _kernel(np.log), _kernel(np.exp), _kernel(np.tanh)


@np.errstate(all="ignore")
def matmul(a, b, out, m, n, p):
    np.matmul(a.array.reshape(m, n), b.array.reshape(n, p), out=out.array.reshape(m, p))


def _reduction(function):
    """The kernel that applies `function` to each `reduce_size` neighbours."""

    @np.errstate(all="ignore")
    def kernel(a, out, reduce_size):
        function(a.array.reshape(out.size, reduce_size), axis=-1, out=out.array)

    return kernel


reduce_max = _reduction(np.max)
reduce_sum = _reduction(np.sum)
