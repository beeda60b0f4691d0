"""The networks that homework 4's text sets beside its ResNet9: two wrong ones, and perceptrons.

All are trained by `train.py resnet9`, with its settings, its seed and the given kernels. A perceptron
goes through the images as often as fills the time in which ResNet9 went through them.
"""

import os
import subprocess
import sys
import tempfile
import time

from measure import speak_plainly

ROWS = (
    *("ResNet9", "no sums", "no batch norm"),
    *("perceptron 256", "perceptron 512", "perceptron 1024", "perceptron 512 with batch norm"),
)


def perceptron(width, normalized, device):
    """Linear, perhaps batch norm, ReLU, Linear on the pixels of an image."""
    from needle import nn

    norm = [nn.BatchNorm1d(width, device=device)] if normalized else []
    first, last = (nn.Linear(*sizes, device=device) for sizes in ((3072, width), (width, 10)))
    return nn.Sequential(nn.Flatten(), first, *norm, nn.ReLU(), last)


def maker(row):
    """A function that makes the row's network on a device."""
    from experiments import NoNorm, NoResidual, made
    from models import ResNet9

    parts = {"no sums": {"Residual": NoResidual}, "no batch norm": {"BatchNorm2d": NoNorm}}
    if row.startswith("perceptron"):
        return lambda device: perceptron(int(row.split()[1]), "norm" in row, device)
    return lambda device: made(lambda: ResNet9(device=device), **parts.get(row, {}))


def run_of(row, folder, epochs=None, rate=None):
    """train.py's Run of the row's network."""
    import train

    words = ["resnet9", "--fresh", "--quiet", "--checkpoint", f"{folder}/{row}.safetensors"]
    words += ["--epochs", str(epochs)] if epochs else []
    words += ["--lr", str(rate)] if rate else []
    train.ResNet9 = maker(row)
    return train.Run(train.parse(words))


def seconds_of_an_epoch(row, folder, steps=40):
    """Processor time, from some steps."""
    run = run_of(row, folder)
    run.memory = run.data.start_epoch()
    run.step()
    began = time.process_time()
    for _ in range(steps):
        run.step()
    return (time.process_time() - began) / steps * run.data.steps


def compare(rows, rate):
    """Print what each row comes to."""
    import train

    print("| network | parameters | epochs | processor time, s | training | test |")
    print("|---|---:|---:|---:|---:|---:|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        budget = 0.0
        for row in rows:
            dense = row.startswith("perceptron")
            epochs = round(budget / seconds_of_an_epoch(row, folder)) if dense else None
            run = run_of(row, folder, epochs, rate if dense else None)
            shares: list[float] = []  # kept in place of the test after each epoch
            run.report = lambda run=run, to=shares: to.append(share_of_right(run))
            began = time.process_time()
            run.train()
            spent = time.process_time() - began
            budget = budget or spent
            _, accuracy = train.evaluate(run.data, run.model, run.device)
            parameters = sum(p.numpy().size for p in run.model.parameters())
            print(
                f"| {row} | {parameters:,} | {run.config['epochs']} | {spent:.0f} | {shares[-1]:.1%} "
                f"| {accuracy:.1%} |",
                flush=True,
            )


def share_of_right(run):
    """How many of the epoch's training images were right."""
    return run.progress["right"] / run.progress["count"]


def table(tree, threads, rate=0.001, rows=ROWS):
    """Compare inside a built hw4, in a process of its own."""
    names = ("NEEDLE", "OMP", "MKL", "OPENBLAS")
    env = {
        **os.environ,
        **{f"{name}_NUM_THREADS": str(threads) for name in names},
        "NEEDLE_BACKEND": "nd",
        "NEEDLE_KERNELS": "given",
        "PYTHONPATH": "python:apps:.",
    }
    command = [sys.executable, os.path.abspath(__file__), str(rate), *rows]
    return subprocess.run(command, cwd=tree, env=env).returncode


if __name__ == "__main__":
    speak_plainly()
    compare(sys.argv[2:], float(sys.argv[1]))
