"""Layers against PyTorch's, values and gradients, with and without fused kernels."""

import pytest
import torch
from agreement import FUSED, agree, agree_backward, both, random
from course_testing import assert_close
from needle import nn

import hw4 as steps


@FUSED
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_norms(training, fused):
    ours = nn.Sequential(
        nn.Linear(5, 8), nn.LayerNorm1d(8), nn.ReLU(), nn.Linear(8, 6), nn.BatchNorm1d(6)
    )
    theirs = torch.nn.Sequential(
        torch.nn.Linear(5, 8),
        torch.nn.LayerNorm(8),
        torch.nn.ReLU(),
        torch.nn.Linear(8, 6),
        torch.nn.BatchNorm1d(6),
    )
    steps.copy_weights(ours, theirs)
    if not training:
        ours.eval(), theirs.eval()
    x, theirs_x = both(random(16, 5))
    agree_backward(
        [(x, theirs_x)], ours(x), theirs(theirs_x), 64, "Linear, LayerNorm1d, BatchNorm1d"
    )


@FUSED
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("length, batch", [(1, 1), (7, 4)])
@pytest.mark.parametrize("kind", ["RNN", "LSTM"])
def test_recurrent_networks(kind, length, batch, layers, fused):
    ours = getattr(nn, kind)(3, 5, num_layers=layers)
    theirs = getattr(torch.nn, kind)(3, 5, num_layers=layers)
    values = iter(ours.parameters())
    for p in theirs.parameters():
        p.data = torch.tensor(next(values).numpy().T.copy())
    x, theirs_x = both(random(length, batch, 3))
    h, theirs_h = both(random(layers, batch, 5))
    state, theirs_state, pairs = h, theirs_h, [(x, theirs_x), (h, theirs_h)]
    if kind == "LSTM":
        c, theirs_c = both(random(layers, batch, 5))
        state, theirs_state = (h, c), (theirs_h, theirs_c)
        pairs.append((c, theirs_c))
    out, last = ours(x, state)
    theirs_out, theirs_last = theirs(theirs_x, theirs_state)
    if kind == "RNN":
        last, theirs_last = [last], [theirs_last]
    for mine, their in zip(last, theirs_last):
        agree(mine, their, 8 * length, f"last state of {kind}")
    agree_backward(pairs, out, theirs_out, 8 * length, kind)
    for mine, their in zip(ours.parameters(), theirs.parameters()):
        assert_close(
            mine.grad.numpy(),
            their.grad.numpy().T,
            terms=64 * length * batch,
            op=f"parameter of {kind}",
        )


@FUSED
@pytest.mark.parametrize("causal", [True, False])
def test_attention(causal, fused):
    (q, theirs_q), (k, theirs_k), (v, theirs_v) = (both(random(2, 3, 6, 4)) for _ in range(3))
    ours, _ = nn.MultiHeadAttention(causal=causal)(q, k, v)
    theirs = torch.nn.functional.scaled_dot_product_attention(
        theirs_q, theirs_k, theirs_v, is_causal=causal
    )
    pairs = [(q, theirs_q), (k, theirs_k), (v, theirs_v)]
    agree_backward(pairs, ours, theirs, 24, "attention")
