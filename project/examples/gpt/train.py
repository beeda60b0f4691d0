"""Trains a small GPT on the offline text, lets it write, and times the key-value cache.

python train.py --short     about a minute
python train.py             the numbers of REPORT.md
python train.py --cache     only the times of the cache, on a quiet machine; needs no training
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import matplotlib
import numpy as np
from coursekit.project import use_needle

HOME = use_needle(__file__)

import needle as ndl  # noqa: E402
from gpt import ALPHABET, GPT, constant, encode, write  # noqa: E402
from needle import nn  # noqa: E402

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

HERE = Path(__file__).parent


def text(split):
    path = HOME / "data" / "austen" / f"{split}.txt"
    if not path.is_file():
        raise SystemExit(
            f"{path} is missing: run `hw start hw4`, which puts the offline text there."
        )
    return encode(path.read_text(encoding="utf-8"))


def batch(data, size, length, rng):
    """(inputs, targets), integers (size, length): random stretches, and the same one character later."""
    starts = rng.randint(0, len(data) - length - 1, size=size)
    rows = starts[:, None] + np.arange(length + 1)
    return data[rows][:, :-1], data[rows][:, 1:]


def loss_on(model, inputs, targets):
    return nn.SoftmaxLoss()(model(inputs), constant(targets.reshape(-1)))


def validate(model, data, length, batches=10):
    model.eval()
    rng = np.random.RandomState(0)
    losses = [float(loss_on(model, *batch(data, 16, length, rng)).numpy()) for _ in range(batches)]
    model.train()
    return float(np.mean(losses))


def time_cache(model, repeats=7):
    """Seconds to fill the context with and without the cache, measured in turn, and their ratios.

    The times do not depend on what the model has learned.
    """
    rows = []
    for _ in range(repeats):
        row = []
        for cache in (True, False):
            start = time.perf_counter()
            write(model, "she ", model.context, temperature=0, cache=cache)
            row.append(time.perf_counter() - start)
        rows.append((*row, row[1] / row[0]))
    with_cache, without, ratios = zip(*rows, strict=True)
    return {
        "characters": model.context - len("she "),
        "with, median seconds": statistics.median(with_cache),
        "without, median seconds": statistics.median(without),
        "ratio: median, smallest, largest": [statistics.median(ratios), min(ratios), max(ratios)],
    }


def save(results, folder):
    (folder / "results.json").write_text(json.dumps(results, indent=2), encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="60 steps of a smaller model")
    parser.add_argument(
        "--cache", action="store_true", help="only measure the key-value cache again"
    )
    parser.add_argument("--steps", type=int, default=3000, help="training steps (default 3000)")
    parser.add_argument("--prompt", default="it was a ")
    parser.add_argument("--temperature", type=float, default=0.7)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    results_dir = HERE / ("results-short" if args.short else "results")
    results_dir.mkdir(exist_ok=True)
    steps = 60 if args.short else args.steps

    np.random.seed(args.seed)
    model = GPT(embedding=64, layers=2, hidden=128, context=64) if args.short else GPT()
    if args.cache:
        recorded = results_dir / "results.json"
        results = json.loads(recorded.read_text(encoding="utf-8")) if recorded.is_file() else {}
        results["writing"] = time_cache(model)
        save(results, results_dir)
        print(json.dumps(results["writing"], indent=2))
        return
    optimizer = ndl.optim.Adam(model.parameters(), lr=2e-3)
    train, valid = text("train"), text("valid")
    rng = np.random.RandomState(args.seed)
    curve, start = [], time.time()
    for step in range(1, steps + 1):
        optimizer.lr = 2e-3 * min(1, step / 50) * (1 - 0.9 * step / steps)
        optimizer.reset_grad()
        loss = loss_on(model, *batch(train, 16, model.context, rng))
        loss.backward()
        optimizer.step()
        if step % max(1, steps // 15) == 0 or step == 1:
            curve.append((step, float(loss.numpy()), validate(model, valid, model.context)))
            print(
                f"step {step:5}/{steps}  train {curve[-1][1]:.3f}  valid {curve[-1][2]:.3f} nats/character"
                f"  {time.time() - start:5.0f} s",
                flush=True,
            )
    samples = {
        str(t): write(model, args.prompt, model.context, t, seed=1)
        for t in (0, args.temperature, 1.2)
    }
    results = {
        "steps": steps,
        "seconds of training": round(time.time() - start),
        "valid loss (nats/character)": curve[-1][2],
        "uniform guess (nats/character)": float(np.log(len(ALPHABET))),
        "writing": time_cache(model),
        "samples by temperature": samples,
    }
    save(results, results_dir)
    figure, axes = plt.subplots(figsize=(6, 3))
    for name, column in (("training", 1), ("validation", 2)):
        axes.plot([c[0] for c in curve], [c[column] for c in curve], marker=".", label=name)
    axes.set_xlabel("step")
    axes.set_ylabel("loss (nats a character)")
    axes.legend()
    figure.tight_layout()
    figure.savefig(results_dir / "loss.png", dpi=120)
    for temperature, sample in samples.items():
        print(f"\n--- temperature {temperature}\n{sample}")
    print(json.dumps(results["writing"], indent=2))


if __name__ == "__main__":
    main()
