"""Times the rungs of the CUDA matrix product; cuda_hardware.py runs it inside a built homework 3.

Usage: python cuda_timing.py [RUNG]...
"""

import sys
import time

import numpy as np

sys.path.insert(0, "python")
N, ROUNDS = 2048, 10


def main(rungs):
    from needle import backend_ndarray as nd

    d = nd.cuda()
    a, b, out = (d.Array(N * N) for _ in range(3))
    for buffer in (a, b):
        d.from_numpy(np.random.randn(N * N).astype("float32"), buffer)
    for rung in rungs:
        times = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            getattr(d, f"matmul_{rung}")(a, b, out, N, N, N)
            d.to_numpy(out, [1], [1], 0)  # waits for the kernel
            times.append(time.perf_counter() - start)
        rate = 2 * N**3 / sorted(times)[ROUNDS // 2] / 1e9
        print(f"matmul_{rung}, {N} x {N}: {rate:.0f} GFLOP/s")


if __name__ == "__main__":
    main(sys.argv[1:])
