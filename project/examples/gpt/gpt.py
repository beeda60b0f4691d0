"""A small GPT over characters, in needle, with a key-value cache for writing.

Training uses hw4's Transformer layers as they are. Writing text one character at a time would
recompute every earlier position for every character; the keys and values of earlier positions never
change, so `Writer` keeps them and computes only the new position.

Sources: Radford et al., "Improving Language Understanding by Generative Pre-Training" (2018); Shazeer,
"Fast Transformer Decoding: One Write-Head is All You Need" (2019) for the cost of decoding.
Shapes: B batch, T positions, E embedding, H heads, D features a head, V vocabulary.
"""

import needle as ndl
import numpy as np
from needle import nn

ALPHABET = "\n abcdefghijklmnopqrstuvwxyz<>'N-.&"


def encode(text):
    """Character ids of `text`; characters outside the alphabet are left out."""
    return np.array([ALPHABET.index(c) for c in text if c in ALPHABET], dtype="int64")


def decode(ids):
    return "".join(ALPHABET[int(i)] for i in ids)


def constant(array):
    """A float32 Tensor that asks for no gradient."""
    return ndl.Tensor(np.asarray(array, dtype="float32"), requires_grad=False)


class GPT(nn.Module):
    """Characters (B, T) -> logits (B*T, V): embedding, causal Transformer, final norm, linear head."""

    def __init__(self, embedding=128, layers=3, heads=4, hidden=256, context=128, dropout=0.0):
        super().__init__()
        if embedding % heads:
            raise ValueError(
                f"embedding {embedding} is not a multiple of heads {heads}: choose one that is"
            )
        self.context, self.embedding_size = context, embedding
        self.embedding = nn.Embedding(len(ALPHABET), embedding)
        self.transformer = nn.Transformer(
            embedding,
            hidden,
            layers,
            num_head=heads,
            dim_head=embedding // heads,
            dropout=dropout,
            causal=True,
            batch_first=True,
            sequence_len=context,
        )
        self.norm = nn.LayerNorm1d(embedding)
        self.head = nn.Linear(embedding, len(ALPHABET))

    def forward(self, ids):
        """ids: NumPy integers (B, T), T <= context."""
        batch, length = ids.shape
        if length > self.context:
            raise ValueError(
                f"{length} characters given, at most {self.context} fit this model's context"
            )
        x = self.embedding(constant(ids))
        x, _ = self.transformer(x)
        x = self.norm(x.reshape((batch * length, self.embedding_size)))
        return self.head(x)


def layers_of(model):
    """The TransformerLayers of `model`, in order of execution."""
    found = []

    def visit(value):
        if isinstance(value, nn.TransformerLayer):
            found.append(value)
        elif isinstance(value, nn.Module):
            for child in value.__dict__.values():
                visit(child)
        elif isinstance(value, (list, tuple)):
            for child in value:
                visit(child)

    visit(model.transformer)
    return found


def positions_of(model):
    """The learned position vectors, (context, E), as NumPy."""
    tables = [m for m in model.transformer.__dict__.values() if isinstance(m, nn.Embedding)]
    return tables[0].weight.numpy()


class Writer:
    """Feeds a GPT characters and remembers keys and values.

    Weights are read once, as NumPy arrays: writing needs no graph. `feed(ids)` appends any number of
    characters and returns the logits (V,) of what follows the last one; they must agree with
    `GPT.forward` on the whole prefix (tested). Set `position` back to 0 and feed the whole prefix for
    every character, and you write without a cache, by the same code.
    """

    def __init__(self, model):
        self.model, self.position = model, 0
        self.embedding = model.embedding.weight.numpy()
        self.positions = positions_of(model)
        self.layers = [self._weights(layer) for layer in layers_of(model)]
        self.norm = self._norm_weights(model.norm)
        self.head = model.head.weight.numpy(), model.head.bias.numpy()
        H = self.layers[0]["heads"]
        D = self.layers[0]["q"].shape[1] // H
        # (layers, H, context, D): row t is written once, when position t is fed
        self.keys = np.zeros((len(self.layers), H, model.context, D), dtype="float32")
        self.values = np.zeros_like(self.keys)

    @staticmethod
    def _norm_weights(norm):
        return norm.weight.numpy(), norm.bias.numpy(), norm.eps

    def _weights(self, layer):
        attention = next(m for m in layer.__dict__.values() if isinstance(m, nn.AttentionLayer))
        inner = [
            m for m in _modules(layer, attention) if isinstance(m, (nn.LayerNorm1d, nn.Linear))
        ]
        norm, first, second = inner
        return {
            "heads": attention.num_head,
            "norms": [self._norm_weights(getattr(attention, f"prenorm_{n}")) for n in "qkv"],
            "q": attention.q_projection.weight.numpy(),
            "k": attention.k_projection.weight.numpy(),
            "v": attention.v_projection.weight.numpy(),
            "out": attention.out_projection.weight.numpy(),
            "norm": self._norm_weights(norm),
            "first": (first.weight.numpy(), first.bias.numpy()),
            "second": (second.weight.numpy(), second.bias.numpy()),
        }

    def feed(self, ids):
        """Append the characters `ids`; the logits (V,) of what follows them."""
        start, end = self.position, self.position + len(ids)
        if end > self.model.context:
            raise ValueError(
                f"the context of {self.model.context} characters is full: start a new Writer"
            )
        x = self.embedding[ids] + self.positions[start:end]  # (n, E)
        for n, w in enumerate(self.layers):
            x = x + self._attend(n, w, x, start, end)
            hidden = np.maximum(
                _normalize(x, *w["norm"]) @ w["first"][0] + w["first"][1].reshape(-1), 0
            )
            x = x + hidden @ w["second"][0] + w["second"][1].reshape(-1)
        self.position = end
        return _normalize(x[-1], *self.norm) @ self.head[0] + self.head[1].reshape(-1)

    def _attend(self, n, w, x, start, end):
        count, H = len(x), w["heads"]
        q, k, v = (  # (H, n, D)
            (_normalize(x, *norm) @ w[name]).reshape(count, H, -1).swapaxes(0, 1)
            for name, norm in zip("qkv", w["norms"], strict=True)
        )
        self.keys[n, :, start:end], self.values[n, :, start:end] = k, v
        keys, values = self.keys[n, :, :end], self.values[n, :, :end]  # (H, end, D)
        scores = q @ keys.swapaxes(1, 2) / np.sqrt(q.shape[2])  # (H, n, end)
        future = np.arange(end) > np.arange(start, end)[:, None]
        probs = _softmax(np.where(future, np.float32(-np.inf), scores))
        return (probs @ values).swapaxes(0, 1).reshape(count, -1) @ w["out"]


def _modules(module, skip):
    """Modules inside `module`, depth first in order of creation, without entering `skip`."""
    for value in module.__dict__.values():
        for child in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(child, nn.Module) and child is not skip:
                yield child
                yield from _modules(child, skip)


def _normalize(x, weight, bias, eps):
    """Layer norm over the last axis."""
    x = x - x.mean(axis=-1, keepdims=True)
    return x / np.sqrt(x.var(axis=-1, keepdims=True) + eps) * weight.reshape(-1) + bias.reshape(-1)


def _softmax(z):
    z = np.exp(z - z.max(axis=-1, keepdims=True))
    return z / z.sum(axis=-1, keepdims=True)


def pick(logits, temperature, rng):
    """A character id drawn from softmax(logits / temperature); the best one at temperature 0."""
    if temperature < 0:
        raise ValueError(
            f"temperature {temperature} is negative: 0 takes the best character, 1 samples"
        )
    if temperature == 0:
        return int(np.argmax(logits))
    p = _softmax(np.asarray(logits, dtype="float64") / temperature)
    return int(rng.choice(len(p), p=p))


def write(model, prompt, length, temperature=0.8, seed=0, cache=True):
    """`prompt` continued to at most `length` more characters (never beyond the context)."""
    ids = list(encode(prompt))
    if not ids:
        raise ValueError("the prompt holds no character of the alphabet: begin with a letter")
    rng = np.random.RandomState(seed)
    writer = Writer(model)
    fed = 0  # without a cache nothing stays fed
    for _ in range(min(length, model.context - len(ids))):
        if not cache:
            writer.position = fed = 0
        logits = writer.feed(ids[fed:])
        fed = len(ids)
        ids.append(pick(logits, temperature, rng))
    return decode(ids)
