"""Homework 0: one epoch of softmax regression, C++ against NumPy, at MNIST's size.

Run from inside a solved and built hw0: `python .../shared/bench/hw0.py [--repetitions N]`. The two
take turns, so that a busy machine slows both; the ratio is that of the medians. NumPy uses as
many threads as its BLAS likes, the C++ code one.
"""

import argparse
import statistics
import sys
import time

import numpy as np

sys.path.append("src")
from simple_ml import softmax_regression_epoch
from simple_ml_ext import softmax_regression_epoch_cpp

EXAMPLES, VALUES, CLASSES, BATCH = 60_000, 784, 10, 100


def main(repetitions):
    random = np.random.RandomState(0)
    X = random.rand(EXAMPLES, VALUES).astype(np.float32)
    y = random.randint(0, CLASSES, EXAMPLES).astype(np.uint8)
    seconds = {softmax_regression_epoch: [], softmax_regression_epoch_cpp: []}
    for _ in range(repetitions):
        for epoch, times in seconds.items():
            theta = np.zeros((VALUES, CLASSES), np.float32)
            began = time.perf_counter()
            epoch(X, y, theta, 0.1, BATCH)
            times.append(time.perf_counter() - began)
    medians = [statistics.median(times) for times in seconds.values()]
    print(
        f"one epoch, {EXAMPLES:,} x {VALUES}, {CLASSES} classes, batch {BATCH}: median of {repetitions}"
    )
    for name, median, times in zip(("NumPy", "C++"), medians, seconds.values()):
        print(f"  {name:5}  {median * 1e3:7.1f} ms   (fastest {min(times) * 1e3:.1f} ms)")
    print(f"  C++ is {medians[0] / medians[1]:.2f} times as fast as NumPy")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=9, help="rounds; medians are reported")
    main(parser.parse_args().repetitions)
