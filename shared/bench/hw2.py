"""Homework 2: one training step of the MLP-ResNet, needle with NumPy beside PyTorch eager.

Run from inside a solved hw2 (`hw bench hw2` does): `python .../hw2.py`.
PyTorch may be missing.
"""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), "python", "apps"]
import measure

chosen = measure.options(__doc__.splitlines()[0])

import needle as ndl
import numpy as np
from mlp_resnet import MLPResNet

torch = measure.torch_or_none(chosen.threads)
BATCH, HIDDEN = 100, 100


def steps():
    """One training step in needle and in PyTorch, each a function without arguments; None without
    PyTorch."""
    random = np.random.RandomState(0)
    X = random.rand(BATCH, 784).astype("float32")
    labels = random.randint(10, size=BATCH)
    model = MLPResNet(784, HIDDEN)
    optimizer = ndl.optim.Adam(model.parameters())
    images, classes = ndl.Tensor(X, requires_grad=False), ndl.Tensor(labels, requires_grad=False)

    def needle():
        loss = ndl.nn.SoftmaxLoss()(model(images), classes)
        optimizer.reset_grad()
        loss.backward()
        optimizer.step()

    if torch is None:
        return needle, None
    import torch_models

    peer = torch_models.mlp_resnet(HIDDEN)
    peer_optimizer = torch.optim.Adam(peer.parameters())
    t_images, t_classes = torch.tensor(X), torch.tensor(labels)

    def pytorch():
        loss = torch.nn.functional.cross_entropy(peer(t_images), t_classes)
        peer_optimizer.zero_grad()
        loss.backward()
        peer_optimizer.step()

    return needle, pytorch


def main():
    print(measure.machine(chosen, torch))
    took = measure.medians(dict(zip(("needle", "PyTorch"), steps())), chosen, seconds=0.1)
    ours, theirs = took.values()
    print(
        f"\nMLP-ResNet 784-{HIDDEN}-10, three blocks, batch {BATCH}, one Adam step (target: 1.5)\n"
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
