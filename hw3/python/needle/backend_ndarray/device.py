"""Devices: where an NDArray's buffer lives and which kernels work on it."""

import functools
import importlib
import os

import numpy as np

from ..backend_numpy import CPUDevice
from . import ndarray_backend_numpy


class BackendDevice:
    """A device: a name and the module with its kernels.

    The module's functions are reached as attributes (`device.compact`, `device.matmul`, ...).
    Devices are equal when their names are.
    """

    def __init__(self, name, mod, why_disabled=""):
        self.name, self.mod, self.why_disabled = name, mod, why_disabled
        self.__name__ = name  # what pytest calls a parameter that is a device
        # What runs the kernels: "cpu", or for cuda() "hardware", "emulated", "checked"; else "off".
        self.device_kind = getattr(mod, "device_kind", "cpu" if mod is not None else "off")
        # Copied here once, so that device.ewise_add in every operation is one dictionary look-up.
        for key in dir(mod) if mod is not None else ():
            if not key.startswith("_") or key in ("__device_name__", "__tile_size__"):
                self.__dict__.setdefault(key, getattr(mod, key))
        # Kernels that take views as operands, by the kernel for compact arrays; not every device
        # has them.
        names = [key.removeprefix("strided_") for key in dir(mod) if key.startswith("strided_")]
        self.strided = {
            self.__dict__.get(f"ewise_{n}"): self.__dict__[f"strided_{n}"] for n in names
        }

    def __getattr__(self, key):
        if self.__dict__.get("mod") is None and not key.startswith("_"):
            raise RuntimeError(f"{self!r} cannot be used: {self.__dict__.get('why_disabled')}")
        raise AttributeError(f"device {self!r} has no {key!r}")

    def __repr__(self):
        return self.name + "()"

    def __eq__(self, other):
        return isinstance(other, BackendDevice) and self.name == other.name

    def __hash__(self):
        return hash(self.name)

    def __reduce__(self):  # for pickle and copy.deepcopy
        return {"cpu": cpu, "cuda": cuda, "cpu_numpy": cpu_numpy}[self.name], ()

    def enabled(self):
        """Whether the device can be used on this machine."""
        return self.mod is not None

    def randn(self, *shape, dtype="float32"):
        """Standard normal draws from NumPy's global generator."""
        return functions.array(np.random.randn(*shape), dtype, device=self)

    def rand(self, *shape, dtype="float32"):
        """Uniform draws on [0, 1) from NumPy's global generator."""
        return functions.array(np.random.rand(*shape), dtype, device=self)

    def one_hot(self, n, i, dtype="float32"):
        """Class ids `i` (ints, any shape) -> (*i.shape, n): 1 at place i[...] of each row, else 0."""
        return functions.array(CPUDevice().one_hot(n, i), dtype, device=self)

    def empty(self, shape, dtype="float32"):
        """An array of this shape, not initialized."""
        return functions.empty(shape, dtype, device=self)

    def full(self, shape, fill_value, dtype="float32"):
        """An array of this shape, every element `fill_value`."""
        return functions.full(shape, fill_value, dtype, device=self)


def _compiled(name, hint):
    """(module, reason why there is none) of a compiled device."""
    try:
        return importlib.import_module("." + name, __package__), ""
    except ImportError as error:
        return None, f"{hint} ({error})"


@functools.cache
def cpu():
    """The CPU, with kernels from src/ndarray_backend_cpu.cc."""
    hint = "its C++ is not built; run `make` (or `hw build`) in this folder"
    return BackendDevice("cpu", *_compiled("ndarray_backend_cpu", hint))


_CUDA = "ndarray_backend_cuda"
_CUDA_BUILDS = {"hardware": _CUDA, "emulated": f"{_CUDA}_emulated", "checked": f"{_CUDA}_checked"}


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
        module, why = _compiled(_CUDA_BUILDS[kind], f"its {kind} build is missing; run `make`")
        if module is not None and module.device_count() > 0:
            return BackendDevice("cuda", module)
        why = why or "no CUDA device was found"
    return BackendDevice("cuda", None, why)


@functools.cache
def cpu_numpy():
    """The CPU, with kernels written in NumPy."""
    return BackendDevice("cpu_numpy", ndarray_backend_numpy)


def default_device():
    """The device of arrays that name none: cpu()."""
    return cpu()


def all_devices():
    """Every device, the disabled ones included."""
    return [cpu(), cuda(), cpu_numpy()]


from . import functions  # noqa: E402  (arrays are made on devices)
