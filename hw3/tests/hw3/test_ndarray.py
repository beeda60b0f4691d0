"""Homework 3: NDArray, its views in Python and its kernels on every device.

NumPy is the oracle throughout. The same tests run on cpu() (C++), cuda() (CUDA, on a GPU or
emulated) and, for the views, on cpu_numpy(). Results that only move numbers must be exact.
"""

import itertools
import os
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.append("./python")
from course_testing import assert_close
from needle import backend_ndarray as nd

skip_cuda = pytest.mark.skipif(
    os.environ.get("NEEDLE_CUDA") == "off", reason="NEEDLE_CUDA=off switches cuda() off"
)
CPU = pytest.param(nd.cpu(), id="cpu")
CUDA = pytest.param(nd.cuda(), id="cuda", marks=skip_cuda)
CPU_NUMPY = pytest.param(nd.cpu_numpy(), id="cpu_numpy")

devices = pytest.mark.parametrize("device", [CPU, CUDA])
every_device = pytest.mark.parametrize("device", [CPU, CUDA, CPU_NUMPY])
random_cases = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def cases(names, values):
    """Parametrize by readable ids: test_reshape[cpu-case3] says less than its arguments."""
    return pytest.mark.parametrize(names, values, ids=lambda value: str(value).replace(" ", ""))


def pair(device, *shape, scale=1.0):
    """The same random float32 values as a NumPy array and as an NDArray."""
    values = (np.random.standard_normal(shape) * scale).astype(np.float32)
    return values, nd.array(values, device=device)


def keep_rank(index):
    """NumPy's index with every int i as the slice i:i+1, as NDArray reads it."""
    return tuple(slice(i, i + 1 if i != -1 else None) if isinstance(i, int) else i for i in index)


def assert_same_view(actual, desired, base, problem="hw3/ndarray_python_ops"):
    """`actual` (NDArray) is the view of `base` that `desired` (NumPy) is of the base's copy."""
    assert actual.shape == desired.shape
    assert actual._handle.ptr() == base._handle.ptr(), "a view must not copy its buffer"
    if desired.size > 0:  # NumPy's strides of empty axes and of axes of length 1 mean nothing
        strides = [s // 4 for s, n in zip(desired.strides, desired.shape) if n > 1]
        assert [s for s, n in zip(actual.strides, actual.shape) if n > 1] == strides
    assert_close(actual, desired, problem=problem, rtol=0, atol=0)


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
    x, a = pair(device, *shape)
    assert_same_view(a.permute(axes), x.transpose(axes), a)


@every_device
def test_permute_twice_undoes_itself(device):
    x, a = pair(device, 2, 3, 4)
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
    x, a = pair(device, *shape)
    assert_same_view(a.reshape(new_shape), x.reshape(new_shape), a)


@cases("shape,new_shape", [((12,), (5, 2)), ((2, 3), (3,)), ((2, 3), (2, 3, 2))])
@every_device
def test_reshape_to_another_size_is_a_value_error(shape, new_shape, device):
    _, a = pair(device, *shape)
    with pytest.raises(ValueError):
        a.reshape(new_shape)


@every_device
def test_reshape_of_a_view_with_gaps_is_a_value_error(device):
    _, a = pair(device, 4, 6)
    for view in (a.permute((1, 0)), a[1:3, :], a[:, ::2]):
        with pytest.raises(ValueError):
            view.reshape((view.size,))


@every_device
def test_reshape_shares_memory_through_flat(device):
    x, a = pair(device, 3, 4)
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
    x, a = pair(device, *shape)
    assert_same_view(a.broadcast_to(new_shape), np.broadcast_to(x, new_shape), a)


@every_device
def test_broadcast_to_has_stride_zero_on_repeated_axes(device):
    _, a = pair(device, 1, 3, 4)
    assert a.broadcast_to((6, 3, 4)).strides == (0, 4, 1)


@every_device
def test_broadcast_to_of_a_permuted_view(device):
    x, a = pair(device, 1, 3, 4)
    assert_same_view(
        a.permute((2, 0, 1)).broadcast_to((4, 7, 3)),
        np.broadcast_to(x.transpose(2, 0, 1), (4, 7, 3)),
        a,
    )


@cases("shape,new_shape", [((2, 3), (4, 3)), ((3,), (3, 2)), ((2, 3), (3,)), ((2, 1), (1, 1))])
@every_device
def test_broadcast_to_an_impossible_shape_is_an_assertion_error(shape, new_shape, device):
    _, a = pair(device, *shape)
    with pytest.raises(AssertionError):
        a.broadcast_to(new_shape)


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
    x, a = pair(device, *shape)
    assert_same_view(a[index], x[keep_rank(index)], a)


@every_device
def test_getitem_of_a_view_adds_up_offsets(device):
    x, a = pair(device, 6, 7, 8)
    view, desired = a[1:, 2:, ::2], x[1:, 2:, ::2]
    assert_same_view(view[2:4, 1::2, 1:], desired[2:4, 1::2, 1:], a)
    turned, desired = a.permute((2, 0, 1))[3:, 1:5, ::3], x.transpose(2, 0, 1)[3:, 1:5, ::3]
    assert_same_view(turned[1:3, ::2, -1], desired[1:3, ::2, -1:], a)


@every_device
def test_getitem_wrong_indices_are_errors(device):
    x, a = pair(device, 4, 5)
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


@st.composite
def view_chains(draw):
    """A shape, and steps that each turn one view into another."""
    shape = first = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=4)))
    steps = []
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["permute", "getitem", "broadcast_to"]))
        if kind == "permute":
            argument = tuple(draw(st.permutations(range(len(shape)))))
            shape = tuple(shape[axis] for axis in argument)
        elif kind == "getitem":
            argument = tuple(draw(one_index(n)) for n in shape)
            shape = np.empty(shape)[keep_rank(argument)].shape
        else:
            grown = tuple(draw(st.integers(1, 4)) if n == 1 else n for n in shape)
            added = draw(st.lists(st.integers(1, 3), max_size=5 - len(shape)))
            shape = argument = (*added, *grown)
        steps.append((kind, argument))
    return first, steps


def one_index(length):
    """An index of one axis that leaves something of it, except now and then."""
    edge = st.none() | st.integers(-length - 2, length + 2)
    ints = st.integers(-length, length - 1) if length else st.just(slice(None))
    return ints | st.builds(slice, edge, edge, st.none() | st.integers(1, 3))


def walk(steps, x, a):
    """The chain's last view of NumPy's x and of NDArray a."""
    for kind, argument in steps:
        if kind == "getitem":
            x, a = x[keep_rank(argument)], a[argument]
        elif kind == "permute":
            x, a = x.transpose(argument), a.permute(argument)
        else:
            x, a = np.broadcast_to(x, argument), a.broadcast_to(argument)
    return x, a


@every_device
@given(chain=view_chains())
@random_cases
def test_getitem_permute_broadcast_to_in_random_chains(device, chain):
    shape, steps = chain
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    base = nd.array(x, device=device)
    desired, actual = walk(steps, x, base)
    assert_same_view(actual, desired, base)


# ------------------------------------------------------------------------- compact and set-item

COMPACT = "hw3/ndarray_cpu_compact_setitem"
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
    x, a = pair(device, *shape)
    desired, actual = view(x, np), view(a, nd)
    result = actual.compact()
    assert_close(result, desired, problem=COMPACT, op=name, rtol=0, atol=0)
    assert result.is_compact() and result.compact() is result
    assert result._handle.ptr() != a._handle.ptr(), "compact copies a view"


@devices
def test_compact_takes_negative_strides(device):
    x, a = pair(device, 3, 4)
    turned = nd.NDArray.make((3, 4), (-4, -1), device, a._handle, 11)
    assert_close(turned.compact(), x[::-1, ::-1], problem=COMPACT, rtol=0, atol=0)


@devices
def test_compact_of_overlapping_windows(device):
    x, a = pair(device, 20)
    windows = a.as_strided((6, 5), (3, 1)).compact()
    desired = np.lib.stride_tricks.sliding_window_view(x, 5)[::3]
    assert_close(windows, desired, problem=COMPACT, rtol=0, atol=0)


@devices
def test_compact_of_zero_axes(device):
    _, a = pair(device, 3, 4)
    one = nd.NDArray.make((), (), device, a._handle, 7)
    assert_close(one.compact(), a.numpy().reshape(-1)[7], problem=COMPACT, rtol=0, atol=0)


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


@cases("index,shape", SETITEM)
@devices
def test_setitem_ewise(index, shape, device):
    x, a = pair(device, 5, 6)
    y, b = pair(device, *shape)
    address = a._handle.ptr()
    a[index] = b
    x[keep_rank(index)] = y
    assert_close(a, x, problem=COMPACT, op=f"a[{index}] = b", rtol=0, atol=0)
    assert a._handle.ptr() == address, "set-item writes in place"


@cases("index,shape", SETITEM)
@devices
def test_setitem_scalar(index, shape, device):
    x, a = pair(device, 5, 6)
    a[index] = -7.5
    x[keep_rank(index)] = -7.5
    assert_close(a, x, problem=COMPACT, op=f"a[{index}] = -7.5", rtol=0, atol=0)


@devices
def test_setitem_from_a_view_and_through_a_view(device):
    x, a = pair(device, 4, 5, 6)
    y, b = pair(device, 6, 4, 9)
    a.permute((2, 0, 1))[1:5, ::2, 1:4] = b[:4, :2, ::3]
    x.transpose(2, 0, 1)[1:5, ::2, 1:4] = y[:4, :2, ::3]
    assert_close(a, x, problem=COMPACT, rtol=0, atol=0)


@devices
def test_setitem_through_a_large_transpose(device):
    x, a = pair(device, 301, 200)
    y, b = pair(device, 200, 301)
    a.permute((1, 0))[:, :] = b
    assert_close(a, y.T, problem=COMPACT, rtol=0, atol=0)
    a.permute((1, 0))[3:, 5:] = 2.0
    x[:] = y.T
    x.T[3:, 5:] = 2.0
    assert_close(a, x, problem=COMPACT, rtol=0, atol=0)


@devices
def test_setitem_reads_everything_before_it_writes(device):
    x, a = pair(device, 6, 6)
    a[1:, :] = a[:-1, :]
    x[1:, :] = x[:-1, :].copy()
    assert_close(a, x, problem=COMPACT, rtol=0, atol=0)
    a.permute((1, 0))[:, :] = a
    assert_close(a, x.T, problem=COMPACT, rtol=0, atol=0)


@devices
def test_setitem_of_another_count_or_device_is_an_error(device):
    x, a = pair(device, 3, 4)
    for wrong in ((2, 3), (4,), (3, 4, 2)):
        with pytest.raises(AssertionError):
            a[:, :] = nd.array(np.zeros(wrong), device=device)
    with pytest.raises(ValueError, match="to\\(device\\)"):
        a[:, :] = nd.array(x, device=nd.cpu_numpy())
    a[:, 1:] = 3
    x[:, 1:] = 3
    assert_close(a, x, problem=COMPACT, rtol=0, atol=0)


@devices
@given(chain=view_chains())
@random_cases
def test_compact_of_random_views(device, chain):
    shape, steps = chain
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    desired, actual = walk(steps, x, nd.array(x, device=device))
    assert_close(actual.compact(), desired, problem=COMPACT, op=str(steps), rtol=0, atol=0)


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
    assert_close(base, x, problem=COMPACT, op=str(steps), rtol=0, atol=0)


# ---------------------------------------------------------------------- elementwise and scalar

OPS = "hw3/ndarray_cpu_ops"
SHAPES = [(1,), (7,), (16,), (33,), (4, 5, 6), (0, 3), (), (300, 301)]
BINARY = {
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "subtract": lambda a, b: a - b,
    "equal": lambda a, b: a == b,
    "unequal": lambda a, b: a != b,
    "at_least": lambda a, b: a >= b,
    "at_most": lambda a, b: a <= b,
    "greater": lambda a, b: a > b,
    "less": lambda a, b: a < b,
}


@cases("shape", SHAPES)
@pytest.mark.parametrize("name", BINARY)
@devices
def test_ewise_fn(name, shape, device):
    x, a = pair(device, *shape)
    y, b = pair(device, *shape)
    y.reshape(-1)[::3] = x.reshape(-1)[::3]  # some equal elements
    b = nd.array(y, device=device)
    desired = BINARY[name](x.astype(np.float64), y.astype(np.float64))
    assert_close(BINARY[name](a, b), desired, problem=OPS, op=name, dtype="float32", rtol=1e-6)


@cases("shape", SHAPES)
@devices
def test_ewise_max(shape, device):
    x, a = pair(device, *shape)
    y, b = pair(device, *shape)
    assert_close(a.maximum(b), np.maximum(x, y), problem=OPS, op="maximum", rtol=0, atol=0)
    assert_close(a.maximum(0.25), np.maximum(x, np.float32(0.25)), problem=OPS, rtol=0, atol=0)


SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -2.5, 3e38, 1e-40], np.float32)


@devices
def test_ewise_max_is_nan_when_an_operand_is(device):
    x, y = (side.ravel() for side in np.meshgrid(SPECIAL, SPECIAL))
    a, b = nd.array(x, device=device), nd.array(y, device=device)
    assert_close(a.maximum(b), np.maximum(x, y), problem=OPS, op="maximum", rtol=0, atol=0)
    assert_close(a.maximum(-1.0), np.maximum(x, -1), problem=OPS, op="maximum", rtol=0, atol=0)


@pytest.mark.parametrize("name", BINARY)
@devices
def test_ewise_fn_of_nan_infinity_and_zero(name, device):
    x, y = (side.ravel() for side in np.meshgrid(SPECIAL, SPECIAL))
    with np.errstate(all="ignore"):
        desired = BINARY[name](x, y)
    actual = BINARY[name](nd.array(x, device=device), nd.array(y, device=device))
    if device.name == "cuda":  # GPUs may round numbers below the normal range to zero
        keep = (np.abs(x) != SPECIAL[-1]) & (np.abs(y) != SPECIAL[-1])
        actual, desired = actual.numpy()[keep], desired[keep]
    assert_close(actual, desired, problem=OPS, op=name, rtol=1e-6, atol=0)


SCALAR = {
    "a * s": lambda a, s: a * s,
    "s * a": lambda a, s: s * a,
    "a / s": lambda a, s: a / s,
    "a - s": lambda a, s: a - s,
    "s - a": lambda a, s: s - a,
    "s / a": lambda a, s: s / a,
    "a == s": lambda a, s: a == s,
    "a != s": lambda a, s: a != s,
    "a >= s": lambda a, s: a >= s,
    "a <= s": lambda a, s: a <= s,
    "a > s": lambda a, s: a > s,
    "a < s": lambda a, s: a < s,
}


@cases("shape", SHAPES)
@pytest.mark.parametrize("name", SCALAR)
@devices
def test_scalar_fn(name, shape, device):
    x, a = pair(device, *shape)
    x.reshape(-1)[::3] = -1.5
    a = nd.array(x, device=device)
    desired = SCALAR[name](x.astype(np.float64), -1.5)
    assert_close(SCALAR[name](a, -1.5), desired, problem=OPS, op=name, dtype="float32", rtol=1e-6)


@cases("exponent", [0, 1, 2, 3, 4, -1, -2, 0.5, -0.5, 1.5, 2.7])
@devices
def test_scalar_power(exponent, device):
    x, a = pair(device, 5, 67)
    if exponent != int(exponent):
        x = np.abs(x)
        a = nd.array(x, device=device)
    desired = x.astype(np.float64) ** exponent
    assert_close(a**exponent, desired, problem=OPS, op=f"a ** {exponent}", rtol=2e-6, atol=0)


@devices
def test_scalar_power_of_zero_infinity_and_negative_numbers(device):
    x = np.array([0.0, -0.0, np.inf, -np.inf, -8.0, 1.0, np.nan], np.float32)
    for exponent in (0, 1, 2, 3, -1, -3, 1.5, -1.5, 2.5):
        with np.errstate(all="ignore"):
            desired = np.power(x, np.float32(exponent))
        actual = nd.array(x, device=device) ** exponent
        assert_close(actual, desired, problem=OPS, op=f"a ** {exponent}", rtol=2e-6, atol=0)


@cases("shape", SHAPES)
@devices
def test_log(shape, device):
    x = np.abs(np.random.standard_normal(shape)).astype(np.float32) + 5.0
    a = nd.array(x, device=device)
    assert_close(a.log(), np.log(x.astype(np.float64)), problem=OPS, op="log", rtol=1e-6, atol=0)


@cases("shape", SHAPES)
@devices
def test_exp(shape, device):
    x, a = pair(device, *shape, scale=15)
    assert_close(a.exp(), np.exp(x.astype(np.float64)), problem=OPS, op="exp", rtol=1e-6, atol=0)


@cases("shape", SHAPES)
@devices
def test_tanh(shape, device):
    x, a = pair(device, *shape, scale=3)
    assert_close(a.tanh(), np.tanh(x.astype(np.float64)), problem=OPS, op="tanh", rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", ["log", "exp", "tanh"])
@devices
def test_log_exp_tanh_of_extreme_numbers(name, device):
    wide = np.concatenate([10.0 ** np.arange(-37, 39, 3), [88.0, 89.0, 103.0]]).astype(np.float32)
    x = np.concatenate([SPECIAL[:-1], wide, -wide])
    with np.errstate(all="ignore"):
        desired = getattr(np, name)(x.astype(np.float64)).astype(np.float32)
    desired[np.abs(desired) < np.finfo(np.float32).tiny] = 0  # may be rounded to zero
    actual = getattr(nd, name)(nd.array(x, device=device)).numpy()
    actual[np.abs(actual) < np.finfo(np.float32).tiny] = 0
    assert_close(actual, desired, problem=OPS, op=name, rtol=1e-6, atol=0)


# ----------------------------------------------------------------------------------- reductions

REDUCE = "hw3/ndarray_cpu_reductions"
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


@pytest.mark.parametrize("keepdims", [False, True], ids=["drop", "keep"])
@cases("shape,axis", REDUCTIONS)
@devices
def test_reduce_sum(shape, axis, keepdims, device):
    x, a = pair(device, *shape)
    desired = x.astype(np.float64).sum(axis=axis, keepdims=keepdims)
    terms = max(x.size // max(desired.size, 1), 1)
    actual = a.sum(axis=axis, keepdims=keepdims)
    assert_close(actual, desired, problem=REDUCE, op=f"sum over {axis}", atol=1e-6 * terms)


@pytest.mark.parametrize("keepdims", [False, True], ids=["drop", "keep"])
@cases("shape,axis", REDUCTIONS)
@devices
def test_reduce_max(shape, axis, keepdims, device):
    x, a = pair(device, *shape)
    x, a = x - 10, a + -10.0  # all negative: a maximum must not start from 0
    desired = x.max(axis=axis, keepdims=keepdims)
    actual = a.max(axis=axis, keepdims=keepdims)
    assert_close(actual, desired, problem=REDUCE, op=f"max over {axis}", rtol=0, atol=0)


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
    assert_close(a.max(axis=1), rows.max(axis=1), problem=REDUCE, op="max", rtol=0, atol=0)
    with np.errstate(invalid="ignore"):
        desired = rows.sum(axis=1)
    assert_close(a.sum(axis=1), desired, problem=REDUCE, op="sum")


@devices
def test_reduce_over_no_elements(device):
    a = nd.array(np.ones((3, 0)), device=device)
    assert_close(a.sum(axis=1), np.zeros(3), problem=REDUCE, op="sum")
    with pytest.raises(ValueError):
        a.max(axis=1)
    for wrong in (2, -3, (0, 0), ()):
        with pytest.raises(ValueError):
            a.sum(axis=wrong)
    assert_close(nd.array(np.ones((2, 3)), device=device).sum(), 6.0, problem=REDUCE)


# ------------------------------------------------------------------------- matrix multiplication

MATMUL = "hw3/ndarray_cpu_matmul"
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
    (17, 257, 33),
    (13, 260, 1030),
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
    desired = x.astype(np.float64) @ y.astype(np.float64)
    assert_close(a @ b, desired, problem=MATMUL, terms=n, dtype="float32")


@devices
def test_matmul_overwrites_its_output(device):
    x, a = pair(device, 9, 20)
    y, b = pair(device, 20, 11)
    out = nd.full((9, 11), np.nan, device=device)
    device.matmul(a._handle, b._handle, out._handle, 9, 20, 11)
    assert_close(out, x.astype(np.float64) @ y, problem=MATMUL, terms=20)


@devices
def test_matmul_of_views(device):
    x, a = pair(device, 40, 31)
    y, b = pair(device, 50, 60)
    actual = a.permute((1, 0)) @ b[5:45, ::2]
    assert_close(actual, x.T.astype(np.float64) @ y[5:45, ::2], problem=MATMUL, terms=40)
    actual = a[::2, :] @ b[:31, :].permute((1, 0)).permute((1, 0))
    assert_close(actual, x[::2].astype(np.float64) @ y[:31], problem=MATMUL, terms=31)


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
    assert_close(a @ b, x.astype(np.float64) @ y, problem=MATMUL, terms=left[-1])


@devices
def test_matmul_of_nan_and_infinity(device):
    x = np.zeros((3, 4), np.float32)
    x[2, 1], x[1, 2] = np.nan, np.inf  # row 0 must not see what follows it in memory
    y = np.ones((4, 5), np.float32)
    with np.errstate(all="ignore"):
        desired = x @ y
    assert_close(nd.array(x, device=device) @ nd.array(y, device=device), desired, problem=MATMUL)


@devices
def test_matmul_of_shapes_that_do_not_fit_is_an_error(device):
    x, a = pair(device, 3, 4)
    assert_close(a @ a.permute((1, 0)), x.astype(np.float64) @ x.T, problem=MATMUL, terms=4)
    for other in ((3, 4), (4,), (2, 3, 4)):
        with pytest.raises(AssertionError):
            a @ nd.array(np.zeros(other), device=device)


def tiles(x, side):
    """(m, n) -> (m / side, n / side, side, side): each tile in one piece."""
    m, n = x.shape
    return x.reshape(m // side, side, n // side, side).swapaxes(1, 2)


@cases("m,n,p", [(8, 8, 8), (8, 16, 16), (16, 24, 32), (32, 24, 8), (64, 64, 64)])
@pytest.mark.parametrize("device", [CPU])
def test_matmul_tiled(m, n, p, device):
    x, y = np.random.randn(m, n), np.random.randn(n, p)
    side = device.__tile_size__
    a = nd.array(tiles(x, side), device=device)
    b = nd.array(tiles(y, side), device=device)
    out = nd.full((m // side, p // side, side, side), 99.0, device=device)
    device.matmul_tiled(a._handle, b._handle, out._handle, m, n, p)
    assert_close(out, tiles(x @ y, side), problem=MATMUL, op="matmul_tiled", terms=n)


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


# --------------------------------------------------------------------------- submission hooks


def _arrays(rng, device, *shapes):
    values = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    return [nd.array(value, device=device) for value in values]


def submit_ndarray_python_ops():
    import mugrade

    rng = mugrade.rng()
    p, q, r = rng.randint(5, 16, 3).tolist()
    a, b, c = _arrays(rng, nd.cpu(), (p, q, r), (q, 1, p), (4 * q * r,))
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


def _submit_compact_setitem(device):
    import mugrade

    a, b, c, row = _arrays(mugrade.rng(), device, (5, 6, 7), (3, 6, 2), (9, 4), (1, 8))
    mugrade.submit(a.permute((2, 0, 1)).compact().numpy(), label="compact of a permuted array")
    mugrade.submit(a[1:4, ::2, -3:].compact().numpy(), label="compact of a slice")
    mugrade.submit(row.broadcast_to((5, 8)).compact().numpy(), label="compact of repeated rows")
    a[1:4, :, 2:6:2] = b
    mugrade.submit(a.numpy(), label="set-item from an array")
    c.permute((1, 0))[1:3, ::4] = -2.5
    mugrade.submit(c.numpy(), label="set-item of a number through a permuted view")


def _submit_ops(device):
    import mugrade

    a, b = _arrays(mugrade.rng(), device, (7, 9), (7, 9))
    results = {
        "multiply": a * b,
        "divide": a / b,
        "subtract": a - b,
        "maximum": a.maximum(b),
        "equal": (a == b.maximum(a)),
        "at least": a >= b,
        "times a number": a * 1.75,
        "divided by a number": a / -0.3,
        "power": a.maximum(0.1) ** 1.7,
        "maximum with a number": a.maximum(0.2),
        "equal to a number": a.maximum(0.5) == 0.5,
        "at least a number": a >= -0.1,
        "log": a.maximum(0.05).log(),
        "exp": (a * 3).exp(),
        "tanh": a.tanh(),
    }
    for label, result in results.items():
        mugrade.submit(result.numpy(), label=label)


def _submit_reductions(device):
    import mugrade

    (a,) = _arrays(mugrade.rng(), device, (6, 7, 8))
    a = a + -4.0
    for axis in (0, 1, 2, None):
        mugrade.submit(a.sum(axis=axis).numpy(), label=f"sum over {axis}")
        mugrade.submit(a.max(axis=axis, keepdims=True).numpy(), label=f"max over {axis}")


def _submit_matmul(device):
    import mugrade

    rng = mugrade.rng()
    for m, n, p in ((8, 8, 8), (7, 13, 5), (1, 40, 3), (33, 65, 17), (64, 64, 64)):
        a, b = _arrays(rng, device, (m, n), (n, p))
        mugrade.submit((a @ b).numpy(), label=f"({m}, {n}) @ ({n}, {p})")
    if hasattr(device, "matmul_tiled"):
        side = device.__tile_size__
        a, b = _arrays(rng, device, (2, 3, side, side), (3, 1, side, side))
        out = nd.full((2, 1, side, side), 5.0, device=device)
        device.matmul_tiled(a._handle, b._handle, out._handle, 2 * side, 3 * side, side)
        mugrade.submit(out.numpy(), label="tiles")


def submit_ndarray_cpu_compact_setitem():
    _submit_compact_setitem(nd.cpu())


def submit_ndarray_cpu_ops():
    _submit_ops(nd.cpu())


def submit_ndarray_cpu_reductions():
    _submit_reductions(nd.cpu())


def submit_ndarray_cpu_matmul():
    _submit_matmul(nd.cpu())


def submit_ndarray_cuda_compact_setitem():
    _submit_compact_setitem(nd.cuda())


def submit_ndarray_cuda_ops():
    _submit_ops(nd.cuda())


def submit_ndarray_cuda_reductions():
    _submit_reductions(nd.cuda())


def submit_ndarray_cuda_matmul():
    _submit_matmul(nd.cuda())
