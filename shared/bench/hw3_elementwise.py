"""Homework 3: elementwise operators, reductions and copies against PyTorch and NumPy, and overhead.

Run from inside a built hw3 (`hw bench hw3` does, with the solved one): `python .../hw3_elementwise.py`.
PyTorch may be missing.
"""

import math
import sys
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), "python"]
import measure

chosen = measure.options(__doc__.splitlines()[0])

import numpy as np
from needle import backend_ndarray as nd

SIZES = (1_000, 100_000, 10_000_000)
COLUMNS = 100


def operations(torch):
    """{name: (needle, NumPy, PyTorch)}; each takes x, y (rows, COLUMNS) and row (1, COLUMNS)."""

    def softmax(x):
        e = np.exp(x - x.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)

    def nd_softmax(a):
        e = (a - a.max(axis=1, keepdims=True).broadcast_to(a.shape)).exp()
        return e / e.sum(axis=1, keepdims=True).broadcast_to(a.shape)

    def torch_softmax(t):
        e = (t - t.max(1, keepdim=True).values).exp()
        return e / e.sum(1, keepdim=True)

    return {
        "add": (lambda a, b, r: a + b, lambda x, y, r: x + y, lambda t, u, r: t + u),
        "multiply by a number": (
            lambda a, b, r: a * 1.5,
            lambda x, y, r: x * np.float32(1.5),
            lambda t, u, r: t * 1.5,
        ),
        "maximum with 0": (
            lambda a, b, r: a.maximum(0.0),
            lambda x, y, r: np.maximum(x, np.float32(0)),
            lambda t, u, r: t.relu(),
        ),
        "exp": (lambda a, b, r: a.exp(), lambda x, y, r: np.exp(x), lambda t, u, r: t.exp()),
        "tanh": (lambda a, b, r: a.tanh(), lambda x, y, r: np.tanh(x), lambda t, u, r: t.tanh()),
        "log": (lambda a, b, r: b.log(), lambda x, y, r: np.log(y), lambda t, u, r: u.log()),
        "softmax chain": (
            lambda a, b, r: nd_softmax(a),
            lambda x, y, r: softmax(x),
            lambda t, u, r: torch_softmax(t),
        ),
        "sum": (lambda a, b, r: a.sum(), lambda x, y, r: x.sum(), lambda t, u, r: t.sum()),
        "sum of rows": (
            lambda a, b, r: a.sum(axis=1),
            lambda x, y, r: x.sum(1),
            lambda t, u, r: t.sum(1),
        ),
        "max of rows": (
            lambda a, b, r: a.max(axis=1),
            lambda x, y, r: x.max(1),
            lambda t, u, r: t.amax(1),
        ),
        "add a row to all": (
            lambda a, b, r: a + r.broadcast_to(a.shape),
            lambda x, y, r: x + r,
            lambda t, u, r: t + r,
        ),
        "transpose, copied": (
            lambda a, b, r: a.permute((1, 0)).compact(),
            lambda x, y, r: np.ascontiguousarray(x.T),
            lambda t, u, r: t.t().contiguous(),
        ),
    }


def compare(calls, torch, unit, digits):
    """Time {name: (needle, NumPy or None, PyTorch)}; print a table; the rows of ratios."""
    rows, ratios = [], []
    for name, functions in calls.items():
        contenders = dict(zip(("needle", "NumPy", "PyTorch"), functions))
        contenders["PyTorch"] = contenders["PyTorch"] if torch else None
        try:
            times = list(measure.medians(contenders, chosen).values())
        except NotImplementedError:
            rows.append([name, "not written", *[""] * 4])
            continue
        ratios.append([other / times[0] for other in times[1:]])
        rows.append(
            [
                name,
                *(f"{time / unit:,.{digits}f}" for time in times),
                *(f"{ratio:.2f}" for ratio in ratios[-1]),
            ]
        )
    means = [measure.mean(column) for column in zip(*ratios)] or [math.nan] * 2
    rows.append(["geometric mean", "", "", "", *(f"{mean:.2f}" for mean in means)])
    measure.table(["operation", "needle", "NumPy", "PyTorch", "x NumPy", "x PyTorch"], rows)
    return ratios


def throughput(torch):
    """Every operation at every size."""
    ratios = []
    for size in SIZES:
        x, y = (
            np.random.standard_normal((size // COLUMNS, COLUMNS)).astype(np.float32) for _ in "xy"
        )
        y = np.abs(y) + np.float32(0.1)
        values = (x, y, x[:1].copy())
        arguments: list[Any] = [tuple(map(nd.array, values)), values]
        arguments.append(tuple(map(torch.from_numpy, values)) if torch else None)
        calls = {
            name: [
                lambda f=function, a=given: f(*a) for function, given in zip(functions, arguments)
            ]
            for name, functions in operations(torch).items()
        }
        print(f"\n{size:,} elements, microseconds; x: how often as fast needle is\n")
        ratios += compare(calls, torch, 1e-6, 1)
    means = [measure.mean(column) for column in zip(*ratios)] or [math.nan] * 2
    print(f"\nGeometric mean of all sizes: {means[0]:.2f} x NumPy, {means[1]:.2f} x PyTorch.")


def overhead(torch):
    """Operations so small that only the calls count."""
    x = np.random.standard_normal((32, 32)).astype(np.float32)
    a, t = nd.array(x), torch and torch.from_numpy(x)
    calls = {
        "a + a": (lambda: a + a, lambda: x + x, lambda: t + t),
        "a * 2": (lambda: a * 2.0, lambda: x * np.float32(2), lambda: t * 2.0),
        "exp": (lambda: a.exp(), lambda: np.exp(x), lambda: t.exp()),
        "maximum": (lambda: a.maximum(a), lambda: np.maximum(x, x), lambda: torch.maximum(t, t)),
        "a @ a": (lambda: a @ a, lambda: x @ x, lambda: t @ t),
        "sum": (lambda: a.sum(), lambda: x.sum(), lambda: t.sum()),
        "sum(axis=1)": (lambda: a.sum(axis=1), lambda: x.sum(1), lambda: t.sum(1)),
        "reshape": (
            lambda: a.reshape((1024,)),
            lambda: x.reshape(1024),
            lambda: t.reshape((1024,)),
        ),
        "permute": (lambda: a.permute((1, 0)), lambda: x.T, lambda: t.permute((1, 0))),
        "a[1:3, :]": (lambda: a[1:3, :], lambda: x[1:3, :], lambda: t[1:3, :]),
        "broadcast_to": (
            lambda: a.broadcast_to((4, 32, 32)),
            None,
            lambda: t.broadcast_to((4, 32, 32)),
        ),
    }
    print("\nOverhead: nanoseconds of an operation on a 32 x 32 array\n")
    compare(calls, torch, 1e-9, 0)


def main():
    torch = measure.torch_or_none(chosen.threads)
    print(measure.machine(chosen, torch))
    throughput(torch)
    overhead(torch)
    measure.tell_without(torch)


if __name__ == "__main__":
    main()
