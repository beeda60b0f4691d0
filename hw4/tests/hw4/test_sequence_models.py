"""Homework 4: recurrent networks, LSTMs and a language model."""

import itertools

import numpy as np
import pytest
from course_testing import assert_close, slip
from hw4_oracles import (
    GRADED_DEVICE,
    TwiceTheLoss,
    cases,
    check_backward,
    check_forward,
    every_device,
    lstm,
    lstm_cell,
    ndl,
    normal,
    rnn,
    rnn_cell,
    sigmoid,
    softmax_loss,
    tensor,
)
from needle import nn

rnn_problem = {"problem": "hw4/rnn"}
lstm_problem = {"problem": "hw4/lstm"}
language_problem = {"problem": "hw4/language_model"}
CELL = ("W_ih", "W_hh", "bias_ih", "bias_hh")


def parameters_of(cell):
    """The cell's Parameters, in the order of the text; without biases two."""
    values = [getattr(cell, name, None) for name in CELL]
    return [value for value in values if value is not None]


def draw_cell(inputs, width, hidden, bias):
    """The first weights of a cell, drawn as the text prescribes."""
    name = "the bound comes from input_size: 1 / sqrt(hidden_size)"
    bound = 1 / np.sqrt(slip(name, hidden, inputs))
    shapes = [(inputs, width), (hidden, width)] + ([(width,), (width,)] if bias else [])
    order = list(range(len(shapes)))
    order = slip("W_hh is drawn first: W_ih, W_hh, biases", order, [1, 0, *order[2:]])
    order = slip("the biases are drawn first: W_ih, W_hh, biases", order, [*order[2:], 0, 1])
    drawn = {}
    for k in order:
        drawn[k] = ((np.random.rand(*shapes[k]) * 2 - 1) * bound).astype("float32")
    return [drawn[k] for k in range(len(shapes))]


def assert_drawn(cell, drawn, name, problem):
    for attribute, values in zip(CELL, drawn):
        parameter = getattr(cell, attribute)
        assert isinstance(parameter, nn.Parameter), (
            f"{problem['problem']}: {name}.{attribute} is no nn.Parameter: no optimizer finds it"
        )
        assert_close(
            parameter, values, rtol=1e-5, op=f"{name}.{attribute}", dtype="float32", **problem
        )


CELLS = cases(
    "batch,inputs,hidden,bias,given",
    itertools.product((1, 5), (1, 4), (1, 6), (True, False), (True, False)),
)
SEQUENCES = cases(
    "steps,batch,layers,bias,given",
    [
        (1, 1, 1, True, False),
        (1, 3, 2, False, True),
        (5, 1, 2, True, True),
        (5, 3, 1, False, False),
        (4, 2, 2, True, False),
        (3, 2, 3, True, True),
        (4, 3, 1, True, True),
    ],
)
nonlinearities = pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])


# ------------------------------------------------------------------------------------------ RNN


@every_device
@nonlinearities
@CELLS
def test_rnn_cell(batch, inputs, hidden, bias, given, nonlinearity, device):
    cell = nn.RNNCell(inputs, hidden, bias=bias, nonlinearity=nonlinearity, device=device)
    x, h = normal(batch, inputs), normal(batch, hidden) if given else np.zeros((batch, hidden))
    parameters = parameters_of(cell)

    def oracle(x, *values):
        start, values = (values[0], values[1:]) if given else (h, values)
        return rnn_cell(x, start, *values, nonlinearity=nonlinearity)

    arrays = [x, h] if given else [x]
    desired = oracle(*arrays, *[p.numpy().astype("float64") for p in parameters])
    result = cell(*[tensor(array, device) for array in arrays])
    check_forward(result, desired, device, op="RNNCell", **rnn_problem)
    check_backward(
        lambda *inputs: cell(*inputs),
        oracle,
        arrays,
        device,
        extra=parameters,
        op="RNNCell",
        **rnn_problem,
    )


@every_device
@pytest.mark.parametrize("bias", [True, False])
def test_rnn_cell_draws_in_the_order_of_the_text(bias, device):
    np.random.seed(5)
    cell = nn.RNNCell(3, 4, bias=bias, device=device)
    after = np.random.rand()
    np.random.seed(5)
    assert_drawn(cell, draw_cell(3, 4, 4, bias), "RNNCell", rnn_problem)
    assert after == np.random.rand(), "hw4/rnn: biases that there are not are drawn, or others"
    assert len(cell.parameters()) == (4 if bias else 2)


def test_rnn_cell_refuses_another_nonlinearity():
    with pytest.raises(ValueError, match="'tanh' or 'relu', got 'sine'"):
        nn.RNNCell(2, 3, nonlinearity="sine", device=GRADED_DEVICE)


@every_device
@nonlinearities
@SEQUENCES
def test_rnn_layers(steps, batch, layers, bias, given, nonlinearity, device):
    model = nn.RNN(3, 5, layers, bias, nonlinearity, device=device)
    assert len(model.rnn_cells) == layers
    cells = [parameters_of(cell) for cell in model.rnn_cells]
    x, h0 = normal(steps, batch, 3), normal(layers, batch, 5)
    if not given:
        h0 = np.zeros_like(h0)
    values = [[p.numpy().astype("float64") for p in cell] for cell in cells]
    output, h_n = model(tensor(x, device), tensor(h0, device) if given else None)
    desired, desired_h = rnn(x.astype("float64"), h0, values, nonlinearity)
    check_forward(output, desired, device, op="RNN: output", **rnn_problem)
    check_forward(h_n, desired_h, device, op="RNN: h_n", **rnn_problem)

    def build(*inputs):
        output, h_n = model(*inputs)
        return (output * output).sum() + h_n.sum()

    def oracle(x, *values):
        start, values = (values[0], values[1:]) if given else (h0, values)
        size = len(values) // layers
        parts = [values[k * size : (k + 1) * size] for k in range(layers)]
        output, h_n = rnn(x, start, parts, nonlinearity)
        return (output**2).sum() + h_n.sum()

    extra = [p for cell in cells for p in cell]
    check_backward(
        build, oracle, [x, h0] if given else [x], device, extra=extra, op="RNN", **rnn_problem
    )


@every_device
def test_rnn_reads_its_weights_at_call_time(device):
    """Programs replace them by plain Tensors, and ask for their gradient."""
    model = nn.RNN(2, 3, device=device)
    weight = tensor(normal(2, 3), device)
    model.rnn_cells[0].W_ih = weight
    x = normal(4, 1, 2)
    output, _ = model(tensor(x, device))
    values = [p.numpy().astype("float64") for p in parameters_of(model.rnn_cells[0])]
    desired, _ = rnn(x, np.zeros((1, 1, 3)), [values])
    assert_close(output, desired, rtol=1e-4, op="RNN with a new W_ih", **rnn_problem)
    output.sum().backward()
    assert weight.grad is not None


# ----------------------------------------------------------------------------------------- LSTM


@every_device
def test_lstm_sigmoid(device):
    x = np.array([[-100.0, -2.0, 0.0, 0.5, 100.0]], "float32")
    with np.errstate(over="ignore"):
        result = nn.Sigmoid()(tensor(x, device))
        desired = sigmoid(x.astype("float64"))
    check_forward(result, desired, device, op="Sigmoid", **lstm_problem)
    check_backward(
        nn.Sigmoid(),
        lambda x: 1 / (1 + np.exp(-x)),
        [normal(3, 4)],
        device,
        op="Sigmoid",
        **lstm_problem,
    )


@every_device
@CELLS
def test_lstm_cell(batch, inputs, hidden, bias, given, device):
    cell = nn.LSTMCell(inputs, hidden, bias=bias, device=device)
    zeros = np.zeros((batch, hidden), "float32")
    x, h, c = normal(batch, inputs), normal(batch, hidden), normal(batch, hidden)
    parameters = parameters_of(cell)
    arrays = [x, h, c] if given else [x]

    def both(x, *values):
        start, values = (values[:2], values[2:]) if given else ((zeros, zeros), values)
        return lstm_cell(x, *start, *values)

    def call(x, *state):
        return cell(x, tuple(state)) if given else cell(x)

    desired = both(*arrays, *[p.numpy().astype("float64") for p in parameters])
    result = call(*[tensor(array, device) for array in arrays])
    assert isinstance(result, tuple) and len(result) == 2
    check_forward(result[0], desired[0], device, op="LSTMCell: h'", **lstm_problem)
    check_forward(result[1], desired[1], device, op="LSTMCell: c'", **lstm_problem)

    def build(*inputs):
        new_h, new_c = call(*inputs)
        return new_h + new_c * new_c

    def oracle(*values):
        new_h, new_c = both(*values)
        return new_h + new_c**2

    check_backward(build, oracle, arrays, device, extra=parameters, op="LSTMCell", **lstm_problem)


@every_device
@pytest.mark.parametrize("bias", [True, False])
def test_lstm_cell_draws_in_the_order_of_the_text(bias, device):
    np.random.seed(5)
    cell = nn.LSTMCell(3, 4, bias=bias, device=device)
    after = np.random.rand()
    np.random.seed(5)
    assert_drawn(cell, draw_cell(3, 16, 4, bias), "LSTMCell", lstm_problem)
    assert after == np.random.rand(), "hw4/lstm: biases that there are not are drawn, or others"
    assert len(cell.parameters()) == (4 if bias else 2)


@every_device
@SEQUENCES
def test_lstm_layers(steps, batch, layers, bias, given, device):
    model = nn.LSTM(3, 5, layers, bias, device=device)
    assert len(model.lstm_cells) == layers
    cells = [parameters_of(cell) for cell in model.lstm_cells]
    x, h0, c0 = normal(steps, batch, 3), normal(layers, batch, 5), normal(layers, batch, 5)
    if not given:
        h0, c0 = np.zeros_like(h0), np.zeros_like(c0)
    values = [[p.numpy().astype("float64") for p in cell] for cell in cells]
    state = (tensor(h0, device), tensor(c0, device)) if given else None
    output, last = model(tensor(x, device), state)
    assert isinstance(last, tuple) and len(last) == 2
    desired, desired_h, desired_c = lstm(x.astype("float64"), h0, c0, values)
    check_forward(output, desired, device, op="LSTM: output", **lstm_problem)
    check_forward(last[0], desired_h, device, op="LSTM: h_n", **lstm_problem)
    check_forward(last[1], desired_c, device, op="LSTM: c_n", **lstm_problem)

    def build(x, *state):
        output, (h_n, c_n) = model(x, tuple(state) if given else None)
        return (output * output).sum() + h_n.sum() + (c_n * c_n).sum()

    def oracle(x, *values):
        start, values = (values[:2], values[2:]) if given else ((h0, c0), values)
        size = len(values) // layers
        parts = [values[k * size : (k + 1) * size] for k in range(layers)]
        output, h_n, c_n = lstm(x, *start, parts)
        return (output**2).sum() + h_n.sum() + (c_n**2).sum()

    extra = [p for cell in cells for p in cell]
    arrays = [x, h0, c0] if given else [x]
    check_backward(build, oracle, arrays, device, extra=extra, op="LSTM", **lstm_problem)


@every_device
def test_lstm_output_alone_carries_gradients(device):
    """As in the language model, where the state is detached."""
    model = nn.LSTM(2, 3, device=device)
    output, _ = model(tensor(normal(3, 2, 2), device))
    output.sum().backward()
    for name in CELL:
        assert getattr(model.lstm_cells[0], name).grad is not None, name


# ------------------------------------------------------------------------------- language model


@every_device
@cases("steps,batch", [(1, 1), (4, 3)])
def test_language_model_embedding(steps, batch, device):
    np.random.seed(2)
    layer = nn.Embedding(7, 5, device=device)
    np.random.seed(2)
    uniform = slip("uniform numbers: the embedding is drawn by randn", False, True)
    table = np.random.rand(7, 5) if uniform else np.random.randn(7, 5)
    assert_close(layer.weight, table, rtol=1e-5, op="Embedding.weight", **language_problem)
    ids = np.random.randint(0, 7, (steps, batch))
    result = layer(tensor(ids, device))
    check_forward(result, table[ids], device, op="Embedding", **language_problem)
    adjoint = normal(steps, batch, 5)
    result.backward(tensor(adjoint, device, requires_grad=False))
    desired = np.zeros((7, 5))
    np.add.at(desired, ids, adjoint)
    assert_close(layer.weight.grad, desired, op="gradient of Embedding.weight", **language_problem)


@every_device
def test_language_model_embedding_refuses_words_it_does_not_know(device):
    layer = nn.Embedding(7, 5, device=device)
    for ids in ([[0, 7]], [[-1, 2]]):
        with pytest.raises(ValueError, match="vocabulary of 7 words"):
            layer(tensor(ids, device))


MODELS = cases(
    "kind,layers,steps,batch,given",
    [
        ("rnn", 1, 1, 1, False),
        ("rnn", 2, 5, 3, True),
        ("rnn", 1, 4, 2, True),
        ("lstm", 1, 1, 1, False),
        ("lstm", 2, 5, 3, True),
        ("lstm", 1, 4, 2, True),
    ],
)


@every_device
@MODELS
def test_language_model_implementation(kind, layers, steps, batch, given, device):
    from apps.models import LanguageModel

    words, embedding, hidden = 11, 4, 6
    np.random.seed(1)
    model = LanguageModel(embedding, words, hidden, layers, kind, device=device)
    np.random.seed(1)
    width = hidden * (4 if kind == "lstm" else 1)

    def draw_linear():
        return [
            (np.random.rand(*shape) * 2 - 1) * np.sqrt(6 / fan_in)
            for shape, fan_in in (((hidden, words), hidden), ((words, 1), words))
        ]

    first = slip("the last layer is drawn first: embedding, sequence model, linear", False, True)
    linear = draw_linear() if first else None
    table = np.random.randn(words, embedding).astype("float32")
    cells = [draw_cell(hidden if k else embedding, width, hidden, True) for k in range(layers)]
    weight, bias = linear or draw_linear()
    ids = np.random.randint(0, words, (steps, batch))
    states = [normal(layers, batch, hidden) for _ in range(2 if kind == "lstm" else 1)]
    if not given:
        states = [np.zeros_like(state) for state in states]
    if kind == "lstm":
        output, *last = lstm(table[ids], *states, cells)
        h = tuple(tensor(state, device) for state in states)
    else:
        output, *last = rnn(table[ids], *states, cells)
        h = tensor(states[0], device)
    desired = output.reshape(steps * batch, hidden) @ weight + bias.reshape(1, words)

    logits, state = model(tensor(ids, device), h if given else None)
    check_forward(logits, desired, device, op="logits", terms=4, **language_problem)
    for part, wanted in zip(state if kind == "lstm" else [state], last):
        check_forward(part, wanted, device, op="state after the last word", **language_problem)
    logits.sum().backward()
    for p in model.parameters():
        assert p.grad is not None and p.grad.shape == p.shape
    assert len(model.parameters()) == 3 + 4 * layers


def test_language_model_refuses_an_unknown_sequence_model():
    from apps.models import LanguageModel

    with pytest.raises(ValueError, match="'transformer', got 'gru'"):
        LanguageModel(4, 11, 6, seq_model="gru", device=GRADED_DEVICE)


def plain_epoch(model, data, seq_len, lr, device, clip=None):
    """What epoch_general_ptb must do with SGD, or without (lr None), step by step.

    -> (accuracy, mean loss).
    """
    h, losses, right, means = None, [], 0, []
    forgets = slip("the state starts anew in every stretch: it goes on", False, True)
    keeps = slip("the state carries its graph on: detach it between stretches", False, True)
    clip = slip("clip is not used: opt.clip_grad_norm before the step", clip, None)
    name = "the last stretch, which is shorter, is left out"
    end = slip(name, len(data) - 1, len(data) - seq_len)
    for i in range(0, end, seq_len):
        rows = data[i : min(i + seq_len, len(data) - 1)]
        target = data[i + 1 : i + 1 + len(rows)].reshape(-1)
        logits, h = model(tensor(rows, device), None if forgets else h)
        if not keeps:
            parts = [tensor(part.numpy(), device) for part in (h if isinstance(h, tuple) else [h])]
            h = tuple(parts) if isinstance(h, tuple) else parts[0]
        loss = nn.SoftmaxLoss()(logits, tensor(target, device))
        if lr is not None:
            for p in model.parameters():
                p.grad = None
            loss.backward()
            norm = np.sqrt(sum((p.grad.numpy() ** 2).sum() for p in model.parameters()))
            factor = min(1.0, clip / norm) if clip else 1.0
            for p in model.parameters():
                values = p.numpy() - lr * np.float32(factor) * p.grad.numpy()
                p.data = tensor(values, device)
        values = logits.numpy().astype("float64")
        means.append(softmax_loss(values, target))
        losses += [means[-1]] * len(target)
        right += (values.argmax(1) == target).sum()
    name = "the mean of the stretches' means: the last one is shorter"
    return right / len(losses), slip(name, np.mean(losses), np.mean(means))


def small_text(batch=3):
    """24 rows: stretches of 5 rows end with one of 3."""
    ids = np.random.RandomState(3).randint(0, 9, 24 * batch)
    return ndl.data.batchify([int(k) for k in ids], batch, device=None, dtype="float32")


@every_device
@cases("kind,clip", [("rnn", None), ("lstm", None), ("rnn", 0.25)])
def test_language_model_training(kind, clip, device):
    from apps.models import LanguageModel
    from simple_ml import evaluate_ptb, train_ptb

    data = small_text()
    models = []
    for _ in range(2):
        np.random.seed(0)
        models.append(LanguageModel(4, 9, 6, 1, kind, device=device))
    model, twin = models
    model.eval()
    accuracy, loss = train_ptb(
        model,
        data,
        seq_len=5,
        n_epochs=2,
        lr=2.0,
        clip=clip,
        optimizer=ndl.optim.SGD,
        loss_fn=nn.SoftmaxLoss,
        device=device,
        dtype="float32",
    )
    assert model.training, (
        "hw4/language_model: training switches the model to training: model.train()"
    )
    for _ in range(2):
        wanted = plain_epoch(twin, data, 5, 2.0, device, clip)
    assert_close(loss, wanted[1], rtol=1e-4, op="loss", lengths=(5, 3), **language_problem)
    assert_close(accuracy, wanted[0], rtol=1e-6, op="accuracy", **language_problem)
    for p, q in zip(model.parameters(), twin.parameters()):
        assert_close(p, q.numpy(), rtol=1e-3, op="parameter after training", **language_problem)

    before = [p.numpy() for p in model.parameters()]
    accuracy, loss = evaluate_ptb(model, data, seq_len=5, device=device)
    assert not model.training, (
        "hw4/language_model: evaluation switches the model to evaluation: model.eval()"
    )
    wanted = plain_epoch(twin, data, 5, None, device)
    assert_close(loss, wanted[1], rtol=1e-3, op="loss in evaluation", **language_problem)
    for p, values in zip(model.parameters(), before):
        assert_close(
            p,
            values,
            rtol=0,
            atol=0,
            op="a parameter, afterwards (evaluation changes nothing)",
            **language_problem,
        )


def test_language_model_training_uses_what_it_is_given():
    from apps.models import LanguageModel
    from simple_ml import evaluate_ptb, train_ptb

    made = []

    def optimizer(params, lr=0.01, momentum=0.0, weight_decay=0.0):
        made.append((lr, weight_decay))
        return ndl.optim.SGD(params, lr, momentum, weight_decay)

    data, device = small_text(), {"device": GRADED_DEVICE}
    model = LanguageModel(4, 9, 6, **device)
    _, once = evaluate_ptb(model, data, 5, **device)
    others = {"loss_fn": TwiceTheLoss, **device}
    settings = {"optimizer": optimizer, "lr": 0.0, "weight_decay": 0.25, **others}
    for name, (_, loss) in (
        ("evaluate_ptb", evaluate_ptb(model, data, 5, **others)),
        ("train_ptb", train_ptb(model, data, 5, **settings)),
    ):
        wanted = slip(f"{name} does not use the loss_fn that it is given", 2 * once, once)
        assert_close(loss, wanted, rtol=1e-4, op=f"{name}, another loss", **language_problem)
    assert made, "hw4/language_model: train_ptb does not use the optimizer that it is given"
    told = f"hw4/language_model: train_ptb makes optimizers of (lr, weight_decay) {made}"
    assert made == [(0.0, 0.25)], f"{told}, expected one of (0.0, 0.25)"


# ------------------------------------------------------------------------------------- submission


def submit_rnn():
    import mugrade

    submit_cells_and_layers(mugrade, nn.RNNCell, nn.RNN)


def submit_lstm():
    import mugrade

    submit_cells_and_layers(mugrade, nn.LSTMCell, nn.LSTM)


def submit_cells_and_layers(mugrade, cell_class, layer_class):
    """Values and gradients of a cell and of layers, from the first weights on."""
    rng = mugrade.rng()
    is_lstm = cell_class is nn.LSTMCell

    def state(*shape):
        parts = tuple(tensor(rng.randn(*shape), GRADED_DEVICE) for _ in range(1 + is_lstm))
        return parts if is_lstm else parts[0]

    for bias in (True, False):
        np.random.seed(rng.randint(1000))
        cell = cell_class(3, 4, bias=bias, device=GRADED_DEVICE)
        kept = [cell.W_hh.numpy(), np.random.rand()]
        mugrade.submit(kept, label=f"cell, bias={bias}: W_hh, and the next random number")
        x = tensor(rng.randn(2, 3), GRADED_DEVICE)
        result = cell(x, state(2, 4))
        result = result[0] + result[1] if is_lstm else result
        (result * result).sum().backward()
        mugrade.submit(result.numpy(), label=f"cell, bias={bias}")
        mugrade.submit(x.grad.numpy(), label=f"cell, bias={bias}: gradient of x")
        for name in CELL[:2]:
            grad = getattr(cell, name).grad
            mugrade.submit(grad.numpy(), label=f"cell, bias={bias}: gradient of {name}")
        if bias:  # added to one sum: they are equal
            grads = [getattr(cell, name).grad.numpy() for name in CELL[2:4]]
            mugrade.submit(grads, label="cell: gradients of both biases")
    for layers, given in ((1, False), (2, True)):
        np.random.seed(rng.randint(1000))
        model = layer_class(3, 4, layers, device=GRADED_DEVICE)
        x = tensor(rng.randn(5, 2, 3), GRADED_DEVICE)
        output, last = model(x, state(layers, 2, 4) if given else None)
        (output * output).sum().backward()
        mugrade.submit(output.numpy(), label=f"{layers} layers: output")
        for k, part in enumerate(last if is_lstm else [last]):
            mugrade.submit(part.numpy(), label=f"{layers} layers: last state {k}")
        mugrade.submit(x.grad.numpy(), label=f"{layers} layers: gradient of x")
    if not is_lstm:
        model = layer_class(3, 4, 2, nonlinearity="relu", device=GRADED_DEVICE)
        output, _ = model(tensor(rng.randn(4, 2, 3), GRADED_DEVICE))
        mugrade.submit(output.numpy(), label="relu: output")
    result = cell(tensor(rng.randn(2, 3), GRADED_DEVICE))
    result = result[0] + result[1] if is_lstm else result
    mugrade.submit(result.numpy(), label="cell, without a state")


def submit_language_model():
    import mugrade
    from apps.models import LanguageModel
    from simple_ml import evaluate_ptb, train_ptb

    rng = mugrade.rng()
    for kind in ("rnn", "lstm"):
        np.random.seed(rng.randint(1000))
        model = LanguageModel(4, 9, 5, 2, kind, device=GRADED_DEVICE)
        logits, _ = model(tensor(rng.randint(0, 9, (4, 2)), GRADED_DEVICE))
        logits.sum().backward()
        mugrade.submit(logits.numpy(), label=f"{kind}: logits")
        grad = model.parameters()[0].grad
        mugrade.submit(grad.numpy(), label=f"{kind}: gradient of the embedding")
        ids = [int(k) for k in rng.randint(0, 9, 60)]
        data = ndl.data.batchify(ids, 3, device=GRADED_DEVICE, dtype="float32")
        _, loss = train_ptb(model, data, seq_len=6, n_epochs=2, lr=1.0, device=GRADED_DEVICE)
        mugrade.submit(loss, label=f"{kind}: loss of the second epoch")
        mugrade.submit(
            evaluate_ptb(model, data, seq_len=6, device=GRADED_DEVICE)[1],
            label=f"{kind}: loss in evaluation",
        )
    model = LanguageModel(4, 9, 5, 1, "rnn", device=GRADED_DEVICE)
    data = ndl.data.batchify(
        [int(k) for k in rng.randint(0, 9, 40)], 2, device=GRADED_DEVICE, dtype="float32"
    )
    train = {"n_epochs": 2, "lr": 2.0, "clip": 0.1, "device": GRADED_DEVICE}
    _, loss = train_ptb(model, data, seq_len=7, optimizer=ndl.optim.SGD, **train)
    mugrade.submit(loss, label="loss with clipped gradients")
    train = {"lr": 0.05, "weight_decay": 0.2, "loss_fn": TwiceTheLoss, "device": GRADED_DEVICE}
    _, loss = train_ptb(model, data, seq_len=7, optimizer=ndl.optim.Adam, **train)
    mugrade.submit(loss, label="another loss, another optimizer, weight decay")
    model = LanguageModel(8, 9, 6, 1, seq_model="transformer", seq_len=5, device=GRADED_DEVICE)
    for part in model._children():
        if isinstance(part, nn.Dropout):
            part.p = 0.5
    model.train()
    loss = evaluate_ptb(model, data, seq_len=5, device=GRADED_DEVICE)[1]
    mugrade.submit(loss, label="a model with dropout in evaluation")
