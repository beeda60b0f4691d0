"""Trains the GAN on the digits and measures its samples; results go to results/.

python train.py --short     about a minute
python train.py             the numbers and figures of REPORT.md
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
from gan import PIXELS, Trainer, constant, discriminator, generator, sample  # noqa: E402
from needle import nn  # noqa: E402

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

HERE = Path(__file__).parent


def digits(prefix):
    """(images (n, 784) in [-1, 1], labels (n,)) of the digits in HOME/data: prefix train or t10k."""
    data = ndl.data.MNISTDataset(
        str(HOME / f"data/{prefix}-images-idx3-ubyte.gz"),
        str(HOME / f"data/{prefix}-labels-idx1-ubyte.gz"),
    )
    images, labels = data[np.arange(len(data))]
    return np.asarray(images, dtype="float32").reshape(-1, PIXELS) * 2 - 1, np.asarray(labels)


def train_judge(images, labels, epochs=3):
    """A small classifier: the independent judge of what a sample looks like."""
    np.random.seed(1)
    judge = nn.Sequential(nn.Linear(PIXELS, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer, loss_fn = ndl.optim.Adam(judge.parameters(), lr=0.002), nn.SoftmaxLoss()
    for _ in range(epochs):
        for rows in np.array_split(np.random.permutation(len(images)), max(1, len(images) // 100)):
            optimizer.reset_grad()
            loss_fn(judge(constant(images[rows])), constant(labels[rows])).backward()
            optimizer.step()
    return judge


def judged(judge, images):
    """(mean confidence, entropy of the label histogram in nats; log 10 = 2.303 means all ten digits)."""
    logits = judge(constant(images)).numpy().astype("float64")
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    share = np.bincount(p.argmax(axis=1), minlength=10) / len(images)
    entropy = -sum(s * np.log(s) for s in share if s > 0)
    return float(p.max(axis=1).mean()), float(entropy)


def draw(images, losses, results_dir):
    side = int(np.sqrt(len(images)))
    grid = images.reshape(side, side, 28, 28).transpose(0, 2, 1, 3).reshape(side * 28, side * 28)
    grid = grid.repeat(2, axis=0).repeat(2, axis=1)  # two pixels for one
    plt.imsave(results_dir / "samples.png", grid, cmap="gray", vmin=-1, vmax=1)
    figure, axes = plt.subplots(figsize=(6, 3))
    for name, column in (("discriminator", 0), ("generator", 1)):
        axes.plot(np.arange(1, len(losses) + 1), np.asarray(losses)[:, column], label=name)
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss (nats)")
    axes.legend()
    figure.tight_layout()
    figure.savefig(results_dir / "losses.png", dpi=120)


def play(images, judge, seed, epochs, batch):
    """One game from the start. The trained Trainer, and for each epoch (D loss, G loss, confidence, entropy)."""
    np.random.seed(seed)
    trainer = Trainer(generator(), discriminator())
    history, start = [], time.time()
    for epoch in range(epochs):
        batches = np.array_split(np.random.permutation(len(images)), len(images) // batch)
        losses = np.mean([trainer.step(images[rows]) for rows in batches], axis=0).tolist()
        history.append([*losses, *judged(judge, sample(trainer.G, 500, seed=7))])
        print(
            f"seed {seed}  epoch {epoch + 1:3}/{epochs}  D {losses[0]:.3f}  G {losses[1]:.3f}  "
            "confidence {2:.3f}  label entropy {3:.3f}".format(*history[-1]),
            f" {time.time() - start:5.0f} s",
            flush=True,
        )
    return trainer, history


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="one seed, three epochs")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument(
        "--seeds", type=int, default=3, help="repetitions (default 3); the first is drawn"
    )
    args = parser.parse_args()
    results_dir = HERE / ("results-short" if args.short else "results")
    results_dir.mkdir(exist_ok=True)
    epochs, seeds = (3, 1) if args.short else (args.epochs, args.seeds)

    start = time.time()
    images, labels = digits("train")
    judge = train_judge(images, labels, epochs=1 if args.short else 3)
    games = [play(images, judge, seed, epochs, args.batch) for seed in range(seeds)]
    noise = np.random.RandomState(7).uniform(-1, 1, size=(500, PIXELS))
    results = {
        "data": f"{len(images)} digits from {HOME.name}/data",
        "epochs": epochs,
        "seconds": round(time.time() - start),
        "generated, by seed: confidence, label entropy": [history[-1][2:] for _, history in games],
        "real, held out: confidence, label entropy": judged(judge, digits("t10k")[0][:500]),
        "uniform noise: confidence, label entropy": judged(judge, noise),
        "first seed, by epoch: D loss, G loss, confidence, label entropy": games[0][1],
    }
    (results_dir / "results.json").write_text(json.dumps(results, indent=2), encoding="utf-8")
    draw(sample(games[0][0].G, 64, seed=3), games[0][1], results_dir)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
