"""An equilibrium layer against its unrolled twins on the digits; results go to results/.

python train.py --short     about a minute
python train.py             the numbers of REPORT.md
"""

import argparse
import json
import time
from pathlib import Path

import matplotlib
import numpy as np
from coursekit.project import use_needle

HOME = use_needle(__file__)

import needle as ndl  # noqa: E402
from deq import DEQClassifier, constant, contract, equilibrium, unrolled  # noqa: E402
from needle import nn  # noqa: E402

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

HERE = Path(__file__).parent


def digits(prefix):
    """(images (n, 784), labels (n,)) as NumPy arrays."""
    data = ndl.data.MNISTDataset(
        str(HOME / f"data/{prefix}-images-idx3-ubyte.gz"),
        str(HOME / f"data/{prefix}-labels-idx1-ubyte.gz"),
    )
    images, labels = data[np.arange(len(data))]
    return np.asarray(images, dtype="float32").reshape(-1, 784), np.asarray(labels)


def gradient_agreement(steps_list, hidden=64, batch=32):
    """Relative distance between the implicit gradient in W and that of unrolled graphs, by depth."""
    np.random.seed(0)
    W0 = np.random.randn(hidden, hidden)
    W0 *= 0.9 / np.linalg.norm(W0, 2)
    u0, v = np.random.randn(batch, hidden), constant(np.random.randn(batch, hidden))

    def gradient(layer):
        W = ndl.Tensor(W0, dtype="float32")
        (layer(ndl.Tensor(u0, dtype="float32"), W) * v).sum().backward()
        return W.grad.numpy()

    implicit = gradient(lambda u, W: equilibrium(u, W, tolerance=1e-6))
    rows = []
    for steps in steps_list:
        before = ndl.autograd.TENSOR_COUNTER
        z = unrolled(ndl.Tensor(u0, dtype="float32"), ndl.Tensor(W0, dtype="float32"), steps)
        values = ndl.autograd.TENSOR_COUNTER - before
        del z
        g = gradient(lambda u, W, steps=steps: unrolled(u, W, steps))
        rows.append((steps, float(np.linalg.norm(g - implicit) / np.linalg.norm(implicit)), values))
    before = ndl.autograd.TENSOR_COUNTER
    z = equilibrium(ndl.Tensor(u0, dtype="float32"), ndl.Tensor(W0, dtype="float32"))
    implicit_values = ndl.autograd.TENSOR_COUNTER - before
    del z
    return rows, implicit_values


def train(unroll, epochs, seed):
    """Test error after training, and the seconds it took."""
    np.random.seed(seed)
    (X, y), (X_test, y_test) = digits("train"), digits("t10k")
    model = DEQClassifier(784, 64, 10, unroll=unroll)
    optimizer, loss_fn = ndl.optim.Adam(model.parameters(), lr=1e-3), nn.SoftmaxLoss()
    start = time.time()
    for epoch in range(epochs):
        for rows in np.array_split(np.random.permutation(len(X)), len(X) // 100):
            optimizer.reset_grad()
            loss = loss_fn(model(constant(X[rows])), constant(y[rows]))
            loss.backward()
            optimizer.step()
            contract(model.W)
        wrong = (model(constant(X_test)).numpy().argmax(axis=1) != y_test).mean()
        name = "equilibrium" if unroll is None else f"{unroll} steps"
        print(
            f"{name:12} seed {seed} epoch {epoch + 1}/{epochs}  test error {wrong:.3f}", flush=True
        )
    return float(wrong), time.time() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="one seed, one epoch")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    args = parser.parse_args()
    results_dir = HERE / ("results-short" if args.short else "results")
    results_dir.mkdir(exist_ok=True)
    seeds, epochs = (1, 1) if args.short else (args.seeds, args.epochs)

    agreement, implicit_values = gradient_agreement([1, 2, 4, 8, 16, 32, 64])
    results = {
        "graph values held, equilibrium": implicit_values,
        "unrolled (steps, relative gradient distance, graph values held)": agreement,
    }
    for unroll in (None, 1, 10):
        runs = [train(unroll, epochs, seed) for seed in range(seeds)]
        errors, seconds = zip(*runs, strict=True)
        results["equilibrium" if unroll is None else f"unrolled {unroll}"] = {
            "test error, mean": float(np.mean(errors)),
            "test error, std": float(np.std(errors)),
            "seconds, mean": float(np.mean(seconds)),
        }
    (results_dir / "results.json").write_text(json.dumps(results, indent=2), encoding="utf-8")
    figure, axes = plt.subplots(figsize=(6, 3))
    steps = [r[0] for r in agreement]
    axes.loglog(steps, [r[1] for r in agreement], marker="o")
    axes.set_xticks(steps, steps)
    axes.minorticks_off()
    axes.set_xlabel("unrolled steps")
    axes.set_ylabel("relative distance to\nthe implicit gradient")
    figure.tight_layout()
    figure.savefig(results_dir / "agreement.png", dpi=120)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
