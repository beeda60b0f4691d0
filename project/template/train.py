"""Reproduces the main result: softplus against ReLU in a small network on the digits.

python train.py --short     about a minute
python train.py             the numbers of the report
"""

import argparse
import json
from pathlib import Path

import numpy as np
from coursekit.project import use_needle

HOME = use_needle(__file__)

import needle as ndl  # noqa: E402
from my_project import Softplus  # noqa: E402
from needle import nn  # noqa: E402

HERE = Path(__file__).parent


def digits(split):
    """(images, labels) of the digits in HOME/data; the course's offline sample unless `hw data` ran."""
    data = HOME / "data"
    prefix = {"train": "train", "test": "t10k"}[split]
    return ndl.data.MNISTDataset(
        str(data / f"{prefix}-images-idx3-ubyte.gz"), str(data / f"{prefix}-labels-idx1-ubyte.gz")
    )


def error_rate(model, dataset, optimizer=None):
    """One pass over `dataset`, training when an optimizer is given; the share of wrong answers."""
    model.train() if optimizer else model.eval()
    loss_fn, wrong = nn.SoftmaxLoss(), 0
    for x, y in ndl.data.DataLoader(dataset, batch_size=100, shuffle=optimizer is not None):
        logits = model(ndl.Tensor(x.numpy().reshape(-1, 784), dtype="float32", requires_grad=False))
        if optimizer:
            optimizer.reset_grad()
            loss_fn(logits, y).backward()
            optimizer.step()
        wrong += int((logits.numpy().argmax(axis=1) != y.numpy()).sum())
    return wrong / len(dataset)


def run(activation, seed, epochs):
    """Train one network; its test error after each epoch."""
    np.random.seed(seed)
    model = nn.Sequential(nn.Linear(784, 64), activation(), nn.Linear(64, 10))
    optimizer = ndl.optim.Adam(model.parameters(), lr=0.003)
    train, test = digits("train"), digits("test")
    errors = []
    for epoch in range(epochs):
        error_rate(model, train, optimizer)
        errors.append(error_rate(model, test))
        print(
            f"{activation.__name__:9} seed {seed} epoch {epoch + 1}/{epochs}: test error {errors[-1]:.3f}"
        )
    return errors


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="one seed, two epochs")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds (default 3)")
    args = parser.parse_args()
    results_dir = HERE / ("results-short" if args.short else "results")
    results_dir.mkdir(exist_ok=True)
    seeds, epochs = (1, 2) if args.short else (args.seeds, 10)
    results = {
        layer.__name__: [run(layer, seed, epochs)[-1] for seed in range(seeds)]
        for layer in (nn.ReLU, Softplus)
    }
    (results_dir / "errors.json").write_text(json.dumps(results, indent=2), encoding="utf-8")
    for name, errors in results.items():
        print(
            f"{name:9} test error {np.mean(errors):.4f} +- {np.std(errors):.4f} over {seeds} seed(s)"
        )


if __name__ == "__main__":
    main()
