"""Homework 2: LogSumExp and LogSoftmax, at numbers of any size, with second derivatives."""

import sys

sys.path.append("./python")

import needle as ndl
import numpy as np
import pytest
from course_testing import any_axes, assert_close, assert_gradients_close, assert_like, slip, twice
from hw2_modules import (
    Function,
    check_module,
    differentiate_again,
    normal,
    numpy_logsumexp,
    numpy_softmax,
)

AXES = [None, 0, 1, -1, (0,), (1,), (0, 2), (1, 2), (-1, 0), (0, 1, 2)]


@pytest.mark.parametrize("axes", AXES, ids=str)
def test_op_logsumexp_forward_and_backward(axes):
    def copies(out_grad, a):
        kept = numpy_softmax(a, axes).sum(axis=axes, keepdims=True).shape
        return [np.reshape(out_grad, kept) * np.ones_like(a)]

    op = Function(lambda a: ndl.logsumexp(a, axes=axes))
    with any_axes("hw2/op_logsumexp", f"axes={axes}"):
        check_module(
            "hw2/op_logsumexp",
            op,
            normal(3, 4, 2),
            lambda a: numpy_logsumexp(a, axes),
            slips={"every entry gets the whole adjoint: its share is the softmax": copies},
        )


@pytest.mark.parametrize("offset", [1e4, -1e4, 1e10], ids=str)
def test_op_logsumexp_of_huge_numbers(offset):
    a = (normal(3, 4) * 10 + offset).astype("float32")
    x = ndl.Tensor(a)
    y = ndl.logsumexp(x, axes=(1,))
    y.backward()
    exact = a.astype("float64")
    problem = "hw2/op_logsumexp"
    assert_close(y, numpy_logsumexp(exact, 1), problem=problem, dtype="float32")
    # float32 numbers of size 1e4 lie 1e-3 apart; so do their logarithmic sums.
    rough = {"rtol": 3e-3, "atol": 1e-6} if abs(offset) < 1e6 else {"rtol": 1.0, "atol": 1.0}
    assert_close(x.grad, numpy_softmax(exact, 1), problem=problem, op="gradient", **rough)
    assert np.isfinite(x.grad.numpy()).all()


def test_op_logsumexp_drops_the_reduced_axes():
    x = ndl.Tensor(normal(3, 4, 2))
    for axes, shape in ((1, (3, 2)), ((0, 2), (4,)), (None, ())):
        assert_like(
            ndl.logsumexp(x, axes=axes), shape, problem="hw2/op_logsumexp", op=f"axes={axes}"
        )


def test_op_logsumexp_twice_differentiated():
    a, move = normal(2, 3), normal(2, 3, seed=1)
    x = ndl.Tensor(a)
    ndl.logsumexp(x, axes=(1,)).backward()
    second = differentiate_again(x, move)
    p = numpy_softmax(a, 1)
    wanted = p * move - p * (p * move).sum(axis=1, keepdims=True)
    assert_close(second, twice(wanted), problem="hw2/op_logsumexp", op="second derivative")


def submit_op_logsumexp():
    import mugrade

    rng = mugrade.rng()
    for axes, scale in ((None, 1.0), ((1,), 1.0), ((0, 2), 5.0), ((2,), 100.0), (1, 1.0)):
        x = ndl.Tensor(scale * rng.rand(3, 4, 2), dtype="float32")
        y = ndl.logsumexp(x, axes=axes)
        y.backward(ndl.Tensor(rng.rand(*y.shape) + 0.5, dtype="float32"))
        mugrade.submit(y.numpy(), label=f"axes {axes}: forward")
        mugrade.submit(x.grad.numpy(), label=f"axes {axes}: gradient")
    x = ndl.Tensor(1e3 * rng.randn(3, 4), dtype="float32")
    mugrade.submit(ndl.logsumexp(x, axes=(1,)).numpy(), label="large numbers")
    x = ndl.Tensor(rng.randn(3, 4))
    ndl.logsumexp(x, axes=(1,)).backward(ndl.Tensor(rng.rand(3) + 0.5))
    mugrade.submit(differentiate_again(x, rng.randn(3, 4)), label="second derivative")


def numpy_logsoftmax(a):
    right = a - numpy_logsumexp(a, 1)[:, None]
    right = slip("this is the softmax: its logarithm is asked", right, np.exp(right))

    def across():
        peak = a.max(axis=1, keepdims=True)
        with np.errstate(divide="ignore"):
            return a - peak - np.log(np.exp(a - peak).sum(axis=0))

    right = slip("exp is summed over the samples, axis 0: over the classes", right, across)
    name = "the sum goes over axis 0: over the classes, axis 1"
    return slip(name, right, lambda: a - numpy_logsumexp(a, 0))


LOGSOFTMAX_SLIPS = {
    "the incoming gradient must be summed over the row": lambda g, a: [g - numpy_softmax(a, 1)],
    "a sign: the softmax times the row's sum is subtracted": lambda g, a: [
        g + numpy_softmax(a, 1) * g.sum(axis=1, keepdims=True)
    ],
}


@pytest.mark.parametrize("shape", [(3, 4), (1, 5), (4, 1), (6, 2)], ids=str)
def test_op_logsoftmax_forward_and_backward(shape):
    op, x = Function(ndl.logsoftmax), normal(*shape)
    check_module("hw2/op_logsoftmax", op, x, numpy_logsoftmax, slips=LOGSOFTMAX_SLIPS)


@pytest.mark.parametrize("scale", [1e4, 1e5], ids=str)
def test_op_logsoftmax_of_huge_numbers(scale):
    a = normal(3, 4, scale=scale).astype("float32")
    x = ndl.Tensor(a)
    y = ndl.logsoftmax(x)
    y.backward(ndl.Tensor(normal(3, 4, seed=1), dtype="float32"))
    wanted = numpy_logsoftmax(a.astype("float64"))
    assert_close(y, wanted, problem="hw2/op_logsoftmax", dtype="float32")
    assert np.isfinite(x.grad.numpy()).all()


def test_op_logsoftmax_twice_differentiated():
    a, weights, move = normal(2, 3), normal(2, 3, seed=1), normal(2, 3, seed=2)
    x = ndl.Tensor(a)
    ndl.logsoftmax(x).backward(ndl.Tensor(weights))
    second = differentiate_again(x, move)

    def slope(a):
        gradient = weights - weights.sum(axis=1, keepdims=True) * numpy_softmax(a, 1)
        return (gradient * move).sum()

    slips = {twice.sentence: lambda _, a: [np.zeros_like(a)]}
    problem = "hw2/op_logsoftmax"
    assert_gradients_close(slope, [a], [second], problem=problem, op="its gradient", slips=slips)


def submit_op_logsoftmax():
    import mugrade

    rng = mugrade.rng()
    for shape, scale in (((4, 5), 1.0), ((2, 7), 20.0)):
        x = ndl.Tensor(scale * rng.randn(*shape), dtype="float32")
        y = ndl.logsoftmax(x)
        y.backward(ndl.Tensor(rng.rand(*shape), dtype="float32"))
        mugrade.submit(y.numpy(), label=f"{shape}: forward")
        mugrade.submit(x.grad.numpy(), label=f"{shape}: gradient")
    x = ndl.Tensor(1e3 * rng.randn(3, 4), dtype="float32")
    mugrade.submit(ndl.logsoftmax(x).numpy(), label="large numbers")
    x = ndl.Tensor(rng.randn(3, 4))
    ndl.logsoftmax(x).backward(ndl.Tensor(rng.rand(3, 4)))
    mugrade.submit(differentiate_again(x, rng.randn(3, 4)), label="second derivative")
