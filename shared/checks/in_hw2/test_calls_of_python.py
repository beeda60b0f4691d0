"""What an operator costs beside its array's own work: calls of Python functions, never seconds."""

import sys

import needle as ndl
import numpy as np
import pytest

CHAIN = 20
# Function of two Tensors: (calls forward, calls forward and back), each at most, for one operator.
OPERATORS = {
    "add": (lambda h, y: h + y, 7, 16),
    "multiply": (lambda h, y: h * y, 7, 30),
    "divide": (lambda h, y: h / y, 7, 36),
    "matmul": (lambda h, y: h @ y, 7, 54),
    "relu": (lambda h, y: ndl.relu(h), 7, 25),
    "exp": (lambda h, y: ndl.exp(h), 6, 21),
    "transpose": (lambda h, y: h.transpose(), 8, 23),
}
ONCE = 60  # calls of a whole backward pass that no operator makes


def python_calls(function):
    """How many functions of Python run during function()."""
    count = 0

    def seen(frame, event, argument):
        nonlocal count
        count += event == "call"

    sys.setprofile(seen)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_costs_few_calls_of_python(name):
    function, forward, both = OPERATORS[name]
    x, y = (ndl.Tensor(np.ones((2, 2)), dtype="float32") for _ in "xy")
    adjoint = ndl.init.ones(2, 2)

    def chain():
        h = x
        for _ in range(CHAIN):
            h = function(h, y)
        return h

    with np.errstate(all="ignore"):
        assert python_calls(chain) <= forward * CHAIN + CHAIN + 1  # `function` is Python's too
        assert python_calls(lambda: chain().backward(adjoint)) <= (both + 1) * CHAIN + ONCE


def test_adjoints_of_many_uses_are_added_by_one_operator():
    x = ndl.Tensor(np.ones(3), dtype="float32")
    y = x * 1
    for _ in range(9):
        y = y + x * 1
    y.sum().backward()
    x.requires_grad = True
    np.testing.assert_array_equal(x.grad.numpy(), [10, 10, 10])
    z = x * x * x
    z.sum().backward()
    slope = x.grad
    slope.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 6)
