"""Which array library needle computes with: NumPy, or (from homework 3 on) our own NDArray.

`array_api` has what both call by the same name, `library` what only needle asks for. Nothing else
in needle asks which of the two it is.
"""

import os

### FROM hw3
# "nd" is NDArray, "np" is NumPy.
BACKEND = os.environ.get("NEEDLE_BACKEND", "nd")
### END
### UNTIL hw2
BACKEND = "np"
### END

if BACKEND == "np":
    import numpy as array_api

    from . import backend_numpy as library
    from .backend_numpy import Device, all_devices, cpu, default_device

    NDArray = array_api.ndarray
### FROM hw3
elif BACKEND == "nd":
    from . import backend_ndarray as array_api
    from .backend_ndarray import functions as library
    from .backend_ndarray import BackendDevice as Device, NDArray, default_device
    from .backend_ndarray import all_devices, cpu, cpu_numpy, cuda
### END
else:
    names = "'nd' (NDArray) or 'np' (NumPy)"
    raise RuntimeError(f"NEEDLE_BACKEND={BACKEND!r} is not an array library: set it to {names}")
