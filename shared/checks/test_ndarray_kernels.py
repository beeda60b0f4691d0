"""The CPU device's C++ beyond the students' tests: accuracy of the vector functions, and the kernels
on other processors. What Python sees of it stands in in_hw3/."""

import os
import shutil
import subprocess
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "shared" / "reference" / "src"
COMPILER = os.environ.get("CXX", "c++")
FLAGS = ["-std=c++17", "-O2", "-ffp-contract=fast", f"-I{SOURCES}"]
MOST_ULPS = 4.0
STEP = int(os.environ.get("NEEDLE_ULP_STEP", "1021"))  # 1: every float32; takes some minutes


@pytest.mark.parametrize(
    "target",
    [["-march=native"], [], ["-DNEEDLE_PORTABLE_SIMD"]],
    ids=["native", "baseline", "portable"],
)
def test_exp_log_tanh_are_within_four_units_in_the_last_place(target, tmp_path):
    program = tmp_path / "ulp"
    source = Path(__file__).with_name("ulp.cc")
    subprocess.run(
        [*COMPILER.split(), *FLAGS, *target, str(source), "-o", str(program)], check=True
    )
    done = subprocess.run([str(program), str(STEP)], check=True, capture_output=True, text=True)
    errors = dict(zip(("exp", "log", "tanh"), map(float, done.stdout.split())))
    assert max(errors.values()) <= MOST_ULPS, errors


PROCESSORS = {  # what CMake's -march=native comes to elsewhere: flags, and what a machine needs for it
    "this machine": (["-march=native"], []),
    "x86-64 without AVX": (["-march=x86-64"], ["sse2"]),
    "x86-64 with AVX2": (["-march=x86-64-v3"], ["avx2", "fma"]),
    "x86-64 with AVX-512": (["-march=x86-64-v4"], ["avx512f", "avx512vl", "avx512bw", "avx512dq"]),
    "no vector types": (["-DNEEDLE_PORTABLE_SIMD"], []),
}


def compile_kernels(compiler, flags, folder):
    """The program kernels.cc with all of the CPU device's kernels."""
    program = folder / "kernels"
    files = [Path(__file__).with_name("kernels.cc"), SOURCES / "ndarray_backend_cpu.cc"]
    command = [*compiler.split(), *FLAGS, "-O3", "-Wall", "-Werror", *flags]
    command += [*map(str, [*files, *SOURCES.glob("kernels/*.cc")]), "-pthread", "-o", str(program)]
    subprocess.run(command, check=True)
    return program


def assert_right(*command):
    """Run kernels.cc with several threads, then with one."""
    for threads in ("3", "1"):
        environment = {**os.environ, "NEEDLE_NUM_THREADS": threads}
        done = subprocess.run(
            [str(word) for word in command], env=environment, capture_output=True, text=True
        )
        assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


@pytest.mark.parametrize("processor", PROCESSORS)
def test_kernels_are_right_on_other_processors(processor, tmp_path):
    flags, needs = PROCESSORS[processor]
    if (
        needs
        and "x86_64"
        not in subprocess.run(
            [*COMPILER.split(), "-dumpmachine"], capture_output=True, text=True
        ).stdout
    ):
        pytest.skip("the compiler does not make x86-64 code")
    program = compile_kernels(COMPILER, flags, tmp_path)
    cpuinfo = Path("/proc/cpuinfo")
    here = cpuinfo.read_text(encoding="utf-8").split() if cpuinfo.is_file() else []
    if not set(needs) <= set(here):
        pytest.skip(f"compiled, not run: this processor is not known to have {', '.join(needs)}")
    assert_right(program)


def test_kernels_are_right_on_aarch64(tmp_path):
    compiler = os.environ.get("AARCH64_CXX", "aarch64-linux-gnu-g++")
    if shutil.which(compiler) is None:
        warnings.warn(
            "AArch64 NOT CHECKED: no cross compiler (Debian: apt-get install g++-aarch64-linux-gnu)",
            stacklevel=1,
        )
        pytest.skip("no cross compiler for AArch64")
    program = compile_kernels(compiler, ["-static"], tmp_path)
    listing = subprocess.run(
        [compiler, *FLAGS, "-O3", "-S", "-o", "-", str(SOURCES / "ndarray_backend_cpu.cc")],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "fmla\tv" in listing, "the matrix kernel should use NEON's fused multiply-add"
    emulator = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
    if emulator is None:
        warnings.warn(
            "AArch64 compiled, NOT RUN: no emulator (Debian: apt-get install qemu-user)",
            stacklevel=1,
        )
    else:
        assert_right(emulator, program)
