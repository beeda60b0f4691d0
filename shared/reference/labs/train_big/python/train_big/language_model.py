"""Homework 4's Transformer language model, taken apart: modules that follow one another.

Shapes: T time, B batch, F features of a token, V words.
"""

import numpy as np
from needle import nn
from needle.autograd import Tensor
from needle.nn.nn_state import named


class Front(nn.Module):
    """Word ids (T, B) -> (B, T, F): the vectors of words and of their places, added up."""

    def __init__(self, words, positions):
        super().__init__()
        self.words, self.positions = words, positions

    def forward(self, ids):
        time, batch = ids.shape
        places = Tensor(np.tile(np.arange(time, dtype="float32"), (batch, 1)), requires_grad=False)
        return self.words(ids).transpose((0, 1)) + self.positions(places)


class Back(nn.Module):
    """(B, T, F) -> logits (T * B, V), the first word of each text first."""

    def __init__(self, linear):
        super().__init__()
        self.linear = linear

    def forward(self, x):
        batch, time, features = x.shape
        return self.linear(x.transpose((0, 1)).reshape((time * batch, features)))


def parts(module, kind, outside=None):
    """All modules of a kind in a module, in order; without those in `outside`."""
    inner = [] if outside is None else parts(outside, kind)
    return [part for _, part in named(module, kind) if not any(part is other for other in inner)]


def in_a_row(model):
    """A LanguageModel of a Transformer as a list: Front, its TransformerLayers, Back.

    They are the model's own modules, found by their kind, whatever they are called there.
    """
    words, positions = parts(model, nn.Embedding)
    return [
        Front(words, positions),
        *parts(model, nn.TransformerLayer),
        Back(parts(model, nn.Linear)[-1]),
    ]


def block_parts(layer):
    """What a TransformerLayer is made of: (attention, norm, first, second), two Linear layers last."""
    (attention,) = parts(layer, nn.AttentionLayer)
    (norm,) = parts(layer, nn.LayerNorm1d, outside=attention)
    first, second = parts(layer, nn.Linear, outside=attention)
    return attention, norm, first, second


def replace_linears(module, make):
    """Put `make(linear)` in the place of every Linear layer in a module, wherever it is kept."""
    new = lambda value: make(value) if isinstance(value, nn.Linear) else value
    for owner in parts(module, nn.Module):
        for name, value in list(vars(owner).items()):
            if isinstance(value, (list, tuple)):
                setattr(owner, name, type(value)(map(new, value)))
            else:
                setattr(owner, name, new(value))
