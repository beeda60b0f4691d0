"""Homework 3: views in Python, and what is given: input and bad input.

Run from the homework's folder: `python3 -m pytest tests/hw3`. hw3_arrays.py has the devices.
"""

import sys
from functools import partial

sys.path.append("./python")

import numpy as np
import pytest
from course_testing import assert_close
from hw3_arrays import (
    arrays,
    assert_same_view,
    cases,
    every_device,
    keep_rank,
    numbered,
    random_cases,
    refusal,
    view_chains,
    walk,
)
from hypothesis import given
from needle import backend_ndarray as nd

# ------------------------------------------------------------------------------ views, in Python


@cases(
    "shape,axes",
    [
        ((4, 4), (1, 0)),
        ((2, 3, 4), (0, 2, 1)),
        ((2, 3, 4), (2, 0, 1)),
        ((2, 3, 4, 5), (3, 1, 0, 2)),
        ((3, 1, 2), (1, 2, 0)),
        ((5,), (0,)),
        ((), ()),
    ],
)
@every_device
def test_permute(shape, axes, device):
    x, a = numbered(device, *shape)
    assert_same_view(a.permute(axes), x.transpose(axes), a)


@every_device
def test_permute_twice_undoes_itself(device):
    x, a = numbered(device, 2, 3, 4)
    assert_same_view(a.permute((1, 2, 0)).permute((2, 0, 1)), x, a)


@cases(
    "shape,new_shape",
    [
        ((12, 1), (3, 4)),
        ((4, 3), (12,)),
        ((12,), (2, 3, 2)),
        ((1,), ()),
        ((), (1, 1)),
        ((2, 3, 4), (4, 3, 2)),
        ((0, 3), (3, 0, 2)),
    ],
)
@every_device
def test_reshape(shape, new_shape, device):
    x, a = numbered(device, *shape)
    assert_same_view(a.reshape(new_shape), x.reshape(new_shape), a)


@cases("shape,new_shape", [((12,), (5, 2)), ((2, 3), (3,)), ((2, 3), (2, 3, 2))])
@every_device
def test_reshape_to_another_size_is_a_value_error(shape, new_shape, device):
    _, a = numbered(device, *shape)
    wrong = refusal(lambda: a.reshape(new_shape))
    assert not wrong, (
        f"hw3/ndarray_python_ops: reshape of {shape} to {new_shape} {wrong}, the numbers of elements "
        "differ"
    )


@every_device
def test_reshape_of_a_view_with_gaps_is_a_value_error(device):
    _, a = numbered(device, 4, 6)
    for view in (a.permute((1, 0)), a[1:3, :], a[:, ::2]):
        wrong = refusal(partial(view.reshape, (view.size,)))
        assert not wrong, (
            f"hw3/ndarray_python_ops: reshape of a view of shape {view.shape}, strides {view.strides} "
            f"{wrong}, only a compact array has one without a copy"
        )


@every_device
def test_reshape_shares_memory_through_flat(device):
    x, a = numbered(device, 3, 4)
    assert_same_view(a.flat, x.reshape(12), a)


@cases(
    "shape,new_shape",
    [
        ((1, 3, 4), (6, 3, 4)),
        ((4, 1), (4, 5)),
        ((1, 1), (3, 2)),
        ((3,), (2, 3)),
        ((), (2, 2)),
        ((2, 1, 4), (5, 2, 3, 4)),
        ((2, 3), (2, 3)),
        ((1, 3), (0, 3)),
    ],
)
@every_device
def test_broadcast_to(shape, new_shape, device):
    x, a = numbered(device, *shape)
    assert_same_view(a.broadcast_to(new_shape), np.broadcast_to(x, new_shape), a)


@every_device
def test_broadcast_to_has_stride_zero_on_repeated_axes(device):
    _, a = numbered(device, 1, 3, 4)
    strides = a.broadcast_to((6, 3, 4)).strides
    assert strides == (0, 4, 1), (
        f"hw3/ndarray_python_ops: strides {strides}, expected (0, 4, 1): a repeated axis has stride 0"
    )


@every_device
def test_broadcast_to_of_a_permuted_view(device):
    x, a = numbered(device, 1, 3, 4)
    assert_same_view(
        a.permute((2, 0, 1)).broadcast_to((4, 7, 3)),
        np.broadcast_to(x.transpose(2, 0, 1), (4, 7, 3)),
        a,
    )


@cases("shape,new_shape", [((2, 3), (4, 3)), ((3,), (3, 2)), ((2, 3), (3,)), ((2, 1), (1, 1))])
@every_device
def test_broadcast_to_an_impossible_shape_is_an_assertion_error(shape, new_shape, device):
    _, a = numbered(device, *shape)
    wrong = refusal(lambda: a.broadcast_to(new_shape), AssertionError)
    assert not wrong, (
        f"hw3/ndarray_python_ops: broadcast_to from {shape} to {new_shape} {wrong}, only axes of "
        "length 1 can grow"
    )


S = np.s_
GETITEM = [
    ((8, 8), S[4:, 4:]),
    ((8, 8), S[1:7:2, 2:8:3]),
    ((7, 8), S[:, 3]),
    ((7, 8), S[2, 5]),
    ((7, 8), S[-1, -3:]),
    ((7, 8), S[-5:-2, :-1]),
    ((7, 8), S[5:99, -99:3]),
    ((7, 8), S[::7, ::5]),
    ((7, 8), S[3:3, :]),
    ((7, 8), S[5:2, 1]),
    ((6,), S[-2:,]),
    ((2, 3, 4, 5), S[1, ::2, 1:3, -1]),
]


@cases("shape,index", GETITEM)
@every_device
def test_getitem(shape, index, device):
    x, a = numbered(device, *shape)
    assert_same_view(a[index], x[keep_rank(index)], a)


@every_device
def test_getitem_of_a_view_adds_up_offsets(device):
    x, a = numbered(device, 6, 7, 8)
    view, desired = a[1:, 2:, ::2], x[1:, 2:, ::2]
    assert_same_view(view[2:4, 1::2, 1:], desired[2:4, 1::2, 1:], a)
    turned, desired = a.permute((2, 0, 1))[3:, 1:5, ::3], x.transpose(2, 0, 1)[3:, 1:5, ::3]
    assert_same_view(turned[1:3, ::2, -1], desired[1:3, ::2, -1:], a)


@every_device
def test_getitem_wrong_indices_are_errors(device):
    x, a = numbered(device, 4, 5)
    assert_same_view(a[3, -5], x[3:4, 0:1], a)
    for index in ((4, 0), (0, 5), (-5, 0), (0, -6)):
        with pytest.raises(IndexError):
            a[index]
    with pytest.raises(AssertionError):
        a[1]
    with pytest.raises(AssertionError):
        a[1, 2, 3]
    with pytest.raises(AssertionError, match="flip"):
        a[::-1, :]
    with pytest.raises(TypeError):
        a[0.5, 1]


@every_device
@given(chain=view_chains())
@random_cases
def test_getitem_permute_broadcast_to_in_random_chains(device, chain):
    shape, steps = chain
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    base = nd.array(x, device=device)
    desired, actual = walk(steps, x, base)
    assert_same_view(actual, desired, base)


# ----------------------------------------------------------- what is given: input and bad input


@every_device
def test_numpy_input_of_any_type_becomes_float32(device):
    for values in (np.arange(6.0), np.arange(6), np.arange(6) > 2, [0.5, 2, 3], 1.5):
        a = nd.array(values, device=device)
        assert a.dtype == "float32"
        assert_close(a, np.asarray(values, dtype=np.float32), dtype="float32")
    backwards = np.arange(12.0).reshape(3, 4).T[::-1]
    assert_close(nd.array(backwards, device=device), backwards)
    for dtype in ("float64", "int32", "bool"):
        with pytest.raises(AssertionError, match="float32"):
            nd.array([1.0], dtype=dtype, device=device)


@every_device
def test_operands_must_fit(device):
    a, b = nd.array(np.ones((2, 3)), device=device), nd.array(np.ones((3, 2)), device=device)
    with pytest.raises(AssertionError, match=r"\(2, 3\) and \(3, 2\)"):
        a + b
    with pytest.raises(TypeError):
        a + "1"
    other = nd.cpu() if device == nd.cpu_numpy() else nd.cpu_numpy()
    for combine in (lambda x, y: x + y, lambda x, y: x @ y, lambda x, y: x.maximum(y)):
        with pytest.raises(ValueError, match="operands are on"):
            combine(a, nd.array(np.ones((2, 3)), device=other))
    assert_close(a.to(other) + 1, np.full((2, 3), 2.0))


@every_device
def test_kernels_refuse_buffers_of_the_wrong_size(device):
    small, large = device.Array(6), device.Array(12)
    calls = [
        ("ewise_add", small, large, small),
        ("scalar_add", large, 1.0, small),
        ("compact", small, small, (3, 3), (3, 1), 0),
        ("compact", small, small, (2, 3), (3, 1), 1),
        ("compact", small, small, (2, 3), (-3, 1), 0),
        ("scalar_setitem", 9, 0.0, small, (9,), (1,), 0),
        ("ewise_setitem", small, small, (2, 3), (4, 1), 0),
        ("reduce_sum", large, small, 3),
        ("matmul", small, small, small, 3, 3, 3),
        ("to_numpy", small, (7,), (1,), 0),
        ("from_numpy", np.zeros(5, np.float32), small),
    ]
    for name, *arguments in calls:
        with pytest.raises(ValueError):
            getattr(device, name)(*arguments)


@every_device
def test_sizes_beyond_memory_raise_memory_error(device):
    for shape in ((1 << 45,), (1 << 20, 1 << 20, 1 << 20), (1 << 62,), (1 << 70,)):
        with pytest.raises((MemoryError, ValueError)) as caught:
            nd.empty(shape, device=device)
        assert device == nd.cpu_numpy() or caught.type is MemoryError
    with pytest.raises(ValueError):
        nd.empty((2, -1), device=device)


@every_device
def test_filling_a_view_leaves_the_rest(device):
    a = nd.full((3, 4), 1.0, device=device)
    a.fill(2.0)
    assert_close(a, np.full((3, 4), 2.0))


def test_devices_compare_by_name():
    assert [repr(device) for device in nd.all_devices()] == ["cpu()", "cuda()", "cpu_numpy()"]
    assert nd.cpu() == nd.cpu() and nd.cpu() != nd.cuda() and nd.cpu() != "cpu()"
    assert len({nd.cpu(), nd.cpu(), nd.cpu_numpy()}) == 2
    assert nd.default_device() == nd.cpu() and nd.cpu().enabled()


# --------------------------------------------------------------------------- submission hook


def submit_ndarray_python_ops():
    import mugrade

    rng = mugrade.rng()
    p, q, r = rng.randint(5, 16, 3).tolist()
    a, b, c = arrays(rng, nd.cpu(), (p, q, r), (q, 1, p), (4 * q * r,))
    views = {
        "permute": a.permute((2, 0, 1)),
        "reshape": c.reshape((q, 4, r)),
        "broadcast_to": b.broadcast_to((q, r, p)),
        "broadcast_to adds an axis": b.broadcast_to((2, q, r, p)),
        "getitem": a[1:4:2, -3, :3],
        "getitem of a view": a.permute((1, 2, 0))[2:, ::2, 1:3][1:3, 1, :],
    }
    for label, view in views.items():
        mugrade.submit(view.numpy(), label=label)
        mugrade.submit([*view.shape, *view.strides, view._offset], label=f"{label}: layout")
    shapes = [
        [(p * q, r), (q, r, p)],
        [(p, q), (q, p + 1)],
        [(p, 2 * q), (q, 2, p)],
        [(p,), (p + 1,)],
    ]
    shapes = [shapes[k] for k in rng.permutation(len(shapes))]
    taken = [not refusal(partial(make(*s).reshape, t)) for s, t in shapes]
    gaps = [
        view.permute((1, 0)) if rng.rand() < 0.5 else view
        for view in (make(q, p) for _ in range(12))
    ]
    taken += [not refusal(partial(view.reshape, (p * q,))) for view in gaps]
    mugrade.submit(np.array(taken), label="which reshapes are refused")
    grown = [(p, q) if rng.rand() < 0.5 else (p, q + 1) for _ in range(16)]
    taken = [
        not refusal(partial(make(1, q).broadcast_to, shape), AssertionError) for shape in grown
    ]
    mugrade.submit(np.array(taken), label="which broadcasts are refused")
    view = a[2:, 1:3, ::2]
    turned = view.permute((2, 0, 1))
    layout = [*turned.shape, *turned.strides, turned._offset]
    mugrade.submit([turned.numpy(), layout], label="permute of a view")
    flat = c.reshape((r, 4 * q))
    layout = [*flat.shape, int(flat._handle.ptr() == c._handle.ptr())]
    mugrade.submit([flat.numpy(), layout], label="reshape shares its buffer")


def make(*shape):
    return nd.array(np.zeros(shape), device=nd.cpu())
