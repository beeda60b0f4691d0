"""Run the CUDA tests on a real GPU, time every rung beside cuBLAS, print the table "run on hardware".

Usage: python shared/checks/runners/cuda_hardware.py [--emulated]

Builds homeworks 3 and 4 for this card alone, runs their device tests, times the rungs; about five
minutes. Without a GPU it says so in one sentence and ends with status 1: nothing was run, no row is
printed. `--emulated` goes the same way with the emulated device, to try this program itself: what it
prints says nothing about hardware.
"""

import argparse
import datetime
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "shared"))
TIMING = Path(__file__).with_name("cuda_timing.py")
TESTS = {"hw3": "tests/hw3", "hw4": "tests/hw4"}
SECONDS = 150  # for the tests of a homework


def output(*command, default="unknown"):
    """What a program prints, on one line."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    except (OSError, subprocess.CalledProcessError):
        return default
    return " ".join(done.stdout.split())


def python(tree, kind, *arguments, seconds=SECONDS):
    """Python inside a homework, with cuda() of this kind: (status, what it printed, its errors)."""
    environment = {
        **os.environ,
        "NEEDLE_CUDA": kind,
        "NEEDLE_DEVICES": "cuda",
        "NEEDLE_BACKEND": "nd",
        "PYTHONPATH": "python",
    }
    command = [sys.executable, *arguments]
    try:
        done = subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired as error:
        said = error.stdout or b""
        return 124, said if isinstance(said, str) else said.decode(), f"stopped after {seconds} s"
    return done.returncode, done.stdout, done.stderr


def summary(said, errors):
    """The last line of a session of pytest, without its time."""
    lines = said.strip().splitlines() or [errors.strip() or "no tests ran"]
    found = re.search(r"\d+ (?:passed|failed).*?(?= in )", lines[-1])
    return found[0] if found else lines[-1][:80]


def table(*rows):
    for number, row in enumerate(rows):
        print("| " + " | ".join(row) + " |")
        if number == 0:
            print("|" + "---|" * len(row))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--emulated", action="store_true", help="try this program without a GPU")
    parser.add_argument("--only", default="", help="a word for pytest's -k, to run fewer tests")
    chosen = parser.parse_args()
    kind = "emulated" if chosen.emulated else "hardware"
    if not (chosen.emulated or any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/dxg").exists()):
        print("no row: this machine has no GPU; --emulated tries this program without one")
        return 1
    from coursekit.core import syllabus
    from coursekit.core.errors import CourseError
    from coursekit.staff import solved

    os.environ["NEEDLE_CMAKE_ARGS"] = f"-DNEEDLE_CUDA_BUILDS={kind}"
    if kind == "hardware":  # five architectures take minutes; this card needs one
        os.environ["NEEDLE_CMAKE_ARGS"] += " -DCMAKE_CUDA_ARCHITECTURES=native"
    with tempfile.TemporaryDirectory() as folder:
        try:
            trees = solved.write(syllabus.load(ROOT), Path(folder), list(TESTS))
        except CourseError as error:
            print(f"no row: {error}")
            return 1
        probe = "from needle import backend_ndarray as nd; d = nd.cuda()\nprint(d.device_kind, d.why_disabled)"
        _, said, errors = python(trees / "hw3", kind, "-c", probe)
        if not said.startswith(kind):
            why = said.strip().removeprefix("off ") or errors.strip()[-200:]
            print(f"no row: this machine has no GPU that the hardware build can use ({why})")
            return 1
        results, status = {}, 0
        for stage, tests in TESTS.items():
            words = ["-m", "pytest", tests, "-q", "-p", "no:cacheprovider", "-k", "cuda"]
            words[-1] += f" and {chosen.only}" if chosen.only else ""
            code, said, errors = python(trees / stage, kind, *words)
            results[stage], status = summary(said, errors), status or code
        size = 64 if chosen.emulated else 2048
        code, timing, errors = python(trees / "hw3", kind, str(TIMING), str(size))
    report(kind, results, size, timing, errors)
    return status or code


def report(kind, results, size, timing, errors):
    """The table's row, and the rungs' speeds."""
    what = ("name", "driver_version")
    gpu, driver = (output("nvidia-smi", f"--query-gpu={x}", "--format=csv,noheader") for x in what)
    toolkit = re.search(r"release ([\d.]+)", output("nvcc", "--version"))
    if kind == "emulated":
        print("EMULATED: this shows that the program works, and nothing about hardware.\n")
        gpu = driver = "none"
    row = [
        datetime.date.today().isoformat(),
        output("git", "rev-parse", "--short", "HEAD"),
        gpu,
        driver,
        toolkit[1] if toolkit else "unknown",
        *results.values(),
    ]
    table(
        ["date", "commit", "GPU", "driver", "toolkit", *(f"{h}, `-k cuda`" for h in results)], row
    )
    rates = dict(line.split("\t") for line in timing.splitlines())
    best = next((float(rate) for name, rate in rates.items() if "cuBLAS" in name), None)
    share = lambda rate: f"{float(rate) / best:.0%}" if best else "cuBLAS is not installed"
    print(f"\nA product of {size} x {size} matrices, float32, on {gpu}:\n")
    rows = [[name, rate, share(rate)] for name, rate in rates.items()]
    table(["product", "GFLOP/s", "of cuBLAS"], *rows)
    print(errors, end="", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
