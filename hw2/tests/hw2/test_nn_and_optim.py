"""Homework 2: initializers, layers, losses, optimizers, and a network that learns.

Run from the homework's folder: `python3 -m pytest tests/hw2/test_nn_and_optim.py -k test_nn_linear`.
The oracles are NumPy formulas in float64 and their finite differences.
"""

import gc
import gzip
import math
import sys
from itertools import pairwise

sys.path.append("./python")
sys.path.append("./apps")

import needle as ndl
import numpy as np
import pytest
from course_testing import assert_close, assert_gradients_close, assert_like
from needle import autograd, init, nn, optim


@pytest.fixture
def no_collector():
    """Python's cyclic garbage collector is off: only reference counts free memory."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


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


# ------------------------------------------------------------------------------------------- init


def test_init_xavier_uniform():
    a = 1.5 * math.sqrt(6 / (3 + 5))
    wanted, after = draw_from_seed(42, lambda: (2 * np.random.rand(3, 5) - 1) * a)
    weight, after_weight = draw_from_seed(42, lambda: init.xavier_uniform(3, 5, gain=1.5))
    assert_close(weight, wanted, problem="hw2/init", op="xavier_uniform", dtype="float32")
    assert after_weight == after, "one call of rand(3, 5), no other random numbers"


def test_init_xavier_normal():
    std = 0.33 * math.sqrt(2 / (3 + 5))
    wanted, after = draw_from_seed(42, lambda: np.random.randn(3, 5) * std)
    weight, after_weight = draw_from_seed(42, lambda: init.xavier_normal(3, 5, gain=0.33))
    assert_close(weight, wanted, problem="hw2/init", op="xavier_normal", dtype="float32")
    assert after_weight == after, "one call of randn(3, 5), no other random numbers"


def test_init_kaiming_uniform():
    bound = math.sqrt(2) * math.sqrt(3 / 3)
    wanted, after = draw_from_seed(42, lambda: (2 * np.random.rand(3, 5) - 1) * bound)
    weight, after_weight = draw_from_seed(42, lambda: init.kaiming_uniform(3, 5))
    assert_close(weight, wanted, problem="hw2/init", op="kaiming_uniform", dtype="float32")
    assert after_weight == after, "one call of rand(3, 5), no other random numbers"


def test_init_kaiming_normal():
    std = math.sqrt(2) / math.sqrt(3)
    wanted, after = draw_from_seed(42, lambda: np.random.randn(3, 5) * std)
    weight, after_weight = draw_from_seed(42, lambda: init.kaiming_normal(3, 5))
    assert_close(weight, wanted, problem="hw2/init", op="kaiming_normal", dtype="float32")
    assert after_weight == after, "one call of randn(3, 5), no other random numbers"


INITIALIZERS = [
    init.xavier_uniform,
    init.xavier_normal,
    init.kaiming_uniform,
    init.kaiming_normal,
]


@pytest.mark.parametrize("initializer", INITIALIZERS, ids=lambda f: f.__name__)
def test_init_passes_its_keywords_on(initializer):
    weight = initializer(4, 2, dtype="float64", requires_grad=True)
    assert_like(weight, (4, 2), "float64", problem="hw2/init", op=initializer.__name__)
    assert weight.requires_grad


@pytest.mark.parametrize(
    "initializer, variance",
    [
        (init.xavier_uniform, 2 / (300 + 200)),
        (init.xavier_normal, 2 / (300 + 200)),
        (init.kaiming_uniform, 2 / 300),
        (init.kaiming_normal, 2 / 300),
    ],
    ids=lambda value: getattr(value, "__name__", "variance"),
)
def test_init_has_the_variance_that_keeps_activations_alive(initializer, variance):
    weight = initializer(300, 200).numpy()
    assert abs(weight.mean()) < 5 * math.sqrt(variance / weight.size)
    assert abs(weight.var() / variance - 1) < 0.05


def submit_init():
    import mugrade

    mugrade.rng()
    for initializer in INITIALIZERS:
        mugrade.submit(initializer(4, 3).numpy(), label=initializer.__name__)
    mugrade.submit(init.xavier_normal(2, 5, gain=0.7).numpy(), label="xavier_normal with a gain")


# --------------------------------------------------------------------------------------- nn_linear


def linear(x, weight, bias=0.0):
    return x @ weight + bias


def test_nn_linear_draws_its_weight_first_and_then_its_bias():
    def draw():
        weight = (2 * np.random.rand(7, 4) - 1) * math.sqrt(6 / 7)
        bias = (2 * np.random.rand(4, 1) - 1) * math.sqrt(6 / 4)
        return weight, bias.reshape(1, 4)

    (weight, bias), after = draw_from_seed(1, draw)
    layer, after_layer = draw_from_seed(1, lambda: nn.Linear(7, 4))
    assert_close(layer.weight, weight, problem="hw2/nn_linear", op="weight", dtype="float32")
    assert_close(layer.bias, bias, problem="hw2/nn_linear", op="bias", dtype="float32")
    assert after_layer == after


def test_nn_linear_has_two_parameters():
    layer = nn.Linear(7, 4)
    assert isinstance(layer.weight, nn.Parameter) and isinstance(layer.bias, nn.Parameter)
    assert layer.parameters() == [layer.weight, layer.bias]
    assert all(param.is_leaf() and param.requires_grad for param in layer.parameters())


def test_nn_linear_without_bias_draws_none():
    wanted, after = draw_from_seed(1, lambda: (2 * np.random.rand(7, 4) - 1) * math.sqrt(6 / 7))
    layer, after_layer = draw_from_seed(1, lambda: nn.Linear(7, 4, bias=False))
    assert_close(layer.weight, wanted, problem="hw2/nn_linear", op="weight")
    assert layer.parameters() == [layer.weight] and after_layer == after
    check_module("hw2/nn_linear", layer, normal(3, 7), linear, [layer.weight])


@pytest.mark.parametrize("shape", [(1, 5), (8, 5), (1, 3, 5), (2, 3, 4, 5)], ids=str)
def test_nn_linear_forward_and_backward(shape):
    layer = nn.Linear(5, 3)
    check_module("hw2/nn_linear", layer, normal(*shape), linear, [layer.weight, layer.bias])


def test_nn_linear_takes_a_bias_without_its_leading_axis():
    layer = nn.Linear(5, 3)
    layer.bias.data = ndl.Tensor([1.0, 2.0, 3.0], dtype="float32")
    check_module("hw2/nn_linear", layer, normal(4, 5), linear, [layer.weight, layer.bias])


def test_nn_linear_in_float64():
    layer = nn.Linear(5, 3, dtype="float64")
    for param, shape in ((layer.weight, (5, 3)), (layer.bias, (1, 3))):
        assert_like(param, shape, "float64", problem="hw2/nn_linear", op="a parameter")
    y = layer(ndl.Tensor(normal(2, 5)))
    wanted = linear(normal(2, 5), layer.weight.numpy(), layer.bias.numpy())
    assert_close(y, wanted, problem="hw2/nn_linear", dtype="float64")


def submit_nn_linear():
    import mugrade

    rng = mugrade.rng()
    for label, shape, bias in (
        ("matrix", (4, 6), True),
        ("3-D", (2, 3, 6), True),
        ("no bias", (4, 6), False),
    ):
        layer = nn.Linear(6, 5, bias=bias)
        x = ndl.Tensor(rng.randn(*shape), dtype="float32")
        y = layer(x)
        y.backward(ndl.Tensor(rng.randn(*y.shape), dtype="float32"))
        mugrade.submit(y.numpy(), label=f"{label}: forward")
        mugrade.submit(
            [p.grad.numpy() for p in (x, *layer.parameters())], label=f"{label}: gradients"
        )


# -------------------------------------------------------------------------- nn_relu, nn_sequential


def test_nn_relu():
    check_module("hw2/nn_relu", nn.ReLU(), normal(3, 4), lambda x: np.maximum(x, 0))


def test_nn_relu_has_no_parameters():
    layer = nn.ReLU()
    layer(ndl.Tensor([1.0]))
    assert layer.parameters() == []


def submit_nn_relu():
    import mugrade

    rng = mugrade.rng()
    for shape in ((3, 4), (2, 3, 2)):
        x = ndl.Tensor(rng.randn(*shape), dtype="float32")
        y = nn.ReLU()(x)
        (y * y).backward()
        mugrade.submit([y.numpy(), x.grad.numpy()], label=f"{shape}")


class Append(nn.Module):
    """Leaves its mark: x -> 10 x + digit."""

    def __init__(self, digit):
        super().__init__()
        self.digit = nn.Parameter([float(digit)])

    def forward(self, x):
        return x * 10 + self.digit


def test_nn_sequential_applies_its_modules_in_order():
    model = nn.Sequential(Append(1), Append(2), Append(3))
    assert_close(model(ndl.Tensor([0.0])), np.array([123.0]), problem="hw2/nn_sequential")
    assert [param.numpy().item() for param in model.parameters()] == [1.0, 2.0, 3.0]


def test_nn_sequential_of_nothing_is_the_identity():
    x = ndl.Tensor([4.0])
    assert nn.Sequential()(x) is x


def test_nn_sequential_nested_and_backward():
    first, second = nn.Linear(4, 3), nn.Linear(3, 2)
    model = nn.Sequential(nn.Sequential(first, nn.ReLU()), second)

    def formula(x, w1, b1, w2, b2):
        return np.maximum(x @ w1 + b1, 0) @ w2 + b2

    check_module("hw2/nn_sequential", model, normal(5, 4), formula, model.parameters())
    assert model.modules[1] is second and len(model.parameters()) == 4


def test_nn_sequential_switches_all_its_modules_between_training_and_evaluation():
    inner = nn.Sequential(nn.ReLU())
    model = nn.Sequential(inner, nn.ReLU())
    model(ndl.Tensor([1.0]))
    model.eval()
    assert not any(m.training for m in (model, inner, *inner.modules, *model.modules))
    model.train()
    assert all(m.training for m in (model, inner, *inner.modules, *model.modules))


def submit_nn_sequential():
    import mugrade

    rng = mugrade.rng()
    for sizes in ((4, 3), (5, 4, 3, 2)):
        layers = [nn.Linear(a, b) for a, b in pairwise(sizes)]
        model = nn.Sequential(layers[0], nn.ReLU(), *layers[1:])
        x = ndl.Tensor(rng.randn(3, sizes[0]), dtype="float32")
        y = model(x)
        y.backward()
        mugrade.submit([y.numpy(), x.grad.numpy()], label=f"{len(layers)} layers")


# ---------------------------------------------------------------------- op_logsumexp, op_logsoftmax


def numpy_logsumexp(a, axes=None):
    peak = a.max(axis=axes, keepdims=True)
    total = np.exp(a - peak).sum(axis=axes)
    return np.log(total) + peak.reshape(total.shape)


def numpy_softmax(a, axes=None):
    e = np.exp(a - a.max(axis=axes, keepdims=True))
    return e / e.sum(axis=axes, keepdims=True)


class Function(nn.Module):
    """An operator as a module, for `check_module`."""

    def __init__(self, function):
        super().__init__()
        self.forward = function


AXES = [None, 0, 1, -1, (0,), (1,), (0, 2), (1, 2), (-1, 0), (0, 1, 2)]


@pytest.mark.parametrize("axes", AXES, ids=str)
def test_op_logsumexp_forward_and_backward(axes):
    op = Function(lambda a: ndl.logsumexp(a, axes=axes))
    check_module("hw2/op_logsumexp", op, normal(3, 4, 2), lambda a: numpy_logsumexp(a, axes))


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
    (x.grad * ndl.Tensor(move)).sum().backward()
    p = numpy_softmax(a, 1)
    wanted = p * move - p * (p * move).sum(axis=1, keepdims=True)
    assert_close(x.grad, wanted, problem="hw2/op_logsumexp", op="second derivative")


def submit_op_logsumexp():
    import mugrade

    rng = mugrade.rng()
    for axes, scale in ((None, 1.0), ((1,), 1.0), ((0, 2), 5.0), ((2,), 100.0)):
        x = ndl.Tensor(scale * rng.rand(3, 4, 2), dtype="float32")
        y = ndl.logsumexp(x, axes=axes)
        y.backward(ndl.Tensor(rng.rand(*y.shape) + 0.5, dtype="float32"))
        mugrade.submit(y.numpy(), label=f"axes {axes}: forward")
        mugrade.submit(x.grad.numpy(), label=f"axes {axes}: gradient")


def numpy_logsoftmax(a):
    return a - numpy_logsumexp(a, 1)[:, None]


@pytest.mark.parametrize("shape", [(3, 4), (1, 5), (4, 1), (6, 2)], ids=str)
def test_op_logsoftmax_forward_and_backward(shape):
    check_module("hw2/op_logsoftmax", Function(ndl.logsoftmax), normal(*shape), numpy_logsoftmax)


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
    (x.grad * ndl.Tensor(move)).sum().backward()

    def slope(a):
        gradient = weights - weights.sum(axis=1, keepdims=True) * numpy_softmax(a, 1)
        return (gradient * move).sum()

    assert_gradients_close(slope, [a], [x.grad], problem="hw2/op_logsoftmax", op="its gradient")


def submit_op_logsoftmax():
    import mugrade

    rng = mugrade.rng()
    for shape, scale in (((4, 5), 1.0), ((2, 7), 20.0)):
        x = ndl.Tensor(scale * rng.randn(*shape), dtype="float32")
        y = ndl.logsoftmax(x)
        y.backward(ndl.Tensor(rng.rand(*shape), dtype="float32"))
        mugrade.submit(y.numpy(), label=f"{shape}: forward")
        mugrade.submit(x.grad.numpy(), label=f"{shape}: gradient")


# --------------------------------------------------------------------------------- nn_softmax_loss


def numpy_softmax_loss(logits, labels):
    return (numpy_logsumexp(logits, 1) - logits[np.arange(len(labels)), labels]).mean()


@pytest.mark.parametrize("samples, classes", [(6, 4), (1, 3), (5, 10), (4, 1)])
def test_nn_softmax_loss_forward_and_backward(samples, classes):
    labels = np.random.RandomState(1).randint(classes, size=samples)
    loss = Function(lambda logits: nn.SoftmaxLoss()(logits, ndl.Tensor(labels)))
    check_module(
        "hw2/nn_softmax_loss",
        loss,
        normal(samples, classes),
        lambda logits: numpy_softmax_loss(logits, labels),
    )


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32"])
def test_nn_softmax_loss_takes_labels_of_any_dtype(dtype):
    logits, labels = normal(4, 3).astype("float32"), np.array([2, 0, 1, 2])
    loss = nn.SoftmaxLoss()(ndl.Tensor(logits), ndl.Tensor(labels.astype(dtype)))
    wanted = numpy_softmax_loss(logits.astype("float64"), labels)
    assert_close(loss, wanted, problem="hw2/nn_softmax_loss", dtype="float32", lengths=(4, 3))


@pytest.mark.parametrize("size", [1e4, -1e4], ids=str)
def test_nn_softmax_loss_of_huge_logits(size):
    logits = (np.eye(3, 5) * size).astype("float32")
    x = ndl.Tensor(logits)
    labels = np.array([0, 1, 0])
    loss = nn.SoftmaxLoss()(x, ndl.Tensor(labels))
    loss.backward()
    wanted = numpy_softmax_loss(logits.astype("float64"), labels)
    problem = "hw2/nn_softmax_loss"
    assert_close(loss, wanted, problem=problem, dtype="float32", atol=1e-6)
    gradient = (numpy_softmax(logits.astype("float64"), 1) - np.eye(5)[labels]) / 3
    assert_close(x.grad, gradient, problem=problem, op="gradient", atol=1e-3)


def submit_nn_softmax_loss():
    import mugrade

    rng = mugrade.rng()
    for samples, classes in ((5, 4), (8, 10)):
        logits = ndl.Tensor(rng.randn(samples, classes), dtype="float32")
        labels = ndl.Tensor(rng.randint(classes, size=samples))
        loss = nn.SoftmaxLoss()(logits, labels)
        loss.backward()
        mugrade.submit(loss.numpy(), label=f"{samples} x {classes}: loss")
        mugrade.submit(logits.grad.numpy(), label=f"{samples} x {classes}: gradient")


# --------------------------------------------------------------------- normalization and its layers


def numpy_normalize(x, axis, eps):
    return (x - x.mean(axis=axis, keepdims=True)) / np.sqrt(x.var(axis=axis, keepdims=True) + eps)


def give(param, array):
    param.data = ndl.Tensor(array, dtype="float32")


@pytest.mark.parametrize("shape", [(4, 6), (1, 5), (7, 2)], ids=str)
@pytest.mark.parametrize("eps", [1e-5, 0.1])
def test_nn_layernorm_forward_and_backward(shape, eps):
    layer = nn.LayerNorm1d(shape[1], eps=eps)
    give(layer.weight, normal(shape[1], seed=1))
    give(layer.bias, normal(shape[1], seed=2))
    check_module(
        "hw2/nn_layernorm",
        layer,
        normal(*shape, scale=3.0) + 1,
        lambda x, w, b: w * numpy_normalize(x, 1, eps) + b,
        [layer.weight, layer.bias],
    )


def test_nn_layernorm_begins_with_ones_and_zeros():
    layer, after = draw_from_seed(1, lambda: nn.LayerNorm1d(5))
    assert_close(layer.weight, np.ones(5), problem="hw2/nn_layernorm", op="weight", dtype="float32")
    assert_close(layer.bias, np.zeros(5), problem="hw2/nn_layernorm", op="bias", dtype="float32")
    assert layer.parameters() == [layer.weight, layer.bias]
    assert after == draw_from_seed(1, lambda: None)[1], "no random numbers are drawn"


def test_nn_layernorm_of_equal_features_is_the_bias():
    layer = nn.LayerNorm1d(3)
    y = layer(ndl.Tensor(np.full((2, 3), 7.0), dtype="float32"))
    assert_close(y, np.zeros((2, 3)), problem="hw2/nn_layernorm", atol=1e-5)


def submit_nn_layernorm():
    import mugrade

    rng = mugrade.rng()
    for shape in ((4, 6), (3, 9)):
        layer = nn.LayerNorm1d(shape[1])
        give(layer.weight, rng.rand(shape[1]))
        x = ndl.Tensor(2 * rng.randn(*shape), dtype="float32")
        y = layer(x)
        y.backward(ndl.Tensor(rng.randn(*shape), dtype="float32"))
        mugrade.submit(y.numpy(), label=f"{shape}: forward")
        mugrade.submit(
            [p.grad.numpy() for p in (x, *layer.parameters())], label=f"{shape}: gradients"
        )


@pytest.mark.parametrize(
    "shape", [(3, 4), (2, 3, 4), (5, 2, 1, 3), (1, 6), (6,), (4, 0, 2)], ids=str
)
def test_nn_flatten_forward_and_backward(shape):
    columns = math.prod(shape[1:])
    check_module(
        "hw2/nn_flatten", nn.Flatten(), normal(*shape), lambda x: x.reshape(shape[0], columns)
    )


def submit_nn_flatten():
    import mugrade

    rng = mugrade.rng()
    for shape in ((2, 3, 4), (3, 2, 2, 2), (5,)):
        x = ndl.Tensor(rng.randn(*shape), dtype="float32")
        y = nn.Flatten()(x)
        (y * y).backward()
        mugrade.submit([y.numpy(), x.grad.numpy()], label=f"{shape}")


@pytest.mark.parametrize("eps", [1e-5, 0.1])
def test_nn_batchnorm_in_training(eps):
    layer = nn.BatchNorm1d(4, eps=eps)
    give(layer.weight, normal(4, seed=1))
    give(layer.bias, normal(4, seed=2))
    check_module(
        "hw2/nn_batchnorm",
        layer,
        normal(6, 4, scale=3.0) + 1,
        lambda x, w, b: w * numpy_normalize(x, 0, eps) + b,
        [layer.weight, layer.bias],
    )


@pytest.mark.parametrize("momentum", [0.1, 0.3])
def test_nn_batchnorm_keeps_running_statistics(momentum):
    layer = nn.BatchNorm1d(3, momentum=momentum)
    mean, var = np.zeros(3), np.ones(3)
    for step in range(4):
        x = normal(5, 3, seed=step, scale=2.0) + step
        layer(ndl.Tensor(x, dtype="float32"))
        mean = (1 - momentum) * mean + momentum * x.mean(axis=0)
        var = (1 - momentum) * var + momentum * x.var(axis=0)
        problem = "hw2/nn_batchnorm"
        assert_close(layer.running_mean, mean, problem=problem, op="running_mean", dtype="float32")
        assert_close(layer.running_var, var, problem=problem, op="running_var", dtype="float32")


def test_nn_batchnorm_in_evaluation_uses_the_running_statistics():
    layer = nn.BatchNorm1d(3)
    give(layer.weight, normal(3, seed=1))
    give(layer.bias, normal(3, seed=2))
    for step in range(3):
        layer(ndl.Tensor(normal(5, 3, seed=step, scale=2.0) + 1, dtype="float32"))
    layer.eval()
    mean, var = layer.running_mean.numpy(), layer.running_var.numpy()
    check_module(
        "hw2/nn_batchnorm",
        layer,
        normal(4, 3, seed=7, scale=5.0),
        lambda x, w, b: w * (x - mean) / np.sqrt(var.astype("float64") + 1e-5) + b,
        [layer.weight, layer.bias],
    )
    problem = "hw2/nn_batchnorm"
    assert_close(layer.running_mean, mean, problem=problem, op="running_mean after evaluation")
    assert_close(layer.running_var, var, problem=problem, op="running_var after evaluation")


def test_nn_batchnorm_begins_with_ones_and_zeros():
    layer, after = draw_from_seed(1, lambda: nn.BatchNorm1d(3))
    for name, start in (
        ("weight", np.ones(3)),
        ("bias", np.zeros(3)),
        ("running_mean", np.zeros(3)),
        ("running_var", np.ones(3)),
    ):
        value = getattr(layer, name)
        assert_close(value, start, problem="hw2/nn_batchnorm", op=name, dtype="float32")
    assert layer.parameters() == [layer.weight, layer.bias], "running statistics are no parameters"
    assert after == draw_from_seed(1, lambda: None)[1], "no random numbers are drawn"


def test_nn_batchnorm_statistics_remember_no_graph(no_collector):
    layer = nn.BatchNorm1d(3)
    alive = []
    for step in range(5):
        layer(ndl.Tensor(normal(5, 3, seed=step), dtype="float32")).sum().backward()
        alive.append(autograd.TENSOR_COUNTER)
    assert alive[1] == alive[-1], f"Values alive after each step: {alive}"
    assert not layer.running_mean.requires_grad and not layer.running_var.requires_grad


def submit_nn_batchnorm():
    import mugrade

    rng = mugrade.rng()
    layer = nn.BatchNorm1d(4)
    give(layer.weight, rng.rand(4))
    for step in range(2):
        x = ndl.Tensor(2 * rng.randn(6, 4) + 1, dtype="float32")
        y = layer(x)
        y.backward(ndl.Tensor(rng.randn(6, 4), dtype="float32"))
        mugrade.submit(y.numpy(), label=f"step {step}: forward")
        mugrade.submit(x.grad.numpy(), label=f"step {step}: gradient")
    mugrade.submit(
        [layer.running_mean.numpy(), layer.running_var.numpy()], label="running statistics"
    )
    layer.eval()
    mugrade.submit(layer(ndl.Tensor(rng.randn(3, 4), dtype="float32")).numpy(), label="evaluation")


@pytest.mark.parametrize("p", [0.0, 0.1, 0.7])
@pytest.mark.parametrize("shape", [(4, 5), (2, 3, 4)], ids=str)
def test_nn_dropout_in_training(p, shape):
    keep, after = draw_from_seed(3, lambda: np.random.rand(*shape) <= 1 - p)
    x = ndl.Tensor(normal(*shape), dtype="float32")
    y, after_layer = draw_from_seed(3, lambda: nn.Dropout(p)(x))
    assert_close(y, normal(*shape) * keep / (1 - p), problem="hw2/nn_dropout", dtype="float32")
    y.backward()
    assert_close(x.grad, keep / (1 - p), problem="hw2/nn_dropout", op="gradient", dtype="float32")
    assert p == 0 or after_layer == after, "one call of rand with the shape of x"


def test_nn_dropout_in_evaluation_is_the_identity():
    layer = nn.Dropout(0.5)
    layer.eval()
    x = ndl.Tensor(normal(4, 5), dtype="float32")
    y, after = draw_from_seed(3, lambda: layer(x))
    assert_close(y, x.numpy(), problem="hw2/nn_dropout", op="evaluation", dtype="float32")
    assert after == draw_from_seed(3, lambda: None)[1], "no random numbers in evaluation"


def test_nn_dropout_keeps_the_mean():
    y = nn.Dropout(0.8)(ndl.Tensor(np.ones((200, 200)), dtype="float32")).numpy()
    assert abs(y.mean() - 1) < 0.05 and set(np.unique(y.round(3))) == {0.0, 5.0}


def submit_nn_dropout():
    import mugrade

    rng = mugrade.rng()
    for p, shape in ((0.2, (4, 5)), (0.6, (3, 2, 4))):
        layer = nn.Dropout(p)
        x = ndl.Tensor(rng.randn(*shape), dtype="float32")
        mugrade.submit(layer(x).numpy(), label=f"p {p}: training")
        layer.eval()
        mugrade.submit(layer(x).numpy(), label=f"p {p}: evaluation")


def test_nn_residual_forward_and_backward():
    layer = nn.Linear(4, 4)
    model = nn.Residual(nn.Sequential(layer, nn.ReLU()))

    def formula(x, w, b):
        return np.maximum(x @ w + b, 0) + x

    check_module("hw2/nn_residual", model, normal(3, 4), formula, [layer.weight, layer.bias])
    assert model.parameters() == [layer.weight, layer.bias]


def test_nn_residual_calls_its_function_once():
    calls = []

    class Recorder(nn.Module):
        def forward(self, x):
            calls.append(x)
            return x * 3

    assert_close(
        nn.Residual(Recorder())(ndl.Tensor([2.0])), np.array([8.0]), problem="hw2/nn_residual"
    )
    assert len(calls) == 1


def submit_nn_residual():
    import mugrade

    rng = mugrade.rng()
    for size in (3, 6):
        model = nn.Residual(nn.Linear(size, size))
        x = ndl.Tensor(rng.randn(4, size), dtype="float32")
        y = model(x)
        (y * y).backward()
        mugrade.submit([y.numpy(), x.grad.numpy()], label=f"{size} features")


# -------------------------------------------------------------------------------------- optimizers

SHAPES = [(3, 2), (4,), ()]


def make_parameters(seed=0):
    return [
        nn.Parameter(normal(*shape, seed=seed + k), dtype="float32")
        for k, shape in enumerate(SHAPES)
    ]


def gradients_of_step(step):
    return [np.asarray(normal(*shape, seed=100 + 10 * step + k)) for k, shape in enumerate(SHAPES)]


def check_optimizer(problem, make, rule, steps=4):
    """Several steps with given gradients, against `rule(p, g, state, t) -> p` in float64."""
    params = make_parameters()
    optimizer = make(params)
    wanted = [param.numpy().astype("float64") for param in params]
    states = [{} for _ in params]
    for t in range(1, steps + 1):
        grads = [grad.astype("float32") for grad in gradients_of_step(t)]
        for param, grad in zip(params, grads):
            param.grad = ndl.Tensor(grad)
        optimizer.step()
        for k, (param, grad) in enumerate(zip(params, grads)):
            wanted[k] = rule(wanted[k], grad.astype("float64"), states[k], t)
            op = f"parameter {k} after step {t}"
            assert_close(
                param, wanted[k], problem=problem, op=op, dtype="float32", rtol=2e-6, atol=2e-6
            )
            assert_close(param.grad, grad, problem=problem, op="the gradient, after the step")
            assert param.is_leaf() and param.requires_grad


def check_optimizer_in_training(problem, make, no_graph_between):
    """A small network learns, in place, and the number of Values stays what it was."""
    np.random.seed(0)
    model = nn.Sequential(
        nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 3)
    )
    params = model.parameters()
    optimizer = make(params)
    random = np.random.RandomState(1)
    X = random.randn(30, 4).astype("float32")
    labels = X[:, :3].argmax(axis=1)
    losses, alive = [], []
    for _ in range(40):
        optimizer.reset_grad()
        loss = nn.SoftmaxLoss()(model(ndl.Tensor(X)), ndl.Tensor(labels))
        loss.backward()
        optimizer.step()
        losses.append(loss.numpy().item())
        del loss
        alive.append(autograd.TENSOR_COUNTER)
    assert losses[-1] < 0.7 * losses[0], (
        f"{problem}: the loss goes from {losses[0]} to {losses[-1]}"
    )
    assert [id(p) for p in model.parameters()] == [id(p) for p in params]
    assert alive[2] == alive[-1], f"{problem}: Values alive after each step: {alive}"


def sgd_rule(lr, momentum=0.0, weight_decay=0.0):
    def rule(p, g, state, t):
        g = g + weight_decay * p
        state["u"] = momentum * state.get("u", 0) + (1 - momentum) * g
        return p - lr * state["u"]

    return rule


SGD_SETTINGS = [
    {"lr": 0.1},
    {"lr": 0.1, "momentum": 0.9},
    {"lr": 0.2, "weight_decay": 0.05},
    {"lr": 0.03, "momentum": 0.5, "weight_decay": 0.3},
]


@pytest.mark.parametrize("settings", SGD_SETTINGS, ids=str)
def test_optim_sgd_follows_its_formula(settings):
    check_optimizer("hw2/optim_sgd", lambda p: optim.SGD(p, **settings), sgd_rule(**settings))


def test_optim_sgd_trains_without_growing_a_graph(no_collector):
    def make(params):
        return optim.SGD(params, lr=0.3, momentum=0.5, weight_decay=1e-3)

    check_optimizer_in_training("hw2/optim_sgd", make, no_collector)


def test_optim_sgd_skips_parameters_without_gradient():
    used, unused = nn.Parameter([1.0]), nn.Parameter([1.0])
    optimizer = optim.SGD([unused, used], lr=0.5, weight_decay=0.1)
    used.grad = ndl.Tensor([1.0])
    optimizer.step()
    assert_close(
        unused, np.array([1.0]), problem="hw2/optim_sgd", op="a parameter without gradient"
    )
    assert_close(used, np.array([0.45]), problem="hw2/optim_sgd")
    optimizer.reset_grad()
    assert used.grad is None


@pytest.mark.parametrize("max_norm, factor", [(2.6, 0.2), (13.0, 1.0), (100.0, 1.0)])
def test_optim_sgd_clips_the_norm_of_all_gradients_together(max_norm, factor):
    params = make_parameters()[:2]
    grads = [np.zeros((3, 2)), np.array([0.0, -12.0, 0.0, 0.0])]
    grads[0][1, 1] = 5.0  # the norm of both is 13
    for param, grad in zip(params, grads):
        param.grad = ndl.Tensor(grad, dtype="float32")
    optim.SGD(params).clip_grad_norm(max_norm)
    for param, grad in zip(params, grads):
        assert_close(
            param.grad, factor * grad, problem="hw2/optim_sgd", op="clip_grad_norm", dtype="float32"
        )


def submit_optim_sgd():
    import mugrade

    rng = mugrade.rng()
    for label, settings in zip(("plain", "momentum", "decay", "both"), SGD_SETTINGS):
        mugrade.submit(learn_a_line(rng, lambda p, s=settings: optim.SGD(p, **s)), label=label)


def learn_a_line(rng, make):
    """The weights of a small network after five steps on random data."""
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
    optimizer = make(model.parameters())
    X = ndl.Tensor(rng.randn(8, 4), dtype="float32")
    labels = ndl.Tensor(rng.randint(3, size=8))
    for _ in range(5):
        optimizer.reset_grad()
        nn.SoftmaxLoss()(model(X), labels).backward()
        optimizer.step()
    return [param.numpy() for param in model.parameters()]


def adam_rule(lr=0.01, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0):
    def rule(p, g, state, t):
        g = g + weight_decay * p
        state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * g
        state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * g**2
        mean, square = state["m"] / (1 - beta1**t), state["v"] / (1 - beta2**t)
        return p - lr * mean / (np.sqrt(square) + eps)

    return rule


ADAM_SETTINGS = [
    {"lr": 0.1},
    {"lr": 0.05, "weight_decay": 0.3},
    {"lr": 0.1, "beta1": 0.5, "beta2": 0.7},
    {"lr": 0.1, "eps": 0.5, "weight_decay": 0.1},
]


@pytest.mark.parametrize("settings", ADAM_SETTINGS, ids=str)
def test_optim_adam_follows_its_formula(settings):
    check_optimizer("hw2/optim_adam", lambda p: optim.Adam(p, **settings), adam_rule(**settings))


def test_optim_adam_takes_a_first_step_of_the_learning_rate():
    """Bias correction: whatever the size of the gradient, the first step is lr long."""
    param = nn.Parameter([0.0, 0.0], dtype="float32")
    param.grad = ndl.Tensor([1e-3, -50.0], dtype="float32")
    optim.Adam([param], lr=0.25).step()
    assert_close(param, np.array([-0.25, 0.25]), problem="hw2/optim_adam", rtol=1e-4)


def test_optim_adam_trains_without_growing_a_graph(no_collector):
    def make(params):
        return optim.Adam(params, lr=0.05, weight_decay=1e-3)

    check_optimizer_in_training("hw2/optim_adam", make, no_collector)


def test_optim_adam_skips_parameters_without_gradient():
    used, unused = nn.Parameter([1.0]), nn.Parameter([1.0])
    optimizer = optim.Adam([unused, used], lr=0.5, weight_decay=0.1)
    used.grad = ndl.Tensor([1.0])
    optimizer.step()
    assert_close(
        unused, np.array([1.0]), problem="hw2/optim_adam", op="a parameter without gradient"
    )
    assert_close(used, np.array([0.5]), problem="hw2/optim_adam", rtol=1e-5)


def submit_optim_adam():
    import mugrade

    rng = mugrade.rng()
    for label, settings in zip(("plain", "decay", "betas", "eps"), ADAM_SETTINGS):
        mugrade.submit(learn_a_line(rng, lambda p, s=settings: optim.Adam(p, **s)), label=label)


# ------------------------------------------------------------------------------------------ mlp


class Tag(nn.Module):
    """A normalization layer that only remembers its size."""

    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def forward(self, x):
        return x


def shapes(model):
    return [param.shape for param in model.parameters()]


def kinds(value, kind):
    """All modules of a class in `value`, in order."""
    return [module for module in [value, *value._children()] if isinstance(module, kind)]


def test_mlp_residual_block_is_relu_of_x_plus_f():
    from mlp_resnet import ResidualBlock

    block = ResidualBlock(5, 3, norm=Tag, drop_prob=0.25)
    assert [tag.dim for tag in kinds(block, Tag)] == [3, 5]
    assert [layer.p for layer in kinds(block, nn.Dropout)] == [0.25]
    block.eval()

    def formula(x, w1, b1, w2, b2):
        return np.maximum(x + np.maximum(x @ w1 + b1, 0) @ w2 + b2, 0)

    check_module("hw2/mlp_resnet", block, normal(4, 5), formula, block.parameters())


@pytest.mark.parametrize("norm", [nn.BatchNorm1d, nn.LayerNorm1d])
def test_mlp_residual_block_in_training(norm):
    from mlp_resnet import ResidualBlock

    eps, axis = 1e-5, 0 if norm is nn.BatchNorm1d else 1
    block = ResidualBlock(5, 4, norm=norm, drop_prob=0.0)

    def formula(x, w1, b1, n1, m1, w2, b2, n2, m2):
        h = n1 * numpy_normalize(x @ w1 + b1, axis, eps) + m1
        h = n2 * numpy_normalize(np.maximum(h, 0) @ w2 + b2, axis, eps) + m2
        return np.maximum(x + h, 0)

    check_module("hw2/mlp_resnet", block, normal(6, 5), formula, block.parameters())


def test_mlp_resnet_has_its_layers_in_order():
    from mlp_resnet import MLPResNet

    model = MLPResNet(12, hidden_dim=6, num_blocks=2, num_classes=4, drop_prob=0.2)
    block = [(6, 3), (1, 3), (3,), (3,), (3, 6), (1, 6), (6,), (6,)]
    assert shapes(model) == [(12, 6), (1, 6), *block, *block, (6, 4), (1, 4)]
    assert [layer.p for layer in kinds(model, nn.Dropout)] == [0.2, 0.2]
    assert len(kinds(model, nn.Residual)) == 2
    default = MLPResNet(20)
    assert shapes(default)[0] == (20, 100) and shapes(default)[-1] == (1, 10)
    assert len(kinds(default, nn.Residual)) == 3 and kinds(default, nn.BatchNorm1d)[0].dim == 50


def test_mlp_resnet_draws_its_weights_in_the_order_of_execution():
    from mlp_resnet import MLPResNet

    def draw():
        linears = [nn.Linear(a, b) for a, b in ((7, 4), (4, 2), (2, 4), (4, 3))]
        return [array.numpy() for layer in linears for array in (layer.weight, layer.bias)]

    wanted, after = draw_from_seed(5, draw)
    model, after_model = draw_from_seed(
        5, lambda: MLPResNet(7, 4, num_blocks=1, num_classes=3, norm=Tag)
    )
    for actual, desired in zip(model.parameters(), wanted):
        assert_close(actual, desired, problem="hw2/mlp_resnet", op="first weights")
    assert after_model == after


def test_mlp_resnet_forward():
    from mlp_resnet import MLPResNet

    model = MLPResNet(7, 4, num_blocks=1, num_classes=3, norm=Tag)
    model.eval()

    def formula(x, w1, b1, w2, b2, w3, b3, w4, b4):
        x = np.maximum(x @ w1 + b1, 0)
        x = np.maximum(x + np.maximum(x @ w2 + b2, 0) @ w3 + b3, 0)
        return x @ w4 + b4

    check_module("hw2/mlp_resnet", model, normal(5, 7), formula, model.parameters())


class Images(ndl.data.Dataset):
    """Random images (28, 28, 1) with labels that depend on them."""

    def __init__(self, n):
        super().__init__()
        self.X = normal(n, 28, 28, 1).astype("float32")
        self.y = (self.X[:, :14].sum(axis=(1, 2, 3)) > 0).astype("uint8")

    def __len__(self):
        return len(self.y)

    def __getitem__(self, index):
        return self.X[index], self.y[index]


def test_mlp_epoch_evaluates_without_changing_anything():
    from mlp_resnet import MLPResNet, epoch

    data = Images(25)
    model = MLPResNet(784, 8, num_blocks=1)
    model(ndl.Tensor(normal(10, 784), dtype="float32"))
    before = {name: value.numpy() for name, value in model.state_dict().items()}
    model.train()
    error, loss = epoch(ndl.data.DataLoader(data, batch_size=10), model)
    assert not model.training, "evaluation mode without an optimizer"
    after = model.state_dict()
    for name, value in before.items():
        assert_close(after[name], value, problem="hw2/mlp_resnet", op=f"{name} after evaluation")
    logits = model(ndl.Tensor(data.X.reshape(25, 784))).numpy().astype("float64")
    problem = "hw2/mlp_resnet"
    assert isinstance(error, float) and isinstance(loss, float)
    assert_close(error, (logits.argmax(axis=1) != data.y).mean(), problem=problem, op="error rate")
    wanted = numpy_softmax_loss(logits, data.y)
    assert_close(loss, wanted, problem=problem, op="loss, the mean over all 25 samples", rtol=1e-5)


def test_mlp_epoch_trains():
    """One epoch against the same steps written out here; the seed inside `epoch` is 4."""
    from mlp_resnet import MLPResNet, epoch

    data = Images(25)
    results = []
    for by_hand in (False, True):
        np.random.seed(11)
        model = MLPResNet(784, 8, num_blocks=1)
        model.eval()
        opt = optim.SGD(model.parameters(), lr=0.05, weight_decay=0.01)
        loader = ndl.data.DataLoader(data, batch_size=10, shuffle=True)
        if not by_hand:
            error, loss = epoch(loader, model, opt)
            assert model.training, "training mode with an optimizer"
            results.append([error, loss, *[p.numpy() for p in model.parameters()]])
            continue
        model.train()
        np.random.seed(4)
        wrong, total = 0, 0.0
        for images, labels in loader:
            n = labels.shape[0]
            logits = model(images.reshape((n, 784)))
            loss = nn.SoftmaxLoss()(logits, labels)
            opt.reset_grad()
            loss.backward()
            opt.step()
            wrong += (logits.numpy().argmax(axis=1) != labels.numpy()).sum()
            total += loss.numpy().item() * n
        results.append([wrong / 25, total / 25, *[p.numpy() for p in model.parameters()]])
    for k, (actual, wanted) in enumerate(zip(*results)):
        op = ("error rate", "loss")[k] if k < 2 else f"parameter {k - 2}"
        assert_close(actual, np.asarray(wanted), problem="hw2/mlp_resnet", op=op, rtol=1e-4)


def test_mlp_train_mnist_learns_the_digits():
    from mlp_resnet import train_mnist

    result = train_mnist(100, 2, optim.Adam, 0.004, 0.001, 40, "data")
    train_error, train_loss, test_error, test_loss = result
    assert 0 < train_error < 0.3 and 0 < test_error < 0.2, (
        f"error rates {train_error}, {test_error}"
    )
    assert 0 < train_loss < 0.9 and 0 < test_loss < 0.7


@pytest.fixture
def few_digits(tmp_path):
    """A folder with the first 300 training and 110 test images of the digits, in IDX files."""
    for name, n in (("train", 300), ("t10k", 110)):
        for part, header, size in (("images-idx3", 16, 784), ("labels-idx1", 8, 1)):
            file_name = f"{name}-{part}-ubyte.gz"
            with gzip.open(f"data/{file_name}") as file:
                content = file.read(header + n * size)
            with gzip.open(tmp_path / file_name, "wb") as file:
                file.write(content[:4] + n.to_bytes(4, "big") + content[8:])
    return str(tmp_path)


def test_mlp_train_mnist_puts_the_pieces_together(few_digits):
    """Seed 4, the data, the model, the epochs: as written out here, number for number."""
    from mlp_resnet import MLPResNet, epoch, train_mnist

    actual = train_mnist(40, 2, optim.SGD, 0.05, 0.01, 12, few_digits)
    np.random.seed(4)
    model = MLPResNet(784, 12)
    opt = optim.SGD(model.parameters(), lr=0.05, weight_decay=0.01)

    def loader(name, shuffle):
        files = [f"{few_digits}/{name}-{part}-ubyte.gz" for part in ("images-idx3", "labels-idx1")]
        return ndl.data.DataLoader(ndl.data.MNISTDataset(*files), 40, shuffle)

    for _ in range(2):
        wanted = [*epoch(loader("train", True), model, opt), *epoch(loader("t10k", False), model)]
    for name, a, w in zip(("train error", "train loss", "test error", "test loss"), actual, wanted):
        assert_close(a, w, problem="hw2/mlp_resnet", op=name, rtol=1e-4)


def submit_mlp_resnet():
    import mugrade
    from mlp_resnet import MLPResNet, ResidualBlock, epoch

    rng = mugrade.rng()
    block = ResidualBlock(6, 3, nn.LayerNorm1d, 0.2)
    x = ndl.Tensor(rng.randn(4, 6), dtype="float32")
    mugrade.submit(block(x).numpy(), label="residual block")
    model = MLPResNet(784, 8, 2, 10)
    mugrade.submit(model(ndl.Tensor(rng.rand(5, 784), dtype="float32")).numpy(), label="network")
    images, labels = rng.rand(30, 784).astype("float32"), rng.randint(10, size=30)
    loader = ndl.data.DataLoader(ndl.data.NDArrayDataset(images, labels), 8)
    mugrade.submit(list(epoch(loader, model)), label="evaluation")
    opt = optim.Adam(model.parameters(), lr=0.01, weight_decay=0.01)
    mugrade.submit(list(epoch(loader, model, opt)), label="training")
    mugrade.submit(list(epoch(loader, model)), label="evaluation after training")
