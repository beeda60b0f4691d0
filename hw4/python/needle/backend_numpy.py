"""NumPy as the array library: its device, the CPU, and what needle asks of any array library."""

import numpy

from numpy.lib.stride_tricks import as_strided  # in bytes, as NumPy's strides are



class Device:
    """A place where arrays live and are made."""


    def kernel(self, name, views=False):
        """The device's own function of this name: NumPy has none to offer."""



class CPUDevice(Device):
    """The CPU, with NumPy arrays."""

    def __repr__(self):
        return "needle.cpu()"

    def __hash__(self):
        return hash(repr(self))

    def __eq__(self, other):
        return isinstance(other, CPUDevice)

    def enabled(self):
        return True

    def zeros(self, *shape, dtype="float32"):
        return numpy.zeros(shape, dtype=dtype)

    def ones(self, *shape, dtype="float32"):
        return numpy.ones(shape, dtype=dtype)

    def randn(self, *shape):
        """Standard normal numbers from NumPy's global generator, in float64."""
        return numpy.random.randn(*shape)

    def rand(self, *shape):
        """Uniform numbers in [0, 1) from NumPy's global generator, in float64."""
        return numpy.random.rand(*shape)

    def one_hot(self, n, i, dtype="float32"):
        """Class ids `i` (ints, any shape) -> (*i.shape, n): 1 at place i[...] of each row, else 0.

        Raises:
            IndexError: an id is not in [-n, n).
        """
        rows = numpy.zeros((*numpy.shape(i), n), dtype=dtype)
        numpy.put_along_axis(rows, numpy.expand_dims(i, -1), 1, axis=-1)
        return rows

    def empty(self, shape, dtype="float32"):
        return numpy.empty(shape, dtype=dtype)

    def full(self, shape, fill_value, dtype="float32"):
        return numpy.full(shape, fill_value, dtype=dtype)


_CPU = CPUDevice()


def cpu():
    """The CPU."""
    return _CPU


default_device = cpu  # where a Tensor goes that names no device


def all_devices():
    """Every device that this array library knows."""
    return [_CPU]


BOOL = "bool"  # the dtype of what is true or false


def new_array(a, dtype, device):
    """A new array with the values of `a`; dtype None keeps theirs."""
    return numpy.array(a, dtype=dtype)


def device_of(array):
    """Where an array lives."""
    return _CPU


to_numpy = numpy.array  # a copy



def zeros_beside(array, shape):
    """A new array of zeros, with the dtype and on the device of `array`."""
    return numpy.zeros(shape, dtype=array.dtype)


