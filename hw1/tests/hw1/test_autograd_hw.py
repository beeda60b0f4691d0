"""Homework 1: automatic differentiation.

Run from the homework's folder: `python3 -m pytest tests/hw1/test_autograd_hw.py -k forward`.
The oracles are NumPy in float64, finite differences of NumPy formulas, and Hessians measured by
numdifftools; none of them uses your code.
"""

import gc
import gzip
import sys

sys.path.append("./python")
sys.path.append("./apps")

import needle as ndl
import numdifftools
import numpy as np
import pytest
from course_testing import (
    assert_close,
    assert_directional_gradient,
    assert_gradients_close,
    assert_like,
)
from needle import autograd

# ------------------------------------------------------------------------------ the operator table


class Case:
    """One operator with its NumPy formula and the shapes to try it on.

    `low` and `high` bound the inputs: logarithms and powers want positive numbers, denominators
    must keep away from zero.
    """

    def __init__(self, name, needle, numpy, *shapes, low=-2.0, high=2.0):
        self.name, self.needle, self.numpy = name, needle, numpy
        self.shapes, self.low, self.high = shapes, low, high

    def __repr__(self):
        return self.name + "_" + "_".join("x".join(map(str, s)) or "number" for s in self.shapes)

    def arrays(self, seed=1):
        random = np.random.RandomState(seed)
        return [random.uniform(self.low, self.high, size=shape) for shape in self.shapes]


def summed(axes):
    return lambda a: a.sum(axes), lambda a: a.sum(axis=axes)


def broadcast(shape):
    return lambda a: a.broadcast_to(shape), lambda a: np.broadcast_to(a, shape)


def reshaped(shape):
    return lambda a: a.reshape(shape), lambda a: a.reshape(shape)


def swapped(axes, i, j):
    return lambda a: ndl.transpose(a, axes=axes), lambda a: np.swapaxes(a, i, j)


POSITIVE = {"low": 0.5, "high": 2.0}

CASES = [
    Case("power", ndl.power, lambda a, b: a**b, (2, 3), (2, 3), **POSITIVE),
    Case("power", ndl.power, lambda a, b: a**b, (), (), **POSITIVE),
    Case("power_scalar_3", lambda a: ndl.power_scalar(a, scalar=3), lambda a: a**3, (2, 3)),
    Case("power_scalar_2", lambda a: a**2, lambda a: a**2, ()),
    Case("power_scalar_-1.5", lambda a: a**-1.5, lambda a: a**-1.5, (4,), **POSITIVE),
    Case("divide", ndl.divide, lambda a, b: a / b, (2, 3), (2, 3), **POSITIVE),
    Case("divide", ndl.divide, lambda a, b: a / b, (), (), **POSITIVE),
    Case("divide_scalar", lambda a: ndl.divide_scalar(a, scalar=12), lambda a: a / 12, (2, 3)),
    Case("divide_scalar", lambda a: a / 0.7, lambda a: a / 0.7, ()),
    Case("transpose", *swapped(None, -1, -2), (2, 3)),
    Case("transpose", *swapped(None, -1, -2), (2, 3, 4)),
    Case("transpose_axes_0_1", *swapped((0, 1), 0, 1), (2, 3, 2)),
    Case("transpose_axes_1_2", *swapped((1, 2), 1, 2), (3, 2, 4)),
    Case("transpose_axes_0_-1", *swapped((0, -1), 0, -1), (2, 1, 3)),
    Case("transpose_axes_2_0", *swapped((2, 0), 0, 2), (3, 5, 4, 1)),
    Case("reshape_to_2x3", *reshaped((2, 3)), (6,)),
    Case("reshape_to_4x3x1", *reshaped((4, 3, 1)), (2, 6)),
    Case("reshape_to_number", *reshaped(()), (1, 1)),
    Case("broadcast_to_3x3x3", *broadcast((3, 3, 3)), (1, 3)),
    Case("broadcast_to_2x3", *broadcast((2, 3)), ()),
    Case("broadcast_to_3x3", *broadcast((3, 3)), (3, 1)),
    Case("broadcast_to_3x3", *broadcast((3, 3)), (1,)),
    Case("broadcast_to_4x3", *broadcast((4, 3)), (3,)),
    Case("broadcast_to_5x4x3", *broadcast((5, 4, 3)), (5, 4, 1)),
    Case("broadcast_to_2x4x3x5", *broadcast((2, 4, 3, 5)), (4, 1, 5)),
    Case("broadcast_to_2x3", *broadcast((2, 3)), (2, 3)),
    Case("broadcast_to_1x3", *broadcast((1, 3)), (1, 3)),
    Case("broadcast_to_1x3", *broadcast((1, 3)), (3,)),
    Case("sum_all", *summed(None), (2, 3)),
    Case("sum_all", *summed(None), ()),
    Case("sum_axis_0", *summed(0), (2, 3)),
    Case("sum_axis_1", *summed(1), (2, 3)),
    Case("sum_axis_-1", *summed(-1), (2, 3, 2)),
    Case("sum_axes_0_1", *summed((0, 1)), (5, 2, 1)),
    Case("sum_axes_0_-1", *summed((0, -1)), (2, 3, 4)),
    Case("sum_axes_1", *summed((1,)), (3, 4, 2)),
    Case("sum_axes_none_given", *summed(()), (2, 3)),
    Case("matmul", ndl.matmul, np.matmul, (2, 3), (3, 4)),
    Case("matmul", ndl.matmul, np.matmul, (2, 2, 3), (2, 3, 2)),
    Case("matmul", ndl.matmul, np.matmul, (2, 3, 2, 2), (2, 1)),
    Case("matmul", ndl.matmul, np.matmul, (1, 2), (2, 3, 2, 2)),
    Case("matmul", ndl.matmul, np.matmul, (2, 1, 2, 3), (1, 3, 3, 1)),
    Case("negate", ndl.negate, lambda a: -a, (2, 3)),
    Case("negate", ndl.negate, lambda a: -a, ()),
    Case("log", ndl.log, np.log, (2, 3), **POSITIVE),
    Case("log", ndl.log, np.log, (), **POSITIVE),
    Case("exp", ndl.exp, np.exp, (2, 3)),
    Case("exp", ndl.exp, np.exp, ()),
]

GIVEN = [  # complete in the handout: they show that the table and the checks are sound
    Case("add", ndl.add, lambda a, b: a + b, (2, 3), (2, 3)),
    Case("add_scalar", lambda a: a + 1.5, lambda a: a + 1.5, ()),
    Case("multiply", ndl.multiply, lambda a, b: a * b, (2, 3), (2, 3)),
    Case("mul_scalar", lambda a: a * 1.5, lambda a: a * 1.5, ()),
]

all_cases = pytest.mark.parametrize("case", CASES + GIVEN, ids=repr)


def tensors(arrays, dtype="float32", **kwargs):
    return [ndl.Tensor(array, dtype=dtype, **kwargs) for array in arrays]


# ----------------------------------------------------------------------------------------- forward


@all_cases
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_forward(case, dtype):
    arrays = [array.astype(dtype) for array in case.arrays()]
    result = case.needle(*tensors(arrays, dtype))
    desired = case.numpy(*[array.astype("float64") for array in arrays])
    assert_close(result, desired, problem="hw1/forward", op=case.name, dtype=dtype)


@all_cases
def test_forward_leaves_its_inputs_alone(case):
    inputs = tensors(case.arrays())
    before = [value.numpy() for value in inputs]
    case.needle(*inputs)
    for value, kept in zip(inputs, before):
        assert_close(value, kept, problem="hw1/forward", op=f"the input of {case.name}, afterwards")


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
    ):
        mugrade.submit(result.numpy(), label=label)


# ---------------------------------------------------------------------------------------- backward


def pull_back(output, out_grad, inputs):
    """The gradients of `output` with respect to `inputs`: a reverse pass of the tests' own.

    It needs nothing but each operator's `gradient`, so that operators can be judged before the
    homework's reverse pass is written. A node waits here until all its users have been handled.
    """
    users = {}

    def count(node):
        for value in node.inputs:
            users[value] = users.get(value, 0) + 1
            if users[value] == 1:
                count(value)

    count(output)
    adjoint, ready = {output: out_grad}, [output]
    while ready:
        node = ready.pop()
        if node.is_leaf():
            continue
        for value, grad in zip(node.inputs, node.op.gradient_as_tuple(adjoint[node], node)):
            adjoint[value] = adjoint[value] + grad if value in adjoint else grad
            users[value] -= 1
            if users[value] == 0:
                ready.append(value)
    return [adjoint.get(value) for value in inputs]


def weights_for(array, seed=2):
    """An incoming gradient in which no two entries are alike."""
    return np.random.RandomState(seed).uniform(0.5, 1.5, size=np.shape(array))


@all_cases
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_backward(case, dtype):
    arrays = [array.astype(dtype) for array in case.arrays()]
    inputs = tensors(arrays, dtype)
    output = case.needle(*inputs)
    weights = weights_for(output.numpy()).astype(dtype)
    grads = output.op.gradient_as_tuple(ndl.Tensor(weights, dtype=dtype), output)
    for number, (grad, array) in enumerate(zip(grads, arrays)):
        name = f"{case.name}.gradient of input {number}"
        assert_like(grad, array.shape, dtype, problem="hw1/backward", op=name)
    assert_gradients_close(
        case.numpy, arrays, grads, weights=weights, problem="hw1/backward", op=case.name
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


def hessian_times(case, arrays, weights, moves):
    """H @ moves for f = sum(weights * case), as a flat array; H measured by numdifftools."""
    sizes = np.cumsum([array.size for array in arrays])[:-1]

    def f(flat):
        parts = [part.reshape(a.shape) for part, a in zip(np.split(flat, sizes), arrays)]
        return float((weights * case.numpy(*parts)).sum())

    point = np.concatenate([array.ravel() for array in arrays])
    return numdifftools.Hessian(f)(point) @ np.concatenate([move.ravel() for move in moves])


SMALL_CASES = [case for case in CASES + GIVEN if sum(np.prod(s) for s in case.shapes) <= 12]


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
    flat = [np.zeros(a.size) if g is None else g.numpy().ravel() for g, a in zip(second, arrays)]
    assert_close(
        np.concatenate(flat),
        hessian_times(case, arrays, weights, moves),
        problem="hw1/backward",
        op=f"second derivative of {case.name}",
        rtol=1e-5,
        atol=1e-6,
    )


def sum_all(values):
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total


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
    for label, result in (
        ("power", ndl.power(a, b)),
        ("power_scalar", ndl.power_scalar(a, scalar=3)),
        ("divide", ndl.divide(a, b)),
        ("divide_scalar", ndl.divide_scalar(a, scalar=7)),
        ("transpose", ndl.transpose(c, axes=(0, 1))),
        ("reshape", ndl.reshape(c, shape=(4, 6))),
        ("broadcast_to", ndl.broadcast_to(d.reshape((4, 1, 2)), shape=(3, 4, 5, 2))),
        ("summation", ndl.summation(c, axes=(0, 2))),
        ("matmul", ndl.matmul(c, d)),
        ("negate", ndl.negate(a)),
        ("log", ndl.log(a)),
        ("exp", ndl.exp(a)),
        ("broadcast_to of a vector", ndl.broadcast_to(vector, shape=(3, 4))),
    ):
        out_grad = ndl.Tensor(rng.randn(*result.shape), dtype="float32")
        grads = result.op.gradient_as_tuple(out_grad, result)
        mugrade.submit([grad.numpy() for grad in grads], label=label)


# --------------------------------------------------------------------------------------- topo_sort


class CountingNode:
    """What a topological sort sees of a Value; it counts how often it is looked at."""

    looks = 0
    limit = None

    def __init__(self, name, *inputs):
        self.name, self._inputs = name, inputs

    def __repr__(self):
        return self.name

    def __hash__(self):
        return id(self)

    def __eq__(self, other):
        self.look()
        return self is other

    @classmethod
    def look(cls):
        CountingNode.looks += 1
        if cls.limit is not None and cls.looks > cls.limit:
            limit, CountingNode.limit = cls.limit, None
            pytest.fail(
                f"hw1/topo_sort: more than {limit} looks at the graph: each node must be visited "
                f"once, and what was visited be remembered in a set"
            )

    @property
    def inputs(self):
        self.look()
        return self._inputs

    @property
    def op(self):
        return None if not self._inputs else "some operator"

    def is_leaf(self):
        return not self._inputs


@pytest.fixture
def few_looks():
    """Sets how many looks at the graph are allowed in this test."""

    def allow(limit):
        CountingNode.looks, CountingNode.limit = 0, limit

    yield allow
    CountingNode.limit = None


def sort_deep_graph(root):
    """find_topo_sort([root]); a recursion that is too deep fails in one sentence."""
    try:
        return autograd.find_topo_sort([root])
    except RecursionError:
        too_deep = True
    if too_deep:
        pytest.fail(
            "hw1/topo_sort: RecursionError: a graph may be deeper than Python's call stack; "
            "keep the nodes in progress on a list of your own"
        )


def names(nodes):
    return " ".join(node.name for node in nodes)


def test_topo_sort_of_a_small_graph_by_its_values():
    a, b = ndl.Tensor([[2.0]]), ndl.Tensor([[5.0]])
    c = a * b + a
    order = [value.numpy().item() for value in autograd.find_topo_sort([c])]
    assert order == [2.0, 5.0, 10.0, 12.0]

    c = 3 * a * a + 4 * b * a - a
    order = [value.numpy().item() for value in autograd.find_topo_sort([c])]
    assert order == [2.0, 6.0, 12.0, 5.0, 20.0, 40.0, 52.0, -2.0, 50.0]


def test_topo_sort_returns_the_nodes_themselves():
    a, b = ndl.Tensor([1.0]), ndl.Tensor([2.0])
    product = a * b
    total = product + a
    order = autograd.find_topo_sort([total])
    assert [id(node) for node in order] == [id(node) for node in (a, b, product, total)]


def test_topo_sort_is_post_order_and_goes_from_left_to_right():
    a, b = CountingNode("a"), CountingNode("b")
    left, right = CountingNode("left", b), CountingNode("right", a)
    root = CountingNode("root", left, right)
    assert names(autograd.find_topo_sort([root])) == "b left a right root"


def test_topo_sort_puts_inputs_first_where_a_plain_walk_would_not():
    """Why topological order: `shared` is met early, on the short way, but used late as well."""
    shared = CountingNode("shared")
    late = CountingNode("late", shared)
    root = CountingNode("root", shared, late)
    assert names(autograd.find_topo_sort([root])) == "shared late root"
    root = CountingNode("root", late, shared)
    assert names(autograd.find_topo_sort([root])) == "shared late root"


def test_topo_sort_of_a_leaf_and_of_several_ends():
    a = CountingNode("a")
    x, y = CountingNode("x", a), CountingNode("y", a)
    assert names(autograd.find_topo_sort([a])) == "a"
    assert names(autograd.find_topo_sort([x, y])) == "a x y"
    assert names(autograd.find_topo_sort([y, x, y])) == "a y x"


def test_topo_sort_lists_an_input_used_twice_once():
    a = CountingNode("a")
    square = CountingNode("square", a, a)
    assert names(autograd.find_topo_sort([square])) == "a square"


@pytest.mark.parametrize("depth", [10, 1000])
def test_topo_sort_visits_each_node_of_a_tower_of_diamonds_once(depth, few_looks):
    """There are 2 ** depth ways through the tower, but only 3 * depth + 1 nodes."""
    top = CountingNode("start")
    for level in range(depth):
        left, right = CountingNode(f"left {level}", top), CountingNode(f"right {level}", top)
        top = CountingNode(f"top {level}", left, right)
    few_looks(limit=10 * (3 * depth + 1))
    order = sort_deep_graph(top)
    assert len(order) == 3 * depth + 1
    assert names(order[:4]) == "start left 0 right 0 top 0"


def test_topo_sort_of_a_chain_deeper_than_pythons_stack(few_looks):
    top = CountingNode("0")
    for level in range(1, 100_001):
        top = CountingNode(str(level), top)
    few_looks(limit=10 * 100_001)
    order = sort_deep_graph(top)
    assert [node.name for node in order] == [str(level) for level in range(100_001)]


def square_plus_itself(d):
    return d * d + d


def submit_topo_sort():
    import mugrade

    rng = mugrade.rng()
    a, b, c = (ndl.Tensor(rng.randn(1, 1)) for _ in range(3))
    for label, root in (
        ("sum of products", a * b + c * b + a),
        ("shared values", (a + b) * (a + b * 2) - (c + b)),
        ("reused result", square_plus_itself(a * c + b)),
    ):
        order = autograd.find_topo_sort([root])
        mugrade.submit(np.array([value.numpy().item() for value in order]), label=label)
    shared = a * b
    order = autograd.find_topo_sort([shared + c, shared * 2])
    mugrade.submit(np.array([value.numpy().item() for value in order]), label="two ends")


# -------------------------------------------------------------------------------- compute_gradient

PROBLEM = "hw1/compute_gradient"


def test_compute_gradient_of_a_value_used_twice_is_the_sum_over_its_uses():
    """Why gradients are summed: y = x * x + 3 x has two edges from x * x and one from 3 x."""
    x = ndl.Tensor([5.0])
    y = x * x + 3 * x
    y.backward()
    assert_close(x.grad, np.array([13.0]), problem=PROBLEM, op="dy/dx of x * x + 3 x")


def test_compute_gradient_goes_on_only_when_a_node_knows_its_whole_adjoint():
    """Why topological order: h is used by the output directly and, later on, through g.

    A pass that goes on from h as soon as its first adjoint arrives gets dx wrong.
    """
    x = ndl.Tensor([2.0])
    h = x * x
    g = h * h
    y = h + g * h
    y.backward()
    assert_close(h.grad, np.array([1 + 3 * 4.0**2]), problem=PROBLEM, op="dy/dh of h + h^3")
    assert_close(x.grad, np.array([(1 + 3 * 4.0**2) * 4]), problem=PROBLEM, op="dy/dx")


def test_compute_gradient_through_broadcasting_has_the_shape_of_the_input():
    """What broadcasting does to a gradient: a bias for two samples gets both their gradients."""
    x = ndl.Tensor([[1.0, 2.0], [3.0, 4.0]])
    bias = ndl.Tensor([10.0, 20.0])
    y = ((x + bias.broadcast_to((2, 2))) ** 2).sum()
    y.backward()
    desired = 2 * (np.array([1.0, 2.0]) + np.array([3.0, 4.0]) + 2 * np.array([10.0, 20.0]))
    assert_close(bias.grad, desired, problem=PROBLEM, op="gradient of the bias")


def test_compute_gradient_of_a_formula_with_every_operator():
    random = np.random.RandomState(0)
    arrays = [random.uniform(0.5, 1.5, size=shape) for shape in ((2, 3), (3, 4), (4,))]

    def needle_formula(a, b, c):
        d = (a @ b) / 3 + c.broadcast_to((2, 4))
        e = ndl.exp(-d).transpose() * ndl.log(d).reshape((4, 2))
        return (e**2 / d.reshape((4, 2)) + ndl.power(d, d).reshape((4, 2)) - 1).sum(axes=(0,))

    def numpy_formula(a, b, c):
        d = (a @ b) / 3 + c
        e = np.exp(-d).T * np.log(d).reshape(4, 2)
        return (e**2 / d.reshape(4, 2) + (d**d).reshape(4, 2) - 1).sum(axis=0)

    inputs = tensors(arrays, "float64")
    y = needle_formula(*inputs)
    assert_close(y, numpy_formula(*arrays), problem=PROBLEM, op="the formula itself")
    weights = np.array([1.0, -2.0])
    y.backward(ndl.Tensor(weights))
    grads = [value.grad for value in inputs]
    assert_gradients_close(numpy_formula, arrays, grads, weights=weights, problem=PROBLEM)


def test_compute_gradient_reaches_every_node_on_the_way():
    a, b = ndl.Tensor([2.0]), ndl.Tensor([3.0])
    product = a * b
    y = product + 1
    y.backward()
    for node, desired in ((y, 1.0), (product, 1.0), (a, 3.0), (b, 2.0)):
        assert_close(node.grad, np.array([desired]), problem=PROBLEM)


def test_compute_gradient_reaches_nodes_that_no_variable_names():
    a, b = ndl.Tensor([2.0]), ndl.Tensor([3.0])
    y = (a * b + 1) * 5
    y.backward()
    for node in autograd.find_topo_sort([y]):
        assert node.grad is not None, f"no gradient at {node.op or 'a leaf'}"
    total = y.inputs[0]
    assert_close(total.grad, np.array([5.0]), problem=PROBLEM)
    assert_close(total.inputs[0].grad, np.array([5.0]), problem=PROBLEM)


def test_compute_gradient_passes_constants_by():
    random = np.random.RandomState(0)
    x = ndl.Tensor(random.randn(4, 3), requires_grad=False)
    w = ndl.Tensor(random.randn(3, 2))
    (ndl.exp(x @ w) + x @ w).sum().backward()
    desired = x.numpy().T @ (np.exp(x.numpy() @ w.numpy()) + 1)
    assert_close(w.grad, desired, problem=PROBLEM, op="gradient of the weights")


def test_compute_gradient_replaces_the_gradient_of_an_earlier_pass():
    x = ndl.Tensor([3.0])
    for factor in (2, 5):
        (factor * x).backward()
        assert_close(x.grad, np.array([factor]), problem=PROBLEM, op="a second backward")


def test_compute_gradient_of_a_table_begins_with_ones():
    x = ndl.Tensor(np.ones((2, 3), "float32"))
    y = x * 4
    y.backward()
    assert_close(y.grad, np.ones((2, 3)), problem=PROBLEM, dtype="float32")
    assert_close(x.grad, np.full((2, 3), 4.0), problem=PROBLEM, dtype="float32")


def test_compute_gradient_of_a_gradient():
    x2, x3 = ndl.Tensor([6.0]), ndl.Tensor([0.0])
    y = x2 * x2 + x2 * x3
    y.backward()
    grad_x2, grad_x3 = x2.grad, x3.grad
    assert_close(grad_x2, np.array([12.0]), problem=PROBLEM)
    assert_close(grad_x3, np.array([6.0]), problem=PROBLEM)
    grad_x2.backward()
    assert_close(x2.grad, np.array([2.0]), problem=PROBLEM, op="d2y/dx2 dx2")
    assert_close(x3.grad, np.array([1.0]), problem=PROBLEM, op="d2y/dx2 dx3")
    grad_x3.backward()
    assert_close(x2.grad, np.array([1.0]), problem=PROBLEM, op="d2y/dx3 dx2")


@pytest.mark.parametrize("case", SMALL_CASES, ids=repr)
def test_compute_gradient_twice_gives_hessian_products(case):
    arrays = case.arrays()
    inputs = tensors(arrays, "float64")
    output = case.needle(*inputs)
    weights = weights_for(output.numpy())
    output.backward(ndl.Tensor(weights))
    moves = [weights_for(array, seed=3 + k) for k, array in enumerate(arrays)]
    slope = sum_all([(x.grad * ndl.Tensor(move)).sum() for x, move in zip(inputs, moves)])
    for value in inputs:
        value.grad = None
    slope.backward()
    flat = [np.zeros(x.shape) if x.grad is None else x.grad.numpy() for x in inputs]
    assert_close(
        np.concatenate([array.ravel() for array in flat]),
        hessian_times(case, arrays, weights, moves),
        problem=PROBLEM,
        op=f"second derivative of {case.name}",
        rtol=1e-5,
        atol=1e-6,
    )


def test_compute_gradient_of_a_loss_that_contains_a_gradient():
    """A gradient penalty: the loss is f + |df/dx|^2 with f = sum(x^3)."""
    array = np.array([0.5, -1.0, 2.0])
    x = ndl.Tensor(array)
    f = (x**3).sum()
    f.backward()
    loss = f + (x.grad * x.grad).sum() + (x.grad * x).sum()
    loss.backward()
    desired = 3 * array**2 + 36 * array**3 + 9 * array**2
    assert_close(x.grad, desired, problem=PROBLEM, op="gradient of f + |f'|^2 + f' x")


def test_compute_gradient_three_times():
    array = np.array([0.3, 1.1])
    x = ndl.Tensor(array)
    y = ndl.exp(x * x)
    e = np.exp(array**2)
    for order, desired in enumerate(
        [2 * array * e, (2 + 4 * array**2) * e, (12 * array + 8 * array**3) * e], start=1
    ):
        y.backward()
        y = x.grad
        assert_close(y, desired, problem=PROBLEM, op=f"derivative {order} of exp(x^2)")


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)], ids=str)
def test_compute_gradient_stays_float32(shape):
    x = ndl.Tensor(np.full(shape, 0.7), dtype="float32")
    y = ndl.exp(x * 2.0 - 1) / 3 + ndl.log(x) ** 2 - ndl.power(x, x)
    y.backward()
    a = 0.7
    slope = 2 * np.exp(2 * a - 1) / 3 + 2 * np.log(a) / a - a**a * (np.log(a) + 1)
    assert_close(x.grad, np.full(shape, slope), problem=PROBLEM, dtype="float32")
    x.grad.backward()
    assert_like(x.grad, shape, "float32", problem=PROBLEM, op="the second derivative")


class CountingAdd(ndl.TensorOp):
    """a + b, counting how often its gradient is asked for."""

    calls = 0

    def compute(self, a, b):
        return a + b

    def gradient(self, out_grad, node):
        CountingAdd.calls += 1
        return out_grad, out_grad


def test_compute_gradient_of_a_tower_of_diamonds_takes_one_step_a_node():
    x = ndl.Tensor([1.0])
    y = x
    for _ in range(1000):
        y = CountingAdd()(y, y) * 0.5
    CountingAdd.calls = 0
    y.backward()
    assert CountingAdd.calls == 1000
    assert_close(x.grad, np.array([1.0]), problem=PROBLEM)


def test_compute_gradient_of_a_chain_deeper_than_pythons_stack():
    x = ndl.Tensor([1.0])
    y = x
    for _ in range(100_000):
        y = y + 1
    y.backward()
    assert_close(x.grad, np.array([1.0]), problem=PROBLEM)


def test_compute_gradient_works_in_lazy_mode(monkeypatch):
    monkeypatch.setattr(autograd, "LAZY_MODE", True)
    x = ndl.Tensor([3.0])
    y = x * x + x
    assert y.cached_data is None
    y.backward()
    assert_close(x.grad, np.array([7.0]), problem=PROBLEM)


@pytest.fixture
def no_collector():
    """Python's cyclic garbage collector is off: only reference counts free memory."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def training_step(weights, random):
    x = ndl.Tensor(random.randn(5, 4).astype("float32"))
    hidden = ndl.exp((x @ weights) / 10)
    loss = (hidden * hidden).sum()
    loss.backward()
    weights.data = weights.data - 0.001 * weights.grad.data
    return hidden.grad, x.grad


def test_compute_gradient_in_a_training_loop_holds_a_constant_number_of_values(no_collector):
    random = np.random.RandomState(0)
    weights = ndl.Tensor(random.randn(4, 3).astype("float32"))
    alive = []
    for _ in range(1000):
        training_step(weights, random)
        alive.append(autograd.TENSOR_COUNTER)
    assert set(alive[1:]) == {alive[1]}, f"from {alive[1]} to {alive[-1]} Values"


def test_compute_gradient_releases_a_finished_graph(no_collector):
    before = autograd.TENSOR_COUNTER
    x = ndl.Tensor([1.0, 2.0])
    y = (x * x).sum()
    y.backward()
    x.grad.backward()
    assert before < autograd.TENSOR_COUNTER
    del x, y
    assert before == autograd.TENSOR_COUNTER


def test_compute_gradient_refuses_an_output_gradient_that_does_not_fit():
    x = ndl.Tensor(np.ones((2, 3), "float32"))
    y = x * 2
    with pytest.raises(ValueError, match=r"\(3, 2\).*\(2, 3\)"):
        y.backward(ndl.Tensor(np.ones((3, 2), "float32")))
    with pytest.raises(TypeError, match=r"float64.*float32"):
        y.backward(ndl.Tensor(np.ones((2, 3), "float64")))
    with pytest.raises(TypeError, match="ndarray"):
        y.backward(np.ones((2, 3), "float32"))
    y.backward(ndl.Tensor(np.ones((2, 3), "float32")))
    assert_close(x.grad, np.full((2, 3), 2.0), problem=PROBLEM, dtype="float32")


def test_compute_gradient_names_an_operator_without_gradient():
    class Floor(ndl.TensorOp):
        def compute(self, a):
            return np.floor(a)

    x = ndl.Tensor([1.5])
    (x * 2).backward()
    y = Floor()(x) * 2
    with pytest.raises(NotImplementedError, match="Floor has no gradient"):
        y.backward()


def test_compute_gradient_names_an_operator_whose_gradient_has_the_wrong_shape():
    x = ndl.Tensor(np.ones((2, 3)))
    y = x + ndl.Tensor(np.ones((1, 3)))  # NumPy broadcasts; needle wants broadcast_to
    with pytest.raises(ValueError, match=r"EWiseAdd.*\(2, 3\).*\(1, 3\)"):
        y.backward()


def submit_compute_gradient():
    import mugrade

    rng = mugrade.rng()
    a, b, c = tensors([rng.rand(3, 3) + 0.5 for _ in range(3)])
    results = {
        "products": (a @ b) * c,
        "quotients": (a / b + a * c) / (b + c),
        "exp and log": ndl.exp(a / 2) * ndl.log(b) + (a @ c).transpose(),
        "reused": (a @ a) @ (a + b) - a * a,
    }
    for label, result in results.items():
        for value in (a, b, c):
            value.grad = None
        result.sum().backward()
        grads = [value.grad for value in (a, b, c) if value.grad is not None]
        mugrade.submit([grad.numpy() for grad in grads], label=label)
    y = ((a @ b) * a).sum()
    y.backward()
    (a.grad * c).sum().backward()
    mugrade.submit(a.grad.numpy(), label="second derivative")
    inner = a * b
    y = inner + ndl.exp(inner / 4)  # inner is an input of y and lies behind another one
    y.backward(ndl.Tensor(rng.randn(3, 3), dtype="float32"))
    grads = [value.grad.numpy() for value in (a, b, inner)]
    mugrade.submit(grads, label="from a given adjoint, with a value on the way")


# -------------------------------------------------------------------------------- softmax_loss_ndl


def numpy_softmax_loss(logits, y_one_hot):
    peak = logits.max(axis=1, keepdims=True)
    normalizer = np.log(np.exp(logits - peak).sum(axis=1)) + peak[:, 0]
    return (normalizer - (logits * y_one_hot).sum(axis=1)).mean()


def logits_and_labels(samples=7, classes=4, seed=0):
    random = np.random.RandomState(seed)
    one_hot = np.eye(classes)[random.randint(classes, size=samples)]
    return random.randn(samples, classes), one_hot


def test_softmax_loss_ndl_is_the_mean_over_the_samples():
    from simple_ml import softmax_loss

    logits, one_hot = logits_and_labels()
    loss = softmax_loss(*tensors([logits, one_hot]))
    assert_close(
        loss,
        numpy_softmax_loss(logits.astype("float32").astype("float64"), one_hot),
        problem="hw1/softmax_loss_ndl",
        dtype="float32",
        lengths=logits.shape,
    )


def test_softmax_loss_ndl_of_equal_logits_is_the_log_of_the_number_of_classes():
    from simple_ml import softmax_loss

    _, one_hot = logits_and_labels(samples=5, classes=10)
    loss = softmax_loss(*tensors([np.zeros((5, 10)), one_hot]))
    assert_close(loss, np.log(10.0), problem="hw1/softmax_loss_ndl", lengths=(5, 10))


def test_softmax_loss_ndl_takes_labels_of_another_dtype():
    from simple_ml import softmax_loss

    logits, one_hot = logits_and_labels()
    loss = softmax_loss(ndl.Tensor(logits, dtype="float32"), ndl.Tensor(one_hot))
    assert_close(loss, numpy_softmax_loss(logits, one_hot), problem="hw1/softmax_loss_ndl")


def test_softmax_loss_ndl_has_a_gradient():
    from simple_ml import softmax_loss

    logits, one_hot = logits_and_labels()
    Z = ndl.Tensor(logits)
    softmax_loss(Z, ndl.Tensor(one_hot)).backward()
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert_close(
        Z.grad,
        (probabilities - one_hot) / len(logits),
        problem="hw1/softmax_loss_ndl",
        op="gradient",
        lengths=logits.shape,
    )


def test_softmax_loss_ndl_on_the_digits():
    from simple_ml import parse_mnist, softmax_loss

    X, y = parse_mnist("data/train-images-idx3-ubyte.gz", "data/train-labels-idx1-ubyte.gz")
    assert X.dtype == np.float32 and X.shape == (len(y), 784)
    assert X.min() == 0.0 and X.max() == 1.0
    one_hot = np.eye(10)[y[:50]]
    logits = X[:50] @ np.random.RandomState(0).randn(784, 10) / 28
    loss = softmax_loss(ndl.Tensor(logits), ndl.Tensor(one_hot))
    assert_close(loss, numpy_softmax_loss(logits, one_hot), problem="hw1/softmax_loss_ndl")


def test_softmax_loss_ndl_reads_idx_files_of_any_length(tmp_path):
    from simple_ml import parse_mnist

    pixels = np.arange(3 * 784, dtype=np.int64).reshape(3, 784) % 251
    header = b"".join(n.to_bytes(4, "big") for n in (2051, 3, 28, 28))
    with gzip.open(tmp_path / "images.gz", "wb") as file:
        file.write(header + pixels.astype(np.uint8).tobytes())
    with gzip.open(tmp_path / "labels.gz", "wb") as file:
        file.write((2049).to_bytes(4, "big") + (3).to_bytes(4, "big") + bytes([7, 0, 9]))
    X, y = parse_mnist(str(tmp_path / "images.gz"), str(tmp_path / "labels.gz"))
    assert_close(X, pixels / 255, problem="hw1/softmax_loss_ndl", op="images", dtype="float32")
    assert_close(y, np.array([7, 0, 9]), problem="hw1/softmax_loss_ndl", op="labels", dtype="uint8")


def submit_softmax_loss_ndl():
    import mugrade
    from simple_ml import softmax_loss

    rng = mugrade.rng()
    for samples, classes in ((8, 10), (3, 5), (1, 2)):
        one_hot = np.eye(classes)[rng.randint(classes, size=samples)]
        Z, y = tensors([rng.randn(samples, classes), one_hot])
        loss = softmax_loss(Z, y)
        loss.backward()
        mugrade.submit(loss.numpy(), label=f"loss of {samples} x {classes}")
        mugrade.submit(Z.grad.numpy(), label=f"gradient of {samples} x {classes}")


# ------------------------------------------------------------------------------------ nn_epoch_ndl


def test_nn_epoch_ndl_relu():
    a = np.array([[-2.0, -0.0, 0.0, 0.5], [3.0, -1e-3, 1e-3, -7.0]])
    x = ndl.Tensor(a, dtype="float32")
    y = ndl.relu(x)
    assert_close(y, np.maximum(a, 0), problem="hw1/nn_epoch_ndl", op="relu", dtype="float32")
    weights = weights_for(a)
    y.backward(ndl.Tensor(weights, dtype="float32"))
    assert_close(
        x.grad,
        weights * (a > 0),
        problem="hw1/nn_epoch_ndl",
        op="ReLU.gradient (0 at 0)",
        dtype="float32",
    )


def test_nn_epoch_ndl_relu_of_a_number():
    x = ndl.Tensor(np.float32(2.0))
    y = ndl.relu(x) * ndl.relu(x)
    y.backward()
    assert_close(x.grad, np.array(4.0), problem="hw1/nn_epoch_ndl", op="ReLU", dtype="float32")
    x.grad.backward()
    assert_close(x.grad, np.array(2.0), problem="hw1/nn_epoch_ndl", op="ReLU twice")


def numpy_nn_epoch(X, y, W1, W2, lr, batch):
    """The same epoch by hand, in float64."""
    X, W1, W2 = X.astype("float64"), W1.astype("float64"), W2.astype("float64")
    for first in range(0, len(X), batch):
        x, labels = X[first : first + batch], y[first : first + batch]
        hidden = x @ W1
        active = np.maximum(hidden, 0)
        logits = active @ W2
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        p = p / p.sum(axis=1, keepdims=True) - np.eye(W2.shape[1])[labels]
        dW2 = active.T @ p / len(x)
        dW1 = x.T @ ((p @ W2.T) * (hidden > 0)) / len(x)
        W1, W2 = W1 - lr * dW1, W2 - lr * dW2
    return W1, W2


def small_network(samples=40, features=6, hidden=5, classes=3, seed=0):
    random = np.random.RandomState(seed)
    X = random.randn(samples, features).astype("float32")
    y = random.randint(classes, size=samples).astype("uint8")
    W1 = random.randn(features, hidden).astype("float32") / np.sqrt(np.float32(hidden))
    W2 = random.randn(hidden, classes).astype("float32") / np.sqrt(np.float32(classes))
    return X, y, W1, W2


@pytest.mark.parametrize("lr, batch", [(0.2, 10), (1.0, 40), (0.1, 1)])
def test_nn_epoch_ndl_is_gradient_descent(lr, batch):
    from simple_ml import nn_epoch

    X, y, W1, W2 = small_network()
    desired = numpy_nn_epoch(X, y, W1, W2, lr, batch)
    result = nn_epoch(X, y, ndl.Tensor(W1), ndl.Tensor(W2), lr=lr, batch=batch)
    for name, actual, wanted in zip(("W1", "W2"), result, desired):
        assert_close(
            actual, wanted, problem="hw1/nn_epoch_ndl", op=name, dtype="float32", rtol=1e-4
        )


def test_nn_epoch_ndl_returns_new_weights_and_leaves_its_arguments_alone():
    from simple_ml import nn_epoch

    X, y, W1, W2 = small_network()
    first, second = ndl.Tensor(W1), ndl.Tensor(W2)
    kept = [array.copy() for array in (X, y, W1, W2)]
    new_first, new_second = nn_epoch(X, y, first, second, lr=0.5, batch=20)
    assert isinstance(new_first, ndl.Tensor) and isinstance(new_second, ndl.Tensor)
    for name, actual, wanted in zip(("X", "y", "W1", "W2"), (X, y, first, second), kept):
        assert_close(actual, wanted, problem="hw1/nn_epoch_ndl", op=f"{name}, afterwards")


def test_nn_epoch_ndl_holds_a_constant_number_of_values(no_collector):
    from simple_ml import nn_epoch

    X, y, W1, W2 = small_network()
    alive, weights = [], (ndl.Tensor(W1), ndl.Tensor(W2))
    for _ in range(5):
        weights = nn_epoch(X, y, *weights, lr=0.1, batch=5)
        alive.append(autograd.TENSOR_COUNTER)
    assert alive[1] == alive[-1], f"the Values of old steps are kept: {alive} after each epoch"


def test_nn_epoch_ndl_learns_the_digits():
    from simple_ml import loss_err, nn_epoch, parse_mnist

    X, y = parse_mnist("data/train-images-idx3-ubyte.gz", "data/train-labels-idx1-ubyte.gz")
    X, y = X[:6000], y[:6000]
    random = np.random.RandomState(0)
    W1 = ndl.Tensor(random.randn(784, 50).astype("float32") / np.sqrt(np.float32(50)))
    W2 = ndl.Tensor(random.randn(50, 10).astype("float32") / np.sqrt(np.float32(10)))
    losses = []
    for _ in range(2):
        W1, W2 = nn_epoch(X, y, W1, W2, lr=0.2, batch=100)
        loss, error = loss_err(ndl.relu(ndl.Tensor(X) @ W1) @ W2, y)
        losses.append(loss)
    assert losses[1] < losses[0] < np.log(10) and error < 0.15


def submit_nn_epoch_ndl():
    import mugrade
    from simple_ml import nn_epoch

    rng = mugrade.rng()
    mugrade.submit(ndl.relu(ndl.Tensor(rng.randn(3, 5))).numpy(), label="relu")
    for samples, batch, lr in ((30, 10, 0.2), (24, 24, 1.0), (20, 5, 0.05)):
        X = rng.randn(samples, 6).astype("float32")
        y = rng.randint(4, size=samples).astype("uint8")
        given = tensors([rng.randn(6, 5) / 2, rng.randn(5, 4) / 2])
        W1, W2 = nn_epoch(X, y, *given, lr=lr, batch=batch)
        mugrade.submit(W1.numpy(), label=f"W1 after batches of {batch}")
        mugrade.submit(W2.numpy(), label=f"W2 after batches of {batch}")
    mugrade.submit(given[0].numpy(), label="the given W1 afterwards")
