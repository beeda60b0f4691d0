"""What several test files of homework 2 do: random inputs, NumPy formulas, modules against them."""

import gc
import gzip
import sys
from itertools import pairwise

sys.path.append("./python")

import needle as ndl
import numpy as np
from course_testing import assert_close, assert_gradients_close, assert_like, slip
from needle import autograd, nn


def normal(*shape, seed=0, scale=1.0):
    return scale * np.random.RandomState(seed).randn(*shape)


def check_module(problem, module, x, formula, params=(), slips=None):
    """Compare `module(x)` and all its gradients with `formula(x, *params)` in float64.

    `params` are the module's Parameters in the order in which `formula` takes them, `slips` what is
    taken for their gradients by mistake, as in `assert_gradients_close`.
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
    for number, (grad, array) in enumerate(zip(grads, arrays)):
        assert grad is not None, (
            f"{problem}: {f'parameter {number - 1}' if number else 'the input'} got no gradient: is "
            "something computed outside of the graph (.data, .detach(), NumPy)?"
        )
        assert_like(grad, array.shape, "float32", problem=problem, op="gradient")
    # Some gradients are 0 (of a bias before a normalization, say): float32 is about 1e-7 off there.
    tolerance = {"rtol": 2e-4, "atol": 1e-5}
    assert_gradients_close(
        formula, arrays, grads, weights=weights, problem=problem, slips=slips, **tolerance
    )


def draw_from_seed(seed, draw):
    """What `draw()` gives right after `numpy.random.seed(seed)`, and the next random number."""
    np.random.seed(seed)
    return draw(), np.random.rand()


def relu(x):
    kept = np.maximum(x, 0)
    kept = slip("negative numbers are kept: ReLU is missing", kept, x)
    name = "this is the absolute value: ReLU makes 0 of negative numbers"
    kept = slip(name, kept, lambda: np.abs(x))
    return slip("this is ReLU of -x", kept, lambda: np.maximum(-x, 0))


def numpy_logsumexp(a, axes=None):
    peak = a.max(axis=axes, keepdims=True)
    total = np.exp(a - peak).sum(axis=axes)
    top = peak.reshape(total.shape)
    top = slip("the maximum that was subtracted is not added back", top, 0.0)
    return slip("this is the sum of exp: its logarithm is asked", np.log(total), total) + top


def numpy_softmax(a, axes=None):
    e = np.exp(a - a.max(axis=axes, keepdims=True))
    return e / e.sum(axis=axes, keepdims=True)


def numpy_softmax_loss(logits, labels):
    losses = numpy_logsumexp(logits, 1) - logits[np.arange(len(labels)), labels]
    loss, (samples, classes) = losses.mean(), logits.shape
    loss = slip("the sum over the batch: the mean is asked", loss, samples * loss)
    loss = slip("divided by the number of classes", loss, samples * loss / classes)
    return slip("the loss is negated", loss, -loss)


def numpy_normalize(x, axis, eps):
    mean, var = x.mean(axis=axis, keepdims=True), x.var(axis=axis, keepdims=True)
    n = x.shape[axis]
    if n > 1:
        var = slip("n / (n - 1): the variance is unbiased; divide by n", var, var * (n / (n - 1)))
    mean = slip("the mean is not subtracted", mean, 0.0)
    name = "the mean is taken over the other axis"
    mean = slip(name, mean, lambda: x.mean(1 - axis, keepdims=True))
    if slip("one mean for the whole batch: one for each sample or feature", False, True):
        mean = x.mean()
        var = ((x - mean) ** 2).mean(axis=axis, keepdims=True)
    spread = var + eps
    root = slip("divided by the variance: divide by its root", spread**0.5, spread)
    name = "eps stands outside the root: it belongs inside"
    root = slip(name, root, lambda: np.sqrt(var) + eps)
    return (x - mean) / slip("eps is missing", root, lambda: np.sqrt(var))


def normalization_slips(axis, eps):
    """Gradients of weight * normalize(x) + bias in which something counts as a constant."""

    def gradient(through_mean, through_variance):
        def of(out_grad, x, weight, bias):
            g = out_grad * weight
            std = np.sqrt(x.var(axis=axis, keepdims=True) + eps)
            normal = (x - x.mean(axis=axis, keepdims=True)) / std
            if through_variance:
                g = g - normal * (g * normal).mean(axis=axis, keepdims=True)
            if through_mean:
                g = g - (out_grad * weight).mean(axis=axis, keepdims=True)
            return [g / std, None, None]

        return of

    return {
        "the gradient does not go through the mean: its sum must be 0": gradient(False, True),
        "the gradient does not go through the variance": gradient(True, False),
        "mean and variance are constants in the gradient": gradient(False, False),
    }


def differentiate_again(x, move):
    """The gradient of the sum of x.grad * move, as an array; zeros where x.grad has no gradient."""
    gradient, x.grad = x.grad, None
    (gradient * ndl.Tensor(move)).sum().backward()
    return np.zeros(x.shape) if x.grad is None else x.grad.numpy()


def growth(step, times=3):
    """How many Values each of several steps leaves behind, after the first."""
    alive = []
    for _ in range(times):
        step()
        gc.collect()
        alive.append(autograd.TENSOR_COUNTER)
    return [later - earlier for earlier, later in pairwise(alive)]


def write_digits(folder, name, pixels, labels):
    """Images (m, 28, 28) and labels (m,) in two IDX files; returns their paths."""
    paths = folder / f"{name}-images-idx3-ubyte.gz", folder / f"{name}-labels-idx1-ubyte.gz"
    header = b"".join(n.to_bytes(4, "big") for n in (2051, len(pixels), 28, 28))
    paths[0].write_bytes(gzip.compress(header + pixels.astype(np.uint8).tobytes(), 1))
    header = b"".join(n.to_bytes(4, "big") for n in (2049, len(labels)))
    paths[1].write_bytes(gzip.compress(header + labels.astype(np.uint8).tobytes(), 1))
    return str(paths[0]), str(paths[1])


class Function(nn.Module):
    """An operator as a module, for `check_module`."""

    def __init__(self, function):
        super().__init__()
        self.forward = function
