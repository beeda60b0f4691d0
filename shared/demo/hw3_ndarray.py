"""Demo of homework 3: softmax regression on nothing but NDArrays, once on each device.

Run from inside a solved and built hw3; `--short` trains fewer steps. The kernels are C++ for cpu(),
CUDA for cuda() (on the CPU where there is no GPU: "emulated") and NumPy for cpu_numpy(). All three
see the same batches, so they must end with the same weights up to float32's rounding.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
from coursekit.core import terminal
from coursekit.datasets import data

sys.path.append("./python")
import needle as ndl
from needle import backend_ndarray as nd

BATCH, LR = 100, 0.2


def digits(part):
    """(images (n, 784) float32, labels (n,)) as NumPy arrays."""
    files = [f"data/{part}-{kind}-ubyte.gz" for kind in ("images-idx3", "labels-idx1")]
    images, labels = ndl.data.MNISTDataset(*files)[:]
    return images.reshape(len(images), -1), labels


def probabilities(logits):
    """Row by row softmax of an NDArray (n, classes)."""
    shifted = logits - logits.max(axis=1, keepdims=True).broadcast_to(logits.shape)
    powers = shifted.exp()
    return powers / powers.sum(axis=1, keepdims=True).broadcast_to(powers.shape)


def train(device, images, labels, steps):
    """Plain gradient descent from zero; returns the weights (784, 10) as an NDArray."""
    theta = device.full((images.shape[1], 10), 0.0)
    for step in range(steps):
        rows = np.arange(step * BATCH, (step + 1) * BATCH) % len(images)
        X = nd.array(images[rows], device=device)
        target = device.one_hot(10, labels[rows])
        gradient = X.permute((1, 0)) @ (probabilities(X @ theta) - target)
        theta = theta - gradient * (LR / BATCH)
    return theta


def main():
    console = terminal.console()
    images, labels = digits("train")
    test_images, test_labels = digits("t10k")
    source = data.describe(Path("data"))[0]
    steps = (1 if "--short" in sys.argv else 3) * len(images) // BATCH
    title = f"{source.name}, {steps} steps"
    table = terminal.table(
        "device", ">test error", ">furthest weight from cpu()", ">s", title=title
    )
    answer, first = [], None
    for device in nd.all_devices():
        what = f"{device}, {device.device_kind}" if device == nd.cuda() else str(device)
        with terminal.status(f"training on {what}"):
            began = time.perf_counter()
            theta = train(device, images, labels, steps)
            seconds = time.perf_counter() - began
        logits = (nd.array(test_images, device=device) @ theta).numpy()
        error = float(np.mean(logits.argmax(axis=1) != test_labels))
        first = theta.numpy() if first is None else first
        apart = float(abs(theta.numpy() - first).max())
        table.add_row(what, f"{error:.2%}", f"{apart:.1e}", f"{seconds:.2f}")
        row = {"what": f"hw3: softmax regression on {what}", "data": source.name}
        answer.append({**row, "result": f"test error {error:.1%}", "seconds": seconds})
        if apart > 1e-3 or error > 0.2:
            console.print(f"{what} does not agree with the other devices")
            return 1
    console.print(table)
    if rows := os.environ.get("NEEDLE_DEMO_ROWS"):
        with open(rows, "w", encoding="utf-8") as file:
            json.dump(answer, file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
