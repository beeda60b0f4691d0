"""Which array library needle computes with: NumPy, or (from homework 3 on) our own NDArray."""

import os

BACKEND = "np"

if BACKEND == "np":
    import numpy as array_api

    from .backend_numpy import Device, all_devices, cpu, default_device

    NDArray = array_api.ndarray
else:
    raise RuntimeError(
        f"NEEDLE_BACKEND={BACKEND!r} is not an array library: set it to 'nd' (NDArray) or 'np' (NumPy)"
    )
