"""Homework 3: the matrix product, rung by rung, and against NumPy and PyTorch.

Run from inside a solved and built hw3 (`hw bench hw3` does): `python .../hw3_matmul.py [--threads N]`.
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
    (256, 256, 256), (512, 512, 512), (1024, 1024, 1024), (100, 784, 500), (640, 256, 10000),
    (2048, 288, 32), (128, 1152, 128), (100, 500, 10), (500, 100, 10), (10, 100, 500), (32, 32, 32),
]  # fmt: skip
TARGETS = 7  # the first shapes are those with a target


def rungs(folder):
    """The lower rungs and peak(), compiled here."""
    library = Path(folder, "ladder.so")
    compiler = [
        os.environ.get("CXX", "c++"),
        "-std=c++17",
        "-O3",
        "-march=native",
        "-shared",
        "-fPIC",
    ]
    compiler += ["-ffp-contract=fast", "-Isrc", str(Path(__file__).with_name("ladder.cc"))]
    subprocess.run([*compiler, "-o", str(library)], check=True)
    library = ctypes.CDLL(str(library))
    library.peak.restype = ctypes.c_double
    return library


def tiles(x, side):
    m, n = x.shape
    return np.ascontiguousarray(x.reshape(m // side, side, n // side, side).swapaxes(1, 2))


def ladder(library, peak, side=512):
    """GFLOP/s of every rung for a square product."""
    x, y = (np.random.standard_normal((side, side)).astype(np.float32) for _ in range(2))
    out = np.empty((side, side), np.float32)
    a, b, tile = nd.array(x), nd.array(y), nd.cpu().__tile_size__
    ta, tb, tout = nd.array(tiles(x, tile)), nd.array(tiles(y, tile)), nd.empty((side, side))

    def compiled(name):
        pointers = [ctypes.c_void_p(array.ctypes.data) for array in (x, y, out)]
        return lambda: getattr(library, name)(*pointers, *map(ctypes.c_size_t, (side,) * 3))

    contenders = {
        "1  loops i, j, k": compiled("ijk"),
        "2  loops i, k, j": compiled("ikj"),
        "3  tiles (matmul_tiled)": lambda: nd.cpu().matmul_tiled(
            ta._handle, tb._handle, tout._handle, side, side, side
        ),
        "4+5 packed, threads (@)": lambda: a @ b,
        "NumPy": lambda: x @ y,
    }
    seconds = measure.medians(contenders, chosen)
    print(f"\nThe ladder at {side} x {side} x {side}\n")
    print("| rung | GFLOP/s | of peak | of NumPy |\n|---|---:|---:|---:|")
    for name, took in seconds.items():
        speed = 2 * side**3 / took / 1e9
        print(f"| {name} | {speed:.1f} | {speed / peak:.0%} | {seconds['NumPy'] / took:.2f} |")


def shapes(torch):
    """GFLOP/s of needle, NumPy and PyTorch for each shape, and the ratios."""
    print("\nShapes (m, n, p), GFLOP/s\n")
    print("| shape | needle | NumPy | PyTorch | needle/NumPy | needle/PyTorch |")
    print("|---|---:|---:|---:|---:|---:|")
    ratios = []
    for m, n, p in SHAPES:
        x = np.random.standard_normal((m, n)).astype(np.float32)
        y = np.random.standard_normal((n, p)).astype(np.float32)
        a, b = nd.array(x), nd.array(y)
        contenders = {"needle": lambda a=a, b=b: a @ b, "numpy": lambda x=x, y=y: x @ y}
        if torch:
            u, v = torch.from_numpy(x), torch.from_numpy(y)
            contenders["torch"] = lambda u=u, v=v: u @ v
        took = measure.medians(contenders, chosen)
        speed = {name: 2 * m * n * p / seconds / 1e9 for name, seconds in took.items()}
        row = [
            took[name] / took["needle"] if name in took else math.nan for name in ("numpy", "torch")
        ]
        ratios.append(row)
        print(
            f"| {m} x {n} x {p} | {speed['needle']:.1f} | {speed['numpy']:.1f} | "
            f"{speed.get('torch', math.nan):.1f} | {row[0]:.2f} | {row[1]:.2f} |"
        )
    means = [np.exp(np.mean(np.log(column))) for column in zip(*ratios[:TARGETS])]
    print(f"| geometric mean of the first {TARGETS} | | | | {means[0]:.2f} | {means[1]:.2f} |")


def main():
    torch = measure.torch_or_none(chosen.threads)
    print(measure.machine(chosen, torch))
    with tempfile.TemporaryDirectory() as folder:
        library = rungs(folder)
        peak = library.peak() * chosen.threads
        print(f"measured peak: {peak / chosen.threads:.0f} GFLOP/s a core")
        ladder(library, peak)
    shapes(torch)


if __name__ == "__main__":
    main()
