"""The fused kernels compute what the layers compute operator by operator: values, gradients, and
gradients of gradients, for many shapes."""

import gc

import needle as ndl
import numpy as np
import pytest
from needle import nn

DEVICE = ndl.cpu()
SIZES = pytest.mark.parametrize(
    "rows, inputs, outputs", [(1, 1, 1), (3, 5, 7), (33, 17, 40), (100, 64, 10)]
)
random = np.random.randn


def tensor(array):
    return ndl.Tensor(np.asarray(array, dtype="float32"), device=DEVICE)


def outcome(module, arrays, constants, twice):
    """Results, gradients of inputs and parameters, and the same once more of those gradients."""
    inputs = [tensor(a) for a in arrays]
    leaves = [*inputs, *module.parameters()]
    for p in leaves:
        p.grad = None
    results = module(*inputs, *constants)
    results = results if isinstance(results, tuple) else (results,)
    results = [r for part in results for r in (part if isinstance(part, tuple) else (part,))]
    fixed = np.random.RandomState(1)
    total = None
    for r in results:
        term = (r * r * tensor(fixed.randn(*r.shape))).sum()
        total = term if total is None else total + term
    total.backward()
    grads = [p.grad for p in leaves]
    found = [r.numpy() for r in results] + [g.numpy() for g in grads]
    if twice:
        slope = None
        for g in grads:
            term = (g * tensor(fixed.randn(*g.shape))).sum()
            slope = term if slope is None else slope + term
        slope.backward()
        found += [p.grad.numpy() for p in leaves]
    return found


def compare(module, *arrays, constants=(), twice=True, tolerance=2e-3):
    """The module agrees with itself without fused kernels."""
    fast = outcome(module, arrays, constants, twice)
    with ndl.kernels("own"):
        slow = outcome(module, arrays, constants, twice)
    for k, (a, b) in enumerate(zip(fast, slow, strict=True)):
        assert a.shape == b.shape, (k, a.shape, b.shape)
        limit = tolerance * max(1.0, np.abs(b).max())
        assert np.abs(a - b).max() <= limit, (k, np.abs(a - b).max(), limit)


# ------------------------------------------------------------------------------------------ layers


@SIZES
def test_linear(rows, inputs, outputs):
    compare(nn.Linear(inputs, outputs), random(rows, inputs))


@SIZES
def test_linear_without_bias(rows, inputs, outputs):
    compare(nn.Linear(inputs, outputs, bias=False), random(2, rows, inputs))


# Behind the gradient of (24, 100) weights there is room for one row more, behind (17, 100) there is
# none: there the gradient of the bias is computed apart.
@pytest.mark.parametrize("inputs", [24, 17])
def test_a_linear_layer_much_wider_than_its_inputs(inputs):
    compare(nn.Linear(inputs, 100), random(33, inputs))


@SIZES
def test_layer_norm(rows, inputs, outputs):
    compare(nn.LayerNorm1d(inputs + 1), random(rows, inputs + 1))


@SIZES
def test_batch_norm_of_rows(rows, inputs, outputs):
    compare(nn.BatchNorm1d(inputs), random(rows + 1, inputs))


@SIZES
def test_relu(rows, inputs, outputs):
    compare(nn.ReLU(), random(rows, inputs) + 0.01)


@SIZES
def test_softmax_loss(rows, inputs, outputs):
    labels = tensor(np.random.randint(0, outputs, rows))
    compare(nn.SoftmaxLoss(), 5 * random(rows, outputs), constants=(labels,))


@SIZES
def test_the_adjoint_of_a_softmax_loss_is_right_however_often_it_is_asked_for(
    rows, inputs, outputs
):
    """The kernel has it ready, for an adjoint of 1 and for one call: its owner may change it."""
    x, classes = random(rows, outputs), np.random.randint(0, outputs, rows)
    odds = np.exp(x - x.max(axis=1, keepdims=True))
    expected = (odds / odds.sum(axis=1, keepdims=True) - np.eye(outputs)[classes]) / rows
    logits = tensor(x)
    loss = nn.SoftmaxLoss()(logits, tensor(classes))
    for adjoint in (1, 1, -2, 1):
        loss.backward(tensor(adjoint))
        given = logits.grad
        np.testing.assert_allclose(given.numpy(), adjoint * expected, rtol=1e-4, atol=1e-6)
        given.realize_cached_data()[:, :] = 7.0


@SIZES
def test_a_network_of_linear_layers_and_relu(rows, inputs, outputs):
    compare(
        nn.Sequential(
            nn.Linear(inputs, outputs),
            nn.ReLU(),
            nn.Linear(outputs, inputs),
            nn.ReLU(),
            nn.Linear(inputs, 3),
        ),
        random(rows, inputs),
    )


IMAGES = pytest.mark.parametrize(
    "shape, channels, kernel, stride",
    [
        ((1, 1, 1, 1), 1, 1, 1),
        ((2, 3, 8, 8), 4, 3, 1),
        ((3, 2, 9, 7), 5, 3, 2),
        ((2, 3, 16, 16), 6, 7, 4),
        ((5, 4, 1, 1), 3, 3, 1),
        ((4, 3, 2, 2), 5, 3, 2),
        ((300, 2, 3, 3), 4, 3, 1),
        ((2, 2, 6, 5), 3, 5, 3),
        ((2, 9, 6, 5), 4, 3, 1),
        ((3, 8, 2, 2), 5, 3, 2),
        ((300, 16, 3, 3), 4, 3, 1),
        # Many small images of many channels: each pixel is a sum of products.
        ((300, 16, 5, 4), 64, 3, 1),
        ((130, 24, 4, 6), 48, 3, 2),
        ((200, 12, 7, 5), 64, 5, 3),
        ((128, 32, 4, 4), 32, 3, 1),
    ],
    ids=str,
)


@IMAGES
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
def test_conv(shape, channels, kernel, stride, bias):
    compare(nn.Conv(shape[1], channels, kernel, stride, bias=bias), random(*shape))


@IMAGES
def test_batch_norm_of_images(shape, channels, kernel, stride):
    compare(nn.BatchNorm2d(shape[1]), random(shape[0] + 1, *shape[1:]))


@pytest.mark.parametrize("shape", [(1, 2, 150, 150), (3, 40, 20, 20), (33, 1100, 1, 1)], ids=str)
def test_batch_norm_of_so_many_numbers_that_threads_share_the_images(shape):
    compare(nn.BatchNorm2d(shape[1]), random(*shape))


@pytest.mark.parametrize(
    "steps, batch, inputs, hidden, layers, bias",
    [(1, 1, 1, 1, 1, True), (4, 3, 5, 7, 2, True), (3, 2, 9, 16, 1, False)],
)
def test_lstm(steps, batch, inputs, hidden, layers, bias):
    compare(nn.LSTM(inputs, hidden, layers, bias), random(steps, batch, inputs))


@pytest.mark.parametrize(
    "shape, keys, causal",
    [
        ((1, 1, 1, 1), 1, False),
        ((1, 1, 1, 1), 1, True),
        ((2, 3, 5, 4), 5, False),
        ((2, 3, 5, 4), 5, True),
        ((2, 2, 3, 9), 11, False),
        ((2, 2, 3, 9), 11, True),
        ((1, 2, 6, 3), 4, False),
    ],
    ids=str,
)
def test_attention(shape, keys, causal):
    q, k, v = random(*shape), random(*shape[:2], keys, shape[3]), random(*shape[:2], keys, shape[3])
    compare(nn.MultiHeadAttention(causal=causal), q, k, v)


def spread(array):
    """Every second row of an array of twice as many."""
    batch, heads, rows, columns = array.shape
    wide = np.zeros((batch, heads, 2 * rows, columns), "float32")
    wide[:, :, 1::2] = array.numpy()
    return ndl.NDArray(wide, device=DEVICE)[:, :, 1::2, :]


def broadcast(array):
    """The first batch in place of all."""
    return array[:1, :, :, :].compact().broadcast_to(array.shape)


VIEWS = {
    "heads side by side": lambda a: a.permute((0, 2, 1, 3)).compact().permute((0, 2, 1, 3)),
    "batch inside": lambda a: a.permute((1, 2, 0, 3)).compact().permute((2, 0, 1, 3)),
    "columns first": lambda a: a.permute((0, 1, 3, 2)).compact().permute((0, 1, 3, 2)),
    "every second row": spread,
    "backwards": lambda a: a.flip((0, 2)),
    "columns backwards": lambda a: a.flip((3,)),
    "one for all": broadcast,
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_attention_reads_views_as_they_lie(view):
    def results(arrays, adjoints):
        call = DEVICE.kernel("attention")([True] * 3, {"causal": True, "dropout": None})
        return call.forward(arrays) + call.backward([*adjoints, *arrays], [True] * 3)

    def array(rows, columns):
        return view(ndl.NDArray(random(2, 3, rows, columns).astype("float32"), device=DEVICE))

    arrays, adjoints = [array(4, 5), array(6, 5), array(6, 5)], [array(4, 5), array(4, 6)]
    found = results(arrays, adjoints)
    wanted = results(*[[a.compact() for a in part] for part in (arrays, adjoints)])
    for a, b in zip(found, wanted, strict=True):
        assert (a.numpy() == b.numpy()).all()


def test_what_attention_makes_lies_as_what_it_took():
    """Then the transpose behind it is a compact array, and nobody copies anything."""
    swap = (0, 2, 1, 3)
    q, k, v = (ndl.NDArray(random(2, 4, 3, 5), device=DEVICE).permute(swap) for _ in "qkv")
    call = DEVICE.kernel("attention")([True] * 3, {"causal": False, "dropout": None})
    out, probs = call.forward([q, k, v])
    for made in [out, *call.backward([out, probs, q, k, v], [True] * 3)]:
        assert made.shape == (2, 3, 4, 5) and made.permute(swap).is_compact()


def test_a_view_outside_its_buffer_is_an_error():
    q, k, v = (ndl.NDArray(random(2, 3, 4, 5), device=DEVICE) for _ in "qkv")
    call = DEVICE.kernel("attention")([True] * 3, {"causal": False, "dropout": None})
    k._strides = (60, 20, 6, 1)
    with pytest.raises(ValueError, match="the view reaches outside its buffer of 120 elements"):
        call.forward([q, k, v])
    k._strides, v._shape = (60, 20, 5, 1), (2, 3, -4, 5)
    with pytest.raises(ValueError, match="lengths of 0 or more, got -4"):
        call.forward([q, k, v])


def test_embedding():
    ids = tensor(np.random.randint(0, 11, (6, 4)))
    compare(nn.Embedding(11, 5), constants=(ids,))


class Twice(nn.Linear):
    """A layer that adds to what its class computes: its gradient's gradient is the class's."""

    def forward(self, x):
        return super().forward(x) * 2.0


def test_a_subclass():
    compare(Twice(3, 4), random(5, 3))


# -------------------------------------------------------------------------------- state and steps


@pytest.mark.parametrize("kind, shape", [(nn.BatchNorm1d, (9, 6)), (nn.BatchNorm2d, (3, 6, 4, 2))])
def test_running_averages_of_batch_norm(kind, shape):
    x, fast, slow = tensor(random(*shape) * 3 + 1), kind(6), kind(6)
    for _ in range(3):
        fast(x)
        with ndl.kernels("own"):
            slow(x)
    for name in ("running_mean", "running_var"):
        a, b = getattr(fast, name).numpy(), getattr(slow, name).numpy()
        assert np.allclose(a, b, rtol=1e-4, atol=1e-5), name


@pytest.mark.parametrize(
    "kind, keywords",
    [
        (ndl.optim.SGD, {"lr": 0.1, "weight_decay": 0.01}),
        (ndl.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
        (ndl.optim.Adam, {"lr": 0.01, "weight_decay": 0.01}),
    ],
    ids=["SGD", "SGD_with_momentum", "Adam"],
)
def test_optimizers_agree_and_never_write_into_shared_arrays(kind, keywords):
    # One of several is so long that a step shares it out in pieces.
    starts = [random(7, 5), random(3, 25_001), random(1)]
    steps = [[random(*start.shape) for start in starts] for _ in range(4)]
    ends = []
    for form in ("given", "own"):
        params = [nn.Parameter(tensor(start)) for start in starts]
        opt = kind([*params, nn.Parameter(tensor(random(4)))], **keywords)
        for grads in steps:
            before = [p.data for p in params]
            kept = [data.numpy() for data in before]
            for p, g in zip(params, grads):
                p.grad = tensor(g)
            with ndl.kernels(form):
                opt.step()
            for data, copy in zip(before, kept):
                assert (data.numpy() == copy).all()
        ends.append([p.numpy() for p in params])
    for given, own in zip(*ends):
        assert np.allclose(given, own, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("form", ["given", "own"])
def test_sgd_without_momentum_keeps_no_average(form):
    p = nn.Parameter(tensor(random(3)))
    p.grad = tensor(random(3))
    for momentum, averages in ((0.0, 0), (0.9, 1)):
        opt = ndl.optim.SGD([p], momentum=momentum)
        with ndl.kernels(form):
            opt.step()
        assert len(opt.u) == averages


@pytest.mark.parametrize(
    "make", [lambda: nn.Linear(3, 4), lambda: nn.LayerNorm1d(3), lambda: nn.BatchNorm1d(3)]
)
def test_a_constant_input_needs_no_gradient_when_others_are_differentiated_twice(make):
    module = make()
    x = ndl.Tensor(random(5, 3).astype("float32"), device=DEVICE, requires_grad=False)
    (module(x) ** 2).sum().backward()
    first = module.weight.grad
    (first**2).sum().backward()
    with ndl.kernels("own"):
        (module(x) ** 2).sum().backward()
        assert np.allclose(module.weight.grad.numpy(), first.numpy(), rtol=1e-4, atol=1e-4)


def living():
    """How many values there are."""
    return ndl.autograd.TENSOR_COUNTER


@pytest.mark.own_process()
def test_without_a_garbage_collector_graphs_go_with_the_last_reference():
    gc.collect()
    gc.disable()
    alive = living()
    model = nn.Sequential(
        nn.Linear(4, 6), nn.ReLU(), nn.LayerNorm1d(6), nn.BatchNorm1d(6), nn.Linear(6, 3)
    )
    recurrent = nn.LSTM(3, 3)
    out, state = recurrent(model(tensor(random(5, 4))).reshape((5, 1, 3)))
    loss = nn.SoftmaxLoss()(out.reshape((5, 3)), tensor([0, 1, 2, 0, 1]))
    loss.backward()
    assert living() > alive + 30
    del model, recurrent, out, loss, state
    assert living() == alive


# ---------------------------------------------------------------------------------------- mistakes

WRONG = {
    "linear, inputs too wide": (
        lambda: nn.Linear(3, 4)(tensor(random(4, 6))),
        "kernel linear does not fit inputs of shape (4, 6), (3, 4), (1, 4): "
        "weight has shape (3, 4), expected (6, any)",
    ),
    "layer norm, inputs too wide": (
        lambda: nn.LayerNorm1d(3)(tensor(random(4, 6))),
        "(4, 6), (3,), (3,): weight has shape (3,), expected (6,)",
    ),
    "batch norm, inputs too wide": (
        lambda: nn.BatchNorm1d(3)(tensor(random(4, 6))),
        "(4, 6), (3,), (3,)",
    ),
    "conv, too few channels": (
        lambda: nn.Conv(3, 4, 3)(tensor(random(1, 2, 5, 5))),
        "weight has shape (3, 3, 3, 4), expected (any, any, 2, any)",
    ),
    "a label too large": (
        lambda: nn.SoftmaxLoss()(tensor(random(2, 3)), tensor([0, 3])),
        "id 3.000000 is outside 0 to 2",
    ),
    "too many axes": (
        lambda: nn.Linear(1, 4)(tensor(random(*[1] * 17))),
        "the given kernels take arrays of at most 16 axes",
    ),
    "another device": (
        lambda: nn.Linear(3, 4)(ndl.Tensor(random(2, 3), device=ndl.cpu_numpy(), dtype="float32")),
        "cpu_numpy",
    ),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_mistakes_are_found_by_the_kernels_too(mistake):
    call, says = WRONG[mistake]
    with pytest.raises((ValueError, IndexError)) as caught:
        call()
    assert says in str(caught.value)


def test_a_kernel_takes_nothing_but_ndarrays():
    call = DEVICE.kernel("relu")([True], {})
    with pytest.raises(TypeError, match=r"take NDArrays, .* got ndarray"):
        call.forward([random(2)])
    unfinished = object.__new__(ndl.NDArray)
    with pytest.raises(AttributeError, match="has no value for _shape"):
        call.forward([unfinished])
    for array in call.forward([ndl.NDArray(random(2), device=DEVICE)]):
        assert type(array) is ndl.NDArray


@pytest.mark.parametrize("kind", [tuple, list, np.array])
def test_a_shape_may_be_of_numbers_of_numpy(kind):
    """A student's view may have them; what is no shape at all is an error and no crash."""
    array = ndl.NDArray(random(2, 3), device=DEVICE)
    wanted = np.maximum(array.numpy(), 0)
    array._shape, array._strides = kind(np.int64([2, 3])), kind(np.int64([3, 1]))
    assert (ndl.ops.relu(ndl.Tensor.make_const(array)).numpy() == wanted).all()
    for wrong in [(2.5, 3), (2, 3, 1), 6]:
        array._shape = wrong
        with pytest.raises((TypeError, ValueError)):
            DEVICE.kernel("relu")([True], {}).forward([array])


@pytest.mark.parametrize("wrong", [lambda a: None, lambda a: a, lambda a: ndl.Tensor(a.numpy())])
def test_what_a_wrong_compact_returns_is_an_error_and_no_crash(wrong, monkeypatch):
    view = ndl.NDArray(random(2, 3), device=DEVICE).permute((1, 0))
    monkeypatch.setattr(ndl.NDArray, "compact", wrong)
    says = "NDArray.compact (must return an NDArray, got|gave an array that is not compact)"
    with pytest.raises((TypeError, ValueError), match=says):
        DEVICE.kernel("relu")([True], {}).forward([view])


def test_no_name_of_a_device_is_written_in_a_call_that_is_right(monkeypatch):
    written, name = [], type(DEVICE).__repr__
    monkeypatch.setattr(
        type(DEVICE), "__repr__", lambda device: written.append(device) or name(device)
    )
    assert str(DEVICE) == name(written.pop())
    layer = nn.Linear(5, 7, device=DEVICE)
    optimizer = ndl.optim.Adam(layer.parameters())
    (layer(tensor(random(3, 5))) ** 2).sum().backward()
    optimizer.step()
    assert not written
