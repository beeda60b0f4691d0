"""Homework 1: reverse-mode differentiation of whole graphs."""

import gc
import sys
from itertools import pairwise

sys.path.append("./python")

import needle as ndl
import numpy as np
import pytest
from course_testing import assert_close, assert_constant, assert_gradients_close, assert_like, slip
from hw1_operators import (
    SMALL_CASES,
    assert_second,
    hessian_times,
    sum_all,
    tensors,
    weights_for,
)
from needle import autograd

PROBLEM = "hw1/compute_gradient"


def test_compute_gradient_of_a_value_used_twice_is_the_sum_over_its_uses():
    """Why gradients are summed: y = x * x + 3 x has two edges from x * x and one from 3 x."""
    x = ndl.Tensor([5.0])
    y = x * x + 3 * x
    y.backward()
    uses = [3.0, 5.0, 5.0]
    slope = slip("only one use of x counts: the adjoints of all uses add up", sum(uses), uses[-1])
    slope = slip("only the first use of x counts: the adjoints of all uses add up", slope, uses[0])
    slope = slip("the mean over the uses of x: their adjoints add up", slope, sum(uses) / 3)
    assert_close(x.grad, np.array([slope]), problem=PROBLEM, op="dy/dx of x * x + 3 x")


def test_compute_gradient_goes_on_only_when_a_node_knows_its_whole_adjoint():
    """Why topological order: h is used by the output directly and, later on, through g.

    A pass that goes on from h as soon as its first adjoint arrives gets dx wrong.
    """
    x = ndl.Tensor([2.0])
    h = x * x
    g = h * h
    y = h + g * h
    y.backward()
    slope = 1 + 3 * 4.0**2
    name = "the pass goes on from h before g has reported: in topological order"
    slope = slip(name, slope, 1.0 + 4.0**2)
    slope = slip("the pass goes on from h with its first adjoint: in topological order", slope, 1.0)
    assert h.grad is not None, f"{PROBLEM}: no gradient is kept at a node on the way: at every one"
    assert_close(h.grad, np.array([slope]), problem=PROBLEM, op="dy/dh of h + h^3")
    assert_close(x.grad, np.array([slope * 4]), problem=PROBLEM, op="dy/dx")


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
        assert node.grad is not None, (
            f"{PROBLEM}: no gradient is kept at a node on the way: at every one"
        )
        assert_close(node.grad, np.array([desired]), problem=PROBLEM)


def test_compute_gradient_reaches_nodes_that_no_variable_names():
    a, b = ndl.Tensor([2.0]), ndl.Tensor([3.0])
    y = (a * b + 1) * 5
    y.backward()
    for node in autograd.find_topo_sort([y]):
        kind = type(node.op).__name__ if node.op else "a leaf"
        assert node.grad is not None, f"{PROBLEM}: no gradient is kept at {kind}: at every node"
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
    kept = 0
    for factor in (2, 5):
        (factor * x).backward()
        name = "the gradient of an earlier pass is added: a new pass replaces it"
        wanted = slip(name, factor, factor + kept)
        assert_close(x.grad, np.array([wanted]), problem=PROBLEM, op="a second backward")
        kept = wanted


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
    assert grad_x2.requires_grad and not grad_x2.is_leaf(), (
        f"{PROBLEM}: a gradient that is a constant cannot be differentiated again: keep its graph"
    )
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
    wanted = hessian_times(case, arrays, weights, moves)
    assert_second([x.grad for x in inputs], arrays, wanted, problem=PROBLEM, op=case.name)


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
    for _ in range(200):
        y = CountingAdd()(y, y) * 0.5
    CountingAdd.calls = 0
    y.backward()
    assert CountingAdd.calls == 200, (
        f"{PROBLEM}: {CountingAdd.calls} gradients were asked for at 200 nodes: one at each"
    )
    assert_close(x.grad, np.array([1.0]), problem=PROBLEM)


def test_compute_gradient_works_in_lazy_mode(monkeypatch):
    monkeypatch.setattr(autograd, "LAZY_MODE", True)
    x = ndl.Tensor([3.0])
    y = x * x + x
    assert y.cached_data is None
    y.backward()
    assert_close(x.grad, np.array([7.0]), problem=PROBLEM)


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
    for step in range(1000):
        training_step(weights, random)
        if step % 50 == 0:  # counting goes through everything that Python holds
            alive.append(autograd.TENSOR_COUNTER)
    assert_constant(alive[1:], PROBLEM, "something outside of the pass keeps its graph alive")


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
    weights = tensors([rng.randn(4, 3)])[0]
    mugrade.submit([growth(weights, rng), weights.numpy()], label="the memory that a step keeps")


def growth(weights, rng):
    """How many Values each of a few training steps leaves behind, after the first."""
    alive = []
    for _ in range(4):
        training_step(weights, rng)
        gc.collect()
        alive.append(autograd.TENSOR_COUNTER)
    return [later - earlier for earlier, later in pairwise(alive)]
