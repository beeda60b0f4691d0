"""Trains a residual MLP, exports it to ONNX in float32 and with int8 weights, and compares the three.

python train.py --short     under a minute
python train.py             the numbers of REPORT.md
"""

import argparse
import json
from pathlib import Path

import numpy as np
from coursekit.project import use_needle

HOME = use_needle(__file__)

import needle as ndl  # noqa: E402
import onnxruntime  # noqa: E402
from export import to_onnx  # noqa: E402
from needle import nn  # noqa: E402

HERE = Path(__file__).parent


def constant(array):
    """A float32 Tensor that asks for no gradient."""
    return ndl.Tensor(np.asarray(array, dtype="float32"), requires_grad=False)


def digits(prefix):
    """(images (n, 784), labels (n,)) as NumPy arrays."""
    data = ndl.data.MNISTDataset(
        str(HOME / f"data/{prefix}-images-idx3-ubyte.gz"),
        str(HOME / f"data/{prefix}-labels-idx1-ubyte.gz"),
    )
    images, labels = data[np.arange(len(data))]
    return np.asarray(images, dtype="float32").reshape(-1, 784), np.asarray(labels)


def residual_block(dim, hidden):
    inner = nn.Sequential(
        nn.Linear(dim, hidden),
        nn.BatchNorm1d(hidden),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.Linear(hidden, dim),
        nn.BatchNorm1d(dim),
    )
    return nn.Sequential(nn.Residual(inner), nn.ReLU())


def trained(epochs, seed):
    np.random.seed(seed)
    X, y = digits("train")
    model = nn.Sequential(
        nn.Linear(784, 128),
        nn.ReLU(),
        residual_block(128, 64),
        residual_block(128, 64),
        nn.Linear(128, 10),
    )
    optimizer, loss_fn = ndl.optim.Adam(model.parameters(), lr=2e-3), nn.SoftmaxLoss()
    for epoch in range(epochs):
        losses = []
        for rows in np.array_split(np.random.permutation(len(X)), len(X) // 100):
            optimizer.reset_grad()
            loss = loss_fn(model(constant(X[rows])), constant(y[rows]))
            loss.backward()
            optimizer.step()
            losses.append(float(loss.numpy()))
        print(f"epoch {epoch + 1}/{epochs}  loss {np.mean(losses):.4f}", flush=True)
    model.eval()
    return model


def run_onnx(path, X):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"input": X})[0]


def measure(seed, epochs, results_dir):
    """Train with one seed, export twice, and compare what onnxruntime computes with needle."""
    model = trained(epochs, seed)
    X, y = digits("t10k")
    expected = model(constant(X)).numpy()
    results = {"needle": {"test accuracy": float((expected.argmax(axis=1) == y).mean())}}
    for name, int8 in (("onnx float32", False), ("onnx int8 weights", True)):
        path = results_dir / f"digits-{'int8' if int8 else 'float32'}.onnx"
        to_onnx(model, (784,), path, int8=int8)
        got = run_onnx(path, X)
        results[name] = {
            "test accuracy": float((got.argmax(axis=1) == y).mean()),
            "relative to the largest logit": float(
                np.abs(got - expected).max() / np.abs(expected).max()
            ),
            "predictions changed": int((got.argmax(axis=1) != expected.argmax(axis=1)).sum()),
            "bytes": path.stat().st_size,
        }
    return results


def summary(runs):
    """For each number of `runs`: its mean, smallest and largest value over the seeds."""
    return {
        name: {
            key: [float(f([run[name][key] for run in runs])) for f in (np.mean, min, max)]
            for key in values
        }
        for name, values in runs[0].items()
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="one seed, two epochs")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=3, help="repetitions (default 3)")
    args = parser.parse_args()
    results_dir = HERE / ("results-short" if args.short else "results")
    results_dir.mkdir(exist_ok=True)
    epochs, seeds = (2, 1) if args.short else (args.epochs, args.seeds)
    results = {"seeds": seeds, "epochs": epochs}
    results["mean, smallest, largest"] = summary(
        [measure(seed, epochs, results_dir) for seed in range(seeds)]
    )
    (results_dir / "results.json").write_text(json.dumps(results, indent=2), encoding="utf-8")
    print(json.dumps(results, indent=2))
    worst = results["mean, smallest, largest"]["onnx float32"]["relative to the largest logit"][2]
    if worst > 1e-5:
        raise SystemExit(f"the float32 export differs from needle by {worst:.1e}, more than 1e-5")


if __name__ == "__main__":
    main()
