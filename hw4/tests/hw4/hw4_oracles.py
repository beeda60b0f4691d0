"""What homework 4's tests compare with: every layer once more, in NumPy and float64.

Written straight from the definitions, without needle and without its tricks. Gradients are never
written down: the tests measure them as differences of these functions.
"""

import itertools
import os
import sys

import numpy as np
import pytest

sys.path.append("./python")
sys.path.append("./apps")
import needle as ndl
from course_testing import assert_close, assert_directional_gradient, assert_like, slip
from course_testing.devices import chosen
from hypothesis import settings

if ndl.BACKEND == "np":
    DEVICES = [pytest.param(ndl.cpu(), id="numpy")]
else:
    from needle import backend_ndarray as nd  # NumPy has no devices but cpu()

    skip_cuda = pytest.mark.skipif(
        os.environ.get("NEEDLE_CUDA") == "off", reason="NEEDLE_CUDA=off switches cuda() off"
    )
    DEVICES = chosen(  # `hw test hw4 --device cpu_numpy` leaves one
        [
            pytest.param(ndl.cpu(), id="cpu"),
            pytest.param(nd.cuda(), id="cuda", marks=skip_cuda),
            pytest.param(nd.cpu_numpy(), id="cpu_numpy"),
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
GRADED_DEVICE = ndl.cpu() if ndl.BACKEND == "np" else nd.cpu_numpy()


def cases(names, values):
    """Parametrize with readable ids."""
    return pytest.mark.parametrize(
        names, list(values), ids=lambda value: str(value).replace(" ", "").strip("()")
    )


class TwiceTheLoss(ndl.nn.SoftmaxLoss):
    """Another loss, to see whether a function uses the one that it is given."""

    def forward(self, logits, y):
        return super().forward(logits, y) * 2


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


def check_backward(
    build, oracle, arrays, device, *, problem, op, extra=(), rtol=2e-3, slips=None, names=()
):
    """The gradients that needle finds for build(*tensors) are those measured on the oracle.

    Args:
        build: Tensors -> Tensor, needle's own.
        oracle: the same function of float64 arrays.
        arrays: the inputs, float32.
        extra: (Parameter, ...) whose gradients are judged too; the oracle takes their values
            after the inputs.
        slips, names: as in `assert_directional_gradient`.
    """
    __tracebackhide__ = True
    inputs = [tensor(array, device) for array in arrays]
    result = build(*inputs)
    weights = np.asarray(np.random.RandomState(7).randn(*result.shape), dtype="float32")
    result.backward(tensor(weights, device, requires_grad=False))
    values = [*inputs, *extra]
    for value in values:
        assert value.grad is not None, (
            f"{problem}: {op}: an input or a parameter of shape {value.shape} got no gradient: is it "
            "used, and by needle's operators?"
        )
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
        slips=slips,
        names=names,
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
    for value in inputs:
        value.grad = None
    slope.backward()
    seconds = [
        np.zeros(value.shape) if value.grad is None else value.grad.numpy().astype("float64")
        for value in inputs
    ]
    found = sum(float((second * turn).sum()) for second, turn in zip(seconds, turns))

    def at(s, t):
        points = [a + s * m + t * n for a, m, n in zip(arrays, moves, turns)]
        return float((np.asarray(oracle(*points)) ** 2 * weights).sum())

    h = 1e-3
    measured = (at(h, h) - at(h, -h) - at(-h, h) + at(-h, -h)) / (4 * h * h)
    size = sum(float(np.abs(second * turn).sum()) for second, turn in zip(seconds, turns))
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
    right = 1 / (1 + np.exp(-x))
    right = slip("this is the sigmoid of -x", right, lambda: 1 / (1 + np.exp(x)))
    return slip("tanh where a sigmoid is asked", right, lambda: np.tanh(x))


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
    sides = padding, padding
    if padding:
        sides = slip("padding at the start only: on both sides", sides, (2 * padding, 0))
        sides = slip("padding at the end only: on both sides", sides, (0, 2 * padding))
        sides = slip("no padding", sides, (0, 0))
    x = np.pad(x, ((0, 0), sides, sides, (0, 0)))
    k, l, _, out = w.shape
    if stride > 1:
        name = "windows lie side by side: neighbouring windows lie `stride` pixels apart"
        step = slip(name, stride, 1)
    else:
        step = 1
    height, width = ((n - m) // stride + 1 for n, m in zip(x.shape[1:3], (k, l)))
    sizes = tuple((n - m + 1) // stride for n, m in zip(x.shape[1:3], (k, l)))
    name = "the size is (H - K) // stride + 1, with the 1 outside of the division"
    height, width = slip(name, (height, width), sizes)
    turned = slip("rows and columns are exchanged inside the windows", False, k > 1)
    w = slip("the kernel is flipped: conv does not turn it", w, w[::-1, ::-1])
    y = np.zeros((x.shape[0], height, width, out))
    for i in range(height):
        for j in range(width):
            window = x[:, i * step : i * step + k, j * step : j * step + l]
            y[:, i, j] = np.tensordot(window.swapaxes(1, 2) if turned else window, w, axes=3)
    return y


def conv_slips(stride, padding):
    """What people take for the gradients of conv(x, w, stride, padding)."""

    def gradients(out_grad, x, w, late=0):
        """`late`: each output's gradient is taken for that of so many pixels before."""
        p = padding
        x = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))
        k, l = w.shape[:2]
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for i, j in itertools.product(range(out_grad.shape[1]), range(out_grad.shape[2])):
            row, column, g = i * stride - late, j * stride - late, out_grad[:, i, j]
            if row < 0 or column < 0:
                continue
            window = np.s_[:, row : row + k, column : column + l]
            dx[window] += np.tensordot(g, w, axes=(1, 3))
            dw += np.tensordot(x[window], g, axes=(0, 0))
        return dx[:, p : dx.shape[1] - p or None, p : dx.shape[2] - p or None], dw

    def with_kernel(change):
        return lambda g, x, w: [gradients(g, x, change(w))[0], None]

    def kernel_axes(g, x, w):
        return [None, gradients(g, x, w)[1].swapaxes(0, 1)]

    def kernel_flipped(g, x, w):
        return [None, gradients(g, x, w)[1][::-1, ::-1]]

    slips = {
        "the kernel is not flipped: the window runs backwards": with_kernel(
            lambda w: w[::-1, ::-1]
        ),
        "the kernel is flipped along one axis: along both": with_kernel(lambda w: w[:, ::-1]),
        "the kernel is flipped along its columns only: along both axes": with_kernel(
            lambda w: w[::-1]
        ),
        "rows and columns of the kernel's gradient are exchanged": kernel_axes,
        "the kernel's gradient is flipped: it is not": kernel_flipped,
    }
    if stride > 1:
        name = "the zeros behind the last gradient stay, those before the first are cut off"
        slips[name] = lambda g, x, w: list(gradients(g, x, w, late=stride - 1))
    return slips


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


UNUSED_STATE = "the state is not used, or begins anew in every step: h W_hh of the step before"


def gates(x, h, W_ih, W_hh, bias_ih=0.0, bias_hh=0.0):
    bias_hh = slip("bias_hh is missing: there are two biases", bias_hh, 0.0)
    bias_ih = slip("bias_ih is missing: there are two biases", bias_ih, 0.0)
    return x @ W_ih + slip(UNUSED_STATE, h @ W_hh, 0.0) + bias_ih + bias_hh


def rnn_cell(x, h, *parameters, nonlinearity="tanh"):
    z = gates(x, h, *parameters)
    bent = np.tanh(z) if nonlinearity == "tanh" else np.maximum(z, 0)
    if nonlinearity == "relu":
        bent = slip("always tanh: the nonlinearity that was asked for", bent, lambda: np.tanh(z))
    return slip("no nonlinearity", bent, z)


GATE_ORDERS = {
    f"these are the gates in the order {', '.join(order)}: they stand i, f, g, o": order
    for order in itertools.permutations("ifgo")
    if order != tuple("ifgo")
}


def lstm_cell(x, h, c, *parameters):
    parts = np.split(gates(x, h, *parameters), 4, axis=1)
    found = dict(zip("ifgo", parts))
    for sentence, order in GATE_ORDERS.items():
        found = slip(sentence, found, lambda order=order: dict(zip(order, parts)))
    i, f, g, o = (found[name] for name in "ifgo")
    keep = sigmoid(f)
    keep = slip("the forget gate is turned round: sigmoid(f) keeps", keep, 1 - keep)
    new = slip("tanh of g is missing", np.tanh(g), g)
    new = slip("the input gate is missing: sigmoid(i) * tanh(g)", sigmoid(i) * new, new)
    c = keep * c + new
    bent = slip("h' is sigmoid(o) * c', without tanh", np.tanh(c), c)
    return slip("the output gate is missing: sigmoid(o) * tanh(c')", sigmoid(o) * bent, bent), c


def rnn(x, h0, cells, nonlinearity="tanh"):
    """`cells`: parameters of each layer. -> (output, h_n)."""
    last = []
    aside = slip("every layer reads the input: the outputs of the layer below", False, True)
    above = x
    for h, parameters in zip(h0, cells):
        outputs = []
        below = x if aside and x.shape[-1] == len(parameters[0]) else above
        for step in below:
            h = rnn_cell(step, h, *parameters, nonlinearity=nonlinearity)
            outputs.append(h)
        above = np.stack(outputs)
        last.append(h)
    name = (
        "the input comes out: a layer's outputs are the next one's input, the last one's the result"
    )
    return slip(name, above, x), np.stack(last)


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
    states = np.stack(last_h), np.stack(last_c)
    return x, *slip("h_n and c_n are exchanged: h first", states, states[::-1])


# -------------------------------------------------------------------------------------- attention


def attention(q, k, v, causal=False, keep=None):
    """-> (result, probs); `keep` multiplies the weights: the dropout mask divided by 1 - p."""
    D = q.shape[-1]
    products = q @ np.swapaxes(k, -1, -2)
    scores = slip("the scores are not divided by sqrt(D)", products / np.sqrt(D), products)
    scores = slip("the scores are divided by D: by its root", scores, lambda: products / D)
    scores = slip("the scores are multiplied by sqrt(D): divide", scores, lambda: products * D**0.5)
    if causal:
        scores = np.where(visible(*scores.shape[-2:]), scores, -np.inf)
    early = 1.0 if keep is None else keep
    early = slip("scores are dropped, before the softmax: drop probabilities", 1.0, early)
    with np.errstate(invalid="ignore"):
        weights = softmax(scores * early if np.ndim(early) else scores)
        name = "softmax over the queries: over the keys, the last axis"
        weights = slip(name, weights, lambda: softmax(scores, axis=-2))
    if keep is None:
        return weights @ v, weights
    dropped = slip("the probabilities are not dropped", weights * keep, weights)
    if np.ndim(early):
        dropped = weights
    returned = slip(
        "probs are returned as before dropout: as they are applied to v", dropped, weights
    )
    return dropped @ v, returned


def visible(queries, keys):
    """Which keys a query may see, (queries, keys): the last query sees all."""
    ones = np.ones((queries, keys), bool)
    last = keys - queries
    right = np.tril(ones, last)
    right = slip("no mask: every query sees the future", right, ones)
    right = slip(
        "query 0 sees the future: the mask is one off", right, lambda: np.tril(ones, last + 1)
    )
    right = slip(
        "no query sees its own time: the mask is one off", right, lambda: np.tril(ones, last - 1)
    )
    right = slip(
        "the mask is transposed: queries see the future only", right, lambda: np.triu(ones, last)
    )
    if last:
        name = "the mask begins at the first key: the last query sees all keys"
        right = slip(name, right, np.tril(ones))
    return right


def attention_layer(q, k, v, Wq, Wk, Wv, Wo, *, heads, causal=True, keep=None):
    """Norms with weight 1 and bias 0."""

    def heads_of(x, W):
        normal = slip("the input is not normalized before its projection", layer_norm(x), x)
        y = (normal @ W).reshape(*x.shape[:2], heads, -1)
        right = y.transpose(0, 2, 1, 3)
        name = "heads are split by a reshape alone: exchange time and heads after it"
        return slip(name, right, y.reshape(right.shape))

    v = slip("the values are computed from k: from v", v, k)
    result, _ = attention(heads_of(q, Wq), heads_of(k, Wk), heads_of(v, Wv), causal, keep)
    tokens = result.transpose(0, 2, 1, 3)
    name = "heads and time are not exchanged back before the last projection"
    tokens = slip(name, tokens, result)
    return tokens.reshape(*q.shape[:2], -1) @ Wo


def transformer_layer(
    x, Wq, Wk, Wv, Wo, W1, b1, W2, b2, *, heads, causal=True, keeps=(None, 1.0, 1.0, 1.0)
):
    """`keeps`: dropout masks of probabilities, attention, hidden and result, over 1 - p."""
    attended = attention_layer(x, x, x, Wq, Wk, Wv, Wo, heads=heads, causal=causal, keep=keeps[0])
    attended = attended * keeps[1]
    x = slip("x is not added to the attention: the residual", x, 0.0) + attended
    normal = slip("no norm before the linear layers", layer_norm(x), x)
    hidden = normal @ W1 + slip("the first linear layer has no bias", b1, 0.0)
    hidden = slip("no ReLU between the linear layers", np.maximum(hidden, 0), hidden)
    hidden = hidden * np.reshape(keeps[2], (*hidden.shape[:2], -1) if np.ndim(keeps[2]) else ())
    result = hidden @ W2 + b2
    dropped = result * np.reshape(keeps[3], result.shape if np.ndim(keeps[3]) else ())
    return slip("x is not added to the linear layers' result: the residual", x, 0.0) + dropped


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
        shapes = [p.shape for p in module.parameters()]
        assert array.shape in shapes, (
            f"there is no parameter of shape {array.shape}: is a layer or a bias missing? {shapes}"
        )
        assert match, (
            f"no parameter of shape {array.shape} has the values that the prescribed order of "
            "random draws gives: are the parts made in the order of the text, each with its bias?"
        )
        found.append(match[0])
    return found
