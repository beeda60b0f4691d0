"""Train a small Transformer on a rhyme and write what it looks at: `attention.py`, to attention.json.

Run it with the solved homework 4 on the import path (a minute or so):

    hw render --solved --out build/solved
    PYTHONPATH=build/solved/hw4/python NEEDLE_BACKEND=np python shared/site/figures/attention.py

What it writes is committed, since rounding makes every machine's training its own.
"""

import json
import sys
from pathlib import Path

import needle as ndl
import numpy as np
from needle import nn, optim

RHYME = """the house that jack built. the malt that lay in the house that jack built.
the rat that ate the malt that lay in the house that jack built.
the cat that killed the rat that ate the malt that lay in the house that jack built.
the dog that worried the cat that killed the rat that ate the malt that lay in the house that jack built.
""".replace("\n", " ")
SHOWN = "the cat that ate the malt"
ALPHABET = sorted(set(RHYME))
WIDTH, HEADS, LAYERS, LENGTH, BATCH, STEPS = 32, 2, 2, 32, 16, 500


class Letters(nn.Module):
    """The next letter from the letters before it: ids (T, B) -> logits (T * B, letters)."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(len(ALPHABET), WIDTH)
        self.body = nn.Transformer(
            WIDTH, 2 * WIDTH, LAYERS, num_head=HEADS, dim_head=WIDTH // HEADS, sequence_len=LENGTH
        )
        self.linear = nn.Linear(WIDTH, len(ALPHABET))

    def forward(self, ids):
        x, _ = self.body(self.embedding(ids))
        return self.linear(x.reshape((x.shape[0] * x.shape[1], WIDTH)))


def ids_of(text):
    return np.array([ALPHABET.index(letter) for letter in text], dtype=np.float32)


def train():
    np.random.seed(0)
    model, text = Letters(), ids_of(RHYME)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    for step in range(STEPS):
        starts = np.random.randint(0, len(text) - LENGTH - 1, BATCH)
        window = np.stack([text[start : start + LENGTH + 1] for start in starts], axis=1)
        logits = model(ndl.Tensor(window[:-1], requires_grad=False))
        loss = nn.SoftmaxLoss()(logits, ndl.Tensor(window[1:].reshape(-1), requires_grad=False))
        loss.backward()
        optimizer.step()
        if step % 100 == 0 or step == STEPS - 1:
            print(f"step {step}: loss {loss.item():.3f}", file=sys.stderr)
    return model


def looks(model):
    """For each head of each layer its queries, keys and weights on SHOWN."""
    heads = []
    for number, layer in enumerate(model.body.layers.modules, 1):
        attention = layer.attention.attn
        whole = attention.forward

        def watched(q, k, v, whole=whole, number=number):
            result, weights = whole(q, k, v)
            for head in range(q.shape[1]):
                heads.append(
                    {
                        "name": f"Layer {number}, head {head + 1}",
                        "weights": rounded(weights, head, 4),
                        "queries": rounded(q, head, 4),
                        "keys": rounded(k, head, 4),
                    }
                )
            return result, weights

        attention.forward = watched
    model.eval()
    model(ndl.Tensor(ids_of(SHOWN)[:, None], requires_grad=False))
    return heads


def rounded(tensor, head, digits):
    return np.round(tensor.numpy()[0, head].astype(float), digits).tolist()


if __name__ == "__main__":
    found = {"text": SHOWN, "heads": looks(train())}
    path = Path(__file__).with_name("attention.json")
    path.write_text(json.dumps(found, separators=(",", ":")) + "\n", encoding="utf-8")
