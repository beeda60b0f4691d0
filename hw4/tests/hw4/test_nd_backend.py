"""Homework 4, the operators of homework 1 and 2 on NDArray, and tanh, stack and split."""

import numpy as np
import pytest
from course_testing import assert_close, slip
from hw4_oracles import (
    DEVICES,
    GRADED_DEVICE,
    cases,
    check_backward,
    check_backward_twice,
    check_forward,
    every_device,
    ndl,
    normal,
    only_with_cpu,
    tensor,
)
from hypothesis import given, settings
from hypothesis import strategies as st

PROBLEM = "hw4/new_nd_backend"
check = {"problem": PROBLEM}


def stacked(axis):
    """np.stack of the parts along an axis."""

    def function(*parts):
        right = np.stack(parts, axis)
        first, modulo = np.stack(parts, 0), axis % parts[0].ndim
        if modulo == 0 and axis:
            name = "along axis 0: is the axis ignored, or counted among the parts' (the result has one more)?"
            return slip(name, right, first)
        if axis < 0:
            name = "a negative axis counts the parts' axes: the result has one more"
            right = slip(name, right, np.stack(parts, modulo))
        return slip("along axis 0: along the axis that was given", right, first) if axis else right

    return function


TANH = {
    "this is the gradient of a sigmoid, y (1 - y): 1 - y^2": lambda g, a: [
        g * np.tanh(a) * (1 - np.tanh(a))
    ],
    "the square is missing: 1 - y^2": lambda g, a: [g * (1 - np.tanh(a))],
    "of the input, not of the result: 1 - tanh(x)^2": lambda g, a: [g * (1 - a**2)],
}


def log_softmax(x):
    x = x - x.max(axis=1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


def logsumexp(axes):
    def function(x):
        peak = x.max(axis=axes, keepdims=True)
        total = np.exp(x - peak).sum(axis=axes)
        return np.log(total) + peak.reshape(total.shape)

    return function


# name -> (needle's operator, NumPy's, shapes of the inputs, are they positive?)
OPERATORS = {
    "power": (ndl.power, np.power, [(3, 4), (3, 4)], True),
    "power_scalar": (lambda a: ndl.power_scalar(a, 3), lambda a: a**3, [(4, 5)], False),
    "power_scalar_half": (lambda a: a**0.5, np.sqrt, [(4, 5)], True),
    "divide": (ndl.divide, np.divide, [(4, 5), (4, 5)], True),
    "divide_scalar": (lambda a: ndl.divide_scalar(a, 7), lambda a: a / 7, [(4, 5)], False),
    "negate": (ndl.negate, np.negative, [(4, 5)], False),
    "log": (ndl.log, np.log, [(4, 5)], True),
    "exp": (ndl.exp, np.exp, [(2, 3, 4)], False),
    "relu": (ndl.relu, lambda a: np.maximum(a, 0), [(4, 5)], False),
    "tanh": (ndl.tanh, np.tanh, [(2, 3, 4)], False),
    "transpose": (ndl.transpose, lambda a: a.swapaxes(-1, -2), [(2, 3, 4)], False),
    "transpose_01": (
        lambda a: ndl.transpose(a, (0, 1)),
        lambda a: a.swapaxes(0, 1),
        [(2, 3, 4)],
        False,
    ),
    "transpose_02": (
        lambda a: ndl.transpose(a, axes=(0, 2)),
        lambda a: a.swapaxes(0, 2),
        [(2, 3, 4)],
        False,
    ),
    "reshape": (lambda a: ndl.reshape(a, (6, 4)), lambda a: a.reshape(6, 4), [(2, 3, 4)], False),
    "reshape_transposed": (
        lambda a: ndl.reshape(ndl.transpose(a), (8, 3)),
        lambda a: a.swapaxes(1, 2).reshape(8, 3),
        [(2, 3, 4)],
        False,
    ),
    "broadcast_rows": (
        lambda a: ndl.broadcast_to(a, (4, 5)),
        lambda a: np.broadcast_to(a, (4, 5)),
        [(1, 5)],
        False,
    ),
    "broadcast_middle": (
        lambda a: ndl.broadcast_to(a, (2, 6, 4)),
        lambda a: np.broadcast_to(a, (2, 6, 4)),
        [(2, 1, 4)],
        False,
    ),
    "broadcast_new_axis": (
        lambda a: ndl.broadcast_to(a, (2, 4, 5)),
        lambda a: np.broadcast_to(a, (2, 4, 5)),
        [(4, 1)],
        False,
    ),
    "broadcast_vector": (
        lambda a: ndl.broadcast_to(a, (3, 5)),
        lambda a: np.broadcast_to(a, (3, 5)),
        [(5,)],
        False,
    ),
    "sum_all": (ndl.summation, np.sum, [(3, 4)], False),
    "sum_0": (lambda a: ndl.summation(a, axes=0), lambda a: a.sum(0), [(3, 4, 2)], False),
    "sum_1": (lambda a: ndl.summation(a, axes=(1,)), lambda a: a.sum(1), [(3, 4, 2)], False),
    "sum_02": (
        lambda a: ndl.summation(a, axes=(0, 2)),
        lambda a: a.sum((0, 2)),
        [(3, 4, 2)],
        False,
    ),
    "sum_last": (lambda a: ndl.summation(a, axes=-1), lambda a: a.sum(-1), [(3, 4, 2)], False),
    "matmul": (ndl.matmul, np.matmul, [(5, 4), (4, 3)], False),
    "matmul_tiles": (ndl.matmul, np.matmul, [(16, 8), (8, 24)], False),
    "matmul_transposed": (
        lambda a, b: ndl.transpose(a) @ ndl.transpose(b),
        lambda a, b: a.T @ b.T,
        [(4, 5), (3, 4)],
        False,
    ),
    "logsumexp_all": (ndl.logsumexp, logsumexp(None), [(3, 4)], False),
    "logsumexp_1": (lambda a: ndl.logsumexp(a, axes=1), logsumexp(1), [(3, 4)], False),
    "logsumexp_02": (
        lambda a: ndl.logsumexp(a, axes=(0, 2)),
        logsumexp((0, 2)),
        [(3, 4, 2)],
        False,
    ),
    "logsoftmax": (ndl.ops.logsoftmax, log_softmax, [(3, 5)], False),
    "stack_0": (
        lambda a, b: ndl.stack([a, b], axis=0),
        stacked(0),
        [(3, 4), (3, 4)],
        False,
    ),
    "stack_1": (
        lambda a, b, c: ndl.stack((a, b, c), axis=1),
        stacked(1),
        [(3, 4)] * 3,
        False,
    ),
    "stack_last": (
        lambda a, b: ndl.stack([a, b], axis=2),
        stacked(2),
        [(3, 4), (3, 4)],
        False,
    ),
    "stack_negative": (
        lambda a, b: ndl.stack([a, b], axis=-1),
        stacked(-1),
        [(3, 4), (3, 4)],
        False,
    ),
    "stack_same_twice": (
        lambda a: ndl.stack([a, a], axis=0),
        lambda a: np.stack([a, a]),
        [(3, 4)],
        False,
    ),
}
operators = pytest.mark.parametrize("name", list(OPERATORS))


def operator(name):
    build, oracle, shapes, positive = OPERATORS[name]
    arrays = [normal(*shape) for shape in shapes]
    return build, oracle, [np.abs(a) + 0.5 if positive else a for a in arrays]


@every_device
@operators
def test_forward(name, device):
    build, oracle, arrays = operator(name)
    result = build(*[tensor(array, device) for array in arrays])
    desired = oracle(*[array.astype("float64") for array in arrays])
    check_forward(result, desired, device, op=name, **check)


@every_device
@operators
def test_backward(name, device):
    build, oracle, arrays = operator(name)
    slips = TANH if name == "tanh" else None
    check_backward(build, oracle, arrays, device, op=name, slips=slips, **check)


@every_device
@operators
def test_backward_twice(name, device):
    build, oracle, arrays = operator(name)
    check_backward_twice(build, oracle, arrays, device, op=name, **check)


@every_device
@operators
def test_operator_on_a_view(name, device):
    """Inputs that are no compact arrays: the transpose of a transposed copy."""
    build, oracle, arrays = operator(name)
    views = [
        tensor(a.swapaxes(-1, -2), device).transpose() if a.ndim > 1 else tensor(a, device)
        for a in arrays
    ]
    desired = oracle(*[array.astype("float64") for array in arrays])
    check_forward(build(*views), desired, device, op=f"{name} of a view", **check)


# ---------------------------------------------------------------------------- values at the limits


@every_device
def test_relu_has_slope_zero_at_zero(device):
    x = tensor([[-1.0, 0.0, 2.0]], device)
    ndl.relu(x).backward()
    assert_close(x.grad, np.array([[0.0, 0.0, 1.0]], "float32"), op="ReLU.gradient", **check)


@every_device
def test_logsumexp_of_huge_numbers(device):
    x = tensor([[1e10, 1e10, -1e10], [3.0, -1e5, 2.0]], device)
    with np.errstate(over="raise"):
        result = ndl.logsumexp(x, axes=(1,))
    desired = [1e10, np.log(np.exp(3.0) + np.exp(2.0))]
    check_forward(result, np.array(desired), device, op="logsumexp", **check)


@every_device
def test_logsoftmax_of_huge_numbers(device):
    values = 1e5 * normal(4, 6)
    desired = log_softmax(values.astype("float64"))
    result = ndl.ops.logsoftmax(tensor(values, device))
    check_forward(result, desired, device, op="logsoftmax", **check)


@every_device
def test_tanh_stays_within_one(device):
    result = ndl.tanh(tensor([-100.0, -9.0, 0.0, 1e-4, 9.0, 100.0], device))
    desired = np.tanh([-100.0, -9.0, 0.0, 1e-4, 9.0, 100.0])
    check_forward(result, desired, device, op="tanh", **check)


# ----------------------------------------------------------------------------------- stack, split


@every_device
@cases(
    "shape,axis",
    [
        ((3, 4), 0),
        ((3, 4), 1),
        ((2, 3, 4), 1),
        ((2, 3, 4), 2),
        ((2, 3, 4), -1),
        ((1, 5), 0),
        ((5,), 0),
    ],
)
def test_split(shape, axis, device):
    values = normal(*shape)
    parts = ndl.split(tensor(values, device), axis=axis)
    assert isinstance(parts, ndl.TensorTuple) and len(parts) == shape[axis], (
        f"{PROBLEM}: split of {shape} along axis {axis} gave {len(parts)} parts: {shape[axis]}"
    )
    for k in range(shape[axis]):
        desired = np.take(values, k, axis=axis)
        check_forward(parts[k], desired, device, op=f"part {k} of split", **check)


@every_device
@cases("axis", [0, 1, 2])
def test_split_gradient_of_every_part(axis, device):
    def build(x):
        parts = ndl.split(x, axis)
        return sum((part * (k + 1.0) for k, part in enumerate(parts)), parts[0] * parts[1])

    def oracle(x):
        x = np.moveaxis(x, axis, 0)
        return x[0] * x[1] + np.tensordot(np.arange(1.0, len(x) + 1), x, axes=1)

    check_backward(build, oracle, [normal(3, 4, 2)], device, op="split", **check)
    check_backward_twice(build, oracle, [normal(3, 4, 2)], device, op="split", **check)


@every_device
def test_split_gradient_of_one_part_is_zero_elsewhere(device):
    x = tensor(normal(3, 4), device)
    ndl.split(x, 0)[1].sum().backward()
    desired = np.zeros((3, 4), "float32")
    desired[1] = 1
    assert_close(x.grad, desired, op="split", **check)


@every_device
def test_stack_gradient_is_a_tuple_of_the_inputs_gradients(device):
    parts = [tensor(normal(2, 3), device) for _ in range(4)]
    result = ndl.stack(parts, axis=1)
    adjoint = normal(2, 4, 3)
    (grads,) = result.op.gradient_as_tuple(tensor(adjoint, device), result)
    assert isinstance(grads, ndl.TensorTuple) and len(grads) == 4
    for k, grad in enumerate(grads.tuple()):
        assert_close(grad, adjoint[:, k], op=f"gradient of part {k} of stack", **check)


@pytest.mark.parametrize("device", DEVICES[:1])
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(shape=st.lists(st.integers(1, 4), min_size=1, max_size=4), data=st.data())
def test_stack_undoes_split(device, shape, data):
    axis = data.draw(st.integers(0, len(shape) - 1))
    values = np.arange(np.prod(shape), dtype="float32").reshape(shape)
    result = ndl.stack(ndl.split(tensor(values, device), axis), axis)
    assert_close(result, values, rtol=0, atol=0, op="stack of split", **check)


@only_with_cpu
def test_stack_on_the_default_device():
    """No device is named anywhere: constants and inputs must agree on one."""
    a, b = ndl.Tensor(normal(3, 3)), ndl.Tensor(normal(3, 3))
    result = ndl.stack([a @ b, b], axis=0).reshape((6, 3)).sum()
    result.backward()
    desired = np.ones((3, 3)) @ b.numpy().T
    assert_close(a.grad, desired, op="gradient through stack", **check)


# ------------------------------------------------------------------------------------- submission


def submit_new_nd_backend():
    import mugrade

    rng = mugrade.rng()
    for name, (build, _, shapes, positive) in OPERATORS.items():
        arrays = [rng.rand(*shape) + 0.5 if positive else rng.randn(*shape) for shape in shapes]
        inputs = [tensor(array, GRADED_DEVICE) for array in arrays]
        result = build(*inputs)
        adjoint = tensor(rng.randn(*result.shape), GRADED_DEVICE, requires_grad=False)
        result.backward(adjoint)
        mugrade.submit(result.numpy(), label=f"{name}, forward")
        for k, value in enumerate(inputs):
            mugrade.submit(value.grad.numpy(), label=f"{name}, gradient of input {k}")
    x = tensor(rng.randn(3, 4, 2), GRADED_DEVICE)
    for axis in range(3):
        for k, part in enumerate(ndl.split(x, axis)):
            mugrade.submit(part.numpy(), label=f"split over axis {axis}, part {k}")
    for axis in range(3):
        x = tensor(rng.randn(3, 4, 2), GRADED_DEVICE)
        parts = ndl.split(x, axis)
        sum((part * part * (k + 1.0) for k, part in enumerate(parts)), parts[0]).sum().backward()
        mugrade.submit(x.grad.numpy(), label=f"split over axis {axis}, gradient")
