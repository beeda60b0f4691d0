"""Homework 3: the matrix product, rung by rung, and against NumPy and PyTorch.

Run from inside a built hw3 (`hw bench hw3` does, with the solved one):
`python .../hw3_matmul.py [--threads N]`. PyTorch may be missing.
"""

import ctypes
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), "python/needle"]
import measure

chosen = measure.options(__doc__.splitlines()[0])

import backend_ndarray as nd
import numpy as np

SHAPES = [
    (256, 256, 256),
    (512, 512, 512),
    (1024, 1024, 1024),
    (100, 784, 500),
    (640, 256, 10000),
    (2048, 288, 32),
    (128, 1152, 128),
    (100, 500, 10),
    (500, 100, 10),
    (10, 100, 500),
    (32, 32, 32),
]
TARGETS = 7  # the first shapes are those with a target


def rungs(folder):
    """ladder.cc, compiled with this homework's kernels."""
    library = Path(folder, "ladder.so")
    shared = Path(__file__).resolve().parents[1]
    sources = [
        Path(__file__).with_name("ladder.cc"),
        "src/ndarray_backend_cpu.cc",
        shared / "kernels" / "allocator.cc",
    ]
    command = [
        *os.environ.get("CXX", "c++").split(),
        "-std=c++17",
        "-O3",
        "-march=native",
        "-shared",
        "-fPIC",
        "-ffp-contract=fast",
        "-fno-math-errno",
        "-fno-trapping-math",
        "-Isrc",
        f"-I{shared}",
        *map(str, sources),
        "-o",
        str(library),
    ]
    subprocess.run(command, check=True)
    loaded = ctypes.CDLL(str(library))
    loaded.peak.restype = ctypes.c_double
    loaded.make_array.restype = ctypes.c_void_p
    return loaded


def ladder(library, peak, side=512):
    """GFLOP/s of every rung for a square product."""
    x, y = (np.random.standard_normal((side, side)).astype(np.float32) for _ in range(2))
    a, b, out = nd.array(x), nd.array(y), np.empty((side, side), np.float32)
    plain = [ctypes.c_void_p(array.ctypes.data) for array in (x, y, out)]
    # As to tiles, the numbers of a random matrix may stand in any order.
    buffers = [ctypes.c_void_p(library.make_array(array, x.size)) for array in plain]

    def compiled(name, arrays):
        function, sides = getattr(library, name), [ctypes.c_size_t(side)] * 3
        return lambda: function(*arrays, *sides)

    top = f"5 on {measure.threads(chosen)} (@)"
    contenders = {
        "1 loops i, j, k": compiled("ijk", plain),
        "2 loops i, k, j": compiled("ikj", plain),
        "3 tiles": compiled("tiled", buffers),
        "4 packed, in registers": compiled("packed", buffers),
        top: lambda: a @ b,
        f"NumPy on {measure.threads(chosen)}": lambda: x @ y,
    }
    seconds = measure.medians(contenders, chosen, rest=0.25)
    numpy = seconds[f"NumPy on {measure.threads(chosen)}"]
    print(f"\nThe ladder at {side} x {side} x {side}; peak is that of the cores in use\n")
    rows = []
    for name, took in seconds.items():
        speed = 2 * side**3 / took / 1e9
        cores = 1 if name[0] in "1234" else chosen.threads
        rows.append([name, f"{speed:.1f}", f"{speed / (peak * cores):.0%}", f"{numpy / took:.2f}"])
    measure.table(["rung", "GFLOP/s", "of peak", "of NumPy"], rows)


def shapes(torch):
    """GFLOP/s of needle, NumPy and PyTorch for each shape, and the ratios."""
    print("\nShapes (m, n, p), GFLOP/s; the ratios are of speeds, above 1 needle is faster\n")
    ratios, rows = [], []
    for m, n, p in SHAPES:
        x = np.random.standard_normal((m, n)).astype(np.float32)
        y = np.random.standard_normal((n, p)).astype(np.float32)
        a, b = nd.array(x), nd.array(y)
        contenders = {"needle": lambda a=a, b=b: a @ b, "numpy": lambda x=x, y=y: x @ y}
        if torch:
            u, v = torch.from_numpy(x), torch.from_numpy(y)
            contenders["torch"] = lambda u=u, v=v: u @ v
        took = measure.medians(contenders, chosen, rest=0.25)
        speeds = [
            2 * m * n * p / took.get(name, math.nan) / 1e9 for name in ("needle", "numpy", "torch")
        ]
        ratios.append([speeds[0] / other for other in speeds[1:]])
        rows.append(
            [
                f"{m} x {n} x {p}",
                *(f"{speed:.1f}" for speed in speeds),
                *(f"{ratio:.2f}" for ratio in ratios[-1]),
            ]
        )
    means = [measure.mean(column) for column in zip(*ratios[:TARGETS])]
    rows.append([f"mean of the first {TARGETS}", "", "", "", *(f"{mean:.2f}" for mean in means)])
    lowest = [min(column) for column in zip(*ratios[:TARGETS])]
    rows.append(["lowest of these", "", "", "", *(f"{ratio:.2f}" for ratio in lowest)])
    measure.table(["shape", "needle", "NumPy", "PyTorch", "/ NumPy", "/ PyTorch"], rows)


def main():
    torch = measure.torch_or_none(chosen.threads)
    print(measure.machine(chosen, torch))
    with tempfile.TemporaryDirectory() as folder:
        library = rungs(folder)
        peak = library.peak()
        print(f"Measured peak: {peak:.0f} GFLOP/s a core.")
        ladder(library, peak)
    shapes(torch)


if __name__ == "__main__":
    main()
