"""Exponentials, norms and divisions over all float32 numbers: right or finite, forward and backward,
in operators and in kernels, on every device. The oracle is float64 NumPy."""

import math
import platform

import needle as ndl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from needle import nn, ops, optim

DEVICES = [device for device in ndl.all_devices() if device.enabled()]
on_devices = pytest.mark.parametrize("device", DEVICES, ids=repr)
LARGEST = float(np.finfo(np.float32).max)
INF = math.inf

every_float32 = st.floats(-LARGEST, LARGEST, width=32)
moderate = st.floats(-200, 200, width=32)
few = settings(max_examples=60, deadline=None, derandomize=True)


def tensor(array, device):
    return ndl.Tensor(np.asarray(array, dtype="float32"), device=device)


def sigmoid64(x):
    x = np.asarray(x, dtype="float64")
    return np.exp(-np.logaddexp(0, -x))


def rows_of(elements):
    return arrays(np.float32, st.tuples(st.integers(1, 3), st.integers(1, 20)), elements=elements)


@on_devices
@few
@given(rows_of(every_float32))
def test_a_sigmoid_and_its_gradient_are_right_for_every_float32(device, x):
    point = tensor(x, device)
    y = nn.Sigmoid()(point)
    y.sum().backward()
    np.testing.assert_allclose(y.numpy(), sigmoid64(x), rtol=1e-6, atol=1e-7)
    slope = sigmoid64(x) * sigmoid64(-x.astype("float64"))
    np.testing.assert_allclose(point.grad.numpy(), slope, rtol=1e-6, atol=1e-7)


@on_devices
@pytest.mark.parametrize("scale", [1.0, 1e3, 1e30])
def test_a_saturated_lstm_has_finite_values_and_gradients_as_in_float64(device, scale):
    np.random.seed(1)
    cell = nn.LSTMCell(3, 4, device=device)
    signs = np.where(np.arange(16) % 2 == 0, -1.0, 1.0).astype("float32")
    cell.bias_ih = nn.Parameter(tensor(scale * signs, device))
    x, state = tensor(np.ones((2, 3)), device), tensor(np.ones((2, 4)), device)
    h, c = cell(x, (state, state))
    (h.sum() + c.sum()).backward()
    weights = [p.numpy().astype("float64") for p in (cell.W_ih, cell.W_hh, cell.bias_hh)]
    z = np.ones((2, 3)) @ weights[0] + np.ones((2, 4)) @ weights[1] + weights[2] + scale * signs
    i, f, g, o = np.split(z, 4, axis=1)
    c64 = sigmoid64(f) + sigmoid64(i) * np.tanh(g)
    np.testing.assert_allclose(c.numpy(), c64, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(h.numpy(), sigmoid64(o) * np.tanh(c64), rtol=1e-5, atol=1e-6)
    for value in (x, state, *cell.parameters()):
        assert np.isfinite(value.grad.numpy()).all()


@on_devices
def test_a_saturated_lstm_is_the_same_by_kernels_and_by_operators(device):
    def outcome():
        np.random.seed(1)
        lstm = nn.LSTM(3, 4, device=device)
        lstm.lstm_cells[0].bias_ih = nn.Parameter(tensor(np.linspace(-1000, 1000, 16), device))
        x = tensor(np.random.randn(5, 2, 3), device)
        out, _ = lstm(x)
        out.sum().backward()
        return [out.numpy(), x.grad.numpy(), *(p.grad.numpy() for p in lstm.parameters())]

    by_kernels = outcome()
    with ndl.kernels("own"):
        by_operators = outcome()
    for one, other in zip(by_kernels, by_operators):
        assert np.isfinite(one).all()
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@on_devices
@pytest.mark.parametrize(
    "row, total",
    [
        ([-INF, -INF, -INF], -INF),
        ([0.0, INF, 1.0], INF),
        ([-INF, 2.0, -INF], 2.0),
        ([-INF, INF, 0.0], INF),
        ([LARGEST, 0.0, 0.0], LARGEST),
        ([-LARGEST, -LARGEST, -LARGEST], -LARGEST),
    ],
)
def test_logsumexp_of_infinities(device, row, total):
    x = tensor([row, [1.0, 2.0, 3.0]], device)
    y = ops.logsumexp(x, axes=(1,))
    y.sum().backward()
    np.testing.assert_allclose(y.numpy()[0], np.float32(total), rtol=1e-6)
    np.testing.assert_allclose(y.numpy()[1], np.log(np.exp([1.0, 2.0, 3.0]).sum()), rtol=1e-6)
    slope = x.grad.numpy()
    assert np.isfinite(slope).all() and (slope >= 0).all() and (slope <= 1).all()
    if row.count(max(row)) == 1:
        np.testing.assert_array_equal(slope[0], np.asarray(row) == max(row))


@on_devices
@few
@given(rows_of(every_float32))
def test_logsumexp_and_softmax_of_every_float32_are_right(device, x):
    point = tensor(x, device)
    y = ops.logsumexp(point, axes=(1,))
    y.sum().backward()
    wide = x.astype("float64")
    peak = wide.max(axis=1, keepdims=True)
    weights = np.exp(wide - peak)
    total = weights.sum(axis=1, keepdims=True)
    expected = (np.log(total) + peak)[:, 0]
    inside = np.abs(expected) <= LARGEST
    np.testing.assert_allclose(y.numpy()[inside], expected[inside], rtol=1e-6, atol=1e-6)
    # What softmax sees is `y` rounded to float32: exp turns that absolute error into a relative one.
    error = np.clip(2.0**-22 * np.abs(expected).max(), 1e-6, 1)
    np.testing.assert_allclose(point.grad.numpy(), weights / total, rtol=error, atol=error)


@on_devices
@few
@given(rows_of(moderate))
def test_logsoftmax_and_its_gradient_are_right(device, x):
    point = tensor(x, device)
    ops.logsoftmax(point).sum().backward()
    wide = x.astype("float64")
    shifted = wide - wide.max(axis=1, keepdims=True)
    result = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(ops.logsoftmax(point).numpy(), result, rtol=1e-5, atol=1e-5)
    slope = 1 - x.shape[1] * np.exp(result)
    np.testing.assert_allclose(point.grad.numpy(), slope, rtol=1e-4, atol=1e-4)


@on_devices
@pytest.mark.parametrize("kernels", [True, False], ids=["kernels", "operators"])
def test_the_softmax_loss_of_classes_that_are_ruled_out_is_right(device, kernels):
    logits = tensor([[-INF, 1.0, 2.0], [0.0, -INF, -INF], [LARGEST, 0.0, 0.0]], device)
    labels = tensor([2, 0, 0], device)

    def loss_and_slope():
        loss = nn.SoftmaxLoss()(logits, labels)
        loss.backward()
        return float(loss.numpy()), logits.grad.numpy()

    if kernels:
        loss, slope = loss_and_slope()
    else:
        with ndl.kernels("own"):
            loss, slope = loss_and_slope()
    assert math.isclose(loss, math.log(1 + math.exp(-1)) / 3, rel_tol=1e-5)
    p = 1 / (1 + math.exp(-1))
    np.testing.assert_allclose(
        slope, np.array([[0, 1 - p, p - 1], [0, 0, 0], [0, 0, 0]]) / 3, rtol=1e-5, atol=1e-7
    )


@on_devices
@pytest.mark.parametrize("kernels", [True, False], ids=["kernels", "operators"])
def test_attention_to_infinite_scores_is_finite(device, kernels):
    # Two heads: scores -inf, inf, 0 in the first, -inf everywhere in the second.
    q = tensor(np.full((1, 2, 3, 2), 1e19), device)
    keys = np.array([[-1e20, 1e20, 0], [-1e20, -1e20, -1e20]])
    k = tensor(np.stack([keys, keys], axis=-1)[None], device)
    v = tensor(np.arange(12).reshape(1, 2, 3, 2), device)
    attention = nn.MultiHeadAttention(causal=False, device=device)
    if kernels:
        result, probs = attention(q, k, v)
    else:
        with ndl.kernels("own"):
            result, probs = attention(q, k, v)
    result.sum().backward()
    np.testing.assert_array_equal(probs.numpy()[0, 0], [[0, 1, 0]] * 3)
    np.testing.assert_array_equal(probs.numpy()[0, 1], np.zeros((3, 3)))
    assert np.isfinite(result.numpy()).all() and np.isfinite(v.grad.numpy()).all()


@on_devices
@pytest.mark.parametrize("optimizer", [optim.SGD, optim.Adam])
@few
@given(
    arrays(np.float32, st.integers(1, 9), elements=every_float32),
    st.floats(1e-6, 1e6),
)
def test_clipping_bounds_the_norm_of_every_float32_gradient(device, optimizer, grad, bound):
    p = nn.Parameter(tensor(np.zeros(grad.shape), device))
    p.grad = tensor(grad, device)
    norm = np.linalg.norm(grad.astype("float64"))
    optimizer([p]).clip_grad_norm(bound)
    expected = grad.astype("float64") * (min(1, bound / norm) if norm else 1)
    np.testing.assert_allclose(p.grad.numpy(), expected, rtol=1e-5, atol=1e-37)


@on_devices
@pytest.mark.parametrize("size, bound", [(3e19, 0.25), (1e-25, 1e-26), (1e-25, 1.0), (3e38, 1.0)])
def test_clipping_of_huge_and_tiny_gradients(device, size, bound):
    p = nn.Parameter(tensor(np.zeros(4), device))
    p.grad = tensor(np.full(4, size), device)
    optim.SGD([p]).clip_grad_norm(bound)
    expected = size * min(1, bound / (2 * size))
    np.testing.assert_allclose(p.grad.numpy(), np.full(4, expected), rtol=1e-5)


@on_devices
@pytest.mark.parametrize("a, b", [(1e-25, 1e-25), (1e25, 1e25), (1e30, -1e20), (1.0, 1e-30)])
def test_a_quotients_gradient_does_not_square_its_denominator(device, a, b):
    x, y = tensor([a], device), tensor([b], device)
    (x / y).backward()
    np.testing.assert_allclose(x.grad.numpy(), [1 / b], rtol=1e-6)
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(y.grad.numpy(), [np.float32(-a / b / b)], rtol=1e-6)


@on_devices
@pytest.mark.parametrize(
    "shape, axes",
    [
        ((2**20,), None),
        ((2**20,), (0,)),
        ((1, 2**20), (1,)),
        ((2**20, 3), (0,)),
        ((2**18, 4, 2), (0, 1)),
        ((5, 2**18, 3), (1,)),
    ],
)
def test_sums_over_long_axes_keep_the_accuracy_of_float32(device, shape, axes):
    values = (0.9 + 0.2 * np.random.rand(*shape)).astype("float32")
    got = tensor(values, device).sum(axes).numpy()
    np.testing.assert_allclose(got, values.sum(axis=axes, dtype="float64"), rtol=1e-6)


@on_devices
def test_products_over_long_axes_keep_the_accuracy_of_float32(device):
    a, b = (0.9 + 0.2 * np.random.rand(*shape) for shape in ((40, 2**14), (2**14, 40)))
    a, b = a.astype("float32"), b.astype("float32")
    got = (tensor(a, device) @ tensor(b, device)).numpy()
    np.testing.assert_allclose(got, a.astype("float64") @ b.astype("float64"), rtol=3e-6)


@pytest.mark.skipif(
    platform.machine().lower() not in {"x86_64", "amd64"},
    reason="only x86 is slow at subnormal numbers",
)
def test_weights_that_decay_without_a_gradient_stay_clear_of_subnormal_numbers():
    """Where they stayed, a product with them took ten times longer."""
    p = nn.Parameter(tensor(np.geomspace(1e-37, 1e-30, 100), ndl.cpu()))
    p.grad = tensor(np.zeros(100), ndl.cpu())
    steps = [optim.SGD([p], lr=0.5, weight_decay=0.5), optim.Adam([p], lr=1e-9, weight_decay=0.1)]
    with ndl.kernels("given"):
        for optimizer in steps:
            for _ in range(40):
                optimizer.step()
    memory = next(iter(steps[1].v.values()))
    for values in (p.numpy(), memory.numpy()):
        size = np.abs(values[values != 0])
        assert (size >= np.finfo(np.float32).tiny).all()
