"""Run homework 3's CUDA tests on a real GPU and print a row for the table "run on hardware".

Usage: python shared/checks/runners/cuda_hardware.py

Without a GPU it says so in one sentence and ends with status 1: nothing was run, no row is printed.
"""

import datetime
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "shared"))
COMMAND = "pytest tests/hw3 -k cuda"
RUNGS = ["naive", "shared_tiles", "register_tiles", "vector_loads"]
TIMING = Path(__file__).with_name("cuda_timing.py")


def output(*command, default="unknown"):
    """What a program prints, on one line."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    except (OSError, subprocess.CalledProcessError):
        return default
    return " ".join(done.stdout.split())


def main():
    from coursekit.core import syllabus
    from coursekit.staff import solved

    course = syllabus.load(ROOT)
    environment = {
        **os.environ,
        "NEEDLE_CUDA": "hardware",
        "PYTHONPATH": "python",
        "NEEDLE_BACKEND": "nd",
    }
    with tempfile.TemporaryDirectory() as folder:
        tree = solved.write(course, Path(folder), ["hw3"]) / "hw3"

        def python(*arguments):
            return subprocess.run(
                [sys.executable, *arguments],
                cwd=tree,
                env=environment,
                capture_output=True,
                text=True,
            )

        probe = python(
            "-c",
            "from needle import backend_ndarray as nd; d = nd.cuda()\n"
            "print(d.device_kind, d.why_disabled)",
        )
        if not probe.stdout.startswith("hardware"):
            print(
                "no row: this machine has no GPU that the hardware build can use "
                f"({probe.stdout.strip().removeprefix('off ') or probe.stderr.strip()[-200:]})"
            )
            return 1
        tests = python("-m", *COMMAND.split(), "-q")
        timing = python(str(TIMING), *RUNGS)
    last = tests.stdout.strip().splitlines()[-1] if tests.stdout.strip() else "no tests ran"
    passed = re.search(r"\d+ passed.*?(?= in )|.*failed.*?(?= in )", last)
    gpu, driver = (
        output("nvidia-smi", f"--query-gpu={what}", "--format=csv,noheader")
        for what in ("name", "driver_version")
    )
    toolkit = re.search(r"release ([\d.]+)", output("nvcc", "--version"))
    row = [
        datetime.date.today().isoformat(),
        output("git", "rev-parse", "--short", "HEAD"),
        gpu,
        driver,
        toolkit[1] if toolkit else "unknown",
        f"`{COMMAND}`",
        passed[0] if passed else last,
    ]
    print("| date | commit | GPU | driver | toolkit | command | tests passed |")
    print("|---|---|---|---|---|---|---|")
    print("| " + " | ".join(row) + " |")
    print("\n" + (timing.stdout or timing.stderr))
    return tests.returncode


if __name__ == "__main__":
    sys.exit(main())
