"""What the benchmarks share: contenders that take turns, medians, and the machine they ran on."""

import argparse
import os
import platform
import statistics
import time


def options(description):
    """Command line: --threads, --repetitions, --clock."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--threads", type=int, default=2, help="for every library (default 2)")
    parser.add_argument("--repetitions", type=int, default=9, help="rounds; medians are reported")
    parser.add_argument(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="cpu: processor time of this process, for one thread on a busy machine",
    )
    chosen = parser.parse_args()
    for name in (
        "NEEDLE_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "OMP_NUM_THREADS",
    ):
        os.environ[name] = str(chosen.threads)  # read when the libraries are loaded
    return chosen


def medians(contenders, chosen, seconds=0.02):
    """{name: median seconds of a call} of {name: function}; they take turns in each round.

    Each round calls a function as often as fills about `seconds`.
    """
    clock = time.perf_counter if chosen.clock == "wall" else time.process_time
    counts, times = {}, {name: [] for name in contenders}
    for name, function in contenders.items():
        function()
        began = time.perf_counter()
        function()
        counts[name] = max(1, int(seconds / max(time.perf_counter() - began, 1e-7)))
    for _ in range(chosen.repetitions):
        for name, function in contenders.items():
            began = clock()
            for _ in range(counts[name]):
                function()
            times[name].append((clock() - began) / counts[name])
    return {name: statistics.median(values) for name, values in times.items()}


def torch_or_none(threads):
    """PyTorch, told its number of threads; None where it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(threads)
    return torch


def machine(chosen, torch):
    """One line about where and how this was measured."""
    import numpy as np

    name = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            name = next(
                line.split(":")[1].strip() for line in file if line.startswith("model name")
            )
    except (OSError, StopIteration):
        pass
    libraries = f"NumPy {np.__version__}" + (f", PyTorch {torch.__version__}" if torch else "")
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return (
        f"{name}, {os.cpu_count()} processors{load}; {libraries}; {chosen.threads} thread(s), "
        f"{chosen.clock} time, medians of {chosen.repetitions}"
    )
