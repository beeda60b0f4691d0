"""Homework 1: what an operator costs beside PyTorch, and the training step of an MLP.

Run from inside a solved hw1: `python .../shared/bench/hw1.py [repetitions]`. needle (with NumPy) and
PyTorch (eager) take turns in one process, so that a busy machine slows both; the ratios are those
of the medians. Both use two threads where their matrix product likes it; set OMP_NUM_THREADS.
"""

import os
import statistics
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np
import torch

sys.path.append("python")
sys.path.append("apps")
import needle as ndl
from simple_ml import softmax_loss

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


def alternate(first, second, repetitions, calls):
    """Medians of the seconds for one call of each; they take turns."""
    times = ([], [])
    for _ in range(repetitions):
        for function, measured in zip((first, second), times):
            began = time.perf_counter()
            for _ in range(calls):
                function()
            measured.append((time.perf_counter() - began) / calls)
    return [statistics.median(measured) for measured in times]


def measure_operators(repetitions):
    # Small numbers near 1 keep twenty applications finite; exp of exp is kept small by its sign.
    array = np.eye(SIZE, dtype="float32") + np.float32(1e-3)
    print(f"us per operator, {SIZE}x{SIZE}, median of {repetitions} (needle / PyTorch = ratio)")
    print(f"{'':10} {'forward':>24} {'forward + backward':>26}")
    for name, ours, theirs in operators():
        start = np.full_like(array, -0.5) if name == "exp" else array
        needle = chains(ours, ndl.Tensor(start), ndl.Tensor(array), ndl.init.ones(SIZE, SIZE))
        x, y = (torch.tensor(a, requires_grad=True) for a in (start, array))
        pytorch = chains(theirs, x, y, torch.ones(SIZE, SIZE))
        with np.errstate(all="ignore"):
            cells = [alternate(a, b, repetitions, calls=10) for a, b in zip(needle, pytorch)]
        row = "".join(
            f"{a / CHAIN * 1e6:9.2f} / {b / CHAIN * 1e6:5.2f} = {a / b:5.2f}" for a, b in cells
        )
        print(f"{name:10} {row}")


def mlp_steps():
    """One training step of the MLP in needle and in PyTorch, each a function without arguments."""
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


def main(repetitions=15):
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    measure_operators(repetitions)
    ours, theirs = alternate(*mlp_steps(), repetitions, calls=5)
    print(
        f"\nMLP {FEATURES}-{HIDDEN}-{CLASSES}, batch {BATCH}, one SGD step: needle {ours * 1e3:.2f} ms, "
        f"PyTorch {theirs * 1e3:.2f} ms, ratio {ours / theirs:.2f} (target: at most 1.5)"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
