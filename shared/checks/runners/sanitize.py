"""Homework 3's tests under AddressSanitizer and UndefinedBehaviorSanitizer: cpu() and emulated cuda().

Usage: python shared/checks/runners/sanitize.py [pytest arguments]

Builds a tree of its own in build/sanitized, with GCC on Linux; ends with pytest's status. Any report
ends the process, so a green run is a clean one. Not looked for: leaks (Python itself "leaks").
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "shared"))
CMAKE_ARGUMENTS = "-DNEEDLE_SANITIZE=address,undefined -DNEEDLE_CUDA_BUILDS=emulated"


def library(name):
    """Full path of one of the compiler's own libraries."""
    compiler = os.environ.get("CXX", "g++").split()
    done = subprocess.run([*compiler, f"-print-file-name={name}"], capture_output=True, text=True)
    path = done.stdout.strip()
    if not Path(path).is_absolute():
        raise SystemExit(
            f"sanitize.py: {compiler[0]} has no {name}; install GCC's sanitizer libraries"
        )
    return path


def main(arguments):
    from coursekit.core import syllabus
    from coursekit.staff import solved

    if not sys.platform.startswith("linux"):
        raise SystemExit("sanitize.py: works with GCC on Linux only")
    # Python itself is not sanitized, so the libraries must be loaded before anything else.
    preload = f"{library('libasan.so')} {library('libstdc++.so')}"
    course = syllabus.load(ROOT)
    out = ROOT / "build" / "sanitized"
    os.environ["NEEDLE_CMAKE_ARGS"] = CMAKE_ARGUMENTS
    solved.write(course, out, ["hw3"])
    environment = {
        **os.environ,
        "LD_PRELOAD": preload,
        # An array larger than memory is a MemoryError of Python's, as without the sanitizer.
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
        "PYTHONMALLOC": "malloc",
        "NEEDLE_CACHE_MB": "0",  # give memory back, so that use after free is seen
        "PYTHONPATH": "python",
        "NEEDLE_BACKEND": "nd",
        "NEEDLE_CUDA": "emulated",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/hw3"]
    # The puzzles are a program of their own, which the emulator's checked device watches itself.
    command += ["--ignore=tests/hw3/test_warm_up.py"]
    return subprocess.run([*command, *arguments], cwd=out / "hw3", env=environment).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
