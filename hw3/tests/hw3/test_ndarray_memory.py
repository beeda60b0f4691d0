"""Homework 3: kernels that move numbers, compact and set-item."""

import itertools
import sys

sys.path.append("./python")

import numpy as np
import pytest
from course_testing import assert_close, slip
from hw3_arrays import (
    arrays,
    cases,
    devices,
    keep_rank,
    numbered,
    problem_of,
    random_cases,
    view_chains,
    walk,
)
from hypothesis import given
from hypothesis import strategies as st
from needle import backend_ndarray as nd

S = np.s_
VIEWS = {
    "transpose": ((9, 11), lambda a, np_: a.transpose((1, 0))),
    "large transpose": ((300, 257), lambda a, np_: a.transpose((1, 0))),
    "nhwc to nchw": ((3, 17, 19, 5), lambda a, np_: a.transpose((0, 3, 1, 2))),
    "nchw to nhwc": ((3, 5, 17, 19), lambda a, np_: a.transpose((0, 2, 3, 1))),
    "axes reversed": ((4, 5, 6, 7), lambda a, np_: a.transpose((3, 2, 1, 0))),
    "five axes": ((2, 3, 4, 3, 2), lambda a, np_: a.transpose((4, 0, 2, 1, 3))),
    "rows": ((8, 8), lambda a, np_: a[2:5, :]),
    "block": ((8, 9), lambda a, np_: a[2:5, 1:4]),
    "steps": ((9, 10), lambda a, np_: a[1::3, ::2]),
    "one element": ((4, 5), lambda a, np_: a[2:3, 4:5]),
    "nothing": ((4, 5), lambda a, np_: a[2:2, :]),
    "repeated rows": ((1, 7), lambda a, np_: np_.broadcast_to(a, (6, 7))),
    "repeated columns": ((7, 1), lambda a, np_: np_.broadcast_to(a, (7, 6))),
    "repeated twice": ((3, 1), lambda a, np_: np_.broadcast_to(a, (4, 3, 5))),
    "large repeat": ((500, 1), lambda a, np_: np_.broadcast_to(a, (500, 300))),
    "permuted block": ((6, 7, 8), lambda a, np_: a[1:4, 2:, ::2].transpose((1, 2, 0))),
}


@pytest.mark.parametrize("name", VIEWS)
@devices
def test_compact(name, device):
    shape, view = VIEWS[name]
    x, a = numbered(device, *shape)
    desired, actual = view(x, np), view(a, nd)
    result = actual.compact()
    if desired.size:
        offset = int(desired.flat[0])
        desired = slip("the offset of the view is forgotten", desired, desired - offset)
        memory = np.resize(x.ravel()[offset:], desired.shape)
        desired = slip("the strides are ignored: read in the order of memory", desired, memory)
    assert_close(
        result, desired, problem=problem_of("compact_setitem", device), op=name, rtol=0, atol=0
    )
    assert result.is_compact() and result.compact() is result
    assert result._handle.ptr() != a._handle.ptr(), "compact copies a view"


@devices
def test_compact_takes_negative_strides(device):
    x, a = numbered(device, 3, 4)
    turned = nd.NDArray.make((3, 4), (-4, -1), device, a._handle, 11)
    assert_close(
        turned.compact(),
        x[::-1, ::-1],
        problem=problem_of("compact_setitem", device),
        rtol=0,
        atol=0,
    )


@devices
def test_compact_of_overlapping_windows(device):
    x, a = numbered(device, 20)
    windows = a.as_strided((6, 5), (3, 1)).compact()
    desired = np.lib.stride_tricks.sliding_window_view(x, 5)[::3]
    assert_close(windows, desired, problem=problem_of("compact_setitem", device), rtol=0, atol=0)


@devices
def test_compact_of_zero_axes(device):
    _, a = numbered(device, 3, 4)
    one = nd.NDArray.make((), (), device, a._handle, 7)
    assert_close(
        one.compact(),
        a.numpy().reshape(-1)[7],
        problem=problem_of("compact_setitem", device),
        rtol=0,
        atol=0,
    )


SETITEM = [
    (S[1, :], (1, 6)),
    (S[:, 2], (5, 1)),
    (S[1:4, 2:5], (3, 3)),
    (S[::2, 1::3], (3, 2)),
    (S[-2:, :-1], (2, 5)),
    (S[:, :], (5, 6)),
    (S[4, 5], (1, 1)),
    (S[2:2, :], (0, 6)),
]


def written(x, index, values):
    """x after x[index] = values."""
    places = np.arange(x.size).reshape(x.shape)[keep_rank(index)]
    right = x.copy()
    right.flat[places.ravel()] = np.ravel(values)

    def at(places):
        wrong = x.copy()
        wrong.flat[places.ravel()] = np.ravel(values)
        return wrong

    if places.size == 0:
        return right
    first = places.flat[0]
    right = slip("the offset of the view is forgotten", right, lambda: at(places - first))
    row = first + np.arange(places.size)
    if row[-1] < x.size:
        right = slip(
            "the strides are ignored: written in the order of memory", right, lambda: at(row)
        )
    if np.ndim(values) == 0:
        right = slip("the whole array is filled: the view only", right, np.full_like(x, values))
    return right


@cases("index,shape", SETITEM)
@devices
def test_setitem_ewise(index, shape, device):
    x, a = numbered(device, 5, 6)
    y, b = numbered(device, *shape)
    address = a._handle.ptr()
    a[index] = b
    x = written(x, index, y)
    assert_close(
        a, x, problem=problem_of("compact_setitem", device), op=f"a[{index}] = b", rtol=0, atol=0
    )
    assert a._handle.ptr() == address, "set-item writes in place"


@cases("index,shape", SETITEM)
@devices
def test_setitem_scalar(index, shape, device):
    x, a = numbered(device, 5, 6)
    a[index] = -7.5
    x = written(x, index, -7.5)
    assert_close(
        a, x, problem=problem_of("compact_setitem", device), op=f"a[{index}] = -7.5", rtol=0, atol=0
    )


@devices
def test_setitem_from_a_view_and_through_a_view(device):
    x, a = numbered(device, 4, 5, 6)
    y, b = numbered(device, 6, 4, 9)
    a.permute((2, 0, 1))[1:5, ::2, 1:4] = b[:4, :2, ::3]
    x.transpose(2, 0, 1)[1:5, ::2, 1:4] = y[:4, :2, ::3]
    assert_close(a, x, problem=problem_of("compact_setitem", device), rtol=0, atol=0)


@devices
def test_setitem_through_a_large_transpose(device):
    x, a = numbered(device, 301, 200)
    y, b = numbered(device, 200, 301)
    a.permute((1, 0))[:, :] = b
    assert_close(a, y.T, problem=problem_of("compact_setitem", device), rtol=0, atol=0)
    a.permute((1, 0))[3:, 5:] = 2.0
    x[:] = y.T
    x.T[3:, 5:] = 2.0
    assert_close(a, x, problem=problem_of("compact_setitem", device), rtol=0, atol=0)


@devices
def test_setitem_reads_everything_before_it_writes(device):
    x, a = numbered(device, 6, 6)
    a[1:, :] = a[:-1, :]
    x[1:, :] = x[:-1, :].copy()
    assert_close(a, x, problem=problem_of("compact_setitem", device), rtol=0, atol=0)
    a.permute((1, 0))[:, :] = a
    assert_close(a, x.T, problem=problem_of("compact_setitem", device), rtol=0, atol=0)


@devices
def test_setitem_of_another_count_or_device_is_an_error(device):
    x, a = numbered(device, 3, 4)
    for wrong in ((2, 3), (4,), (3, 4, 2)):
        with pytest.raises(AssertionError):
            a[:, :] = nd.array(np.zeros(wrong), device=device)
    with pytest.raises(ValueError, match="to\\(device\\)"):
        a[:, :] = nd.array(x, device=nd.cpu_numpy())
    a[:, 1:] = 3
    x[:, 1:] = 3
    assert_close(a, x, problem=problem_of("compact_setitem", device), rtol=0, atol=0)


@devices
@given(chain=view_chains())
@random_cases
def test_compact_of_random_views(device, chain):
    shape, steps = chain
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    desired, actual = walk(steps, x, nd.array(x, device=device))
    assert_close(
        actual.compact(),
        desired,
        problem=problem_of("compact_setitem", device),
        op=str(steps),
        rtol=0,
        atol=0,
    )


@devices
@given(chain=view_chains(), scalar=st.booleans())
@random_cases
def test_setitem_of_random_views(device, chain, scalar):
    shape, steps = chain
    # Up to the first broadcast: behind it several elements of the view are one of the buffer.
    steps = list(itertools.takewhile(lambda step: step[0] != "broadcast_to", steps))
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    base = nd.array(x, device=device)
    desired, actual = walk(steps, x, base)
    everything = (slice(None),) * len(shape)
    values = -1 - np.arange(desired.size, dtype=np.float32).reshape(desired.shape)
    actual[everything] = -5.0 if scalar else nd.array(values, device=device)
    desired[...] = -5.0 if scalar else values
    assert_close(
        base, x, problem=problem_of("compact_setitem", device), op=str(steps), rtol=0, atol=0
    )


def _submit_compact_setitem(device):
    import mugrade

    a, b, c, row = arrays(mugrade.rng(), device, (5, 6, 7), (3, 6, 2), (9, 4), (1, 8))
    mugrade.submit(a.permute((2, 0, 1)).compact().numpy(), label="compact of a permuted array")
    mugrade.submit(a[1:4, ::2, -3:].compact().numpy(), label="compact of a slice")
    mugrade.submit(row.broadcast_to((5, 8)).compact().numpy(), label="compact of repeated rows")
    a[1:4, :, 2:6:2] = b
    mugrade.submit(a.numpy(), label="set-item from an array")
    c.permute((1, 0))[1:3, ::4] = -2.5
    mugrade.submit(c.numpy(), label="set-item of a number through a permuted view")
    rng = mugrade.rng()
    block, image, column = arrays(rng, device, (6, 7, 8), (2, 41, 37, 3), (70, 1))
    inner = block[1:4, 2:, ::2].permute((1, 2, 0))
    mugrade.submit(inner.compact().numpy(), label="compact of a permuted block")
    channels = image.permute((0, 3, 2, 1)).compact()
    mugrade.submit(
        channels.numpy()[:, :, ::3, ::2], label="compact of an image, rows and columns exchanged"
    )
    mugrade.submit(
        column.broadcast_to((70, 19)).compact().numpy()[::5], label="compact of a long repeat"
    )
    backwards = nd.NDArray.make((6, 56), (-56, -1), device, block._handle, 335)
    mugrade.submit(backwards.compact().numpy(), label="compact of negative strides")
    image.permute((0, 3, 2, 1))[1:, :, ::2, 5:] = 1.5
    mugrade.submit(
        image.numpy()[:, ::3, ::2], label="set-item of a number through a permuted image"
    )


def submit_ndarray_cpu_compact_setitem():
    _submit_compact_setitem(nd.cpu())


def submit_ndarray_cuda_compact_setitem():
    _submit_compact_setitem(nd.cuda())
