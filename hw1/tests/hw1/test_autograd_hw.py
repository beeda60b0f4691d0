"""Homework 1: what the operators compute.

Run from the homework's folder: `python3 -m pytest tests/hw1/test_autograd_hw.py -k forward`, and for
the whole homework `python3 -m pytest tests/hw1`. hw1_operators.py has the table of operators.
"""

import sys

sys.path.append("./python")

import needle as ndl
import numpy as np
import pytest
from course_testing import any_axes, assert_close
from hw1_operators import all_cases, tensors


@all_cases
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_forward(case, dtype):
    arrays = [array.astype(dtype) for array in case.arrays()]
    with any_axes("hw1/forward", case.name):
        result = case.needle(*tensors(arrays, dtype))
    desired = case.numpy(*[array.astype("float64") for array in arrays])
    assert_close(result, desired, problem="hw1/forward", op=case.name, dtype=dtype)


@all_cases
def test_forward_leaves_its_inputs_alone(case):
    inputs = tensors(case.arrays())
    before = [value.numpy() for value in inputs]
    case.needle(*inputs)
    for value, kept in zip(inputs, before):
        op = f"the input of {case.name}, afterwards (an operator leaves it as it is)"
        assert_close(value, kept, problem="hw1/forward", op=op)


@pytest.mark.parametrize("scalar", [2, 2.0, np.float64(2), np.float32(2), np.int64(2)], ids=repr)
def test_forward_with_any_kind_of_number_stays_float32(scalar):
    a = ndl.Tensor([[1.0, -3.0]], dtype="float32")
    for result, desired in (
        (a**scalar, [[1.0, 9.0]]),
        (a / scalar, [[0.5, -1.5]]),
        (a * scalar, [[2.0, -6.0]]),
        (a - scalar, [[-1.0, -5.0]]),
        (scalar * a, [[2.0, -6.0]]),
        (scalar - a, [[1.0, 5.0]]),
        (scalar / a, [[2.0, -2 / 3]]),
    ):
        assert_close(result, np.array(desired), problem="hw1/forward", dtype="float32")


def test_forward_of_subtraction_is_an_addition_of_a_negative():
    a, b = tensors([np.ones(3), 3 * np.ones(3)])
    difference = a - b
    assert_close(difference, -2 * np.ones(3), problem="hw1/forward", op="a - b", dtype="float32")
    assert isinstance(difference.op, ndl.ops.EWiseAdd)
    assert difference.inputs[0] is a
    assert isinstance(difference.inputs[1].op, ndl.ops.Negate)


def test_forward_of_constants_remembers_no_graph():
    a, b = tensors([np.ones((2, 2)), np.ones((2, 2))], requires_grad=False)
    result = a @ b
    assert result.is_leaf() and not result.requires_grad
    assert (result @ ndl.Tensor(np.ones((2, 2), "float32"))).requires_grad


@pytest.mark.parametrize(
    "compute, words",
    [
        (lambda a: a @ a, ["MatMul", "(2, 3)"]),
        (lambda a: a.reshape((4, 2)), ["Reshape", "(2, 3)"]),
        (lambda a: a.broadcast_to((2, 4)), ["BroadcastTo", "(2, 3)"]),
        (lambda a: a / ndl.Tensor(np.ones((2, 2))), ["EWiseDiv", "(2, 3)", "(2, 2)"]),
    ],
    ids=["matmul", "reshape", "broadcast_to", "divide"],
)
def test_forward_of_shapes_that_do_not_fit_names_operator_and_shapes(compute, words):
    with pytest.raises(ValueError) as failure:
        compute(ndl.Tensor(np.ones((2, 3))))
    for word in words:
        assert word in str(failure.value)


def submit_forward():
    import mugrade

    rng = mugrade.rng()
    a, b = tensors([rng.rand(3, 4) + 0.5, rng.rand(3, 4) + 0.5])
    c = ndl.Tensor(rng.randn(2, 3, 4), dtype="float32")
    d = ndl.Tensor(rng.randn(4, 2), dtype="float32")
    stack, column = tensors([rng.randn(2, 4, 2), rng.randn(3, 1)])
    for label, result in (
        ("power", ndl.power(a, b)),
        ("power_scalar", ndl.power_scalar(a, scalar=3)),
        ("divide", ndl.divide(a, b)),
        ("divide_scalar", ndl.divide_scalar(a, scalar=7)),
        ("transpose", ndl.transpose(c)),
        ("transpose of the first two axes", ndl.transpose(c, axes=(0, 1))),
        ("reshape", ndl.reshape(c, shape=(4, 6))),
        ("broadcast_to", ndl.broadcast_to(a, shape=(2, 3, 4))),
        ("summation", ndl.summation(c, axes=(0, 2))),
        ("matmul", ndl.matmul(c, d)),
        ("negate", ndl.negate(c)),
        ("log", ndl.log(a)),
        ("exp", ndl.exp(a)),
        ("matmul of two stacks", ndl.matmul(c, stack)),
        ("broadcast_to repeats a column", ndl.broadcast_to(column, shape=(3, 4))),
        ("summation over one axis", ndl.summation(c, axes=1)),
    ):
        mugrade.submit(result.numpy(), label=label)
