"""Homework 3: what each rung of the CUDA matrix product asks of a GPU, counted, on any machine.

`hw bench hw3 -- cuda`. The checked build of the emulated device counts every access of every thread;
nothing here is a time. Beside each count stands what the note "The GPU's model of work" expects.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
import measure

N = 64
RUNGS = {"naive": 1, "shared_tiles": 16, "register_tiles": 64, "vector_loads": 64}
PROGRAM = Path(__file__).with_name("cuda_product.py")
COLUMNS = {
    "floats_loaded": "floats loaded",
    "global_loads": "load instructions",
    "transactions": "lines of 128 bytes",
    "shared_loads": "shared loads",
    "bank_conflicts": "bank conflicts",
    "barriers": "barriers",
    "split": "split",
}


def counted(rung, n=N, folder="."):
    """The counts of an n x n product by this rung of the homework in `folder`; or why there are none."""
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "counts.json"
        environment = {
            **os.environ,
            "NEEDLE_BACKEND": "nd",
            "NEEDLE_CUDA": "checked",
            "NEEDLE_CUDA_COUNTS": str(file),
            "PYTHONPATH": "python",
        }
        command = [sys.executable, str(PROGRAM), rung, str(n)]
        done = subprocess.run(
            command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True
        )
        if done.returncode:
            return (done.stderr.splitlines() or [f"it ended with status {done.returncode}"])[-1]
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return next(row for row in rows if row["kernel"].startswith("Matmul"))


if __name__ == "__main__":
    measure.options(__doc__.splitlines()[0])
    print(f"A product of {N} x {N} matrices, emulated; counts of all threads together.\n")
    rows, unmeasured = [], []
    for rung, tile in RUNGS.items():
        counts, expected = counted(rung), f"{2 * N**3 // tile:,}"
        if isinstance(counts, str):
            rows.append([rung, expected, *["-"] * len(COLUMNS)])
            unmeasured.append(f"{rung} is not measured: {counts}")
        else:
            rows.append([rung, expected, *(f"{counts[key]:,}" for key in COLUMNS)])
    measure.table(["rung", "2 n^3 / tile", *COLUMNS.values()], rows)
    for sentence in unmeasured:
        print(f"\n{sentence}")
    print(
        "\nfloats loaded: from global memory. lines: what a warp's loads and stores touch, each instruction"
        "\napart. bank conflicts: turns that a warp waits for shared memory. split: stretches of code that"
        "\nonly a part of a warp runs."
    )
