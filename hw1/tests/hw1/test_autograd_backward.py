"""Homework 1: the gradients of the operators, judged without the reverse pass."""

import sys

sys.path.append("./python")

import needle as ndl
import numpy as np
import pytest
from course_testing import (
    assert_close,
    assert_directional_gradient,
    assert_gradients_close,
    assert_like,
)
from hw1_operators import (
    POSITIVE,
    SMALL_CASES,
    Case,
    all_cases,
    assert_second,
    broadcast,
    hessian_times,
    pull_back,
    shapes_of,
    sum_all,
    summed,
    tensors,
    weights_for,
)


@all_cases
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_backward(case, dtype):
    arrays = [array.astype(dtype) for array in case.arrays()]
    inputs = tensors(arrays, dtype)
    output = case.needle(*inputs)
    weights = weights_for(output.numpy()).astype(dtype)
    with shapes_of(case):
        grads = output.op.gradient_as_tuple(ndl.Tensor(weights, dtype=dtype), output)
    for number, (grad, array) in enumerate(zip(grads, arrays)):
        name = f"{case.name}.gradient of input {number}"
        assert_like(grad, array.shape, dtype, problem="hw1/backward", op=name)
    assert_gradients_close(
        case.numpy,
        arrays,
        grads,
        weights=weights,
        problem="hw1/backward",
        op=case.name,
        slips=case.slips,
    )


@pytest.mark.parametrize(
    "case",
    [
        Case("matmul", ndl.matmul, np.matmul, (6, 6, 5, 4), (6, 6, 4, 3)),
        Case("matmul", ndl.matmul, np.matmul, (6, 6, 5, 4), (4, 3)),
        Case("matmul", ndl.matmul, np.matmul, (5, 4), (6, 6, 4, 3)),
        Case("broadcast_to", *broadcast((7, 5, 20, 30)), (5, 1, 30)),
        Case("sum", *summed((1, 3)), (7, 5, 20, 30)),
        Case("divide", ndl.divide, lambda a, b: a / b, (40, 50), (40, 50), **POSITIVE),
        Case("power", ndl.power, lambda a, b: a**b, (40, 50), (40, 50), **POSITIVE),
    ],
    ids=repr,
)
def test_backward_of_large_inputs_along_random_directions(case):
    arrays = case.arrays()
    inputs = tensors(arrays, "float64")
    output = case.needle(*inputs)
    weights = weights_for(output.numpy())
    grads = output.op.gradient_as_tuple(ndl.Tensor(weights), output)
    assert_directional_gradient(
        case.numpy, arrays, grads, weights=weights, problem="hw1/backward", op=case.name
    )


@pytest.mark.parametrize("case", SMALL_CASES, ids=repr)
def test_backward_of_a_gradient_is_the_hessian(case):
    arrays = case.arrays()
    inputs = tensors(arrays, "float64")
    output = case.needle(*inputs)
    weights = weights_for(output.numpy())
    grads = pull_back(output, ndl.Tensor(weights), inputs)
    moves = [weights_for(array, seed=3 + k) for k, array in enumerate(arrays)]
    slope = sum_all([(g * ndl.Tensor(move)).sum() for g, move in zip(grads, moves)])
    second = pull_back(slope, ndl.Tensor(np.array(1.0)), inputs)
    wanted = hessian_times(case, arrays, weights, moves)
    assert_second(second, arrays, wanted, problem="hw1/backward", op=case.name)


@pytest.mark.parametrize(
    "name, function, derivatives",
    [
        ("x^5", lambda x: x**5, [lambda x: 5 * x**4, lambda x: 20 * x**3, lambda x: 60 * x**2]),
        ("exp(x)", ndl.exp, [np.exp, np.exp, np.exp]),
        ("log(x)", ndl.log, [lambda x: 1 / x, lambda x: -1 / x**2, lambda x: 2 / x**3]),
        (
            "1/x",
            lambda x: ndl.divide(ndl.Tensor(np.ones(3)), x),
            [lambda x: -1 / x**2, lambda x: 2 / x**3, lambda x: -6 / x**4],
        ),
    ],
    ids=["power", "exp", "log", "divide"],
)
def test_backward_three_times(name, function, derivatives):
    x = ndl.Tensor(np.array([0.5, 1.0, 1.7]))
    y = function(x)
    for order, derivative in enumerate(derivatives, start=1):
        (y,) = pull_back(y, ndl.Tensor(np.ones(3)), [x])
        assert_close(
            y, derivative(x.numpy()), problem="hw1/backward", op=f"derivative {order} of {name}"
        )


def test_backward_of_broadcasting_is_a_sum_over_the_copies():
    """What broadcasting does to a gradient: each copy was used, so the uses add up."""
    row = ndl.Tensor([[1.0, 2.0, 3.0]])
    table = row.broadcast_to((2, 3))
    out_grad = ndl.Tensor([[1.0, 10.0, 100.0], [2.0, 20.0, 200.0]])
    (grad,) = table.op.gradient_as_tuple(out_grad, table)
    assert_close(grad, np.array([[3.0, 30.0, 300.0]]), problem="hw1/backward", op="BroadcastTo")

    number = ndl.Tensor(5.0)
    table = number.broadcast_to((2, 3))
    (grad,) = table.op.gradient_as_tuple(out_grad, table)
    assert_close(grad, np.array(333.0), problem="hw1/backward", op="BroadcastTo of a number")


def submit_backward():
    import mugrade

    rng = mugrade.rng()
    a, b = tensors([rng.rand(3, 4) + 0.5, rng.rand(3, 4) + 0.5])
    c = ndl.Tensor(rng.randn(2, 3, 4), dtype="float32")
    d = ndl.Tensor(rng.randn(4, 2), dtype="float32")
    vector = ndl.Tensor(rng.randn(4), dtype="float32")
    one, many = tensors([rng.randn(1, 3, 4), rng.randn(5, 4, 2)])
    for label, result in (
        ("power", ndl.power(a, b)),
        ("power_scalar", ndl.power_scalar(a, scalar=3)),
        ("divide", ndl.divide(a, b)),
        ("divide_scalar", ndl.divide_scalar(a, scalar=7)),
        ("transpose", ndl.transpose(c, axes=(0, 1))),
        ("reshape", ndl.reshape(c, shape=(4, 6))),
        ("broadcast_to", ndl.broadcast_to(d.reshape((4, 1, 2)), shape=(3, 4, 5, 2))),
        ("summation", ndl.summation(c, axes=(0, 2))),
        ("summation over the last axis", ndl.summation(c, axes=-1)),
        ("matmul", ndl.matmul(c, d)),
        ("matmul of a batch of one and a batch", ndl.matmul(one, many)),
        ("negate", ndl.negate(a)),
        ("log", ndl.log(a)),
        ("exp", ndl.exp(a)),
        ("broadcast_to of a vector", ndl.broadcast_to(vector, shape=(3, 4))),
    ):
        out_grad = ndl.Tensor(rng.randn(*result.shape), dtype="float32")
        grads = result.op.gradient_as_tuple(out_grad, result)
        mugrade.submit([grad.numpy() for grad in grads], label=label)
    x = ndl.Tensor(rng.rand(3) + 0.5)
    for label, function in (("power_scalar", lambda x: x**3), ("exp", ndl.exp), ("log", ndl.log)):
        y = function(x)
        (slope,) = pull_back(y, ndl.Tensor(rng.randn(3)), [x])
        (second,) = pull_back(slope, ndl.Tensor(rng.randn(3)), [x])
        second = np.zeros(3) if second is None else second.numpy()
        mugrade.submit(second, label=f"second derivative of {label}")
