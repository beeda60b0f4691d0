"""Homework 4: padding, flipping and dilating."""

import numpy as np
from course_testing import assert_close, slip
from hw4_oracles import (
    GRADED_DEVICE,
    cases,
    check_backward,
    check_backward_twice,
    dilate,
    every_device,
    ndl,
    normal,
    one_device,
    sweep,
    tensor,
    undilate,
)
from hypothesis import given
from hypothesis import strategies as st

new_ops = {"problem": "hw4/new_ops"}


def same_values(result, desired, op):
    """Operators that only move numbers make no rounding errors."""
    assert_close(result, desired, op=op, rtol=0, atol=0, dtype="float32", **new_ops)


def padded(values, widths):
    """np.pad with zeros."""
    right = np.pad(values, widths)
    alike = [(before, before) for before, _ in widths]
    right = slip("padded at both ends by the first width", right, np.pad(values, alike))
    turned = [(after, before) for before, after in widths]
    return slip("the widths before and after are exchanged", right, np.pad(values, turned))


def flipped(values, axes):
    """np.flip; None means all axes."""
    right = np.flip(values, axes)
    every = np.flip(values)
    right = slip("all axes are flipped: only the given ones", right, every)
    chosen = range(values.ndim) if axes is None else axes
    late = values
    for axis in chosen:
        places = np.arange(values.shape[axis])[::-1] - 1
        late = np.take(late, places.clip(0), axis)
    return slip("the flip starts one element too early: at the last, n - 1", right, late)


PADDINGS = [
    ((10, 32, 8), ((0, 0), (2, 2), (0, 0))),
    ((2, 3), ((1, 0), (0, 2))),
    ((4,), ((3, 3),)),
    ((2, 3, 3, 2), ((0, 0), (1, 2), (2, 1), (0, 0))),
    ((2, 2), ((0, 0), (0, 0))),
]


@every_device
@cases("shape,widths", PADDINGS)
def test_pad_forward(shape, widths, device):
    """NDArray.pad."""
    values = normal(*shape)
    array = tensor(values, device).realize_cached_data()
    result = ndl.array_api.pad(array, widths)
    same_values(result, padded(values, widths), "NDArray.pad")
    same_values(array, values, "the array that was padded")


@every_device
def test_pad_forward_of_a_view(device):
    values = normal(3, 4)
    view = tensor(values, device).transpose().realize_cached_data()
    result = ndl.array_api.pad(view, ((1, 1), (0, 2)))
    same_values(result, np.pad(values.T, ((1, 1), (0, 2))), "NDArray.pad of a view")


@every_device
@cases("shape,widths", PADDINGS)
def test_op_pad_forward_and_gradient(shape, widths, device):
    values = normal(*shape)
    result = ndl.pad(tensor(values, device), widths)
    same_values(result, padded(values, widths), "pad")

    def other_ends(out_grad, a):
        kept = tuple(slice(after, after + n) for (_, after), n in zip(widths, a.shape))
        return [out_grad[kept]]

    check_backward(
        lambda a: ndl.pad(a, widths),
        lambda a: np.pad(a, widths),
        [values],
        device,
        op="pad",
        slips={"cut off at the other ends: as many as were added before and after": other_ends},
        **new_ops,
    )


@every_device
@cases(
    "widths",
    [
        ((-1, 0), (0, 0)),
        ((0, -2), (1, -1)),
        ((2, -2), (-3, 3)),
        ((-3, 2), (0, 0)),
        ((0, 0), (-4, 5)),
    ],
)
def test_op_pad_forward_with_negative_widths_cuts_off(widths, device):
    values = normal(3, 4)
    big = np.pad(values, 6)
    (top, bottom), (left, right) = widths
    desired = big[6 - top : 9 + bottom, 6 - left : 10 + right]
    result = ndl.pad(tensor(values, device), widths)
    same_values(result, desired, f"pad with {widths}")
    x = tensor(values, device)
    ndl.pad(x, widths).backward()
    kept = np.zeros((15, 16), "float32")
    kept[6 - top : 9 + bottom, 6 - left : 10 + right] = 1
    same_values(x.grad, kept[6:9, 6:10], "gradient of pad")


FLIPS = [
    ((10, 5), (0,)),
    ((10, 5), (1,)),
    ((10, 5), (0, 1)),
    ((2, 3, 4, 5), (1, 2)),
    ((2, 3, 4, 5), (0, 3)),
    ((3, 3, 6, 8), (0, 1)),
    ((1, 4), (0,)),
    ((5,), (0,)),
    ((2, 3, 4), (0, 1, 2)),
    ((2, 3, 4), None),
]


@every_device
@cases("shape,axes", FLIPS)
def test_flip_forward(shape, axes, device):
    values = normal(*shape)
    same_values(ndl.flip(tensor(values, device), axes=axes), flipped(values, axes), "flip")


@every_device
@cases("shape,axes", FLIPS)
def test_flip_backward(shape, axes, device):
    def build(a):
        return ndl.flip(a, axes=axes)

    check_backward(
        build,
        lambda a: np.flip(a, axes),
        [normal(*shape)],
        device,
        op="flip",
        slips={"the adjoint is not flipped back": lambda g, a: [g]},
        **new_ops,
    )
    check_backward_twice(
        build, lambda a: np.flip(a, axes), [normal(*shape)], device, op="flip", **new_ops
    )


@every_device
def test_flip_of_an_array_is_compact_and_a_copy(device):
    values = normal(4, 6)
    view = tensor(values, device).transpose().realize_cached_data()
    result = ndl.array_api.flip(view, (0,))
    same_values(result, np.flip(values.T, 0), "NDArray.flip of a view")
    if ndl.BACKEND == "nd":
        assert result.is_compact(), "NDArray.flip must compact its result"


@one_device
@sweep
@given(shape=st.lists(st.integers(1, 4), min_size=1, max_size=4), data=st.data())
def test_flip_sweep(device, shape, data):
    axes = tuple(data.draw(st.sets(st.integers(0, len(shape) - 1))))
    values = np.arange(np.prod(shape), dtype="float32").reshape(shape)
    same_values(ndl.flip(tensor(values, device), axes), np.flip(values, axes), "flip")


DILATIONS = [
    ((2, 5), 1, (0,)),
    ((2, 5), 2, (1,)),
    ((2, 5), 1, (0, 1)),
    ((2, 5), 0, (0, 1)),
    ((2, 2), 1, (2,)),
    ((2, 2, 3), 1, (0, 2)),
    ((1, 3, 3, 2), 1, (1, 2)),
    ((2, 4, 4, 1), 3, (1, 2)),
]


@every_device
@cases("shape,dilation,axes", DILATIONS)
def test_dilate_forward(shape, dilation, axes, device):
    values = normal(*shape)
    result = ndl.dilate(tensor(values, device), dilation=dilation, axes=axes)
    desired = dilate(values, axes, dilation)
    at_the_end = np.zeros_like(desired)
    at_the_end[tuple(slice(n) for n in shape)] = values
    desired = slip("the zeros stand at the end: between the elements", desired, at_the_end)
    same_values(result, desired, "dilate")


@every_device
@cases("shape,dilation,axes", DILATIONS)
def test_dilate_backward(shape, dilation, axes, device):
    def build(a):
        return ndl.dilate(a, dilation=dilation, axes=axes)

    def oracle(a):
        return dilate(a, axes, dilation)

    check_backward(build, oracle, [normal(*shape)], device, op="dilate", **new_ops)
    check_backward_twice(build, oracle, [normal(*shape)], device, op="dilate", **new_ops)


@every_device
@cases("shape,dilation,axes", [*DILATIONS, ((5, 7), 1, (0, 1)), ((4, 3), 2, (0,))])
def test_undilate(shape, dilation, axes, device):
    def build(a):
        return ndl.undilate(a, dilation=dilation, axes=axes)

    def oracle(a):
        return undilate(a, axes, dilation)

    values = normal(*shape)
    desired = slip("nothing is taken out: every (dilation + 1)-th element", oracle(values), values)
    same_values(build(tensor(values, device)), desired, "undilate")
    check_backward(build, oracle, [values], device, op="undilate", **new_ops)
    check_backward_twice(build, oracle, [values], device, op="undilate", **new_ops)


@one_device
@sweep
@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=4), by=st.integers(0, 3), data=st.data()
)
def test_undilate_undoes_dilate(device, shape, by, data):
    axes = tuple(data.draw(st.sets(st.integers(0, 4))))
    values = np.arange(np.prod(shape), dtype="float32").reshape(shape)
    result = ndl.undilate(ndl.dilate(tensor(values, device), axes, by), axes, by)
    same_values(result, values, "undilate of dilate")


def submit_new_ops():
    import mugrade

    rng = mugrade.rng()
    values = rng.randn(2, 3, 4).astype("float32")
    array = tensor(values, GRADED_DEVICE).realize_cached_data()
    padded = ndl.array_api.pad(array, ((1, 2), (0, 1), (2, 0)))
    mugrade.submit(ndl.Tensor(padded, device=GRADED_DEVICE).numpy(), label="NDArray.pad")
    operators = {
        "pad": lambda a: ndl.pad(a, ((1, 0), (2, 1), (0, 3))),
        "pad, cutting off": lambda a: ndl.pad(a, ((0, 0), (-1, 1), (1, -2))),
        "flip (0,)": lambda a: ndl.flip(a, axes=(0,)),
        "flip (1, 2)": lambda a: ndl.flip(a, axes=(1, 2)),
        "flip all": lambda a: ndl.flip(a, axes=None),
        "dilate 1 along (0, 2)": lambda a: ndl.dilate(a, axes=(0, 2), dilation=1),
        "dilate 2 along (1, 3)": lambda a: ndl.dilate(a, axes=(1, 3), dilation=2),
        "undilate 1 along (1, 2)": lambda a: ndl.undilate(a, axes=(1, 2), dilation=1),
    }
    for name, build in operators.items():
        x = tensor(rng.randn(2, 3, 4), GRADED_DEVICE)
        result = build(x)
        result.backward(tensor(rng.randn(*result.shape), GRADED_DEVICE, requires_grad=False))
        mugrade.submit(result.numpy(), label=f"{name}, forward")
        mugrade.submit(x.grad.numpy(), label=f"{name}, gradient")
