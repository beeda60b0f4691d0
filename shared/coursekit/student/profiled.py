"""Runs a program with needle under the clock: `python -m coursekit.student.profiled OUT.json FILE.py ARGS...`.

Each operator is timed where needle computes it, each kernel where a device is asked for it; nothing
of the program or of needle is changed in the file. Written as JSON when the program ends, however
it ends.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Callable
from typing import Any

FORWARD, BACKWARD, STEP = "forward", "backward", "optimizer"


class Clock:
    """Seconds and calls of operators and kernels.

    Attributes:
        operators: (operator, direction) -> [calls, seconds].
        kernels: kernel -> [calls, seconds, floating-point operations].
    """

    def __init__(self) -> None:
        self.operators: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0, 0.0])
        self.kernels: dict[str, list[float]] = defaultdict(lambda: [0, 0.0, 0.0])
        self.direction, self.depth, self.steps = FORWARD, 0, 0
        self.began = self.last = 0.0

    def timed(
        self, name_of: Callable[..., str], function: Callable[..., Any]
    ) -> Callable[..., Any]:
        """`function`, whose time counts for the operator that `name_of(*args)` names; what runs
        inside it counts there too and not a second time."""

        def run(*args: Any, **kwargs: Any) -> Any:
            if self.depth:
                return function(*args, **kwargs)
            began = time.perf_counter()
            self.began = self.began or began
            self.depth += 1
            direction = self.direction
            try:
                return function(*args, **kwargs)
            finally:
                self.depth -= 1
                self.last = time.perf_counter()
                row = self.operators[name_of(*args), direction]
                row[0] += 1
                row[1] += self.last - began

        return run

    def turned(self, direction: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, in which everything counts for this direction."""

        def run(*args: Any, **kwargs: Any) -> Any:
            before, self.direction = self.direction, direction
            try:
                return function(*args, **kwargs)
            finally:
                self.direction = before
                self.steps += direction == BACKWARD

        return run

    def kernel(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **settings: Any) -> Any:
            began = time.perf_counter()
            result = function(*args, **settings)
            spent = time.perf_counter() - began
            label, work = described(name, args)
            row = self.kernels[label]
            row[0] += 1
            row[1] += spent
            row[2] += work
            return result

        return run


def described(name: str, args: tuple[Any, ...]) -> tuple[str, float]:
    """(what to call this call of a kernel, its floating-point operations, counted for products)."""
    if not name.startswith("matmul"):
        return name, 0.0
    if name != "matmul_views":
        return name, 2.0 * args[3] * args[4] * args[5]
    _, a_strides, _, _, b_strides, _, _, shape = args
    work = 2.0
    for length in shape:
        work *= length
    turned = (a_strides[-1] != 1 and shape[-2] > 1) or (b_strides[-1] != 1 and shape[-1] > 1)
    return "matmul, transposed operand" if turned else "matmul", work


def operator_name(op: Any, *_: Any) -> str:
    return str(op) if hasattr(op, "own") else type(op).__name__


def subclasses(base: Any) -> list[Any]:
    """The optimizers of the library that have a step of their own."""
    return [kind for kind in base.__subclasses__() if "step" in vars(kind)] if base else []


def watch(clock: Clock) -> None:
    """Put the clock into the needle that this process imports."""
    import needle
    from needle import autograd

    autograd._compute = clock.timed(operator_name, autograd._compute)
    gradient = clock.timed(operator_name, autograd.Op.gradient_as_tuple)
    autograd.Op.gradient_as_tuple = gradient
    backward = clock.turned(BACKWARD, autograd.compute_gradient_of_variables)
    autograd.compute_gradient_of_variables = backward
    for optimizer in subclasses(getattr(getattr(needle, "optim", None), "Optimizer", None)):
        step = clock.timed(lambda self: f"{type(self).__name__}.step", vars(optimizer)["step"])
        optimizer.step = clock.turned(STEP, step)
    for device in needle.all_devices():
        table = vars(device).get("_table", {})
        for name in [name for name in table if hasattr(device, name) or name.endswith("_views")]:
            if callable(table[name]) and name not in ("Array", "device_count"):
                timed = clock.kernel(name, table[name])
                device.add_kernel(name, timed)
                if name in vars(device):
                    setattr(device, name, timed)


def machine_speed() -> float:
    """Floating-point operations a second of NumPy's product of 512 x 512 matrices, the best of five."""
    import numpy as np

    a = np.ones((512, 512), np.float32)
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - began)
    return 2 * 512**3 / best


def main(out: str, program: str, *arguments: str) -> None:
    clock = Clock()
    try:
        watch(clock)
    except Exception as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{os.path.relpath(at.filename)}:{at.lineno}"
        sys.exit(f"{place}: needle cannot be imported: {type(error).__name__}: {error}")
    sys.argv = [program, *arguments]
    try:
        runpy.run_path(program, run_name="__main__")
    finally:
        rows = {
            "operators": [[*key, *row] for key, row in clock.operators.items()],
            "kernels": [[key, *row] for key, row in clock.kernels.items()],
            "seconds": clock.last - clock.began,
            "steps": clock.steps,
            "numpy": machine_speed(),
        }
        with open(out, "w", encoding="utf-8") as file:
            json.dump(rows, file)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
