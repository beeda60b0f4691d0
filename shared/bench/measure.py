"""What the benchmarks share: contenders that take turns, medians, tables, and the machine they ran on."""

import argparse
import ctypes
import datetime
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
import traceback
from pathlib import Path

# Settings that would make OpenBLAS take another kernel than the one it would choose on this processor.
FOREIGN = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


def options(description):
    """Command line: --threads, --repetitions, --clock. To be called before NumPy is imported."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--threads", type=int, default=2, help="for every library (default 2)")
    parser.add_argument("--repetitions", type=int, default=9, help="rounds; medians are reported")
    parser.add_argument(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="cpu: processor time of this process, for one thread on a busy machine",
    )
    speak_plainly()
    chosen = parser.parse_args()
    for name in FOREIGN:
        os.environ.pop(name, None)
    for library in ("NEEDLE", "OPENBLAS", "MKL", "OMP"):  # read when the libraries are loaded
        os.environ[f"{library}_NUM_THREADS"] = str(chosen.threads)
    return chosen


def speak_plainly():
    """From now on this program ends with one sentence instead of a traceback: what fails while a
    homework is measured is most often the homework."""
    sys.excepthook = sentence


def sentence(kind, fault, trace):
    """Print what went wrong, and at which line of the homework (the current folder)."""
    if issubclass(kind, KeyboardInterrupt):
        print("stopped", file=sys.stderr)
        return
    here = Path.cwd()
    own = [
        f"{path.relative_to(here).as_posix()}:{frame.lineno}: "
        for frame in traceback.extract_tb(trace)
        if here in (path := here / frame.filename).parents
    ]
    said = str(fault).strip().partition("\n")[0]
    more = f"; hw test {here.name} says more" if own else ""
    print(f"{''.join(own[-1:])}{kind.__name__}: {said}{more}", file=sys.stderr)


def medians(contenders, chosen, seconds=0.02, rest=0.02):
    """{name: median seconds of a call} of {name: function}: the first meets each other in turn.

    A contender that is not there, None in place of its function, gets NaN.

    The two of a duel take turns in each round. A turn calls a function as often as fills about
    `seconds`, after a rest: threads of the one who was last go on looking for work for a while
    (OpenBLAS's for up to a fifth of a second), and would take a processor from the next.
    """
    (first, ours), *others = [(name, call) for name, call in contenders.items() if call]
    times: dict[str, float] = {}
    for name, theirs in others or [(first, ours)]:
        taken = duel({first: ours, name: theirs}, chosen, seconds, rest)
        for contender, values in taken.items():
            times.setdefault(contender, statistics.median(values))
    return {name: times.get(name, math.nan) for name in contenders}


def busy():
    """One sentence when others use this machine, else ""; `load` counts what runs and waits."""
    if not hasattr(os, "getloadavg"):
        return ""
    load, processors = os.getloadavg()[0], os.cpu_count() or 1
    if load < 0.7 * processors:
        return ""
    return f"the machine is busy (load {load:.1f} on {processors} processors)"


def steady(contenders, chosen, seconds=0.02, rest=0.02):
    """As `medians`; on a busy machine three times, and the fastest of each."""
    taken = [medians(contenders, chosen, seconds, rest)]
    if sentence := busy():
        print(
            f"Note: {sentence}, so everything is measured three times; what counts is the fastest."
        )
        taken += [medians(contenders, chosen, seconds, rest) for _ in range(2)]
        if again := busy():
            print(
                f"Note: {again} still: compare rows with care, and measure again when it is quiet."
            )
    return {name: min(times[name] for times in taken) for name in contenders}


def written(what, call):
    """End with one sentence where `call` comes upon a stub."""
    try:
        call()
    except NotImplementedError as stub:
        raise SystemExit(f"{what} is not written yet, and not measured: {stub}") from None


def history(form, name, value, unit):
    """Keep this run's figure where NEEDLE_BENCH_HISTORY says, and print the last ones.

    Args:
        form: how one figure is printed, from name and value.
    """
    place = os.environ.get("NEEDLE_BENCH_HISTORY")
    if not place:
        return
    try:
        with open(place, encoding="utf-8") as file:
            runs = json.load(file)
    except (OSError, ValueError):
        runs = []
    runs.append([f"{datetime.datetime.now():%Y-%m-%d %H:%M}", name, value])
    os.makedirs(os.path.dirname(place), exist_ok=True)
    with open(place, "w", encoding="utf-8") as file:
        json.dump(runs, file)
    shown = " -> ".join(form.format(name, value) for _, name, value in runs[-5:])
    print(f"\nYour highest rung, run by run: {shown} {unit} (kept in {place})")


def duel(contenders, chosen, seconds, rest):
    """{name: list of seconds of a call, one for each round}."""
    clock = time.perf_counter if chosen.clock == "wall" else time.process_time
    counts: dict[str, int] = {}
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for name, function in contenders.items():
        function()
        began = time.perf_counter()
        function()
        counts[name] = max(1, int(seconds / max(time.perf_counter() - began, 1e-7)))
    for _ in range(chosen.repetitions):
        for name, function in contenders.items():
            time.sleep(rest)
            function()
            began = clock()
            for _ in range(counts[name]):
                function()
            times[name].append((clock() - began) / counts[name])
    return times


def torch_or_none(threads):
    """PyTorch, told its number of threads; None where it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(threads)
    return torch


def tell_without(torch):
    """The last line where PyTorch did not take part."""
    if torch is None:
        pip = f"{sys.executable} -m pip install torch"
        print(f"\nPyTorch is not installed: its columns are dashes; to compare with it: {pip}")


def mean(ratios):
    """Geometric mean of those ratios that there are; a contender that was not there leaves NaN."""
    known = [ratio for ratio in ratios if not math.isnan(ratio)]
    return statistics.geometric_mean(known) if known else math.nan


def table(header, rows):
    """Print a Markdown table that also reads well as text; NaN is a dash."""
    cells = [[str(cell).replace("nan", "-") for cell in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells)]
    cells.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    for first, *others in cells:
        right = [cell.rjust(width) for cell, width in zip(others, widths[1:])]
        print("| " + " | ".join([first.ljust(widths[0]), *right]) + " |")


def threads(chosen):
    """How many, in words."""
    return f"{chosen.threads} thread" + "s" * (chosen.threads != 1)


def peak_of_a_core():
    """GFLOP/s of multiply-adds that find everything in registers (peak.cc)."""
    shared = Path(__file__).resolve().parents[1]
    source = Path(__file__).with_name("peak.cc")
    compiler = os.environ.get("CXX", "c++").split()
    flags = ["-std=c++17", "-O3", "-march=native", "-ffp-contract=fast", "-shared", "-fPIC"]
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "peak.so")
        command = [*compiler, *flags, f"-I{shared}", str(source), "-o", str(library)]
        subprocess.run(command, check=True)
        measured = ctypes.CDLL(str(library)).peak
        measured.restype = ctypes.c_double
        return measured()


def bandwidth_of_a_core():
    """GB/s that one core moves between memory and itself, while it copies what fits no cache."""
    import numpy as np

    source = np.ones(25_000_000, np.float32)
    target = np.ones_like(source)
    times = []
    for _ in range(7):
        began = time.process_time()  # others may be busy
        np.copyto(target, source)
        times.append(time.process_time() - began)
    return 2 * source.nbytes / min(times) / 1e9


def machine(chosen, torch):
    """A paragraph about where and how this was measured."""
    import numpy as np

    name, flags = platform.processor() or platform.machine(), ""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            parts = (line.partition(":") for line in file)
            facts = {key.strip(): value.strip() for key, colon, value in parts if colon}
        name = f"{facts['model name']} (family {facts['cpu family']}, model {facts['model']})"
        known = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16")
        flags = " with " + ", ".join(flag for flag in known if flag in facts["flags"].split())
    except (OSError, KeyError):
        pass
    sentences = [
        f"{datetime.date.today()}: {name}{flags}",
        f"{os.cpu_count()} processors"
        + (f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""),
        f"{platform.system()}, Python {platform.python_version()}, {compiler()}",
        f"NumPy {np.__version__} with {blas()}",
        f"PyTorch {torch.__version__} ({torch.backends.cpu.get_cpu_capability()})"
        if torch
        else "no PyTorch",
        f"{threads(chosen)} each, {chosen.clock} time, medians of {chosen.repetitions}",
    ]
    return textwrap.fill("; ".join(sentences) + ".", 80)


def compiler():
    """The compiler's own first line about itself."""
    command = [*os.environ.get("CXX", "c++").split(), "--version"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "no compiler"
    return done.stdout.splitlines()[0]


def blas():
    """NumPy's BLAS and the kernel that it has chosen for this processor."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return "a BLAS whose kernel is unknown (pip install threadpoolctl tells)"
    for library in threadpool_info():
        if library["user_api"] == "blas" and "numpy" in library["filepath"]:
            return (
                f"{library['internal_api']} {library['version']}, kernel {library['architecture']}"
            )
    return "an unknown BLAS"
