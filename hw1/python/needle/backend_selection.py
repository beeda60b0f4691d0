"""Which array library needle computes with: NumPy, or (from homework 3 on) our own NDArray.

`array_api` has what both call by the same name, `library` what only needle asks for. Nothing else
in needle asks which of the two it is.
"""

import os

BACKEND = "np"

if BACKEND == "np":
    import numpy as array_api

    from . import backend_numpy as library
    from .backend_numpy import Device, all_devices, cpu, default_device

    NDArray = array_api.ndarray
else:
    names = "'nd' (NDArray) or 'np' (NumPy)"
    raise RuntimeError(f"NEEDLE_BACKEND={BACKEND!r} is not an array library: set it to {names}")
