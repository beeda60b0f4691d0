"""Homework 2: layers and losses against NumPy formulas in float64 and their finite differences.

Run from the homework's folder: `python3 -m pytest tests/hw2/test_nn_and_optim.py -k test_nn_linear`,
and for the whole homework `python3 -m pytest tests/hw2`.
"""

import math
import sys
from itertools import pairwise

sys.path.append("./python")

import needle as ndl
import numpy as np
import pytest
from course_testing import assert_close, assert_constant, assert_like, slip
from hw2_modules import (
    Function,
    check_module,
    draw_from_seed,
    growth,
    normal,
    normalization_slips,
    numpy_normalize,
    numpy_softmax,
    numpy_softmax_loss,
    relu,
)
from needle import autograd, nn

# ---------------------------------------------------------------------------------------- nn_linear


def linear(x, weight, bias=0.0):
    bias = slip("the bias is not added", bias, 0.0)
    weight = slip("the weight is used transposed", weight, weight.T.reshape(weight.shape))
    return x @ weight + bias


def test_nn_linear_draws_its_weight_first_and_then_its_bias():
    def draw():
        shapes = slip(
            "the bias is drawn first: the weight comes first", [(7, 4), (4, 1)], [(4, 1), (7, 4)]
        )
        drawn = {shape: 2 * np.random.rand(*shape) - 1 for shape in shapes}
        bound = slip("the bias's fan_in is out_features, not in_features", 6 / 4, 6 / 7)
        bound = slip("the bias's fan_in is out_features, not 1", bound, 6.0)
        return drawn[7, 4] * math.sqrt(6 / 7), drawn[4, 1].reshape(1, 4) * math.sqrt(bound)

    (weight, bias), after = draw_from_seed(1, draw)
    layer, after_layer = draw_from_seed(1, lambda: nn.Linear(7, 4))
    assert_close(layer.weight, weight, problem="hw2/nn_linear", op="weight", dtype="float32")
    assert_close(layer.bias, bias, problem="hw2/nn_linear", op="bias", dtype="float32")
    assert after_layer == after


def test_nn_linear_has_two_parameters():
    layer = nn.Linear(7, 4)
    for name in ("weight", "bias"):
        kind = type(getattr(layer, name)).__name__
        assert kind == "Parameter", (
            f"hw2/nn_linear: the {name} is a {kind}: make it an nn.Parameter, or no optimizer finds it"
        )
    assert [id(p) for p in layer.parameters()] == [id(layer.weight), id(layer.bias)]
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
        kept = [layer.weight.numpy(), np.random.rand()]
        mugrade.submit(kept, label=f"{label}: the weight, and the next random number")
        x = ndl.Tensor(rng.randn(*shape), dtype="float32")
        y = layer(x)
        y.backward(ndl.Tensor(rng.randn(*y.shape), dtype="float32"))
        mugrade.submit(y.numpy(), label=f"{label}: forward")
        mugrade.submit(
            [p.grad.numpy() for p in (x, *layer.parameters())], label=f"{label}: gradients"
        )
    layer = nn.Linear(3, 2, dtype="float64")
    mugrade.submit([p.numpy() for p in layer.parameters()], label="parameters in float64")


# --------------------------------------------------------------------------- nn_relu, nn_sequential


def test_nn_relu():
    check_module("hw2/nn_relu", nn.ReLU(), normal(3, 4), relu)


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
    wanted = slip("the modules are applied from last to first", 123.0, 321.0)
    wanted = slip("only the first module is applied", wanted, 1.0)
    wanted = slip("only the last module counts: each takes what the one before gave", wanted, 3.0)
    wanted = slip("the last module is left out", wanted, 12.0)
    assert_close(model(ndl.Tensor([0.0])), np.array([wanted]), problem="hw2/nn_sequential")
    assert [param.numpy().item() for param in model.parameters()] == [1.0, 2.0, 3.0]


def test_nn_sequential_of_nothing_is_the_identity():
    x = ndl.Tensor([4.0])
    assert nn.Sequential()(x) is x


def test_nn_sequential_nested_and_backward():
    first, second = nn.Linear(4, 3), nn.Linear(3, 2)
    model = nn.Sequential(nn.Sequential(first, nn.ReLU()), second)

    def formula(x, w1, b1, w2, b2):
        return relu(x @ w1 + b1) @ w2 + b2

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


# ---------------------------------------------------------------------------------- nn_softmax_loss


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
    logits = ndl.Tensor(1e3 * rng.randn(4, 5), dtype="float32")
    loss = nn.SoftmaxLoss()(logits, ndl.Tensor(rng.randint(5, size=4)))
    mugrade.submit(loss.numpy(), label="loss of large logits")


# --------------------------------------------------------------------- normalization and its layers


def give(param, array):
    param.data = ndl.Tensor(array, dtype="float32")


def affine(normal, weight, bias):
    """What follows a normalization."""
    weight = slip("not multiplied by the weight", weight, 1.0)
    return weight * normal + slip("the bias is not added", bias, 0.0)


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
        lambda x, w, b: affine(numpy_normalize(x, 1, eps), w, b),
        [layer.weight, layer.bias],
        normalization_slips(1, eps),
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
    x = ndl.Tensor(0.1 * rng.randn(3, 5), dtype="float32")
    mugrade.submit(nn.LayerNorm1d(5, eps=0.05)(x).numpy(), label="a small variance, a large eps")


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
        lambda x, w, b: affine(numpy_normalize(x, 0, eps), w, b),
        [layer.weight, layer.bias],
        normalization_slips(0, eps),
    )


@pytest.mark.parametrize("momentum, eps", [(0.1, 1e-5), (0.3, 0.5)])
def test_nn_batchnorm_keeps_running_statistics(momentum, eps):
    layer = nn.BatchNorm1d(3, eps=eps, momentum=momentum)
    mean, var = np.zeros(3), np.ones(3)
    for step in range(4):
        x = normal(5, 3, seed=step, scale=2.0) + step
        layer(ndl.Tensor(x, dtype="float32"))
        part = slip("momentum and 1 - momentum are exchanged", momentum, 1 - momentum)
        part = slip("momentum is 0.1, whatever was given", part, 0.1)
        new = slip("the running mean is not updated", x.mean(axis=0), mean)
        mean = (1 - part) * mean + part * new
        new = slip(
            "n / (n - 1): the running variance is unbiased; divide by n", x.var(0), x.var(0, ddof=1)
        )
        new = slip("the running variance is not updated", new, var)
        new = slip("eps is in the running variance: it stands in the formula only", new, new + eps)
        var = slip("the running variance begins with zeros: with ones", var, var * (step > 0))
        var = (1 - part) * var + part * new
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

    def formula(x, w, b):
        center, spread = mean, var.astype("float64")
        center = slip(
            "evaluation subtracts the mean of the batch: take running_mean", center, x.mean(0)
        )
        spread = slip(
            "evaluation divides by the batch's deviation: take running_var", spread, x.var(0)
        )
        both = slip("evaluation uses the batch: take the running statistics", False, True)
        normal = numpy_normalize(x, 0, 1e-5) if both else (x - center) / np.sqrt(spread + 1e-5)
        return slip("weight and bias are left out in evaluation", w * normal + b, normal)

    x = normal(4, 3, seed=7, scale=5.0)
    check_module("hw2/nn_batchnorm", layer, x, formula, [layer.weight, layer.bias])
    problem = "hw2/nn_batchnorm"
    assert_close(layer.running_mean, mean, problem=problem, op="running_mean after evaluation")
    assert_close(layer.running_var, var, problem=problem, op="running_var after evaluation")


def test_nn_batchnorm_as_a_function_of_tensors():
    """Homework 4's BatchNorm2d calls it."""
    arrays = [normal(6, 4, scale=3.0), *(normal(4, seed=k) for k in (1, 2, 3)), np.full(4, 2.0)]
    x, w, b, mean, var = arrays
    tensors = [ndl.Tensor(a, dtype="float32", requires_grad=k < 3) for k, a in enumerate(arrays)]
    settings = {"eps": 1e-5, "momentum": 0.1}
    y, new_mean, new_var = ndl.ops.batch_norm(*tensors, training=True, **settings)
    problem = "hw2/nn_batchnorm"
    assert_close(y, w * numpy_normalize(x, 0, 1e-5) + b, problem=problem, op="ops.batch_norm")
    assert_close(new_mean, 0.9 * mean + 0.1 * x.mean(0), problem=problem, op="the running mean")
    assert_close(new_var, 0.9 * var + 0.1 * x.var(0), problem=problem, op="the running variance")
    y, same_mean, same_var = ndl.ops.batch_norm(*tensors, training=False, **settings)
    expected = w * (x - mean) / np.sqrt(var + 1e-5) + b
    assert_close(y, expected, problem=problem, op="ops.batch_norm in evaluation")
    assert_close(same_mean, mean, problem=problem, op="the running mean in evaluation")
    assert_close(same_var, var, problem=problem, op="the running variance in evaluation")


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
    assert [id(p) for p in layer.parameters()] == [id(layer.weight), id(layer.bias)], (
        "hw2/nn_batchnorm: its parameters are weight and bias; running statistics are none"
    )
    assert after == draw_from_seed(1, lambda: None)[1], "no random numbers are drawn"


def test_nn_batchnorm_statistics_remember_no_graph(no_collector):
    layer = nn.BatchNorm1d(3)
    alive = []
    for step in range(5):
        layer(ndl.Tensor(normal(5, 3, seed=step), dtype="float32")).sum().backward()
        alive.append(autograd.TENSOR_COUNTER)
    assert_constant(alive[1:], "hw2/nn_batchnorm", "the running statistics remember their graph")
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
    x = ndl.Tensor(0.1 * rng.randn(6, 3), dtype="float32")
    layer = nn.BatchNorm1d(3, eps=0.05, momentum=0.3)
    mugrade.submit(layer(x).numpy(), label="a small variance, a large eps")
    kept = [layer.running_mean.numpy(), layer.running_var.numpy()]
    mugrade.submit(kept, label="a large eps, another momentum: running statistics")
    layer = nn.BatchNorm1d(3)
    layer(ndl.Tensor(rng.randn(5, 3), dtype="float32"))
    kept = [layer.running_mean.numpy(), *(p.numpy() for p in layer.parameters())]
    mugrade.submit(kept, label="the running mean and all parameters")

    def step():
        layer(ndl.Tensor(rng.randn(5, 3), dtype="float32")).sum().backward()

    mugrade.submit([growth(step), layer.running_var.numpy()], label="the memory that a step keeps")


@pytest.mark.parametrize("p", [0.0, 0.1, 0.7])
@pytest.mark.parametrize("shape", [(4, 5), (2, 3, 4)], ids=str)
def test_nn_dropout_in_training(p, shape):
    def draw():
        rows = slip("one draw for all rows: each element has its own", shape, (1, *shape[1:]))
        drawn = np.broadcast_to(np.random.rand(*rows), shape)
        kept = slip("it keeps with probability p: keep with 1 - p", drawn <= 1 - p, drawn <= p)
        return slip("it keeps where the draw is large: keep where rand <= 1 - p", kept, drawn > p)

    keep, after = draw_from_seed(3, draw)
    scale = slip("the kept numbers are not divided by 1 - p", 1 - p, 1.0)
    scale = slip("divided by p: divide by 1 - p", scale, p or 1.0)
    x = ndl.Tensor(normal(*shape), dtype="float32")
    y, after_layer = draw_from_seed(3, lambda: nn.Dropout(p)(x))
    assert_close(y, normal(*shape) * keep / scale, problem="hw2/nn_dropout", dtype="float32")
    y.backward()
    assert_close(x.grad, keep / scale, problem="hw2/nn_dropout", op="gradient", dtype="float32")
    assert p == 0 or after_layer == after, "hw2/nn_dropout: one call of rand with the shape of x"


def test_nn_dropout_in_evaluation_is_the_identity():
    layer = nn.Dropout(0.5)
    layer.eval()
    x = ndl.Tensor(normal(4, 5), dtype="float32")
    y, after = draw_from_seed(3, lambda: layer(x))
    drawn, _ = draw_from_seed(3, lambda: np.random.rand(4, 5))
    wanted = slip(
        "evaluation drops too: it is the identity", x.numpy(), 2 * x.numpy() * (drawn <= 0.5)
    )
    assert_close(y, wanted, problem="hw2/nn_dropout", op="evaluation", dtype="float32")
    assert after == draw_from_seed(3, lambda: None)[1], (
        "hw2/nn_dropout: random numbers are drawn in evaluation: draw none"
    )


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
        kept = [layer(x).numpy()[0], np.random.rand()]
        mugrade.submit(kept, label=f"p {p}: evaluation, and the next random number")


def test_nn_residual_forward_and_backward():
    layer = nn.Linear(4, 4)
    model = nn.Residual(nn.Sequential(layer, nn.ReLU()))

    def formula(x, w, b):
        f = np.maximum(x @ w + b, 0)
        shortcut = slip("the shortcut is missing: x is added", x, 0.0)
        f = slip("fn is applied twice: once", f, 2 * f)
        return f + slip("x is subtracted: add it", shortcut, -x)

    def through_fn_only(out_grad, x, w, b):
        return [(out_grad * (x @ w + b > 0)) @ w.T, None, None]

    parameters = [layer.weight, layer.bias]
    slips = {"no gradient goes through the shortcut: x is detached": through_fn_only}
    check_module("hw2/nn_residual", model, normal(3, 4), formula, parameters, slips)
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
