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

sys.path[:0] = [str(Path(__file__).parent), "python"]
import measure

chosen = measure.options(__doc__.splitlines()[0])

import numpy as np
from needle import backend_ndarray as nd

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


RUNGS = {  # of the text's ladder, and what each is called in Python
    "1 loops i, j, k": "matmul_naive",
    "2 loops i, k, j": "matmul_rows",
    "3 tiles": "matmul_tiled",
    "4 block in registers": "matmul_registers",
    "5 B packed": "matmul_packed_b",
    "6 slices of n": "matmul_slices",
    "7 A packed": "matmul_packed_a",
    "8 threads": "matmul_threads",
}


def peak_of_a_core():
    """GFLOP/s of multiply-adds that find everything in registers (peak.cc)."""
    shared = Path(__file__).resolve().parents[1]
    source = Path(__file__).with_name("peak.cc")
    compiler = os.environ.get("CXX", "c++").split()
    flags = ["-std=c++17", "-O3", "-march=native", "-ffp-contract=fast", "-shared", "-fPIC"]
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "peak.so")
        command = [*compiler, *flags, f"-I{shared}", str(source), "-o", str(library)]
        subprocess.run(command, check=True)
        measured = ctypes.CDLL(str(library)).peak
        measured.restype = ctypes.c_double
        return measured()


def ladder(peak, side=512):
    """GFLOP/s of every rung for a square product; one whose stub stands is not written."""
    x, y = (np.random.standard_normal((side, side)).astype(np.float32) for _ in range(2))
    a, b, out = nd.array(x), nd.array(y), nd.empty((side, side))

    def rung(name):
        # As to tiles, the numbers of a random matrix may stand in any order.
        handles, function = (a._handle, b._handle, out._handle), getattr(a.device, name)
        return lambda: function(*handles, side, side, side)

    contenders, unwritten = {}, []
    for label, name in RUNGS.items():
        try:
            rung(name)()
            contenders[label] = rung(name)
        except NotImplementedError:
            unwritten.append(label)
    numpy = f"NumPy on {measure.threads(chosen)}"
    contenders |= {"@": lambda: a @ b, numpy: lambda: x @ y}
    seconds = measure.medians(contenders, chosen, rest=0.25)
    rows = [[label, "not written", "", ""] for label in unwritten]
    for label, took in seconds.items():
        speed = 2 * side**3 / took / 1e9
        cores = 1 if label[0] in "1234567" else chosen.threads
        share, ratio = speed / (peak * cores), seconds[numpy] / took
        rows.append([label, f"{speed:.1f}", f"{share:.0%}", f"{ratio:.2f}"])
    print(f"\nThe ladder at {side} x {side} x {side}; peak is that of the cores in use: one for")
    print(f"rungs 1 to 7, {chosen.threads} for the others\n")
    measure.table(["rung", "GFLOP/s", "of peak", "of NumPy"], sorted(rows))


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
    peak = peak_of_a_core()
    print(f"Measured peak: {peak:.0f} GFLOP/s a core.")
    ladder(peak)
    shapes(torch)


if __name__ == "__main__":
    main()
