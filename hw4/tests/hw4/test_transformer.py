"""Homework 4: attention and the Transformer."""

from functools import partial

import numpy as np
import pytest
from course_testing import assert_close, slip
from hw4_oracles import (
    GRADED_DEVICE,
    attention,
    attention_layer,
    cases,
    check_backward,
    check_backward_twice,
    check_forward,
    draw_attention_layer,
    draw_transformer_layer,
    every_device,
    find_parameters,
    ndl,
    normal,
    tensor,
    transformer_layer,
)
from needle import nn

activation = {"problem": "hw4/attention_activation"}
layer_problem = {"problem": "hw4/attention_layer"}
block_problem = {"problem": "hw4/transformer_layer"}
model_problem = {"problem": "hw4/transformer_model"}
both_masks = pytest.mark.parametrize("causal", [False, True], ids=["open", "causal"])
DROP = 0.25


def dropout_factors(seed, *shapes):
    """What Dropout(DROP) multiplies by, when masks of these shapes are drawn after this seed."""
    np.random.seed(seed)
    keep = 1 - DROP
    return [(np.random.rand(*shape).astype("float32") <= keep) / keep for shape in shapes]


# --------------------------------------------------------------------------- attention activation

SHAPES = cases(
    "batch,heads,queries,keys,dim",
    [(1, 1, 1, 1, 1), (2, 3, 5, 5, 4), (1, 2, 3, 6, 8), (2, 1, 6, 6, 3)],
)


@every_device
@both_masks
@SHAPES
def test_attention_activation(batch, heads, queries, keys, dim, causal, device):
    q = normal(batch, heads, queries, dim)
    k, v = normal(batch, heads, keys, dim), normal(batch, heads, keys, dim)
    layer = nn.MultiHeadAttention(causal=causal, device=device)
    result, probs = layer(*[tensor(array, device) for array in (q, k, v)])
    desired, desired_probs = attention(*[a.astype("float64") for a in (q, k, v)], causal)
    check_forward(probs, desired_probs, device, op="attention: probs", **activation)
    check_forward(result, desired, device, op="attention: result", **activation)

    check_backward(
        lambda q, k, v: layer(q, k, v)[0],
        lambda q, k, v: attention(q, k, v, causal)[0],
        [q, k, v],
        device,
        op="attention",
        **activation,
    )


@every_device
@both_masks
def test_attention_activation_gradient_of_the_probabilities(causal, device):
    layer = nn.MultiHeadAttention(causal=causal, device=device)

    def build(q, k, v):
        result, probs = layer(q, k, v)
        return result.sum() + (probs * probs).sum()

    def oracle(q, k, v):
        result, probs = attention(q, k, v, causal)
        return result.sum() + (probs**2).sum()

    arrays = [normal(2, 2, 4, 3) for _ in range(3)]
    check_backward(build, oracle, arrays, device, op="attention with probs", **activation)


@every_device
@both_masks
def test_attention_activation_backward_twice(causal, device):
    layer = nn.MultiHeadAttention(causal=causal, device=device)
    check_backward_twice(
        lambda q, k, v: layer(q, k, v)[0],
        lambda q, k, v: attention(q, k, v, causal)[0],
        [normal(1, 2, 3, 2) for _ in range(3)],
        device,
        op="attention",
        **activation,
    )


@every_device
def test_attention_activation_survives_large_scores(device):
    arrays = [100 * normal(1, 2, 4, 3) for _ in range(3)]
    result, probs = nn.MultiHeadAttention(causal=True, device=device)(
        *[tensor(array, device) for array in arrays]
    )
    desired, desired_probs = attention(*[a.astype("float64") for a in arrays], True)
    assert_close(probs, desired_probs, rtol=1e-2, atol=1e-3, op="probs", **activation)
    assert_close(result, desired, rtol=1e-2, atol=0.3, op="attention", **activation)


@every_device
@both_masks
def test_attention_activation_drops_probabilities_and_returns_them_dropped(causal, device):
    q, k, v = (normal(2, 3, 5, 4) for _ in range(3))
    layer = nn.MultiHeadAttention(dropout=DROP, causal=causal, device=device)
    (keep,) = dropout_factors(11, (2, 3, 5, 5))
    np.random.seed(11)
    result, probs = layer(*[tensor(array, device) for array in (q, k, v)])
    desired, desired_probs = attention(q, k, v, causal, keep)
    check_forward(probs, desired_probs, device, op="attention: probs after dropout", **activation)
    check_forward(result, desired, device, op="attention with dropout", **activation)
    layer.eval()
    result, _ = layer(*[tensor(array, device) for array in (q, k, v)])
    check_forward(
        result, attention(q, k, v, causal)[0], device, op="attention in evaluation", **activation
    )


def test_attention_activation_refuses_heads_of_different_size():
    layer = nn.MultiHeadAttention(device=GRADED_DEVICE)
    q, k = tensor(normal(1, 2, 3, 4), GRADED_DEVICE), tensor(normal(1, 2, 3, 5), GRADED_DEVICE)
    with pytest.raises((ValueError, AssertionError)):
        layer(q, k, k)


# -------------------------------------------------------------------------------- attention layer


def layer_and_weights(features, heads, dim, seed, **options):
    """An AttentionLayer, and the parameters that it must have drawn after this seed."""
    np.random.seed(seed)
    layer = nn.AttentionLayer(features, heads, dim, **options)
    np.random.seed(seed)
    return layer, draw_attention_layer(features, heads, dim)


@every_device
@both_masks
@cases("batch,time,features,heads,dim", [(1, 1, 4, 1, 2), (2, 5, 6, 3, 4), (3, 4, 8, 2, 3)])
def test_attention_layer(batch, time, features, heads, dim, causal, device):
    layer, weights = layer_and_weights(features, heads, dim, seed=1, causal=causal, device=device)
    parameters = find_parameters(layer, weights)
    x = normal(batch, time, features)

    def oracle(x, *weights):
        return attention_layer(x, x, x, *weights, heads=heads, causal=causal)

    result = layer(tensor(x, device))
    check_forward(
        result, oracle(x, *weights), device, op="AttentionLayer", terms=4, **layer_problem
    )
    check_backward(
        layer, oracle, [x], device, extra=parameters, op="AttentionLayer", **layer_problem
    )


@every_device
def test_attention_layer_between_two_sequences(device):
    layer, weights = layer_and_weights(6, 2, 4, seed=2, causal=False, device=device)
    q, k, v = normal(2, 3, 6), normal(2, 5, 6), normal(2, 5, 6)

    def oracle(q, k, v):
        return attention_layer(q, k, v, *weights, heads=2, causal=False)

    result = layer(*[tensor(array, device) for array in (q, k, v)])
    check_forward(result, oracle(q, k, v), device, op="AttentionLayer", terms=4, **layer_problem)
    check_backward(layer, oracle, [q, k, v], device, op="AttentionLayer", **layer_problem)


@every_device
def test_attention_layer_takes_values_from_the_queries_unless_told(device):
    layer, weights = layer_and_weights(6, 2, 4, seed=2, causal=False, device=device)
    q, k = normal(2, 5, 6), normal(2, 5, 6)
    desired = attention_layer(q, k, q, *weights, heads=2, causal=False)
    result = layer(tensor(q, device), tensor(k, device))
    check_forward(result, desired, device, op="AttentionLayer", terms=4, **layer_problem)


@every_device
def test_attention_layer_normalizes_queries_keys_and_values_apart(device):
    """The three norms have parameters of their own, also in self-attention."""
    layer = nn.AttentionLayer(4, 1, 3, device=device)
    assert len(layer.parameters()) == 10, "three norms with weight and bias, four projections"
    layer(tensor(normal(2, 3, 4), device)).sum().backward()
    for p in layer.parameters():
        assert p.grad is not None, (
            f"hw4/attention_layer: a parameter of shape {p.shape} got no gradient: queries, keys and "
            "values have a norm each"
        )


@every_device
def test_attention_layer_with_dropout(device):
    layer, weights = layer_and_weights(6, 2, 4, seed=3, dropout=DROP, device=device)
    x = normal(2, 5, 6)
    (keep,) = dropout_factors(12, (2, 2, 5, 5))
    np.random.seed(12)
    desired = attention_layer(x, x, x, *weights, heads=2, keep=keep)
    result = layer(tensor(x, device))
    check_forward(result, desired, device, op="AttentionLayer", terms=4, **layer_problem)


# ------------------------------------------------------------------------------ transformer layer


@every_device
@both_masks
@cases("batch,time,features,heads,dim,hidden", [(1, 1, 4, 1, 2, 3), (2, 5, 6, 3, 4, 8)])
def test_transformer_layer(batch, time, features, heads, dim, hidden, causal, device):
    np.random.seed(4)
    layer = nn.TransformerLayer(features, heads, dim, hidden, causal=causal, device=device)
    np.random.seed(4)
    weights = draw_transformer_layer(features, heads, dim, hidden)
    parameters = find_parameters(layer, weights)
    x = normal(batch, time, features)

    def oracle(x, *weights):
        return transformer_layer(x, *weights, heads=heads, causal=causal)

    desired = oracle(x.astype("float64"), *weights)
    result = layer(tensor(x, device))
    check_forward(result, desired, device, op="TransformerLayer", terms=4, **block_problem)
    check_backward(
        layer, oracle, [x], device, extra=parameters, op="TransformerLayer", **block_problem
    )
    assert len(layer.parameters()) == 16, "an attention layer (10), a norm and two linear layers"


@every_device
def test_transformer_layer_draws_its_dropout_masks_in_order(device):
    batch, time, features, heads, dim, hidden = 2, 4, 6, 2, 3, 5
    np.random.seed(5)
    layer = nn.TransformerLayer(features, heads, dim, hidden, dropout=DROP, device=device)
    np.random.seed(5)
    weights = draw_transformer_layer(features, heads, dim, hidden)
    x = normal(batch, time, features)
    masks = [(batch, heads, time, time), (batch, time, features)]
    masks += [(batch * time, hidden), (batch * time, features)]
    keeps = dropout_factors(13, *masks)

    def all_but(k):
        found = dropout_factors(13, *masks[:k], *masks[k + 1 :])
        return [*found[:k], (None, 1.0, 1.0, 1.0)[k], *found[k:]]

    keeps = slip("no dropout after the attention, before x is added", keeps, lambda: all_but(1))
    keeps = slip("no dropout of the hidden numbers", keeps, lambda: all_but(2))
    keeps = slip("no dropout before x is added to the last result", keeps, lambda: all_but(3))
    keeps = slip("no dropout of the probabilities", keeps, lambda: all_but(0))
    np.random.seed(13)
    desired = transformer_layer(x, *weights, heads=heads, keeps=keeps)
    result = layer(tensor(x, device))
    check_forward(result, desired, device, op="TransformerLayer", terms=4, **block_problem)
    layer.eval()
    desired = transformer_layer(x, *weights, heads=heads)
    result = layer(tensor(x, device))
    check_forward(result, desired, device, op="evaluation", terms=4, **block_problem)


# ------------------------------------------------------------------------------ transformer model

LONGEST = 16


def draw_transformer(features, hidden, layers, heads, dim):
    positions = np.random.randn(LONGEST, features).astype("float32")
    return positions, [draw_transformer_layer(features, heads, dim, hidden) for _ in range(layers)]


@every_device
@both_masks
@cases("batch_first,layers,batch,time", [(True, 1, 1, 1), (True, 2, 2, 5), (False, 2, 3, 4)])
def test_transformer_model(batch_first, layers, batch, time, causal, device):
    features, hidden, heads, dim = 6, 5, 2, 3
    np.random.seed(6)
    model = nn.Transformer(
        features,
        hidden,
        layers,
        num_head=heads,
        dim_head=dim,
        causal=causal,
        device=device,
        batch_first=batch_first,
        sequence_len=LONGEST,
    )
    np.random.seed(6)
    positions, weights = draw_transformer(features, hidden, layers, heads, dim)
    parameters = find_parameters(model, [positions, weights[0][0], weights[-1][-1]])
    x = normal(*((batch, time) if batch_first else (time, batch)), features)

    def oracle(x, positions, first, last):
        parts = [list(part) for part in weights]
        parts[0][0], parts[-1][-1] = first, last
        x = x if batch_first else x.swapaxes(0, 1)
        places = positions[: x.shape[1]]
        places = slip("the positions are not added", places, 0 * places)
        places = slip("the positions are counted from the end", places, places[::-1])
        late = slip("the positions are added behind the layers: before them", 0.0, places)
        x = x + (0.0 if np.any(late) else places)
        parts = slip("one layer is missing", parts, parts[: max(1, len(parts) - 1)])
        for part in parts:
            x = transformer_layer(x, *part, heads=heads, causal=causal)
        x = x + late
        return x if batch_first else x.swapaxes(0, 1)

    desired = oracle(x, positions, weights[0][0], weights[-1][-1])
    result, h = model(tensor(x, device))
    check_forward(result, desired, device, op="Transformer", terms=16, **model_problem)
    assert_close(h, np.zeros_like(x), rtol=0, atol=0, op="second result", **model_problem)
    check_backward(
        lambda x: model(x)[0],
        oracle,
        [x],
        device,
        extra=parameters,
        op="Transformer",
        **model_problem,
    )


@every_device
def test_transformer_model_does_not_look_ahead(device):
    model = nn.Transformer(
        4, 5, 2, num_head=2, dim_head=3, device=device, batch_first=True, sequence_len=LONGEST
    )
    x = normal(1, 6, 4)
    changed = x.copy()
    changed[0, 4] += 1
    before, after = (model(tensor(a, device))[0].numpy() for a in (x, changed))
    assert_close(after[:, :4], before[:, :4], rtol=0, atol=0, op="earlier outputs", **model_problem)
    assert not np.allclose(after[:, 4:], before[:, 4:])


def test_transformer_model_hands_dropout_to_its_layers():
    model = nn.Transformer(4, 5, 2, num_head=2, dim_head=3, dropout=0.3, device=GRADED_DEVICE)
    found = [part.p for part in model._children() if isinstance(part, nn.Dropout)]
    assert found and set(found) == {0.3}, (
        f"hw4/transformer_model: the layers' Dropouts have p = {sorted(set(found))}, expected 0.3: "
        "hand dropout on"
    )


def test_transformer_model_has_positions_for_2048_tokens_unless_told():
    model = nn.Transformer(2, 3, 1, num_head=1, dim_head=2, device=GRADED_DEVICE)
    assert (2048, 2) in [p.shape for p in model.parameters()]


def test_transformer_model_refuses_a_sequence_that_is_too_long():
    model = nn.Transformer(2, 3, 1, num_head=1, dim_head=2, device=GRADED_DEVICE, sequence_len=4)
    with pytest.raises(ValueError, match="5 tokens are more than the sequence_len=4"):
        model(tensor(normal(5, 1, 2), GRADED_DEVICE))


@every_device
def test_transformer_model_as_a_language_model(device):
    from apps.models import LanguageModel
    from simple_ml import evaluate_ptb, train_ptb

    np.random.seed(0)
    model = LanguageModel(8, 9, 6, 1, seq_model="transformer", seq_len=6, device=device)
    logits, h = model(tensor(np.arange(8).reshape(4, 2), device))
    assert logits.shape == (8, 9) and h.shape == (4, 2, 8)
    ids = [k % 9 for k in range(39)]
    data = ndl.data.batchify(ids, 3, device=device, dtype="float32")
    _, before = evaluate_ptb(model, data, seq_len=6, device=device)
    train_ptb(model, data, seq_len=6, n_epochs=5, optimizer=ndl.optim.Adam, lr=0.02, device=device)
    _, after = evaluate_ptb(model, data, seq_len=6, device=device)
    assert after < 0.6 * before, (before, after)


# ------------------------------------------------------------------------------------- submission


def submit_attention_activation():
    import mugrade

    rng = mugrade.rng()
    for causal in (False, True):
        for dropout in (0.0, DROP):
            layer = nn.MultiHeadAttention(causal=causal, dropout=dropout, device=GRADED_DEVICE)
            q, k, v = (tensor(rng.randn(2, 2, 4, 3), GRADED_DEVICE) for _ in range(3))
            np.random.seed(rng.randint(1000))
            result, probs = layer(q, k, v)
            result.sum().backward()
            label = f"causal={causal}, dropout={dropout}"
            mugrade.submit(result.numpy(), label=f"{label}: result")
            mugrade.submit(probs.numpy(), label=f"{label}: probs")
            mugrade.submit(v.grad.numpy(), label=f"{label}: gradient of v")


def submit_module(mugrade, rng, make, label):
    """Values of a module on (2, 5, 6) tokens and the gradient of its input, in training."""
    np.random.seed(rng.randint(1000))
    module = make(device=GRADED_DEVICE)
    x = tensor(rng.randn(2, 5, 6), GRADED_DEVICE)
    np.random.seed(rng.randint(1000))
    result = module(x)
    result = result[0] if isinstance(result, tuple) else result
    (result * result).sum().backward()
    mugrade.submit(result.numpy(), label=label)
    mugrade.submit(x.grad.numpy(), label=f"{label}: gradient of the input")


def submit_attention_layer():
    import mugrade

    rng = mugrade.rng()
    for causal in (False, True):
        for dropout in (0.0, DROP):
            make = partial(nn.AttentionLayer, 6, 2, 4, causal=causal, dropout=dropout)
            submit_module(mugrade, rng, make, f"causal={causal}, dropout={dropout}")
    np.random.seed(rng.randint(1000))
    layer = nn.AttentionLayer(6, 2, 4, causal=False, device=GRADED_DEVICE)
    for p in layer.parameters():
        if len(p.shape) == 1:  # weights and biases of the norms, which begin alike
            p.data = tensor(p.numpy() + rng.rand(*p.shape) / 4, GRADED_DEVICE)
    q, k, v = (tensor(rng.randn(2, time, 6), GRADED_DEVICE) for time in (3, 5, 5))
    result = layer(q, k, v)
    (result * tensor(rng.randn(*result.shape), GRADED_DEVICE)).sum().backward()
    mugrade.submit(result.numpy(), label="between two sequences, norms of their own")
    grads = [value.grad.numpy() for value in (q, k, v) if value.grad is not None]
    mugrade.submit(grads, label="between two sequences: gradients")
    mugrade.submit(layer(k).numpy(), label="self-attention, norms of their own")
    mugrade.submit(layer(k, v).numpy(), label="keys are given, values are not")


def submit_transformer_layer():
    import mugrade

    rng = mugrade.rng()
    for causal in (False, True):
        for dropout in (0.0, DROP):
            make = partial(nn.TransformerLayer, 6, 2, 4, 5, causal=causal, dropout=dropout)
            submit_module(mugrade, rng, make, f"causal={causal}, dropout={dropout}")


def submit_transformer_model():
    import mugrade

    rng = mugrade.rng()
    for batch_first in (True, False):
        for layers in (1, 2):
            make = partial(
                nn.Transformer,
                6,
                5,
                layers,
                num_head=2,
                dim_head=4,
                sequence_len=LONGEST,
                batch_first=batch_first,
            )
            submit_module(mugrade, rng, make, f"batch_first={batch_first}, {layers} layers")
    sizes = {"num_head": 2, "dim_head": 4, "sequence_len": LONGEST, "batch_first": True}
    make = partial(nn.Transformer, 6, 5, 1, causal=False, dropout=DROP, **sizes)
    submit_module(mugrade, rng, make, "not causal, with dropout")
