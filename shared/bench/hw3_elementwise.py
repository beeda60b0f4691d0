"""Homework 3: elementwise operators, reductions and copies against PyTorch and NumPy, and overhead.

Run from inside a solved and built hw3 (`hw bench hw3` does): `python .../hw3_elementwise.py`.
"""

import math
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), "python/needle"]
import measure

chosen = measure.options(__doc__.splitlines()[0])

import backend_ndarray as nd
import numpy as np

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
        "multiply by a number": (lambda a, b, r: a * 1.5, lambda x, y, r: x * np.float32(1.5),
                                 lambda t, u, r: t * 1.5),
        "maximum with 0": (lambda a, b, r: a.maximum(0.0), lambda x, y, r: np.maximum(x, np.float32(0)),
                           lambda t, u, r: t.relu()),
        "exp": (lambda a, b, r: a.exp(), lambda x, y, r: np.exp(x), lambda t, u, r: t.exp()),
        "tanh": (lambda a, b, r: a.tanh(), lambda x, y, r: np.tanh(x), lambda t, u, r: t.tanh()),
        "log": (lambda a, b, r: b.log(), lambda x, y, r: np.log(y), lambda t, u, r: u.log()),
        "softmax chain": (lambda a, b, r: nd_softmax(a), lambda x, y, r: softmax(x),
                          lambda t, u, r: torch_softmax(t)),
        "sum": (lambda a, b, r: a.sum(), lambda x, y, r: x.sum(), lambda t, u, r: t.sum()),
        "sum of rows": (lambda a, b, r: a.sum(axis=1), lambda x, y, r: x.sum(1),
                        lambda t, u, r: t.sum(1)),
        "max of rows": (lambda a, b, r: a.max(axis=1), lambda x, y, r: x.max(1),
                        lambda t, u, r: t.amax(1)),
        "add a row to all": (lambda a, b, r: a + r.broadcast_to(a.shape), lambda x, y, r: x + r,
                             lambda t, u, r: t + r),
        "transpose, copied": (lambda a, b, r: a.permute((1, 0)).compact(),
                              lambda x, y, r: np.ascontiguousarray(x.T),
                              lambda t, u, r: t.t().contiguous()),
    }  # fmt: skip


def throughput(torch):
    print("\nMicroseconds of needle, and how often as fast as NumPy / as PyTorch\n")
    print("| operation | " + " | ".join(f"{size:,}" for size in SIZES) + " |")
    print("|---|" + "---:|" * len(SIZES))
    ratios = []
    table = {name: [] for name in operations(torch)}
    for size in SIZES:
        x, y = (
            np.random.standard_normal((size // COLUMNS, COLUMNS)).astype(np.float32) for _ in "xy"
        )
        y = np.abs(y) + np.float32(0.1)
        row = x[:1].copy()
        arrays = [(nd.array(x), nd.array(y), nd.array(row)), (x, y, row)]
        if torch:
            arrays.append(tuple(map(torch.from_numpy, (x, y, row))))
        for name, functions in operations(torch).items():
            contenders = {
                key: lambda f=function, a=arguments: f(*a)
                for key, function, arguments in zip(("needle", "numpy", "torch"), functions, arrays)
            }
            took = measure.medians(contenders, chosen)
            row_ratios = [took.get(key, math.nan) / took["needle"] for key in ("numpy", "torch")]
            ratios.append(row_ratios)
            table[name].append(
                f"{took['needle'] * 1e6:,.1f} ({row_ratios[0]:.2f} / {row_ratios[1]:.2f})"
            )
    for name, cells in table.items():
        print(f"| {name} | " + " | ".join(cells) + " |")
    means = [np.exp(np.mean(np.log(column))) for column in zip(*ratios)]
    print(f"\ngeometric means: {means[0]:.2f} times NumPy, {means[1]:.2f} times PyTorch")


def overhead(torch):
    """Operations so small that only the calls count."""
    x = np.random.standard_normal((32, 32)).astype(np.float32)
    a = nd.array(x)
    t = torch.from_numpy(x) if torch else None
    calls = {
        "a + a": (lambda: a + a, lambda: t + t),
        "a * 2": (lambda: a * 2.0, lambda: t * 2.0),
        "exp": (lambda: a.exp(), lambda: t.exp()),
        "maximum": (lambda: a.maximum(a), lambda: torch.maximum(t, t)),
        "a @ a": (lambda: a @ a, lambda: t @ t),
        "sum": (lambda: a.sum(), lambda: t.sum()),
        "sum(axis=1)": (lambda: a.sum(axis=1), lambda: t.sum(1)),
        "reshape": (lambda: a.reshape((1024,)), lambda: t.reshape((1024,))),
        "permute": (lambda: a.permute((1, 0)), lambda: t.permute((1, 0))),
        "a[1:3, :]": (lambda: a[1:3, :], lambda: t[1:3, :]),
        "broadcast_to": (lambda: a.broadcast_to((4, 32, 32)), lambda: t.broadcast_to((4, 32, 32))),
    }
    print("\nOverhead: nanoseconds on a 32 x 32 array\n")
    print("| operation | needle | PyTorch | ratio |\n|---|---:|---:|---:|")
    ratios = []
    for name, (ours, theirs) in calls.items():
        took = measure.medians({"needle": ours, **({"torch": theirs} if torch else {})}, chosen)
        ratio = took.get("torch", math.nan) / took["needle"]
        ratios.append(ratio)
        print(
            f"| {name} | {took['needle'] * 1e9:,.0f} | {took.get('torch', math.nan) * 1e9:,.0f} "
            f"| {ratio:.2f} |"
        )
    print(f"\ngeometric mean: {np.exp(np.mean(np.log(ratios))):.2f}")


def main():
    torch = measure.torch_or_none(chosen.threads)
    print(measure.machine(chosen, torch))
    throughput(torch)
    overhead(torch)


if __name__ == "__main__":
    main()
