"""Homework 3: the matrix product's ladder, rung by rung, beside NumPy.

Run from inside a built hw3 (`hw bench hw3 -- matmul` does): `python .../hw3_matmul.py [--threads N]`.
A rung whose stub stands is not measured. Each run is kept, so that the climb shows.
"""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), "python"]
import measure

chosen = measure.options(__doc__.splitlines()[0])

import numpy as np
from needle import backend_ndarray as nd

RUNGS = {  # of the text's ladder: the C++ function, and what it is called in Python
    "1 MatmulNaive": "matmul_naive",
    "2 MatmulRows": "matmul_rows",
    "3 MatmulTiled": "matmul_tiled",
    "4 MatmulRegisters": "matmul_registers",
    "5 MatmulPackedB": "matmul_packed_b",
    "6 MatmulSlices": "matmul_slices",
    "7 MatmulPackedA": "matmul_packed_a",
    "8 MatmulThreads": "matmul_threads",
}
ONE_THREAD = "1234567"  # rungs that use no other


def ladder(peak, side=512):
    """{row: GFLOP/s} of every rung that is written, of @ and of NumPy, for a square product."""
    x, y = (np.random.standard_normal((side, side)).astype(np.float32) for _ in range(2))
    a, b, out = nd.array(x), nd.array(y), nd.empty((side, side))

    def rung(name):
        # As to tiles, the numbers of a random matrix may stand in any order.
        handles, function = (a._handle, b._handle, out._handle), getattr(a.device, name)
        return lambda: function(*handles, side, side, side)

    on = measure.threads(chosen)
    numpy = f"NumPy, {on}"
    labels = {
        f"{label}, {'1 thread' if label[0] in ONE_THREAD else on}": rung(name)
        for label, name in RUNGS.items()
    }
    labels |= {f"your @ (MatmulViews), up to {on}": lambda: a @ b}
    contenders, unwritten = {}, []
    for label, function in labels.items():
        try:
            function()
            contenders[label] = function
        except NotImplementedError:
            unwritten.append(label)
    if not contenders:
        raise SystemExit("no rung of hw3/ndarray_cpu_matmul is written yet; begin with MatmulNaive")
    contenders[numpy] = lambda: x @ y
    seconds = measure.steady(contenders, chosen, rest=0.25)
    speeds = {label: 2 * side**3 / took / 1e9 for label, took in seconds.items()}
    rows = [[label, "not written", "", ""] for label in unwritten]
    for label, speed in speeds.items():
        cores = 1 if label[0] in ONE_THREAD else chosen.threads
        ratio = speed / speeds[numpy]
        rows.append([label, f"{speed:.1f}", f"{speed / (peak * cores):.0%}", f"{ratio:.2f}"])
    order = [*labels, numpy]
    print(f"\nThe ladder at {side} x {side} x {side}; peak is that of the cores in use\n")
    header = ["what ran", "GFLOP/s", "of peak", "of NumPy"]
    measure.table(header, sorted(rows, key=lambda row: order.index(row[0])))
    return speeds


def main():
    print(measure.machine(chosen, None))
    peak = measure.peak_of_a_core()
    print(f"Measured peak: {peak:.0f} GFLOP/s a core.")
    speeds = ladder(peak)
    climbed = {label[0]: speed for label, speed in speeds.items() if label[0].isdigit()}
    if climbed:
        measure.history("rung {}: {:.1f}", *max(climbed.items()), "GFLOP/s")


if __name__ == "__main__":
    main()
