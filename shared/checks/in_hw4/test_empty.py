"""Batches without samples, and other arrays without elements: every layer takes them alike in both
forms and on every device, with gradients, or refuses them in both."""

import needle as ndl
import numpy as np
import pytest
from needle import nn

DEVICES = [device for device in ndl.all_devices() if device.enabled()]
on_devices = pytest.mark.parametrize("device", DEVICES, ids=repr)
in_forms = pytest.mark.parametrize("form", ["given", "own"])

MLP = lambda **on: nn.Sequential(nn.Linear(3, 4, **on), nn.ReLU(), nn.Linear(4, 2, **on))
TRANSFORMER = lambda **on: nn.Transformer(4, 5, 1, num_head=2, dim_head=2, sequence_len=3, **on)
HEADS = lambda **on: nn.MultiHeadAttention(causal=True)
ALL_HEADS = lambda **on: nn.MultiHeadAttention()

# A layer, and the shapes of its inputs.
TAKEN = {
    "linear": (lambda **on: nn.Linear(3, 4, **on), (0, 3)),
    "linear, no rows of three axes": (lambda **on: nn.Linear(3, 4, **on), (2, 0, 3)),
    "mlp": (MLP, (0, 3)),
    "relu": (lambda **on: nn.ReLU(), (0, 3)),
    "softmax loss": (lambda **on: nn.SoftmaxLoss(), (0, 3), (0,)),
    "embedding": (lambda **on: nn.Embedding(5, 3, **on), (0, 2)),
    "layer norm": (lambda **on: nn.LayerNorm1d(3, **on), (0, 3)),
    "batch norm": (lambda **on: nn.BatchNorm1d(3, **on), (0, 3)),
    "batch norm of images": (lambda **on: nn.BatchNorm2d(3, **on), (0, 3, 2, 2)),
    "batch norm without pixels": (lambda **on: nn.BatchNorm2d(3, **on), (2, 3, 0, 2)),
    "batch norm without features": (lambda **on: nn.BatchNorm1d(0, **on), (2, 0)),
    "conv": (lambda **on: nn.Conv(2, 4, 3, **on), (0, 2, 5, 5)),
    "conv with a stride": (lambda **on: nn.Conv(8, 8, 3, stride=2, **on), (0, 8, 5, 5)),
    "lstm": (lambda **on: nn.LSTM(3, 4, num_layers=2, **on), (2, 0, 3)),
    "lstm cell": (lambda **on: nn.LSTMCell(3, 4, **on), (0, 3)),
    "rnn": (lambda **on: nn.RNN(3, 4, num_layers=2, **on), (2, 0, 3)),
    "attention": (HEADS, *[(0, 2, 3, 4)] * 3),
    "attention without heads": (HEADS, *[(2, 0, 3, 4)] * 3),
    "attention without queries": (ALL_HEADS, (1, 2, 0, 4), (1, 2, 3, 4), (1, 2, 3, 4)),
    "transformer": (TRANSFORMER, (3, 0, 4)),
}
REFUSED = {
    "softmax loss without classes": (lambda **on: nn.SoftmaxLoss(), (2, 0), (2,)),
    "conv, smaller than the kernel": (lambda **on: nn.Conv(2, 4, 1, **on), (1, 2, 0, 5)),
    "lstm without steps": (lambda **on: nn.LSTM(3, 4, **on), (0, 2, 3)),
    "rnn without steps": (lambda **on: nn.RNN(3, 4, **on), (0, 2, 3)),
    "attention without keys": (ALL_HEADS, (1, 2, 3, 4), (1, 2, 0, 4), (1, 2, 0, 4)),
}


def flat(values):
    """All Tensors in nested tuples."""
    return [values] if isinstance(values, ndl.Tensor) else [t for v in values for t in flat(v)]


def outcome(make, shapes, device, form):
    """Results, gradients of inputs and parameters, and what the layer holds then, as arrays."""
    np.random.seed(0)
    with ndl.kernels(form):
        layer = make(device=device)
        inputs = [ndl.Tensor(np.ones(shape), device=device, dtype="float32") for shape in shapes]
        results = flat(layer(*inputs))
        sum(((y * y).sum() for y in results[1:]), (results[0] * results[0]).sum()).backward()
    leaves = [*inputs, *layer.parameters()]
    found = [*results, *(p.grad for p in leaves if p.grad is not None)]
    return [value.numpy() for value in found] + [v.numpy() for v in layer.state_dict().values()]


@on_devices
@in_forms
@pytest.mark.parametrize("name", TAKEN)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # a mean of nothing is NaN
def test_nothing_is_taken_alike(name, device, form):
    make, *shapes = TAKEN[name]
    found = outcome(make, shapes, device, form)
    expected = outcome(make, shapes, ndl.cpu(), "own")
    assert len(found) == len(expected)
    for one, other in zip(found, expected):
        np.testing.assert_array_equal(one, other)


@on_devices
@in_forms
@pytest.mark.parametrize("name", REFUSED)
def test_nothing_is_refused_alike(name, device, form):
    make, *shapes = REFUSED[name]
    with pytest.raises((ValueError, IndexError, AssertionError)):
        outcome(make, shapes, device, form)


def test_a_kernel_of_nothing_still_needs_shapes_that_fit():
    x, w = (ndl.NDArray(np.ones(shape), device=ndl.cpu()) for shape in ((2, 0), (3, 4)))
    call = ndl.cpu().kernel("linear")([True, True, False], {})
    with pytest.raises(ValueError, match=r"weight has shape \(3, 4\), expected \(0, any\)"):
        call.forward([x, w])
