"""`hw profile`: where a training step's time goes, by operator and by kernel, and what to do about it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from coursekit.core import run
from coursekit.core.errors import CourseError
from coursekit.core.syllabus import Course, Homework
from coursekit.student import profiled


@dataclass
class Row:
    """Calls, and seconds in each direction, of an operator."""

    name: str
    calls: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def total(self) -> float:
        return sum(self.seconds.values())


@dataclass(frozen=True)
class Kernel:
    name: str
    calls: int
    seconds: float
    work: float

    @property
    def speed(self) -> float:
        """Thousand million floating-point operations a second; 0 where they are not counted."""
        return self.work / max(self.seconds, 1e-9) / 1e9


@dataclass(frozen=True)
class Profile:
    """What was measured, longest first.

    Attributes:
        seconds: from the first operator to the last.
        steps: how often `backward` ran.
        numpy: GFLOP/s of NumPy's matrix product on this machine.
        status: with which the program ended.
    """

    operators: list[Row]
    kernels: list[Kernel]
    seconds: float
    steps: int
    numpy: float
    status: int = 0

    @property
    def rest(self) -> float:
        """Seconds in no operator: data, the loss as a number, what the program does itself."""
        return max(0.0, self.seconds - sum(row.total for row in self.operators))


def measure(course: Course, homework: Homework, place: Path, command: list[str]) -> Profile:
    """Run a program of the homework under the clock.

    Raises:
        CourseError: no such file, no needle in this homework, or no operator ran.
    """
    command = command[1:] if command and Path(command[0]).stem.startswith("python") else command
    if not (place / "python" / "needle").is_dir():
        raise CourseError(f"{homework.id} has no needle to watch; python3 -m cProfile serves there")
    if not command or not (place / command[0]).is_file():
        given = command[0] if command else "nothing"
        raise CourseError(
            f"{given!r} is no program in {homework.id}; give one after --, such as: "
            f"hw profile {homework.id} -- apps/train.py lstm --chars --stop-after 20 --fresh"
        )
    with tempfile.TemporaryDirectory(prefix="needle-profile-") as folder:
        out = Path(folder) / "profile.json"
        env = run.environment(course, homework)
        env["PYTHONPATH"] = os.pathsep.join(("python", "apps", ".", env["PYTHONPATH"]))
        words = [sys.executable, "-m", profiled.__name__, str(out), *command]
        done = subprocess.run(words, cwd=place, env=env)
        if not out.is_file():
            raise CourseError(f"{command[0]} ended with status {done.returncode} before it began")
        return read(json.loads(out.read_text(encoding="utf-8")), done.returncode)


def read(rows: dict, status: int = 0) -> Profile:
    operators: dict[str, Row] = {}
    for name, direction, calls, seconds in rows["operators"]:
        row = operators.setdefault(name, Row(name))
        row.calls += calls
        row.seconds[direction] += seconds
    if not operators:
        raise CourseError("no operator of needle ran in it: there is nothing to show")
    return Profile(
        sorted(operators.values(), key=lambda row: -row.total),
        sorted((Kernel(*row) for row in rows["kernels"]), key=lambda kernel: -kernel.seconds),
        rows["seconds"],
        rows["steps"],
        rows["numpy"] / 1e9,
        status,
    )


def advice(profile: Profile) -> str:
    """One sentence about what dominates, with what to do; the first that is true."""
    whole = max(profile.seconds, 1e-9)
    products = [kernel for kernel in profile.kernels if kernel.name.startswith("matmul")]
    turned = sum(k.seconds for k in products if "transposed" in k.name) / whole
    plain = [k.speed for k in products if "transposed" not in k.name]
    share = sum(k.seconds for k in products) / whole
    speed = sum(k.work for k in products) / max(sum(k.seconds for k in products), 1e-9) / 1e9
    slowest = min((k.speed for k in products if "transposed" in k.name), default=0.0)
    if turned > 0.3 and plain and slowest < 0.5 * max(plain):
        return (
            f"{turned:.0%} in products with a transposed operand, at {slowest:.1f} GFLOP/s, and "
            f"{max(plain):.1f} without: a low rung walks it by columns; copy it first (homework 3, "
            "rung 2)"
        )
    if share > 0.4 and speed < 0.4 * profile.numpy:
        return (
            f"{share:.0%} in matrix products, at {speed:.1f} GFLOP/s, where NumPy reaches "
            f"{profile.numpy:.0f} on this machine: climb the ladder of homework 3"
        )
    if share > 0.4:
        return f"{share:.0%} in matrix products, at {speed:.0f} GFLOP/s: that is where it should be"
    copies = sum(k.seconds for k in profile.kernels if k.name == "compact") / whole
    if copies > 0.3:
        return (
            f"{copies:.0%} in compact: views are copied before a kernel can read them; look for "
            "transposes and slices that are used more than once"
        )
    given = sum(row.total for row in profile.operators if row.name.startswith("kernel "))
    if given > 0.5 * whole:
        return f"{given / whole:.0%} in given kernels: the Python around them costs little"
    inside = given + sum(kernel.seconds for kernel in profile.kernels)
    calls = sum(row.calls for row in profile.operators)
    if profile.kernels and inside < 0.5 * whole:
        return (
            f"{1 - inside / whole:.0%} outside the kernels, in Python: {calls / max(profile.steps, 1):.0f} "
            f"operators a step of {1e6 * (whole - inside) / calls:.0f} microseconds each; larger "
            "batches give each of them more to do"
        )
    top = profile.operators[0]
    if profile.rest > max(0.4 * whole, top.total):
        return f"{profile.rest / whole:.0%} in no operator: look at how data is read and prepared"
    if top.total > 0.4 * whole:
        direction = max(top.seconds, key=lambda key: top.seconds[key])
        return f"{top.total / whole:.0%} in {top.name}, most of it {direction}: begin there"
    return "no single thing dominates: the time is spread over many operators"


def bars(profile: Profile, width: int = 50, most: int = 12) -> str:
    """A bar for each operator: # forward, = backward, + optimizer; the longest fills the width."""
    rows = profile.operators[:most]
    margin = max(len(row.name) for row in rows)
    scale = width / max(row.total for row in rows)
    marks = {profiled.FORWARD: "#", profiled.BACKWARD: "=", profiled.STEP: "+"}
    return "\n".join(
        f"{row.name:>{margin}} |"
        + "".join(mark * round(row.seconds[key] * scale) for key, mark in marks.items())
        for row in rows
    )


def picture(profile: Profile, path: Path, most: int = 16) -> None:
    """The same bars as an SVG (or what else the file's name ends with).

    Raises:
        CourseError: matplotlib is not installed, or it cannot write such a file there.
    """
    try:
        import matplotlib
    except ImportError:
        raise CourseError(
            "the picture is drawn by matplotlib, which is not installed; install it with: "
            f"{sys.executable} -m pip install 'matplotlib>=3.8,<4'"
        ) from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = profile.operators[:most][::-1]
    figure, axes = pyplot.subplots(figsize=(8, 0.8 + 0.3 * len(rows)))
    left = [0.0] * len(rows)
    for direction in (profiled.FORWARD, profiled.BACKWARD, profiled.STEP):
        lengths = [1000 * row.seconds[direction] / max(profile.steps, 1) for row in rows]
        axes.barh([row.name for row in rows], lengths, left=left, label=direction)
        left = [a + b for a, b in zip(left, lengths)]
    axes.set_xlabel("milliseconds a step")
    axes.legend(loc="lower right")
    figure.tight_layout()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
    except (OSError, ValueError) as error:  # ValueError: no picture ends so
        raise CourseError(f"the picture {path} cannot be written: {error}") from None
    finally:
        pyplot.close(figure)
