"""Devices: where an NDArray's buffer lives, and the table of the kernels that work on it.

Knows nothing of NDArray but that `BackendDevice.array_type` is what it makes.
"""

import functools
import importlib
import os

import numpy as np

from ..backend_numpy import CPUDevice
from . import ndarray_backend_numpy


def check_dtype(dtype):
    """Whether an array may have this dtype; None stands for float32."""
    kind = np.dtype(dtype or np.float32)
    assert kind == np.float32, f"NDArray holds float32 only, got {kind}; use .astype('float32')"


class BackendDevice:
    """A device: a name and the module with its kernels. Devices are equal when their names are.

    What every device has is reached as an attribute (`device.compact`, `device.matmul`, ...); what
    only some have is asked for by `device.kernel(name)`.
    """

    array_type = None  # NDArray, which says so itself

    def __init__(self, name, mod, why_disabled=""):
        self.name, self.mod, self.why_disabled = name, mod, why_disabled
        self.__name__ = name  # what pytest calls a parameter that is a device
        # What runs the kernels: "cpu", or for cuda() "hardware", "emulated", "checked"; else "off".
        self.device_kind = getattr(mod, "device_kind", "cpu" if mod else "off")
        # Copied once, so that device.ewise_add in every operation is one dictionary look-up.
        self._table = dict(vars(mod)) if mod else {}
        self.__dict__ = self._table | self.__dict__
        self._table.update(self._table.pop("layers", {}))  # see ops_composite.py
        self.__class__ = BackendDevice if mod else DisabledDevice

    def kernel(self, name, views=False):
        """The kernel of this name, or None: the one way to ask what a device can.

        Args:
            name: what it computes: "ewise_add", "matmul", "layer_norm".
            views: whether it shall take its operands as they lie, not only when they are compact.
        """
        return self._table.get(name + "_views" if views else name)

    def add_kernel(self, name, kernel):
        """Give the device a kernel, in place of the one that it had by this name."""
        self._table[name] = kernel

    def __repr__(self):
        return self.name + "()"

    def __eq__(self, other):
        return isinstance(other, BackendDevice) and self.name == other.name

    def __hash__(self):
        return hash(self.name)

    def __reduce__(self):  # for pickle and copy.deepcopy: the function below that is called like it
        return globals()[self.name], ()

    def enabled(self):
        """Whether the device can be used on this machine."""
        return self.mod is not None

    def _array(self, values, dtype):
        """A new array with these values on this device."""
        check_dtype(dtype)
        return self.array_type(values, device=self)

    def randn(self, *shape, dtype="float32"):
        """Standard normal draws from NumPy's global generator."""
        return self._array(np.random.randn(*shape), dtype)

    def rand(self, *shape, dtype="float32"):
        """Uniform draws on [0, 1) from NumPy's global generator."""
        return self._array(np.random.rand(*shape), dtype)

    def one_hot(self, n, i, dtype="float32"):
        """Class ids `i` (ints, any shape) -> (*i.shape, n): 1 at place i[...] of each row, else 0."""
        return self._array(CPUDevice().one_hot(n, i), dtype)

    def empty(self, shape, dtype="float32"):
        """An array of this shape, not initialized."""
        check_dtype(dtype)
        return self.array_type.make(shape, device=self)

    def full(self, shape, fill_value, dtype="float32"):
        """An array of this shape, every element `fill_value`."""
        out = self.empty(shape, dtype)
        out.fill(fill_value)
        return out


class DisabledDevice(BackendDevice):
    """A device that cannot be used here: what is asked of it is an error that says why.

    A class of its own, for with __getattr__ a class is slow to look up what is there.
    """

    def __getattr__(self, key):
        kind = AttributeError if key.startswith("_") else RuntimeError
        raise kind(f"{self!r} cannot be used: {self.why_disabled}")


def _compiled(name, hint):
    """(module, reason why there is none) of a compiled device."""
    try:
        return importlib.import_module("." + name, __package__), ""
    except ModuleNotFoundError as error:
        return None, f"{hint} ({error})"
    except ImportError as error:  # it is there, and says itself what is wrong
        return None, str(error)


@functools.cache
def cpu():
    """The CPU, with kernels from src/ndarray_backend_cpu.cc."""
    hint = "its C++ is not built; run `make` (or `hw build`) in this folder"
    return BackendDevice("cpu", *_compiled("ndarray_backend_cpu", hint))


_CUDA_BUILDS = {"hardware": "", "emulated": "_emulated", "checked": "_checked"}


@functools.cache
def cuda():
    """The GPU, with kernels from src/ndarray_backend_cuda.cu.

    Without a GPU the same kernels run on the CPU; `device_kind` tells "hardware" from "emulated".
    The environment variable NEEDLE_CUDA=hardware|emulated|checked|off decides otherwise.
    """
    wanted = os.environ.get("NEEDLE_CUDA", "")
    if wanted not in ("", "off", *_CUDA_BUILDS):
        raise ValueError(f"NEEDLE_CUDA is {wanted!r}; it may be {', '.join(_CUDA_BUILDS)} or off")
    why = "NEEDLE_CUDA=off is set"
    for kind in {"": ["hardware", "emulated"], "off": []}.get(wanted, [wanted]):
        name = f"ndarray_backend_cuda{_CUDA_BUILDS[kind]}"
        module, why = _compiled(name, f"its {kind} build is missing; run `make`")
        if module and module.device_count():
            return BackendDevice("cuda", module)
        why = why or "no CUDA device was found"
    return BackendDevice("cuda", None, why)


@functools.cache
def cpu_numpy():
    """The CPU, with kernels written in NumPy."""
    return BackendDevice("cpu_numpy", ndarray_backend_numpy)


default_device = cpu  # of arrays that name none


def all_devices():
    """Every device, the disabled ones included."""
    return [cpu(), cuda(), cpu_numpy()]
