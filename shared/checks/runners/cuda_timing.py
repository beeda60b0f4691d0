"""Times the rungs of the CUDA matrix product, and cuBLAS beside them where PyTorch or CuPy brings it.

Usage: python cuda_timing.py N; cuda_hardware.py runs it inside a built homework 3. Each line is a
name, a tab, and GFLOP/s: the median of ten products.
"""

import contextlib
import sys
import time

import numpy as np

sys.path.insert(0, "python")
RUNGS = ("naive", "shared_tiles", "register_tiles", "vector_loads")
ROUNDS = 10


def median_rate(product, n):
    """GFLOP/s of a function that multiplies two n x n matrices and waits for the result."""
    product()
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        product()
        times.append(time.perf_counter() - start)
    return 2 * n**3 / sorted(times)[ROUNDS // 2] / 1e9


def rungs(n):
    from needle import backend_ndarray as nd

    d = nd.cuda()
    a, b, out = (d.Array(n * n) for _ in range(3))
    for buffer in (a, b):
        d.from_numpy(np.random.randn(n * n).astype("float32"), buffer)
    for rung in (*(f"matmul_{name}" for name in RUNGS), "matmul"):

        def product(kernel=getattr(d, rung)):
            kernel(a, b, out, n, n, n)
            d.to_numpy(out, [1], [1], 0)  # waits for the kernel

        yield rung, product


def cublas(n):
    """The same product by NVIDIA's library, in float32 and not in TF32."""
    with contextlib.suppress(ImportError):
        import torch

        if torch.cuda.is_available():
            torch.backends.cuda.matmul.allow_tf32 = False
            a, b = (torch.randn(n, n, device="cuda") for _ in range(2))
            yield "cuBLAS (PyTorch)", lambda: ((a @ b), torch.cuda.synchronize())
            return
    with contextlib.suppress(ImportError):
        import cupy

        x, y = (cupy.random.standard_normal((n, n), dtype=cupy.float32) for _ in range(2))
        yield "cuBLAS (CuPy)", lambda: ((x @ y), cupy.cuda.Stream.null.synchronize())


if __name__ == "__main__":
    size = int(sys.argv[1])
    for make in (rungs, cublas):
        for name, function in make(size):
            print(f"{name}\t{median_rate(function, size):.4g}", flush=True)
