"""Homework 3: sums and maxima over axes."""

import sys

sys.path.append("./python")

import numpy as np
import pytest
from course_testing import assert_close, slip
from hw3_arrays import arrays, cases, devices, pair, problem_of
from needle import backend_ndarray as nd

REDUCTIONS = [
    ((7,), 0),
    ((16,), None),
    ((4, 5, 6), 0),
    ((4, 5, 6), 1),
    ((4, 5, 6), 2),
    ((4, 5, 6), -1),
    ((4, 5, 6), (0, 2)),
    ((4, 5, 6), (1, 2)),
    ((4, 5, 6), (-1, 0)),
    ((4, 5, 6), None),
    ((3, 1, 2), 1),
    ((8, 1), 1),
    ((2, 1000), 1),
    ((1000, 3), 0),
    ((400, 100), 1),
    ((), None),
    ((5, 67), 1),
    ((0, 3), 1),
    ((40000, 2), 1),
    ((2, 100000), 1),
]


def rows_of(x, axis):
    """The reduced axes last and in one piece: what a kernel is given."""
    axes = tuple(range(x.ndim)) if axis is None else np.atleast_1d(axis) % max(x.ndim, 1)
    kept = [k for k in range(x.ndim) if k not in axes]
    rows = x.astype(np.float64).transpose(*kept, *sorted(axes)) if x.ndim else x
    return rows.reshape(int(np.prod([x.shape[k] for k in kept])), -1)


def without_last(x, axis, keepdims):
    shape = x.sum(axis=axis, keepdims=keepdims).shape
    return rows_of(x, axis)[:, :-1].sum(axis=1).reshape(shape)


def overlapping(x, axis, keepdims):
    rows = rows_of(x, axis)
    found = [rows.ravel()[k : k + rows.shape[1]].sum() for k in range(len(rows))]
    return np.reshape(found, x.sum(axis=axis, keepdims=keepdims).shape)


@pytest.mark.parametrize("keepdims", [False, True], ids=["drop", "keep"])
@cases("shape,axis", REDUCTIONS)
@devices
def test_reduce_sum(shape, axis, keepdims, device):
    x, a = pair(device, *shape)
    options = {"axis": axis, "keepdims": keepdims}
    desired = x.astype(np.float64).sum(**options)
    if x.size:
        desired = slip("this is the maximum", desired, lambda: x.max(**options))
        desired = slip("this is the mean", desired, lambda: x.mean(**options))
    desired = slip(
        "the last element of each row is missing", desired, lambda: without_last(x, **options)
    )
    desired = slip(
        "row i begins at i: at i times its length", desired, lambda: overlapping(x, **options)
    )
    terms = max(x.size // max(desired.size, 1), 1)
    actual = a.sum(axis=axis, keepdims=keepdims)
    assert_close(
        actual,
        desired,
        problem=problem_of("reductions", device),
        op=f"sum over {axis}",
        atol=1e-6 * terms,
    )


@pytest.mark.parametrize("keepdims", [False, True], ids=["drop", "keep"])
@cases("shape,axis", REDUCTIONS)
@devices
def test_reduce_max(shape, axis, keepdims, device):
    x, a = pair(device, *shape)
    x, a = x - 10, a + -10.0  # all negative: a maximum must not start from 0
    desired = x.max(axis=axis, keepdims=keepdims)
    name = "0 is larger than every input: what does the maximum start from?"
    desired = slip(name, desired, 0 * desired)
    name = "numeric_limits<float>::min() is the smallest positive number: start from -infinity"
    desired = slip(name, desired, 0 * desired + np.finfo(np.float32).tiny)
    actual = a.max(axis=axis, keepdims=keepdims)
    assert_close(
        actual,
        desired,
        problem=problem_of("reductions", device),
        op=f"max over {axis}",
        rtol=0,
        atol=0,
    )


@devices
def test_reduce_of_nan_and_infinity(device):
    rows = np.array(
        [
            [1, np.nan, 2, 3],
            [np.nan, 1, 2, 3],
            [1, 2, 3, np.nan],
            [-np.inf] * 4,
            [np.inf, -np.inf, 0, 1],
            [1, np.inf, 2, 3],
        ],
        np.float32,
    )
    rows = np.tile(rows, (1, 9))
    a = nd.array(rows, device=device)
    assert_close(
        a.max(axis=1),
        rows.max(axis=1),
        problem=problem_of("reductions", device),
        op="max",
        rtol=0,
        atol=0,
    )
    with np.errstate(invalid="ignore"):
        desired = rows.sum(axis=1)
    assert_close(a.sum(axis=1), desired, problem=problem_of("reductions", device), op="sum")


@devices
def test_reduce_over_no_elements(device):
    a = nd.array(np.ones((3, 0)), device=device)
    assert_close(a.sum(axis=1), np.zeros(3), problem=problem_of("reductions", device), op="sum")
    with pytest.raises(ValueError):
        a.max(axis=1)
    for wrong in (2, -3, (0, 0), ()):
        with pytest.raises(ValueError):
            a.sum(axis=wrong)
    assert_close(
        nd.array(np.ones((2, 3)), device=device).sum(),
        6.0,
        problem=problem_of("reductions", device),
    )


def _submit_reductions(device):
    import mugrade

    (a,) = arrays(mugrade.rng(), device, (6, 7, 8))
    a = a + -4.0
    for axis in (0, 1, 2, None):
        mugrade.submit(a.sum(axis=axis).numpy(), label=f"sum over {axis}")
        mugrade.submit(a.max(axis=axis, keepdims=True).numpy(), label=f"max over {axis}")
    rng = mugrade.rng()
    long = nd.array(
        rng.randint(-3, 4, (3, 70_001)), device=device
    )  # sums of whole numbers are exact
    mugrade.submit(long.sum(axis=1).numpy(), label="sums of long rows")
    rows = rng.standard_normal((5, 19)).astype(np.float32)
    rows[rng.rand(5, 19) < 0.1] = np.nan
    mugrade.submit(
        nd.array(rows, device=device).max(axis=1).numpy(),
        label="an edge case: max of rows with NaN",
    )
    counts = [nd.array(rng.rand(rows, 3), device=device).sum(axis=1).numpy() for rows in (2, 0, 1)]
    mugrade.submit(np.concatenate(counts), label="an edge case: no rows among the sums")


def submit_ndarray_cpu_reductions():
    _submit_reductions(nd.cpu())


def submit_ndarray_cuda_reductions():
    _submit_reductions(nd.cuda())
