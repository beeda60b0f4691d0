"""Homework 0: one epoch of softmax regression, C++ against NumPy, at MNIST's size.

Run from inside a built hw0 (`hw bench hw0` does, with the solved one): `python .../hw0.py`. The C++ code
uses one thread, NumPy as many as --threads says.
"""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), "src"]
import measure

chosen = measure.options(__doc__.splitlines()[0])

import numpy as np
from simple_ml import softmax_regression_epoch
from simple_ml_ext import softmax_regression_epoch_cpp

EXAMPLES, VALUES, CLASSES, BATCH = 60_000, 784, 10, 100


def main():
    random = np.random.RandomState(0)
    X = random.rand(EXAMPLES, VALUES).astype(np.float32)
    y = random.randint(0, CLASSES, EXAMPLES).astype(np.uint8)
    theta = np.zeros((VALUES, CLASSES), np.float32)
    took = measure.medians(
        {
            "C++": lambda: softmax_regression_epoch_cpp(X, y, theta, 0.1, BATCH),
            "NumPy": lambda: softmax_regression_epoch(X, y, theta, 0.1, BATCH),
        },
        chosen,
    )
    print(measure.machine(chosen, None))
    print(f"\nOne epoch, {EXAMPLES:,} x {VALUES}, {CLASSES} classes, batch {BATCH}\n")
    rows = [
        [name, f"{seconds * 1e3:.1f}", f"{took['NumPy'] / seconds:.2f}"]
        for name, seconds in took.items()
    ]
    measure.table(["", "milliseconds", "x NumPy"], rows)


if __name__ == "__main__":
    main()
