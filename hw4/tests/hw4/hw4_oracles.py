"""What homework 4's tests compare with: every layer once more, in NumPy and float64.

Written straight from the definitions, without needle and without its tricks. Gradients are never
written down: the tests measure them as differences of these functions.
"""

import os
import sys

import numpy as np
import pytest

sys.path.append("./python")
sys.path.append("./apps")
import needle as ndl
from course_testing import assert_close, assert_directional_gradient, assert_like
from course_testing.devices import chosen
from hypothesis import settings

if ndl.BACKEND == "np":
    DEVICES = [pytest.param(ndl.cpu(), id="numpy")]
else:
    skip_cuda = pytest.mark.skipif(
        os.environ.get("NEEDLE_CUDA") == "off", reason="NEEDLE_CUDA=off switches cuda() off"
    )
    DEVICES = chosen(  # `hw test hw4 --device cpu_numpy` leaves one
        [
            pytest.param(ndl.cpu(), id="cpu"),
            pytest.param(ndl.cuda(), id="cuda", marks=skip_cuda),
            pytest.param(ndl.cpu_numpy(), id="cpu_numpy"),
        ]
    )
every_device = pytest.mark.parametrize("device", DEVICES)
one_device = pytest.mark.parametrize("device", DEVICES[:1])
only_with_cpu = pytest.mark.skipif(
    not {"cpu", "numpy"} & {device.id for device in DEVICES},
    reason="cpu(), the default, is left out",
)
sweep = settings(max_examples=40, deadline=None, derandomize=True, database=None)

# Submitted values are computed where every student's are the same, whatever their C++ can do.
GRADED_DEVICE = ndl.cpu() if ndl.BACKEND == "np" else ndl.cpu_numpy()


def cases(names, values):
    """Parametrize with readable ids."""
    return pytest.mark.parametrize(
        names, list(values), ids=lambda value: str(value).replace(" ", "").strip("()")
    )


def normal(*shape):
    """Random float32 numbers from NumPy's global generator, which each test seeds anew."""
    return np.random.randn(*shape).astype("float32")


def tensor(array, device, requires_grad=True):
    return ndl.Tensor(
        np.asarray(array, dtype="float32"),
        device=device,
        dtype="float32",
        requires_grad=requires_grad,
    )


# ------------------------------------------------------------------------------------ the checks


def check_forward(result, desired, device, *, problem, op, terms=1):
    """`result` is a float32 Tensor on `device` with the desired values."""
    __tracebackhide__ = True
    assert isinstance(result, ndl.Tensor), f"{op} returned {type(result).__name__}, not a Tensor"
    assert_close(result, desired, problem=problem, op=op, dtype="float32", terms=64 * terms)
    assert result.device == device, f"{op}: input on {device}, result on {result.device}"


def check_backward(build, oracle, arrays, device, *, problem, op, extra=(), rtol=2e-3):
    """The gradients that needle finds for build(*tensors) are those measured on the oracle.

    Args:
        build: Tensors -> Tensor, needle's own.
        oracle: the same function of float64 arrays.
        arrays: the inputs, float32.
        extra: (Parameter, ...) whose gradients are judged too; the oracle takes their values
            after the inputs.
    """
    __tracebackhide__ = True
    inputs = [tensor(array, device) for array in arrays]
    result = build(*inputs)
    weights = np.asarray(np.random.RandomState(7).randn(*result.shape), dtype="float32")
    result.backward(tensor(weights, device, requires_grad=False))
    values = [*inputs, *extra]
    for value in values:
        assert value.grad is not None, f"{op}: an input or parameter got no gradient"
        assert_like(value.grad, value.shape, "float32", problem=problem, op=f"gradient of {op}")
        assert value.grad.device == device, f"{op}: a gradient is on {value.grad.device}"
    point = [np.asarray(array, dtype="float64") for array in arrays]
    point += [value.numpy().astype("float64") for value in extra]
    assert_directional_gradient(
        oracle,
        point,
        [value.grad for value in values],
        weights=weights.astype("float64"),
        problem=problem,
        op=op,
        rtol=rtol,
    )


def check_backward_twice(build, oracle, arrays, device, *, problem, op, rtol=5e-3):
    """The gradient of a gradient: second differences of the oracle.

    The result is squared first, so that even a linear operator has a second derivative.
    """
    __tracebackhide__ = True
    inputs = [tensor(array, device) for array in arrays]
    result = build(*inputs)
    random = np.random.RandomState(8)
    weights = np.asarray(random.randn(*result.shape), dtype="float32")
    moves = [random.randn(*array.shape) for array in arrays]
    turns = [random.randn(*array.shape) for array in arrays]
    (result * result).backward(tensor(weights, device, requires_grad=False))
    slope = None
    for value, move in zip(inputs, moves):
        term = (value.grad * tensor(move, device, requires_grad=False)).sum()
        slope = term if slope is None else slope + term
    slope.backward()
    found = sum(
        float((value.grad.numpy().astype("float64") * turn).sum())
        for value, turn in zip(inputs, turns)
    )

    def at(s, t):
        points = [a + s * m + t * n for a, m, n in zip(arrays, moves, turns)]
        return float((np.asarray(oracle(*points)) ** 2 * weights).sum())

    h = 1e-3
    measured = (at(h, h) - at(h, -h) - at(-h, h) + at(-h, -h)) / (4 * h * h)
    size = sum(float(np.abs(value.grad.numpy() * turn).sum()) for value, turn in zip(inputs, turns))
    assert_close(
        found,
        measured,
        problem=problem,
        op=f"gradient of the gradient of {op}",
        rtol=rtol,
        atol=1e-4 * size + 1e-6,
    )


# ------------------------------------------------------------------------------- small functions


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def softmax_loss(logits, y):
    """Mean cross entropy of logits (n, k) and class ids (n,)."""
    picked = np.log(softmax(logits))[np.arange(len(y)), np.asarray(y, dtype=int)]
    return -picked.mean()


def layer_norm(x, weight=1.0, bias=0.0, eps=1e-5):
    mean = x.mean(axis=-1, keepdims=True)
    var = ((x - mean) ** 2).mean(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(var + eps) * weight + bias


def batch_norm_images(x, eps=1e-5):
    """Training-time batch norm of (N, C, H, W) with weight 1 and bias 0."""
    mean = x.mean(axis=(0, 2, 3), keepdims=True)
    var = ((x - mean) ** 2).mean(axis=(0, 2, 3), keepdims=True)
    return (x - mean) / np.sqrt(var + eps)


# ----------------------------------------------------------------------------------------- images


def conv(x, w, stride=1, padding=0):
    """(N, H, W, C) with (K, L, C, O), output pixel by output pixel."""
    p = padding
    x = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))
    k, l, _, out = w.shape
    height, width = (x.shape[1] - k) // stride + 1, (x.shape[2] - l) // stride + 1
    y = np.zeros((x.shape[0], height, width, out))
    for i in range(height):
        for j in range(width):
            window = x[:, i * stride : i * stride + k, j * stride : j * stride + l]
            y[:, i, j] = np.tensordot(window, w, axes=3)
    return y


def conv_layer(x, w, bias=None, stride=1):
    """nn.Conv: (N, C, H, W) -> (N, O, H', W')."""
    y = conv(x.transpose(0, 2, 3, 1), w, stride, w.shape[0] // 2)
    return (y if bias is None else y + bias).transpose(0, 3, 1, 2)


def dilate(x, axes, dilation):
    for axis in axes:
        if axis < x.ndim:
            shape = list(x.shape)
            shape[axis] *= dilation + 1
            out = np.zeros(shape, x.dtype)
            np.moveaxis(out, axis, 0)[:: dilation + 1] = np.moveaxis(x, axis, 0)
            x = out
    return x


def undilate(x, axes, dilation):
    for axis in axes:
        if axis < x.ndim:
            x = np.moveaxis(np.moveaxis(x, axis, 0)[:: dilation + 1], 0, axis)
    return x


# -------------------------------------------------------------------------------------- sequences


def rnn_cell(x, h, W_ih, W_hh, bias_ih=0.0, bias_hh=0.0, nonlinearity="tanh"):
    z = x @ W_ih + h @ W_hh + bias_ih + bias_hh
    return np.tanh(z) if nonlinearity == "tanh" else np.maximum(z, 0)


def lstm_cell(x, h, c, W_ih, W_hh, bias_ih=0.0, bias_hh=0.0):
    z = x @ W_ih + h @ W_hh + bias_ih + bias_hh
    i, f, g, o = np.split(z, 4, axis=1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def rnn(x, h0, cells, nonlinearity="tanh"):
    """`cells`: parameters of each layer. -> (output, h_n)."""
    last = []
    for h, parameters in zip(h0, cells):
        outputs = []
        for step in x:
            h = rnn_cell(step, h, *parameters, nonlinearity=nonlinearity)
            outputs.append(h)
        x = np.stack(outputs)
        last.append(h)
    return x, np.stack(last)


def lstm(x, h0, c0, cells):
    """-> (output, h_n, c_n)."""
    last_h, last_c = [], []
    for h, c, parameters in zip(h0, c0, cells):
        outputs = []
        for row in x:
            h, c = lstm_cell(row, h, c, *parameters)
            outputs.append(h)
        x = np.stack(outputs)
        last_h.append(h)
        last_c.append(c)
    return x, np.stack(last_h), np.stack(last_c)


# -------------------------------------------------------------------------------------- attention


def attention(q, k, v, causal=False, keep=None):
    """-> (result, probs); `keep` multiplies the weights: the dropout mask divided by 1 - p."""
    scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
    if causal:
        rows, columns = scores.shape[-2:]
        allowed = np.tril(np.ones((rows, columns)), columns - rows) > 0
        scores = np.where(allowed, scores, -np.inf)
    shares = softmax(scores)
    if keep is not None:
        shares = shares * keep
    return shares @ v, shares


def attention_layer(q, k, v, Wq, Wk, Wv, Wo, *, heads, causal=True, keep=None):
    """Norms with weight 1 and bias 0."""

    def heads_of(x, W):
        y = layer_norm(x) @ W
        return y.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)

    result, _ = attention(heads_of(q, Wq), heads_of(k, Wk), heads_of(v, Wv), causal, keep)
    return result.transpose(0, 2, 1, 3).reshape(*q.shape[:2], -1) @ Wo


def transformer_layer(
    x, Wq, Wk, Wv, Wo, W1, b1, W2, b2, *, heads, causal=True, keeps=(None, 1.0, 1.0, 1.0)
):
    """`keeps`: dropout masks of probabilities, attention, hidden and result, over 1 - p."""
    x = (
        x
        + attention_layer(x, x, x, Wq, Wk, Wv, Wo, heads=heads, causal=causal, keep=keeps[0])
        * (keeps[1])
    )
    hidden = np.maximum(layer_norm(x) @ W1 + b1, 0)
    hidden = hidden * np.reshape(keeps[2], (*hidden.shape[:2], -1) if np.ndim(keeps[2]) else ())
    result = hidden @ W2 + b2
    return x + result * np.reshape(keeps[3], result.shape if np.ndim(keeps[3]) else ())


# ----------------------------------------------------- first weights, drawn as the text prescribes


def draw_uniform(fan_in, *shape):
    bound = np.sqrt(6 / fan_in)
    return ((np.random.rand(*shape) * 2 - 1) * bound).astype("float32")


def draw_linear(inputs, outputs, bias=True):
    weight = draw_uniform(inputs, inputs, outputs)
    return [weight, draw_uniform(outputs, outputs, 1).reshape(1, outputs)] if bias else [weight]


def draw_attention_layer(features, heads, dim):
    projections = [draw_linear(features, heads * dim, bias=False)[0] for _ in range(3)]
    return [*projections, draw_linear(heads * dim, features, bias=False)[0]]


def draw_transformer_layer(features, heads, dim, hidden):
    return [
        *draw_attention_layer(features, heads, dim),
        *draw_linear(features, hidden),
        *draw_linear(hidden, features),
    ]


def find_parameters(module, drawn):
    """The Parameters of `module` that hold the arrays `drawn`, whatever they are called."""
    found = []
    for array in drawn:
        match = [
            p
            for p in module.parameters()
            if p.shape == array.shape and np.allclose(p.numpy(), array, rtol=1e-5, atol=1e-6)
        ]
        assert match, (
            f"no parameter of shape {array.shape} has the values that the prescribed order of "
            "random draws gives: are the parts made in the order of the text, each with its bias?"
        )
        found.append(match[0])
    return found
