"""Composites: a device's kernel and the function of Tensors compute the same, derivatives too."""

import needle as ndl
import numpy as np
import pytest
from apps.models import LanguageModel
from needle import nn, ops

DEVICES = [device for device in ndl.all_devices() if device.enabled()]
BATCH_NORM = {"eps": 1e-5, "momentum": 0.1}
RUNNING = ("constant", 3), ("constant", 3)
# name: (shapes of the Tensors, keywords). None: a Tensor that is left out; "ids 7": ids below 7;
# "constant": positive numbers without a gradient.
CASES = {
    "linear": ([(5, 3), (3, 4), (1, 4)], {}),
    "linear of three axes, flat bias": ([(2, 5, 3), (3, 4), (4,)], {}),
    "linear without bias": ([(5, 3), (3, 4), None], {}),
    "linears": ([(5, 3), (3, 4), (1, 4), (4, 2), None], {"relus": (True, False)}),
    "relu": ([(5, 3)], {}),
    "softmax_loss": ([(5, 7), ("ids 7", 5)], {}),
    "layer_norm": ([(5, 4), (4,), (4,)], {"eps": 1e-5}),
    "layer_norm of three axes": ([(2, 5, 4), (4,), (4,)], {"eps": 1e-5}),
    "batch_norm": ([(6, 3), (3,), (3,), *RUNNING], {**BATCH_NORM, "training": True}),
    "batch_norm in evaluation": (
        [(6, 3), (3,), (3,), *RUNNING],
        {**BATCH_NORM, "training": False},
    ),
    "batch_norm2d": ([(3, 3, 2, 2), (3,), (3,), *RUNNING], {**BATCH_NORM, "training": True}),
    "conv2d": ([(2, 3, 5, 4), (3, 3, 3, 4), (4,)], {"stride": 2, "padding": 1}),
    "conv2d without bias": ([(2, 1, 3, 3), (1, 1, 1, 2)], {"stride": 1, "padding": 0}),
    "embedding": ([(7, 3), ("ids 7", 4, 2)], {}),
    "lstm": ([(3, 2, 4), (2, 3), (2, 3), (4, 12), (3, 12), (12,), (12,)], {}),
    "lstm without bias": ([(2, 2, 1), (2, 3), (2, 3), (1, 12), (3, 12)], {}),
    "attention": ([(2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 4)], {"causal": True, "dropout": None}),
    "attention to all": ([(1, 2, 3, 4), (1, 2, 2, 4), (1, 2, 2, 4)], {"causal": False}),
}


def draw(shape, random, device):
    """A Tensor of random numbers."""
    kind, *lengths = shape if isinstance(shape[0], str) else ("normal", *shape)
    if kind == "normal":
        array = random.standard_normal(lengths)
    elif kind == "constant":
        array = random.uniform(0.5, 2, lengths)
    else:
        array = random.randint(0, int(kind.split()[1]), lengths)
    return ndl.Tensor(array, device=device, dtype="float32", requires_grad=kind == "normal")


def results_and_derivatives(case, device):
    """Results, gradients, and gradients of a function of the gradients, as arrays by name."""
    random = np.random.RandomState(1)
    shapes, settings = CASES[case]
    tensors = [None if shape is None else draw(shape, random, device) for shape in shapes]
    results = getattr(ops, case.split()[0])(*tensors, **settings)
    results = results if isinstance(results, tuple) else (results,)

    def weighted(values):
        """One number: the sum of all elements' squares, each with a weight of its own."""
        total = ndl.init.zeros(device=device)
        for value in values:
            weight = ndl.Tensor(random.standard_normal(value.shape), device=device, dtype="float32")
            total = total + (value * value * weight).sum()
        return total

    weighted([r for r in results if r.requires_grad]).backward()
    leaves = [t for t in tensors if t is not None and t.requires_grad]
    grads = [leaf.grad for leaf in leaves]
    weighted(grads).backward()
    return {
        **{f"result {k}": r.numpy() for k, r in enumerate(results)},
        **{f"gradient {k}": g.numpy() for k, g in enumerate(grads)},
        **{f"second gradient {k}": leaf.grad.numpy() for k, leaf in enumerate(leaves)},
    }


@pytest.mark.parametrize("lazy", [False, True], ids=["eager", "lazy"])
@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.name)
@pytest.mark.parametrize("case", CASES)
def test_kernel_and_function_agree_twice_differentiated(case, device, lazy, monkeypatch):
    with ndl.kernels("own"):
        expected = results_and_derivatives(case, ndl.cpu_numpy())
    monkeypatch.setattr(ndl.autograd, "LAZY_MODE", lazy)
    for form in ("given", "own"):
        with ndl.kernels(form):
            found = results_and_derivatives(case, device)
        assert found.keys() == expected.keys()
        for name, right in expected.items():
            scale = max(1.0, np.abs(right).max())
            worst = np.abs(found[name] - right).max()
            assert found[name].shape == right.shape and worst < 3e-5 * scale, (form, name, worst)


def test_every_composite_has_a_case():
    composites = {name for name in dir(ops) if hasattr(getattr(ops, name), "__wrapped__")}
    tested = {case.split()[0] for case in CASES}
    assert composites - {"chained", "get_item"} == tested


def test_the_cpu_has_a_kernel_for_every_composite():
    for case in CASES:
        assert ndl.cpu().kernel(case.split()[0]) is not None, case


MODELS = {
    "images": lambda: nn.Sequential(
        nn.Conv(3, 4, 3, 2),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Residual(nn.Sequential(nn.Conv(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU())),
        nn.Flatten(),
        nn.Linear(64, 8),
        nn.ReLU(),
        nn.Linear(8, 5),
    ),
    "features": lambda: nn.Sequential(
        nn.Linear(6, 8),
        nn.ReLU(),
        nn.LayerNorm1d(8),
        nn.Linear(8, 8),
        nn.BatchNorm1d(8),
        nn.Linear(8, 5),
    ),
}
INPUTS = {"images": (9, 3, 8, 8), "features": (9, 6)}


def language_model(kind):
    return LanguageModel(8, 11, 6, 2, kind, seq_len=5)


def losses(make, batch, optimizer):
    """Of five training steps from the same weights and numbers."""
    np.random.seed(3)
    model, found = make(), []
    opt = optimizer(model.parameters())
    X, y = (ndl.Tensor(a, dtype="float32", requires_grad=False) for a in batch)
    for _ in range(5):
        out = model(X)
        loss = nn.SoftmaxLoss()(out[0] if isinstance(out, tuple) else out, y)
        opt.reset_grad()
        loss.backward()
        opt.step()
        found.append(loss.item())
    return found


@pytest.mark.parametrize("optimizer", ["SGD", "momentum", "Adam"])
@pytest.mark.parametrize("kind", ["images", "features", "lstm", "transformer"])
def test_both_forms_train_alike(kind, optimizer):
    random = np.random.RandomState(0)
    if kind in MODELS:
        make, batch = MODELS[kind], (random.rand(*INPUTS[kind]), random.randint(0, 5, 9))
    else:
        make = lambda: language_model(kind)
        batch = random.randint(0, 11, (5, 3)), random.randint(0, 11, 15)
    choose = {
        "SGD": lambda p: ndl.optim.SGD(p, lr=0.03, weight_decay=0.01),
        "momentum": lambda p: ndl.optim.SGD(p, lr=0.03, momentum=0.9),
        "Adam": lambda p: ndl.optim.Adam(p, lr=0.01, weight_decay=0.01),
    }[optimizer]
    with ndl.kernels("given"):
        given = losses(make, batch, choose)
    with ndl.kernels("own"):
        own = losses(make, batch, choose)
    assert np.allclose(given, own, rtol=2e-5), (given, own)
    assert own[-1] < own[0]
