"""Whole training steps: needle on cpu() against PyTorch eager, with two threads each.

    python shared/bench/training.py [--tree DIR] [--only abcde] [--rounds 5] [--write FILE]

Each side runs in processes of its own, turn by turn; a round is the median of many steps, the result
the median of the rounds. Read the ratios: the milliseconds belong to one machine on one day.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve()
THREADS = "2"
CASES = {
    "a": "MLP 784-500-10, batch 100, SGD",
    "b": "ResNet9, 3x32x32, batch 128, Adam",
    "c": "LSTM LM, V 10000, E 128, H 256, T 40, B 16, SGD",
    "d": "Transformer LM, 2 layers, E 128, 8 heads of 32, hidden 64, V 10000, T 40, B 16, Adam",
    "e": "20-layer MLP, width 32, batch 32, SGD",
}


# ----------------------------------------------------------------------------------- needle's side


def needle_step(case):
    """A function that does one training step and returns the loss as a float."""
    import needle as ndl
    import numpy as np
    from apps.models import LanguageModel, ResNet9
    from needle import nn

    rng = np.random.RandomState(0)
    device = ndl.cpu()
    loss_fn = nn.SoftmaxLoss()
    state = None
    if case == "a":
        model = nn.Sequential(nn.Linear(784, 500), nn.ReLU(), nn.Linear(500, 10))
        X, y = rng.rand(100, 784), rng.randint(0, 10, 100)
        opt = ndl.optim.SGD(model.parameters(), lr=0.01)
    elif case == "b":
        model = ResNet9(device=device)
        X, y = rng.rand(128, 3, 32, 32), rng.randint(0, 10, 128)
        opt = ndl.optim.Adam(model.parameters(), lr=0.001)
    elif case in "cd":
        if case == "c":
            model = LanguageModel(128, 10000, 256, 1, "lstm", device=device)
            opt = ndl.optim.SGD(model.parameters(), lr=0.5)
        else:
            model = LanguageModel(128, 10000, 64, 2, "transformer", seq_len=40, device=device)
            opt = ndl.optim.Adam(model.parameters(), lr=0.001)
        X, y = rng.randint(0, 10000, (40, 16)), rng.randint(0, 10000, 640)
    else:
        layers = [layer for _ in range(20) for layer in (nn.Linear(32, 32), nn.ReLU())]
        model = nn.Sequential(*layers[:-1])
        X, y = rng.rand(32, 32), rng.randint(0, 32, 32)
        opt = ndl.optim.SGD(model.parameters(), lr=0.01)
    X = ndl.Tensor(X.astype("float32"), device=device, requires_grad=False)
    y = ndl.Tensor(y.astype("float32"), device=device, requires_grad=False)

    def step():
        nonlocal state
        opt.reset_grad()
        if case in "cd":
            logits, state = model(X, state)
            state = tuple(h.detach() for h in state) if case == "c" else None
        else:
            logits = model(X)
        loss = loss_fn(logits, y)
        loss.backward()
        opt.step()
        return loss.numpy().item()

    return step


# ------------------------------------------------------------------------------------ PyTorch's side


def torch_step(case):
    """The same, with PyTorch's own layers."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    torch.set_num_threads(int(THREADS))
    state = None
    if case == "a":
        model = nn.Sequential(nn.Linear(784, 500), nn.ReLU(), nn.Linear(500, 10))
        X, y = torch.rand(100, 784), torch.randint(0, 10, (100,))
        opt = torch.optim.SGD(model.parameters(), lr=0.01)
    elif case == "b":
        model = torch_resnet9(nn)
        X, y = torch.rand(128, 3, 32, 32), torch.randint(0, 10, (128,))
        opt = torch.optim.Adam(model.parameters(), lr=0.001)
    elif case in "cd":
        model = (torch_lstm_lm if case == "c" else torch_transformer_lm)(torch, nn)
        X, y = torch.randint(0, 10000, (40, 16)), torch.randint(0, 10000, (640,))
        if case == "c":
            opt = torch.optim.SGD(model.parameters(), lr=0.5)
        else:
            opt = torch.optim.Adam(model.parameters(), lr=0.001)
    else:
        layers = [layer for _ in range(20) for layer in (nn.Linear(32, 32), nn.ReLU())]
        model = nn.Sequential(*layers[:-1])
        X, y = torch.rand(32, 32), torch.randint(0, 32, (32,))
        opt = torch.optim.SGD(model.parameters(), lr=0.01)
    loss_fn = nn.CrossEntropyLoss()

    def step():
        nonlocal state
        opt.zero_grad()
        if case == "c":
            logits, state = model(X, state)
            state = tuple(h.detach() for h in state)
        else:
            logits = model(X)
        loss = loss_fn(logits, y)
        loss.backward()
        opt.step()
        return loss.item()

    return step


def torch_resnet9(nn):
    def block(a, b, k, s):
        return nn.Sequential(nn.Conv2d(a, b, k, s, k // 2), nn.BatchNorm2d(b), nn.ReLU())

    class Residual(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.fn = nn.Sequential(block(channels, channels, 3, 1), block(channels, channels, 3, 1))

        def forward(self, x):
            return self.fn(x) + x

    return nn.Sequential(
        block(3, 16, 7, 4), block(16, 32, 3, 2), Residual(32), block(32, 64, 3, 2),
        block(64, 128, 3, 2), Residual(128), nn.Flatten(), nn.Linear(128, 128), nn.ReLU(),
        nn.Linear(128, 10),
    )  # fmt: skip


def torch_lstm_lm(torch, nn):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(10000, 128)
            self.lstm = nn.LSTM(128, 256)
            self.linear = nn.Linear(256, 10000)

        def forward(self, x, h):
            out, h = self.lstm(self.embedding(x), h)
            return self.linear(out.reshape(-1, 256)), h

    return Model()


def torch_transformer_lm(torch, nn):
    class Layer(nn.Module):
        def __init__(self, features=128, heads=8, dim=32, hidden=64):
            super().__init__()
            self.heads, inner = heads, heads * dim
            self.norms = nn.ModuleList(nn.LayerNorm(features) for _ in range(4))
            self.q, self.k, self.v = (nn.Linear(features, inner, bias=False) for _ in range(3))
            self.out = nn.Linear(inner, features, bias=False)
            self.up, self.down = nn.Linear(features, hidden), nn.Linear(hidden, features)

        def forward(self, x):
            B, T, _ = x.shape
            q, k, v = (
                project(norm(x)).reshape(B, T, self.heads, -1).transpose(1, 2)
                for project, norm in zip((self.q, self.k, self.v), self.norms)
            )
            a = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(a.transpose(1, 2).reshape(B, T, -1))
            return x + self.down(torch.relu(self.up(self.norms[3](x))))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.positions = nn.Embedding(10000, 128), nn.Embedding(40, 128)
            self.layers = nn.Sequential(Layer(), Layer())
            self.linear = nn.Linear(128, 10000)

        def forward(self, x):
            x = self.embedding(x).transpose(0, 1)
            x = self.layers(x + self.positions(torch.arange(x.shape[1])))
            return self.linear(x.transpose(0, 1).reshape(-1, 128))

    return Model()


# -------------------------------------------------------------------------------------- measuring


def measure(step, seconds):
    """Median time of a step in milliseconds, over `seconds` after warming up."""
    warm_up = time.perf_counter()
    for _ in range(3):
        step()
    while time.perf_counter() - warm_up < 0.3:
        step()
    times = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(times) < 5:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def run_side(side, case, tree, seconds):
    """One round of one side in a process of its own -> milliseconds a step."""
    threads = {name: THREADS for name in (
        "NEEDLE_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}  # fmt: skip
    answer = subprocess.run(
        [sys.executable, str(HERE), "--side", side, "--only", case, "--seconds", str(seconds)],
        cwd=tree, capture_output=True, text=True, check=False,
        env={**os.environ, **threads, "NEEDLE_BACKEND": "nd", "PYTHONPATH": "python:apps:."},
    )  # fmt: skip
    if answer.returncode:
        raise SystemExit(f"{side} failed on ({case}):\n{answer.stderr}")
    return json.loads(answer.stdout)


def solved_tree():
    """A solved, built hw4 in the build folder, made new."""
    root = HERE.parents[2]
    out = root / "build" / "bench"
    path = f"{root / 'shared'}{os.pathsep}{root / 'shared/mugrade/src'}"
    subprocess.run(
        [sys.executable, "-m", "coursekit", "render", "--solved", "--stage", "hw4", "--out", out],
        cwd=root, env={**os.environ, "PYTHONPATH": path}, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    subprocess.run(["cmake", "-S", ".", "-B", "build", f"-DPython_EXECUTABLE={sys.executable}"],
                   cwd=out / "hw4", check=True, stdout=subprocess.DEVNULL)  # fmt: skip
    subprocess.run(["cmake", "--build", "build", "-j2"], cwd=out / "hw4", check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    return out / "hw4"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tree", type=Path, help="a solved and built hw4; default: make one")
    parser.add_argument("--only", default="abcde", help="cases, such as ce")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of measuring in a round")
    parser.add_argument("--side", choices=["needle", "torch"], help=argparse.SUPPRESS)
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    args = parser.parse_args()
    if args.side:
        step = (needle_step if args.side == "needle" else torch_step)(args.only)
        print(json.dumps(measure(step, args.seconds)))
        return
    tree = args.tree or solved_tree()
    lines = ["| step | needle, ms | PyTorch, ms | ratio |", "|---|---|---|---|"]
    print("\n".join(lines))
    product = 1.0
    for case in args.only:
        rounds = {"needle": [], "torch": []}
        for _ in range(args.rounds):
            for side, times in rounds.items():
                times.append(run_side(side, case, tree, args.seconds))
        ours, theirs = (statistics.median(times) for times in rounds.values())
        product *= theirs / ours
        lines.append(
            f"| ({case}) {CASES[case]} | {ours:.2f} | {theirs:.2f} | {theirs / ours:.2f} |"
        )
        print(lines[-1], flush=True)
    lines.append(f"| geometric mean | | | {product ** (1 / len(args.only)):.2f} |")
    print(lines[-1])
    if args.write:
        args.write.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
