"""NDArray: n-dimensional float32 arrays over several devices.

`ndarray.py` holds the array, `functions.py` the functions on arrays under NumPy's names, `device.py`
the devices, `ndarray_backend_numpy.py` the NumPy device; `cpu()` and `cuda()` are compiled from
`src/`.
"""

from .device import BackendDevice, all_devices, cpu, cpu_numpy, cuda, default_device
from .functions import *
from .ndarray import NDArray, prod
