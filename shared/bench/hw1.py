"""Homework 1: what an operator costs beside PyTorch, and the training step of an MLP.

Run from inside a solved hw1 (`hw bench hw1` does): `python .../hw1.py`. needle computes with NumPy here.
PyTorch may be missing.
"""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), "python", "apps"]
import measure

chosen = measure.options(__doc__.splitlines()[0])

import needle as ndl
import numpy as np
from simple_ml import softmax_loss

torch = measure.torch_or_none(chosen.threads)
SIZE, CHAIN = 32, 20
BATCH, FEATURES, HIDDEN, CLASSES, LR = 100, 784, 500, 10, 0.1


def operators():
    """(name, function of two operands) for both libraries; each is applied CHAIN times."""
    return [
        ("add", lambda h, y: h + y, lambda h, y: h + y),
        ("multiply", lambda h, y: h * y, lambda h, y: h * y),
        ("divide", lambda h, y: h / y, lambda h, y: h / y),
        ("matmul", lambda h, y: h @ y, lambda h, y: h @ y),
        ("relu", lambda h, y: ndl.relu(h), lambda h, y: torch.relu(h)),
        ("exp", lambda h, y: ndl.exp(h), lambda h, y: torch.exp(h)),
        ("transpose", lambda h, y: h.transpose(), lambda h, y: h.transpose(0, 1)),
    ]


def chains(function, x, y, out_grad):
    """Forward alone, and forward with backward, of `function` applied CHAIN times."""

    def forward():
        h = x
        for _ in range(CHAIN):
            h = function(h, y)
        return h

    return forward, lambda: forward().backward(out_grad)


def measure_operators():
    # Small numbers near 1 keep twenty applications finite; exp of exp is kept small by its sign.
    array = np.eye(SIZE, dtype="float32") + np.float32(1e-3)
    print(
        f"\nMicroseconds per operator, {SIZE} x {SIZE}; ratio: needle / PyTorch, below 1 is faster\n"
    )
    rows, ratios = [], []
    for name, ours, theirs in operators():
        start = np.full_like(array, -0.5) if name == "exp" else array
        needle = chains(ours, ndl.Tensor(start), ndl.Tensor(array), ndl.init.ones(SIZE, SIZE))
        pytorch = None, None
        if torch:
            x, y = (torch.tensor(a, requires_grad=True) for a in (start, array))
            pytorch = chains(theirs, x, y, torch.ones(SIZE, SIZE))
        cells, pair = [name], []
        for functions in zip(needle, pytorch):
            with np.errstate(all="ignore"):
                took = measure.medians(dict(zip(("needle", "PyTorch"), functions)), chosen)
            a, b = (seconds / CHAIN * 1e6 for seconds in took.values())
            cells += [f"{a:.2f}", f"{b:.2f}", f"{a / b:.2f}"]
            pair.append(a / b)
        rows.append(cells)
        ratios.append(pair)
    forward, both = (f"{measure.mean(column):.2f}" for column in zip(*ratios))
    rows.append(["geometric mean", "", "", forward, "", "", both])
    measure.table(["operator", "forward", "PyTorch", "ratio", "and back", "PyTorch", "ratio"], rows)


def mlp_steps():
    """One training step of the MLP in needle and in PyTorch, each a function without arguments; None
    without PyTorch."""
    random = np.random.RandomState(0)
    X = random.rand(BATCH, FEATURES).astype("float32")
    labels = random.randint(CLASSES, size=BATCH)
    first = random.randn(FEATURES, HIDDEN).astype("float32") / np.sqrt(np.float32(FEATURES))
    second = random.randn(HIDDEN, CLASSES).astype("float32") / np.sqrt(np.float32(HIDDEN))
    weights = [ndl.Tensor(first), ndl.Tensor(second)]
    images = ndl.Tensor(X, requires_grad=False)
    one_hot = ndl.Tensor(np.eye(CLASSES, dtype="float32")[labels], requires_grad=False)

    def needle():
        loss = softmax_loss(ndl.relu(images @ weights[0]) @ weights[1], one_hot)
        loss.backward()
        for w in weights:
            w.data = w.data - LR * w.grad.data

    if torch is None:
        return needle, None
    parameters = [torch.tensor(a, requires_grad=True) for a in (first, second)]
    optimizer = torch.optim.SGD(parameters, lr=LR)
    t_images, t_labels = torch.tensor(X), torch.tensor(labels)

    def pytorch():
        logits = torch.relu(t_images @ parameters[0]) @ parameters[1]
        loss = torch.nn.functional.cross_entropy(logits, t_labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return needle, pytorch


def main():
    print(measure.machine(chosen, torch))
    measure_operators()
    took = measure.medians(dict(zip(("needle", "PyTorch"), mlp_steps())), chosen, seconds=0.1)
    ours, theirs = took.values()
    print(
        f"\nMLP {FEATURES}-{HIDDEN}-{CLASSES}, batch {BATCH}, one SGD step (target: at most 1.5)\n"
    )
    measure.table(
        ["", "milliseconds", "ratio"],
        [
            ["needle", f"{ours * 1e3:.2f}", f"{ours / theirs:.2f}"],
            ["PyTorch", f"{theirs * 1e3:.2f}", "1.00" if torch else "-"],
        ],
    )
    measure.tell_without(torch)


if __name__ == "__main__":
    main()
