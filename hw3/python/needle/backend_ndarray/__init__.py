"""NDArray: n-dimensional float32 arrays over several devices.

`ndarray.py` holds the array, `functions.py` the functions on arrays under NumPy's names, `device.py`
the devices, `ndarray_backend_numpy.py` the NumPy device; `cpu()` and `cuda()` are compiled from
`src/`.
"""

from . import functions, ndarray
from .device import BackendDevice, all_devices, cpu, cpu_numpy, cuda, default_device
from .functions import *
from .ndarray import NDArray, prod

# Programs of the public course look for `ndarray.array`, `ndarray.sum`, ... there. Were they defined
# there, `sum` and `max` in NDArray's methods would no longer be Python's own.
ndarray.__getattr__ = lambda name: getattr(functions, name)
