"""What several test files of homework 2 do: random inputs, NumPy formulas, modules against them."""

import sys

sys.path.append("./python")

import needle as ndl
import numpy as np
from course_testing import assert_close, assert_gradients_close, assert_like
from needle import nn


def normal(*shape, seed=0, scale=1.0):
    return scale * np.random.RandomState(seed).randn(*shape)


def check_module(problem, module, x, formula, params=()):
    """Compare `module(x)` and all its gradients with `formula(x, *params)` in float64.

    `params` are the module's Parameters in the order in which `formula` takes them.
    """
    x32 = x.astype("float32")
    inputs = ndl.Tensor(x32)
    output = module(inputs)
    arrays = [x32.astype("float64"), *[param.numpy().astype("float64") for param in params]]
    desired = formula(*arrays)
    assert_close(output, desired, problem=problem, dtype="float32", rtol=1e-5)
    weights = np.random.RandomState(9).uniform(0.5, 1.5, size=np.shape(desired))
    output.backward(ndl.Tensor(weights, dtype="float32"))
    grads = [value.grad for value in (inputs, *params)]
    for grad, array in zip(grads, arrays):
        assert_like(grad, array.shape, "float32", problem=problem, op="gradient")
    # Some gradients are 0 (of a bias before a normalization, say): float32 is about 1e-7 off there.
    tolerance = {"rtol": 2e-4, "atol": 1e-5}
    assert_gradients_close(formula, arrays, grads, weights=weights, problem=problem, **tolerance)


def draw_from_seed(seed, draw):
    """What `draw()` gives right after `numpy.random.seed(seed)`, and the next random number."""
    np.random.seed(seed)
    return draw(), np.random.rand()


def numpy_logsumexp(a, axes=None):
    peak = a.max(axis=axes, keepdims=True)
    total = np.exp(a - peak).sum(axis=axes)
    return np.log(total) + peak.reshape(total.shape)


def numpy_softmax(a, axes=None):
    e = np.exp(a - a.max(axis=axes, keepdims=True))
    return e / e.sum(axis=axes, keepdims=True)


def numpy_softmax_loss(logits, labels):
    return (numpy_logsumexp(logits, 1) - logits[np.arange(len(labels)), labels]).mean()


def numpy_normalize(x, axis, eps):
    return (x - x.mean(axis=axis, keepdims=True)) / np.sqrt(x.var(axis=axis, keepdims=True) + eps)


class Function(nn.Module):
    """An operator as a module, for `check_module`."""

    def __init__(self, function):
        super().__init__()
        self.forward = function
