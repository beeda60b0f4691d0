"""Homework 3: the rungs of the matrix product, each by itself. Not graded: a rung whose stub stands is
skipped. `@` uses the one that `MatmulViews` (CPU) or `Matmul` (CUDA) names.
"""

import sys

sys.path.append("./python")

import numpy as np
import pytest
from course_testing import assert_close
from course_testing.devices import chosen
from hw3_arrays import CPU, CUDA, pair, problem_of, product
from needle import backend_ndarray as nd

CPU_RUNGS = ("naive", "rows", "registers", "packed_b", "slices", "packed_a", "threads")
CUDA_RUNGS = ("naive", "shared_tiles", "register_tiles", "vector_loads")
RUNGS = [
    pytest.param(*device.values, rung, id=f"{device.id}-{rung}", marks=device.marks)
    for device, rungs in ((CPU, CPU_RUNGS), (CUDA, CUDA_RUNGS))
    if device in chosen([CPU, CUDA])
    for rung in rungs
]
# Around the edges of blocks, panels, slices and pieces; empty sums; thin and wide.
SIZES = [
    (1, 1, 1),
    (3, 4, 5),
    (6, 7, 16),
    (12, 33, 32),
    (64, 64, 64),
    (72, 73, 74),
    (13, 260, 100),
    (17, 520, 33),
    (200, 40, 10),
    (5, 3, 1040),
    (3, 0, 4),
    (0, 3, 4),
    (4, 3, 0),
]


def multiply(device, rung, x, y):
    """x @ y by one rung, into a buffer that holds NaN before."""
    (m, n), p = x.shape, y.shape[1]
    a, b, out = (nd.array(v, device=device) for v in (x, y, np.full((m, p), np.nan)))
    try:
        getattr(device, f"matmul_{rung}")(a._handle, b._handle, out._handle, m, n, p)
    except NotImplementedError as stub:
        pytest.skip(f"{stub}, if you like")
    return out


@pytest.mark.parametrize("m, n, p", SIZES, ids=str)
@pytest.mark.parametrize("device, rung", RUNGS)
def test_every_rung_is_right(device, rung, m, n, p):
    if rung == "vector_loads" and (n % 4 or p % 4):
        pytest.skip("vector loads take n and p that are multiples of 4")
    x, _ = pair(device, m, n)
    y, _ = pair(device, n, p)
    assert_close(
        multiply(device, rung, x, y),
        product(x, y),
        problem=problem_of("matmul", device),
        op=f"matmul_{rung}",
        terms=n,
        dtype="float32",
    )
