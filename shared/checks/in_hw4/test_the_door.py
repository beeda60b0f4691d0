"""Kernels come in by one door: what may pass, what may not, and who knows of it."""

import re
import sys
from pathlib import Path

import inside
import needle as ndl
import numpy as np
import pytest
from needle import nn, ops

NEEDLE = Path(ndl.__file__).parent
LAYERS = ["linear", "linears", "relu", "softmax_loss", "layer_norm", "batch_norm", "batch_norm2d"]
LAYERS += ["conv2d", "embedding", "lstm", "attention", "sgd_step", "adam_step"]


def tensor(array, **keywords):
    return ndl.Tensor(np.asarray(array, dtype="float32"), **keywords)


def spy_on(monkeypatch, device, names, answer):
    """Put `answer(name, *arguments)` in the place of the device's kernels of these names."""
    monkeypatch.setattr(device, "_table", dict(device._table))
    for name in names:
        device.add_kernel(name, lambda *given, name=name, **more: answer(name, *given))


def train_everything():
    """A training step through every layer and both optimizers."""
    from apps.models import LanguageModel, ResNet9

    random = np.random.RandomState(0)
    words, classes = tensor(random.randint(0, 9, (4, 2))), tensor(random.randint(0, 9, 8))
    images, kinds = tensor(random.rand(2, 3, 32, 32)), tensor(random.randint(0, 10, 2))
    models = [LanguageModel(6, 9, 5, 1, "lstm"), LanguageModel(6, 9, 5, 1, "transformer", 4)]
    for model, X, y in [*((m, words, classes) for m in models), (ResNet9(), images, kinds)]:
        out = model(X)
        nn.SoftmaxLoss()(out[0] if isinstance(out, tuple) else out, y).backward()
        for optimizer in (ndl.optim.SGD(model.parameters()), ndl.optim.Adam(model.parameters())):
            optimizer.step()


def test_your_own_form_reaches_no_kernel_of_a_layer(monkeypatch):
    def reached(name, *given):
        raise AssertionError(f"the kernel {name} was reached")

    spy_on(monkeypatch, ndl.cpu(), LAYERS, reached)
    with ndl.kernels("own"):
        train_everything()
    with pytest.raises(AssertionError, match="was reached"), ndl.kernels("given"):
        train_everything()


def test_the_given_form_reaches_every_kernel(monkeypatch):
    seen, table = set(), dict(ndl.cpu()._table)

    def noted(name, *given):
        seen.add(name)
        return table[name](*given)

    layers = [name for name in LAYERS if not name.endswith("_step")]
    spy_on(monkeypatch, ndl.cpu(), layers, noted)
    with ndl.kernels("given"):
        train_everything()
        nn.BatchNorm1d(3)(tensor(np.ones((2, 3))))
        ops.linear(tensor(np.ones((2, 3))), tensor(np.ones((3, 1))))
        nn.Sequential(nn.Linear(3, 2), nn.ReLU())(tensor(np.ones((2, 3))))
    assert seen == set(layers)


class Halving:
    """A kernel that arrives later: `layer_norm`, computed by NumPy, and wrong by a half on purpose."""

    results, rest, constants = 1, 0, 0

    def forward(self, arrays):
        self.given = arrays
        return [arrays[0] * 0.5]

    def backward(self, adjoints_and_arrays, needed):
        adjoint, *arrays = adjoints_and_arrays
        grads = [adjoint * 0.5, *[a * 0.0 for a in arrays[1:]]]
        return [grad for grad, need in zip(grads, needed) if need]


def test_a_kernel_that_arrives_later_comes_in_by_the_same_door(monkeypatch):
    device = ndl.cpu_numpy()
    monkeypatch.setattr(device, "_table", dict(device._table))
    device.add_kernel("layer_norm", lambda given, settings: Halving())
    x, layer = tensor([[1.0, 3.0]], device=device), nn.LayerNorm1d(2, device=device)
    with ndl.kernels("given"):
        y = layer(x)
    y.backward()
    assert np.array_equal(y.numpy(), [[0.5, 1.5]]) and np.array_equal(x.grad.numpy(), [[0.5, 0.5]])
    with ndl.kernels("own"):
        assert np.allclose(layer(x).numpy(), [[-1, 1]], atol=1e-4)


def test_a_kernel_may_decline_a_call(monkeypatch):
    device = ndl.cpu_numpy()
    monkeypatch.setattr(device, "_table", dict(device._table))
    device.add_kernel("relu", lambda given, settings: None)
    with ndl.kernels("given"):
        assert np.array_equal(ops.relu(tensor([-1.0, 2.0], device=device)).numpy(), [0, 2])


def test_dropout_keeps_attention_in_its_own_form():
    q = tensor(np.random.randn(1, 2, 4, 3))
    layer = nn.MultiHeadAttention(dropout=0.5, causal=True)
    with ndl.kernels("given"):
        _, probs = layer(q, q, q)
    assert probs.op is None or "kernel" not in repr(probs.inputs[0].op)
    dropped = probs.numpy()[0, 0][np.tril_indices(4)]
    assert (dropped == 0).any() and (dropped > 0).any()


def test_ids_may_lie_on_another_device_than_the_table():
    ids = tensor([[0, 2]], device=ndl.cpu_numpy(), requires_grad=False)
    table = nn.Embedding(3, 2, device=ndl.cpu())
    with ndl.kernels("given"):
        assert np.array_equal(table(ids).numpy()[0], table.weight.numpy()[[0, 2]])


def test_the_form_can_be_set_for_a_block_and_from_now_on():
    with ndl.kernels("own"):
        assert ndl.kernels.form == "own"
        with ndl.kernels("given"):
            assert ndl.kernels.form == "given"
        assert ndl.kernels.form == "own"
    before = ndl.kernels.form
    ndl.kernels("own")
    assert ndl.kernels.form == "own"
    ndl.kernels(before)
    with pytest.raises(ValueError, match="not 'fast'"):
        ndl.kernels("fast")


# ------------------------------------------------------------------------------------ chains


def test_neighbouring_linear_layers_and_relus_of_a_sequential_are_one_kernel(monkeypatch):
    seen, table = [], dict(ndl.cpu()._table)
    spy_on(
        monkeypatch,
        ndl.cpu(),
        ["linear", "linears", "relu"],
        lambda name, *given: (seen.append(name), table[name](*given))[1],
    )
    inner = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    with ndl.kernels("given"):
        nn.Sequential(nn.Linear(2, 4), nn.ReLU(), inner, nn.Linear(3, 2))(tensor(np.ones((5, 2))))
    assert seen == ["linears"]


class Watching(nn.Module):
    """Keeps its input and looks at it."""

    def forward(self, x):
        self.seen, self.shape = x, x.shape
        return x


class Keeping(nn.Module):
    """Keeps its input without looking."""

    def forward(self, x):
        self.seen = x
        return x


@pytest.mark.parametrize("place", [0, 1, 2, 3])
@pytest.mark.parametrize("spectator", [Watching, Keeping])
def test_a_module_in_a_chain_may_look_at_and_keep_its_input(spectator, place):
    """What it keeps is an ordinary Tensor as soon as it is looked at, and takes part in the graph."""
    x = tensor(np.random.randn(3, 2))
    layers, watching = [nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 2)], spectator()
    parts = [*layers[:place], watching, *layers[place:]]
    found = {}
    for form in ("given", "own"):
        with ndl.kernels(form):
            y = nn.Sequential(*parts)(x)
            ((y * y).sum() + (watching.seen * watching.seen * 3.0).sum()).backward()
            found[form] = [y, watching.seen, x.grad]
            found[form] += [p.grad for layer in layers for p in layer.parameters()]
            if spectator is Watching:  # looked at in time, it is a node between x and y
                found[form].append(watching.seen.grad)
            assert type(watching.seen) is ndl.Tensor and type(y) is ndl.Tensor
    for given, own in zip(*found.values()):
        assert np.allclose(given.numpy(), own.numpy(), atol=1e-4)


def test_a_sequential_that_begins_with_another_layer_takes_the_tensor_itself():
    """A chain there would cost a node that computes nothing, forward and backward."""
    x = tensor(np.ones((2, 3)))
    with ndl.kernels("given"):
        first = nn.Sequential(nn.Sequential(nn.LayerNorm1d(3)), nn.ReLU())(x).inputs[0]
    assert repr(first.op) == "kernel layer_norm" and first.inputs[0] is x


def test_what_a_tensor_does_not_have_a_chain_does_not_have_either():
    class Asking(nn.Module):
        def forward(self, x):
            assert not hasattr(x, "colour") and hasattr(x, "shape")
            return x

    with ndl.kernels("given"):
        assert nn.Sequential(nn.Linear(2, 2), Asking())(tensor(np.ones((1, 2)))).shape == (1, 2)


def test_what_leaves_a_sequential_is_an_ordinary_tensor():
    with ndl.kernels("given"):
        for parts in ([nn.Linear(2, 2)], [nn.ReLU()], [nn.Identity()], []):
            assert type(nn.Sequential(*parts)(tensor(np.ones((2, 2))))) is ndl.Tensor


# -------------------------------------------------------------------------------- who knows of it


def test_no_module_of_nn_knows_of_kernels():
    for file in (NEEDLE / "nn").glob("*.py"):
        text = file.read_text("utf-8")
        if file.name == "nn_conv.py":  # where a kernel is what a convolution moves over an image
            text = re.sub("kernel_size|square kernel|odd kernels", "", text)
        assert not re.search("kernel|fused|composite", text), file.name


def test_compiled_code_knows_nothing_of_modules():
    folder = inside.ROOT / "shared" / "kernels" / "fused"
    text = "".join(path.read_text("utf-8") for path in sorted(folder.iterdir()) if path.is_file())
    assert "LayerCall" in text and not re.search('hasattr|__dict__|modules|parameters"', text)


def python_calls(function):
    """How many functions of Python run during function(), itself not counted."""
    names = []
    sys.setprofile(lambda frame, event, _: event == "call" and names.append(frame.f_code.co_name))
    try:
        result = function()
    finally:
        sys.setprofile(None)
    del result
    return names[1:] if names[0] == "<lambda>" else names


def test_a_kernel_call_costs_ten_calls_of_python():
    layer, x = nn.Linear(3, 4), tensor(np.ones((2, 3)))
    with ndl.kernels("given"):
        layer(x)
        names = python_calls(lambda: layer(x))
    assert len(names) <= 10, names


@pytest.mark.parametrize("optimizer", [ndl.optim.SGD, ndl.optim.Adam])
def test_a_step_of_a_deep_narrow_network_costs_few_calls_of_python_a_layer(optimizer):
    """In such a network the time is between the kernels."""

    def step(layers):
        model = nn.Sequential(
            *[part for _ in range(layers) for part in (nn.Linear(2, 2), nn.ReLU())]
        )
        opt, x = optimizer(model.parameters()), tensor(np.ones((3, 2)), requires_grad=False)
        labels = tensor([0, 1, 0], requires_grad=False)

        def run():
            opt.reset_grad()
            nn.SoftmaxLoss()(model(x), labels).backward()
            opt.step()

        run()
        with ndl.kernels("given"):
            return len(python_calls(run))

    ten, thirty = step(10), step(30)
    assert thirty - ten <= 20 * 32, (thirty - ten) / 20
