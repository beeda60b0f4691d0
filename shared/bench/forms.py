"""The forms in which needle runs, and how fast the trainings of homework 4's text are in each.

A form is a device, whose kernels compute a layer, and the rung that multiplies matrices:

    given[:RUNG]     cpu(), with the kernels that are given for whole layers
    own[:RUNG]       cpu(), every layer a function of Tensors: what a student has written
    cpu_numpy        the same on the device that is written in NumPy

RUNG is one of homework 3's ladder by its name in Python: naive, rows, registers, packed_b, slices,
packed_a, threads; without it the one that `MatmulViews` names, in the solved tree the last.
"""

import math
import os
import sys
import time
from pathlib import Path

import sides

ALL = ("given", "own", "own:rows", "own:naive", "cpu_numpy")
TRAININGS = ("lstm --chars", "transformer --chars", "resnet9", "lstm", "transformer")


def settings(form):
    """(name of the device, environment variables) that make needle run in this form."""
    kernels, _, rung = form.partition(":")
    if kernels not in ("given", "own", "cpu_numpy") or (kernels == "cpu_numpy" and rung):
        raise SystemExit(f"{form!r} is no form: given[:RUNG], own[:RUNG] or cpu_numpy")
    device = "cpu_numpy" if kernels == "cpu_numpy" else "cpu"
    rung = f"matmul_{rung}" if rung else ""
    return device, {"NEEDLE_KERNELS": "own" if kernels != "given" else kernels, "NEEDLE_RUNG": rung}


class Side(sides.Side):
    """A training in one form that goes on for a while when asked."""

    def __init__(self, form, training, tree, threads):
        self.form = form
        device, chosen = settings(form)
        names = ("NEEDLE", "OMP", "MKL", "OPENBLAS")
        super().__init__(
            f"{training} ({form})",
            [sys.executable, str(Path(__file__).resolve()), *training.split(), "--device", device],
            cwd=tree,
            env={
                **os.environ,
                **{f"{name}_NUM_THREADS": str(threads) for name in names},
                **chosen,
                "NEEDLE_BACKEND": "nd",
                "PYTHONPATH": "python:apps:.",
            },
        )
        self.samples = self.wall = self.cpu = 0.0
        self.first = self.answer()

    def go_on(self, seconds):
        """Train for about so many seconds, a step at least."""
        samples, wall, cpu = self.answer(seconds)
        self.samples, self.wall, self.cpu = self.samples + samples, self.wall + wall, self.cpu + cpu


def serve(arguments):
    """One side: say the losses of the first two steps, then train as long as each line asks."""
    sides.listen()
    import train

    run = train.Run(train.parse([*arguments, "--quiet"]))
    run.memory = run.data.start_epoch()
    losses = []
    for _ in range(2):
        before = run.progress["loss"]
        count = run.step()
        losses.append((run.progress["loss"] - before) / count)
    sides.reply({"losses": losses, "unit": run.data.unit})
    for line in sys.stdin:
        wall, cpu, samples = time.perf_counter(), time.process_time(), 0
        until = wall + float(line)
        while time.perf_counter() < until or not samples:
            if run.progress["step"] == run.data.steps:
                run.progress["step"] = 0
            samples += run.step()
        spent = time.perf_counter() - wall, time.process_time() - cpu
        sides.reply([samples, *spent])


def measure(training, forms, tree, threads=2, rounds=3, seconds=2.0):
    """The sides of a training in these forms, measured in turns; their losses are the same."""
    started = [Side(form, training, tree, threads) for form in forms]
    for side in started[1:]:
        for ours, theirs in zip(side.first["losses"], started[0].first["losses"]):
            if not math.isclose(ours, theirs, rel_tol=1e-3):
                raise SystemExit(f"{side.name} computes another loss, {ours} for {theirs}")
    for _ in range(rounds):
        for side in started:
            side.go_on(seconds)
    for side in started:
        side.end()
    return started


def table(forms, tree, threads, rounds, clock):
    """Print the speeds of the text's trainings, a column a form."""
    print(f"| `train.py ...` | {' | '.join(forms)} |")
    print("|---|" + "---|" * len(forms), flush=True)
    for training in TRAININGS:
        ran = measure(training, forms, tree, threads, rounds)
        speeds = [side.samples / (side.wall if clock == "wall" else side.cpu) for side in ran]
        cells = " | ".join(f"{speed:,.0f}" for speed in speeds)
        print(f"| `{training}`, {ran[0].first['unit']}/s | {cells} |", flush=True)


if __name__ == "__main__":
    serve(sys.argv[1:])
