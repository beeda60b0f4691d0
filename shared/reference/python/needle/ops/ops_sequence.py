"""What layers for sequences compute, as functions of Tensors: recurrence, embedding, attention.

Shapes: T time, B batch, I features of the input, H of the state. Attention works on (B, H, T, D):
batch, heads, time, features of a head; S is the time of keys and values.
"""

import math

import numpy as np

from .. import init
from ..autograd import Tensor
from .ops_composite import composite
from .ops_conv import split, stack, tanh
from .ops_layers import linear
from .ops_logarithmic import LARGEST, logsumexp, softmax_of


def sigmoid(x):
    """1 / (1 + exp(-x)), also where exp(-x) is too large for a float32."""
    ### BEGIN SOLUTION hw4/lstm optional
    return (1 + tanh(x / 2)) / 2  # the same function; nothing overflows, gradients neither
    ### END SOLUTION


def gates(x, h, W_ih, W_hh, bias_ih=None, bias_hh=None):
    """x W_ih + bias_ih + h W_hh + bias_hh: x (B, I), h (B, H) -> (B, width of the weights)."""
    ### BEGIN SOLUTION hw4/rnn optional
    return linear(x, W_ih, bias_ih) + linear(h, W_hh, bias_hh)
    ### END SOLUTION


def lstm_cell(x, h, c, *parameters):
    """One step of a long short-term memory: x (B, I), h and c (B, H) -> (h', c').

    With the gates i, f, g, o, which lie in this order along the 4H columns of `gates`:

        c' = sigmoid(f) * c + sigmoid(i) * tanh(g)        h' = sigmoid(o) * tanh(c')

    Args:
        parameters: W_ih (I, 4H), W_hh (H, 4H), and perhaps bias_ih, bias_hh (4H,).
    """
    ### BEGIN SOLUTION hw4/lstm optional
    batch, width = h.shape
    columns = gates(x, h, *parameters).reshape((batch, 4, width))
    i, f, g, o = split(columns, 1)
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(c), c
    ### END SOLUTION


@composite
def lstm(x, h, c, *parameters):
    """All steps of x (T, B, I) from the state h, c (B, H), with the parameters of `lstm_cell`.

    Returns:
        (outputs (T, B, H), last h, last c).
    """
    ### BEGIN SOLUTION hw4/lstm optional
    outputs = []
    for x_t in split(x, 0):
        h, c = lstm_cell(x_t, h, c, *parameters)
        outputs.append(h)
    return stack(outputs, 0), h, c
    ### END SOLUTION


@composite
def embedding(weight, ids):
    """The rows of weight (V, E) at `ids`, whole numbers of any dtype: (T, B) -> (T, B, E)."""
    ### BEGIN SOLUTION hw4/language_model optional
    words, features = weight.shape
    chosen = init.one_hot(words, ids, like=weight)
    vectors = chosen.reshape((math.prod(ids.shape), words)) @ weight
    return vectors.reshape((*ids.shape, features))
    ### END SOLUTION


def causal_mask(queries, keys, device):
    """(1, 1, T, S): 0 where a query may look, minus the largest float32 where it may not.

    The last of the queries sees all keys, the one before it all but the last, and so on.
    """
    hidden = np.full((1, 1, queries, keys), -LARGEST, np.float32)
    return Tensor(np.triu(hidden, keys - queries + 1), device=device, requires_grad=False)


def softmax(logits):
    """exp(logits) divided by its sum over the last axis."""
    return softmax_of(logits, logsumexp(logits, -1), -1)


@composite
def attention(q, k, v, *, causal, dropout=None):
    """softmax(q k^T / sqrt(D)) v for each head: q (B, H, T, D), k and v (B, H, S, D).

    Args:
        causal: whether a query may only look at keys up to its own time.
        dropout: a function that drops some of the weights, or None.

    Returns:
        (result, probs): (B, H, T, D), and the weights as they were applied to v, after dropout,
        (B, H, T, S).
    """
    ### BEGIN SOLUTION hw4/attention_activation optional
    scores = (q @ k.transpose()) / math.sqrt(q.shape[3])
    if causal:
        mask = causal_mask(q.shape[2], k.shape[2], q.device)
        scores = scores + mask.broadcast_to(scores.shape)
    weights = softmax(scores)
    probs = weights if dropout is None else dropout(weights)
    return probs @ v, probs
    ### END SOLUTION
