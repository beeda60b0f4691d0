"""Homework 3: matrix multiplication."""

import sys

sys.path.append("./python")

import numpy as np
import pytest
from course_testing import assert_close, slip
from course_testing.devices import chosen
from hw3_arrays import CPU, arrays, cases, devices, pair, problem_of, product
from needle import backend_ndarray as nd

SIZES = [
    (16, 16, 16),
    (8, 8, 8),
    (1, 2, 3),
    (3, 4, 5),
    (5, 4, 3),
    (64, 64, 64),
    (72, 72, 72),
    (72, 73, 74),
    (74, 73, 72),
    (128, 128, 128),
    (1, 1, 1),
    (1, 300, 1),
    (100, 50, 10),
    (10, 60, 3),
    (17, 401, 33),
    (17, 257, 33),
    (13, 403, 1030),
    (2, 1000, 3),
    (96, 5, 70),
    (1, 40, 64),
    (64, 40, 1),
    (40, 36, 33),
    (0, 3, 4),
    (3, 0, 4),
]


@cases("m,n,p", SIZES)
@devices
def test_matmul(m, n, p, device):
    x, a = pair(device, m, n)
    y, b = pair(device, n, p)
    desired = product(x, y)
    assert_close(a @ b, desired, problem=problem_of("matmul", device), terms=n, dtype="float32")


@pytest.mark.parametrize("device", chosen([CPU]))
def test_matmul_of_a_large_result_with_many_terms(device):
    m, n, p = 256, 2300, 640  # an emulated GPU would take half a minute
    x, a = pair(device, m, n)
    y, b = pair(device, n, p)
    desired = x.astype(np.float64) @ y
    assert_close(a @ b, desired, problem=problem_of("matmul", device), terms=n)


@cases("n", [20, 0])
@devices
def test_matmul_overwrites_its_output(n, device):
    x, a = pair(device, 9, n)
    y, b = pair(device, n, 11)
    out = nd.full((9, 11), np.nan, device=device)
    device.matmul(a._handle, b._handle, out._handle, 9, n, 11)
    assert_close(out, x.astype(np.float64) @ y, problem=problem_of("matmul", device), terms=n)


@devices
def test_matmul_of_views(device):
    x, a = pair(device, 40, 31)
    y, b = pair(device, 50, 60)
    actual = a.permute((1, 0)) @ b[5:45, ::2]
    left, right = x.T.astype(np.float64), y[5:45, ::2]
    says = "a view is read as if compact: element (i, k) lies at data[i * row + k * column]"
    left = slip(says, left, x.astype(np.float64).reshape(31, 40))
    right = slip(says, right, y[5:].ravel()[: 40 * 30].reshape(40, 30))
    assert_close(actual, left @ right, problem=problem_of("matmul", device), terms=40)
    actual = a[::2, :] @ b[:31, :].permute((1, 0)).permute((1, 0))
    assert_close(
        actual, x[::2].astype(np.float64) @ y[:31], problem=problem_of("matmul", device), terms=31
    )


@cases(
    "left,right",
    [
        ((4, 5, 6), (4, 6, 7)),
        ((2, 3, 4, 5), (2, 3, 5, 6)),
        ((4, 5, 6), (6, 7)),
        ((5, 6), (3, 6, 7)),
        ((1, 5, 6), (3, 6, 7)),
        ((2, 1, 3, 4), (5, 4, 2)),
    ],
)
@devices
def test_matmul_of_batches(left, right, device):
    x, a = pair(device, *left)
    y, b = pair(device, *right)
    assert_close(
        a @ b, x.astype(np.float64) @ y, problem=problem_of("matmul", device), terms=left[-1]
    )


@devices
def test_matmul_of_nan_and_infinity(device):
    x = np.zeros((3, 4), np.float32)
    x[2, 1], x[1, 2] = np.nan, np.inf  # row 0 must not see what follows it in memory
    y = np.ones((4, 5), np.float32)
    with np.errstate(all="ignore"):
        desired = x @ y
    assert_close(
        nd.array(x, device=device) @ nd.array(y, device=device),
        desired,
        problem=problem_of("matmul", device),
    )


@devices
def test_matmul_of_shapes_that_do_not_fit_is_an_error(device):
    x, a = pair(device, 3, 4)
    assert_close(
        a @ a.permute((1, 0)),
        x.astype(np.float64) @ x.T,
        problem=problem_of("matmul", device),
        terms=4,
    )
    for other in ((3, 4), (4,), (2, 3, 4)):
        with pytest.raises(AssertionError):
            a @ nd.array(np.zeros(other), device=device)


def tiles(x, side):
    """(m, n) -> (m / side, n / side, side, side): each tile in one piece."""
    m, n = x.shape
    return x.reshape(m // side, side, n // side, side).swapaxes(1, 2)


@cases("m,n,p", [(8, 8, 8), (8, 16, 16), (16, 24, 32), (32, 24, 8), (64, 64, 64)])
@pytest.mark.parametrize("device", chosen([CPU]))
def test_matmul_tiled(m, n, p, device):
    x, y = np.random.randn(m, n), np.random.randn(n, p)
    side = device.__tile_size__
    a = nd.array(tiles(x, side), device=device)
    b = nd.array(tiles(y, side), device=device)
    out = nd.full((m // side, p // side, side, side), 99.0, device=device)
    device.matmul_tiled(a._handle, b._handle, out._handle, m, n, p)
    desired, A, B = tiles(x @ y, side), tiles(x, side), tiles(y, side)
    desired = slip("out is not cleared before products are added", desired, desired + 99)
    swapped = np.einsum("kjab,ikbc->ijac", B, A)
    desired = slip("the tile of B stands on the left: that of A", desired, swapped)
    last = np.einsum("iab,jbc->ijac", A[:, -1], B[-1])
    desired = slip("only the last product of tiles: add them up", desired, last)
    moved = B.reshape(B.shape[1], B.shape[0], side, side).swapaxes(0, 1)
    desired = slip(
        "B's tiles are counted down its columns: there are p / side in a row",
        desired,
        np.einsum("ikab,kjbc->ijac", A, moved),
    )
    assert_close(out, desired, problem=problem_of("matmul", device), op="matmul_tiled", terms=n)


def _submit_matmul(device):
    import mugrade

    rng = mugrade.rng()
    for m, n, p in ((8, 8, 8), (7, 13, 5), (1, 40, 3), (33, 65, 17), (64, 64, 64)):
        a, b = arrays(rng, device, (m, n), (n, p))
        mugrade.submit((a @ b).numpy(), label=f"({m}, {n}) @ ({n}, {p})")
    if hasattr(device, "matmul_tiled"):
        side = device.__tile_size__
        a, b = arrays(rng, device, (2, 3, side, side), (3, 1, side, side))
        out = nd.full((2, 1, side, side), 5.0, device=device)
        device.matmul_tiled(a._handle, b._handle, out._handle, 2 * side, 3 * side, side)
        mugrade.submit(out.numpy(), label="tiles")
        a, b = arrays(rng, device, (2, 3, side, side), (3, 2, side, side))
        out = nd.full((2, 2, side, side), 5.0, device=device)
        device.matmul_tiled(a._handle, b._handle, out._handle, 2 * side, 3 * side, 2 * side)
        mugrade.submit(out.numpy(), label="two columns of tiles")
    whole = [rng.randint(-3, 4, shape) for shape in ((7, 1103), (70, 1110), (70, 40), (40, 1100))]
    a, b, c, d = (nd.array(values, device=device) for values in whole)  # their sums are exact
    # Several panels, several slices, and of each a last one that is smaller.
    b = b[:, :1103].permute((1, 0))
    mugrade.submit((a @ b).numpy(), label="a product of great depth")
    mugrade.submit((c[:, 1:] @ d[1:, :]).numpy()[::3, ::17], label="a wide product")
    mugrade.submit(
        (d.permute((1, 0)) @ c.permute((1, 0))).numpy()[::17, ::3], label="a product of views"
    )
    empty = nd.array(np.zeros((0, 4)), device=device) @ nd.array(rng.randn(4, 3), device=device)
    a, b = arrays(rng, device, (3, 0), (0, 4))
    out = nd.full((3, 4), 5.0, device=device)
    device.matmul(a._handle, b._handle, out._handle, 3, 0, 4)
    a, b = arrays(rng, device, (2, 4), (4, 2))
    value = [list(empty.shape), out.numpy(), (a @ b).numpy()]
    mugrade.submit(value, label="edge cases: a product of no rows, one of no terms, a small one")


def submit_ndarray_cpu_matmul():
    _submit_matmul(nd.cpu())


def submit_ndarray_cuda_matmul():
    _submit_matmul(nd.cuda())
