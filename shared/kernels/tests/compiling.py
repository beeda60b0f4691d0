"""Compile the tests' programs, for this processor and for others."""

import os
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
SHARED = HERE.parents[1]
COMPILER = os.environ.get("CXX", "c++")
FLAGS = ["-std=c++17", "-O3", "-Wall", "-Wextra", "-Werror", "-ffp-contract=fast", f"-I{SHARED}"]
SOURCES = [HERE.parent / name for name in ("allocator.cc", "parallel.cc", "shortcuts.cc")]

# What CMake's -march=native comes to elsewhere: flags, and what a machine needs to run it.
PROCESSORS = {
    "this machine": (["-march=native"], []),
    "x86-64 without AVX": (["-march=x86-64"], ["sse2"]),
    "x86-64 with AVX2": (["-march=x86-64-v3"], ["avx2", "fma"]),
    "x86-64 with AVX-512": (["-march=x86-64-v4"], ["avx512f", "avx512vl", "avx512bw", "avx512dq"]),
    "no vector types": (["-DNEEDLE_PORTABLE_SIMD"], []),
}


def compile_program(sources, program, flags=(), compiler=COMPILER):
    """Compile `sources`, each by CMake's launcher if one is named (a compiler's cache), and link them.

    Returns the program's path.
    """
    launcher = os.environ.get("CMAKE_CXX_COMPILER_LAUNCHER", "").split()
    command = [*compiler.split(), *FLAGS, *flags, "-pthread"]
    objects = []
    for number, source in enumerate(sources):
        objects.append(f"{program}-{number}.o")
        subprocess.run([*launcher, *command, "-c", str(source), "-o", objects[-1]], check=True)
    subprocess.run([*command, *objects, "-o", str(program)], check=True)
    return program


def makes_x86_64():
    done = subprocess.run([*COMPILER.split(), "-dumpmachine"], capture_output=True, text=True)
    return "x86_64" in done.stdout


def lacks(needs):
    """Those of the processor's abilities that this machine is not known to have."""
    cpuinfo = Path("/proc/cpuinfo")
    here = cpuinfo.read_text(encoding="utf-8").split() if cpuinfo.is_file() else []
    return sorted(set(needs) - set(here))


def assert_right(*command):
    """Run a test program with several threads, then with one; it must say nothing."""
    for threads in ("3", "1"):
        environment = {**os.environ, "NEEDLE_NUM_THREADS": threads}
        done = subprocess.run(
            [str(word) for word in command], env=environment, capture_output=True, text=True
        )
        assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
