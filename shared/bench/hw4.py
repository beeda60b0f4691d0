"""Homework 4: whole training steps, needle against PyTorch eager, two threads each.

needle runs with the kernels that are given for layers, or in another form (see forms.py) with
`--form own:rows`. `--forms` measures the trainings of the homework's text in all forms instead, and
`--images` trains its ResNet9, wrong ones and perceptrons to the end (see images.py).

Run from inside a solved, built hw4: `python .../shared/bench/hw4.py [--only abcde] [--rounds 12]`, or
as `hw bench hw4`. Each side is a process of its own that is asked in turn for a short stretch of
steps, so that a busy machine slows both; the ratio is that of the medians. First both take the same
weights and batch, and their losses over some steps are compared. On a machine that others use too,
`--threads 1 --clock cpu` measures the processor time of one thread instead. PyTorch may be missing.
"""

import argparse
import contextlib
import importlib
import math
import os
import statistics
import sys
import time
from pathlib import Path

import forms
import images
import measure
from sides import Side, listen, reply

THREADS = int(os.environ.get("NEEDLE_NUM_THREADS", "2"))  # of each side
CASES = {
    "a": "MLP 784-500-10, batch 100, SGD",
    "b": "ResNet9, 3x32x32, batch 128, Adam",
    "c": "LSTM LM, V 10,000, E 128, H 256, T 40, B 16, SGD",
    "d": "Transformer LM, 2 layers, E 128, 8 heads of 32, hidden 64, V 10,000, T 40, B 16, Adam",
    "e": "20-layer MLP, width 32, batch 32, SGD",
}


def batch_of(case):
    """(X, y) as NumPy arrays, the same for both sides."""
    import numpy as np

    rng = np.random.RandomState(0)
    if case in "cd":
        return rng.randint(0, 10000, (40, 16)), rng.randint(0, 10000, 640)
    shape, classes = {
        "a": ((100, 784), 10),
        "b": ((128, 3, 32, 32), 10),
        "e": ((32, 32), 32),
    }[case]
    return rng.rand(*shape).astype("float32"), rng.randint(0, classes, shape[0])


# Matrix products of a forward pass: (how many, rows, inner, columns). Convolutions without the taps
# that meet nothing but padding.
PRODUCTS = {
    "a": [(1, 100, 784, 500), (1, 100, 500, 10)],
    "b": [
        (1, 8192, 147, 16),
        (1, 2048, 144, 32),
        (2, 2048, 288, 32),
        (1, 512, 288, 64),
        (1, 128, 256, 128),
        (3, 128, 128, 128),
        (1, 128, 128, 10),
    ],
    "c": [(1, 640, 128, 1024), (1, 640, 256, 1024), (1, 640, 256, 10000)],
    "d": [(8, 640, 128, 256), (4, 640, 128, 64), (1, 640, 128, 10000)],
    "e": [(20, 32, 32, 32)],
}
TABLES = {"c": 10000 * 128, "d": 10000 * 128}  # numbers in the embedding


def floor(case, peak, bandwidth):
    """Milliseconds below which no step can go: operations over `peak` plus bytes over `bandwidth`.

    A product counts three times, for its two adjoints; the first of a network whose input needs none
    twice. Each parameter and its gradient are read and written, Adam's averages as well, and so are
    results and their gradients.

    Args:
        peak: GFLOP/s of all cores in use.
        bandwidth: GB/s of all cores in use.
    """
    products = PRODUCTS[case]
    multiplied = [count * m * n * p for count, m, n, p in products]
    unneeded = products[0][1] * products[0][2] * products[0][3] if case in "abe" else 0
    parameters = sum(count * n * p for count, _, n, p in products) + TABLES.get(case, 0)
    results = sum(count * m * p for count, m, _, p in products)
    numbers = parameters * (8 if case in "bd" else 4) + 4 * results
    seconds = 2e-9 * (3 * sum(multiplied) - unneeded) / peak + 4e-9 * numbers / bandwidth
    return 1000 * seconds


# ----------------------------------------------------------------------------------- needle's side


def device_of_form():
    """The device of the form that this side was started in."""
    import needle as ndl

    return getattr(ndl, os.environ["BENCH_DEVICE"])()


def needle_model(case):
    """(model, optimizer)."""
    import needle as ndl
    from models import LanguageModel, ResNet9
    from needle import nn

    device = device_of_form()
    if case == "a":
        sizes = (784, 500), (500, 10)
        first, last = (nn.Linear(*size, device=device) for size in sizes)
        model = nn.Sequential(first, nn.ReLU(), last)
    elif case == "b":
        model = ResNet9(device=device)
    elif case == "c":
        model = LanguageModel(128, 10000, 256, 1, "lstm", device=device)
    elif case == "d":
        model = LanguageModel(128, 10000, 64, 2, "transformer", seq_len=40, device=device)
    else:
        layers = [
            layer for _ in range(20) for layer in (nn.Linear(32, 32, device=device), nn.ReLU())
        ]
        model = nn.Sequential(*layers[:-1])
    if case in "bd":
        return model, ndl.optim.Adam(model.parameters(), lr=0.001)
    return model, ndl.optim.SGD(model.parameters(), lr=0.5 if case == "c" else 0.01)


def needle_step(case, model, opt):
    """A function that does one training step and returns the loss as a float."""
    import needle as ndl

    given = {"device": device_of_form(), "requires_grad": False}
    X, y = (ndl.Tensor(array.astype("float32"), **given) for array in batch_of(case))
    criterion, state = ndl.nn.SoftmaxLoss(), None

    def step():
        nonlocal state
        opt.reset_grad()
        if case == "c":
            logits, state = model(X, state)
            state = tuple(h.detach() for h in state)
        else:
            logits = model(X)[0] if case == "d" else model(X)
        loss = criterion(logits, y)
        loss.backward()
        opt.step()
        return loss.numpy().item()

    return step


# ------------------------------------------------------------------------------------ PyTorch's side


def torch_model(case):
    """The same with PyTorch's own layers, made in the same order: (model, optimizer)."""
    import torch
    import torch_models
    from torch import nn

    torch.set_num_threads(THREADS)
    if case == "a":
        model = nn.Sequential(nn.Linear(784, 500), nn.ReLU(), nn.Linear(500, 10))
    elif case == "b":
        model = torch_models.resnet9()
    elif case in "cd":
        model = (torch_models.lstm_lm if case == "c" else torch_models.transformer_lm)()
    else:
        layers = [layer for _ in range(20) for layer in (nn.Linear(32, 32), nn.ReLU())]
        model = nn.Sequential(*layers[:-1])
    if case in "bd":
        return model, torch.optim.Adam(model.parameters(), lr=0.001)
    return model, torch.optim.SGD(model.parameters(), lr=0.5 if case == "c" else 0.01)


def torch_step(case, model, opt):
    import torch

    X, y = map(torch.from_numpy, batch_of(case))
    criterion, state = torch.nn.CrossEntropyLoss(), None

    def step():
        nonlocal state
        opt.zero_grad()
        if case == "c":
            logits, state = model(X, state)
            state = tuple(h.detach() for h in state)
        else:
            logits = model(X)
        loss = criterion(logits, y)
        loss.backward()
        opt.step()
        return loss.item()

    return step


def copy_weights(ours, theirs):
    """PyTorch's model gets the weights of needle's, which has them transposed."""
    import torch

    values = iter([p.numpy() for p in ours.parameters()])
    for module in theirs.modules():
        for p in module.parameters(recurse=False):
            value = torch.from_numpy(next(values))
            if value.ndim == 4:  # (K, K, C, O) -> (O, C, K, K)
                value = value.permute(3, 2, 0, 1)
            elif value.ndim == 2 and not isinstance(module, torch.nn.Embedding):
                value = value.T
            p.data = value.reshape(p.shape).contiguous().clone()
    assert next(values, None) is None


# -------------------------------------------------------------------------------------- measuring


def compare(case, steps=5):
    """The largest relative difference of the losses of some steps from the same weights."""
    ours, our_opt = needle_model(case)
    theirs, their_opt = torch_model(case)
    copy_weights(ours, theirs)
    sides = needle_step(case, ours, our_opt), torch_step(case, theirs, their_opt)
    losses = [[step() for _ in range(steps)] for step in sides]
    return max(abs(a - b) / abs(b) for a, b in zip(*losses))


def memory():
    """(now, peak) of this process in MB, as Linux counts them; NaN on other systems."""
    try:
        with open("/proc/self/status", encoding="utf-8") as file:
            facts = dict(line.split(":", 1) for line in file)
    except OSError:
        return math.nan, math.nan
    return tuple(int(facts[key].split()[0]) / 1000 for key in ("VmRSS", "VmHWM"))


def serve(side, case):
    """Answer each number of seconds on a line of input with the times of that many steps."""
    listen()
    if side == "losses":
        reply(compare(case))
        return
    make, step_of = (torch_model, torch_step) if side == "torch" else (needle_model, needle_step)
    # What a library itself takes does not count.
    importlib.import_module(side)
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w", encoding="utf-8") as file:
        file.write("5")  # the peak starts anew
    before = memory()[0]
    step = step_of(case, *make(case))
    for _ in range(5):
        step()
    reply(memory()[1] - before)
    for line in sys.stdin:
        clock_name, seconds = line.split()
        clock = time.perf_counter if clock_name == "wall" else time.process_time
        times: list[float] = []
        until = clock() + float(seconds)
        while clock() < until or len(times) < 3:
            start = clock()
            step()
            times.append(clock() - start)
        reply(times)


def start(side, case, chosen):
    device, settings = forms.settings(chosen.form)
    names = ("NEEDLE_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return Side(
        f"{side} in step ({case})",
        [sys.executable, str(Path(__file__).resolve()), "--side", side, "--only", case],
        cwd=chosen.tree,
        env={
            **os.environ,
            **dict.fromkeys(names, str(chosen.threads)),
            **settings,
            "BENCH_DEVICE": device,
            "NEEDLE_BACKEND": "nd",
            "PYTHONPATH": "python:apps:.",
        },
    )


def compared(case, chosen):
    """The difference of the losses; the two sides run in one process for it."""
    both = start("losses", case, chosen)
    difference = both.answer()
    both.end()
    if not difference < 1e-3:
        raise SystemExit(f"({case}): the two sides compute different losses: {difference:.0e}")
    return difference


def measured(case, chosen, torch):
    """(difference of the losses, [ours, theirs] in ms, [ours, theirs] in MB); NaN for what is to be
    said of PyTorch where that is not installed."""
    difference = compared(case, chosen) if torch else math.nan
    sides = [start(side, case, chosen) for side in (["needle", "torch"] if torch else ["needle"])]
    megabytes = [side.answer() for side in sides]
    times: list[list[float]] = [[] for _ in sides]
    for _ in range(chosen.rounds):
        for side, kept in zip(sides, times):
            kept.extend(side.answer(f"{chosen.clock} {chosen.seconds}"))
    for side in sides:
        side.end()
    missing = [math.nan] * (2 - len(sides))
    medians = [1000 * statistics.median(kept) for kept in times]
    return difference, medians + missing, megabytes + missing


def row(*cells):
    """A row of the table; NaN is a dash."""
    return f"| {' | '.join(cells)} |".replace("nan", "-")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tree", type=Path, default=Path.cwd(), help="a solved and built hw4")
    parser.add_argument("--only", default="abcde", help="cases, such as ce")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2, help="of each side")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: one thread")
    parser.add_argument("--seconds", type=float, default=0.5, help="of measuring in a turn")
    parser.add_argument("--form", default="given", help="of needle's side: own, own:rows, ...")
    parser.add_argument(
        "--forms",
        nargs="?",
        const=",".join(forms.ALL),
        help="the text's trainings in these forms instead, without PyTorch",
    )
    parser.add_argument(
        "--images", action="store_true", help="ResNet9, wrong ones and perceptrons instead"
    )
    parser.add_argument("--rate", type=float, default=0.001, help="of the perceptrons' steps")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    measure.speak_plainly()
    args = parser.parse_args()
    if strange := set(args.only) - set(CASES):
        parser.error(f"--only {args.only}: no step {min(strange)}; there are {''.join(CASES)}")
    if args.side:
        serve(args.side, args.only)
        return
    torch = measure.torch_or_none(args.threads)
    args.repetitions = "all steps"
    machine = measure.machine(args, torch)
    if args.forms:
        print(machine + "\n")
        forms.table(args.forms.split(","), args.tree, args.threads, args.rounds, args.clock)
        return
    if args.images:
        print(machine + "\n", flush=True)
        raise SystemExit(images.table(args.tree, args.threads, args.rate))
    peak, bandwidth = measure.peak_of_a_core(), measure.bandwidth_of_a_core()
    lines = [
        f"{machine} Form: {args.form}.",
        f"A core's peak is {peak:.0f} GFLOP/s, its bandwidth {bandwidth:.1f} GB/s.",
        "",
        "| step | needle, ms | of the floor | PyTorch, ms | times as fast | peak memory, MB | PyTorch, MB "
        "| losses differ by |",
        "|---|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    ratios = []
    for case in args.only:
        difference, (ours, theirs), (mb, their_mb) = measured(case, args, torch)
        ratios.append(theirs / ours)
        lowest = floor(case, args.threads * peak, args.threads * bandwidth)
        times = (f"{ours:.2f}", f"{ours / lowest:.1f}", f"{theirs:.2f}", f"{theirs / ours:.2f}")
        others = (f"{mb:.0f}", f"{their_mb:.0f}", f"{difference:.0e}")
        lines.append(row(f"({case}) {CASES[case]}", *times, *others))
        print(lines[-1], flush=True)
    lines.append(row("geometric mean", "", "", "", f"{measure.mean(ratios):.2f}", "", "", ""))
    print(lines[-1])
    measure.tell_without(torch)
    if args.write:
        args.write.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
