"""Homework 3: matrix products of many shapes against NumPy and PyTorch.

Run from inside a built hw3 (`hw bench hw3 -- shapes` does): `python .../hw3_shapes.py [--threads N]`.
PyTorch may be missing.
"""

import sys
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


def shapes(torch):
    """GFLOP/s of needle, NumPy and PyTorch for each shape, and the ratios."""
    print("\nShapes (m, n, p), GFLOP/s; the ratios are of speeds, above 1 needle is faster\n")
    ratios, rows = [], []
    for m, n, p in SHAPES:
        x = np.random.standard_normal((m, n)).astype(np.float32)
        y = np.random.standard_normal((n, p)).astype(np.float32)
        a, b = nd.array(x), nd.array(y)
        u, v = map(torch.from_numpy, (x, y)) if torch else (None, None)
        contenders = {
            "needle": lambda a=a, b=b: a @ b,
            "NumPy": lambda x=x, y=y: x @ y,
            "PyTorch": (lambda u=u, v=v: u @ v) if torch else None,
        }
        took = measure.medians(contenders, chosen, rest=0.25)
        speeds = [2 * m * n * p / seconds / 1e9 for seconds in took.values()]
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
    measure.written(
        "the matrix product", lambda: nd.array(np.ones((2, 2))) @ nd.array(np.ones((2, 2)))
    )
    shapes(torch)
    measure.tell_without(torch)


if __name__ == "__main__":
    main()
