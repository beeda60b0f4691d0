"""What operators and steps cost: calls of Python functions, arrays and memory, never seconds."""

import sys
import tracemalloc

import needle as ndl
import numpy as np
import pytest

CHAIN = 20
# Function of two Tensors: (calls forward, calls forward and back), each at most, for one operator.
OPERATORS = {
    "add": (lambda h, y: h + y, 5, 11),
    "multiply": (lambda h, y: h * y, 5, 22),
    "by a number": (lambda h, y: h * 1.5, 6, 18),
    "divide": (lambda h, y: h / y, 5, 27),
    "matmul": (lambda h, y: h @ y, 5, 46),
    "relu": (lambda h, y: ndl.relu(h), 5, 19),
    "exp": (lambda h, y: ndl.exp(h), 5, 16),
    "transpose": (lambda h, y: h.transpose(), 7, 20),
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


STEPS = {ndl.optim.SGD: (27, 4), ndl.optim.Adam: (30, 6)}


@pytest.mark.parametrize("kind", STEPS, ids=lambda kind: kind.__name__)
def test_a_step_costs_few_calls_and_arrays_for_each_parameter(kind):
    calls, arrays = STEPS[kind]
    parameters = [ndl.nn.Parameter(np.ones((512, 64)), dtype="float32") for _ in range(20)]
    for p in parameters:
        p.grad = ndl.init.ones_like(p)
    optimizer = kind(parameters)
    optimizer.step()
    assert python_calls(optimizer.step) <= calls * len(parameters) + 10
    alone = kind(parameters[:1])
    alone.step()
    tracemalloc.start()
    alone.step()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < arrays * 4 * 512 * 64  # the parameter, averages, and what lies between


def test_batch_normalization_goes_over_its_batch_thirteen_times(monkeypatch):
    """Forward and back: scale and root are taken of `dim` numbers, not of the whole batch."""
    x = ndl.Tensor(np.random.randn(50, 4), dtype="float32")
    layer, compute, sizes = ndl.nn.BatchNorm1d(4), ndl.autograd._compute, []

    def seen(op, arrays):
        result = compute(op, arrays)
        sizes.append(result.size if result.base is None else 0)  # a view costs nothing
        return result

    monkeypatch.setattr(ndl.autograd, "_compute", seen)
    layer(x).backward()
    assert sizes.count(x.numpy().size) <= 13
