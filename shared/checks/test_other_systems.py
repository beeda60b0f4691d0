"""All C++ of the CPU and CUDA devices, compiled for systems that CI does not have, by `zig c++`; and
the kernels' own tests, run as Windows programs under Wine.

Compiled, nothing more: for macOS and AArch64 Linux kernels, emulator and Python bindings; for Windows
the kernels, since the emulator does not exist there and Python's headers for Windows are not at hand.
For macOS the bindings see this machine's pyconfig.h.
"""

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import warnings
from pathlib import Path

import pybind11
import pytest

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT / "shared"
SOURCES = SHARED / "reference" / "src"
EMULATOR = SHARED / "cuda_emulator" / "src"

GIVEN = [SHARED / "kernels" / name for name in ("allocator.cc", "parallel.cc", "shortcuts.cc")]
FUSED = [path for path in (SHARED / "kernels" / "fused").glob("*.cc") if path.stem != "bindings"]
KERNELS = [SOURCES / "ndarray_backend_cpu.cc", *GIVEN, *FUSED]
BINDINGS = [
    *SOURCES.glob("ndarray_bindings_*.cc"),
    *SHARED.glob("kernels/*_bindings.cc"),
    SHARED / "kernels" / "fused" / "bindings.cc",
]
UNIX_ONLY = [*BINDINGS, *EMULATOR.glob("*.cc"), SOURCES / "ndarray_backend_cuda.cu"]
UNITS = {
    "x86_64-windows-gnu": KERNELS,
    "aarch64-macos": KERNELS + UNIX_ONLY,
    "x86_64-macos": KERNELS + UNIX_ONLY,
    "aarch64-linux-gnu": KERNELS + UNIX_ONLY,
}
PAIRS = [
    pytest.param(target, unit, id=f"{target}-{unit.relative_to(SHARED).as_posix()}")
    for target, units in UNITS.items()
    for unit in sorted(units)
]


def zig(target, *arguments):
    """Run `zig c++` for a target; fails with what the compiler said."""
    folders = [SHARED, SOURCES, EMULATOR]
    foreign = [sysconfig.get_path("include"), pybind11.get_include()]
    command = [sys.executable, "-m", "ziglang", "c++", "-target", target, "-std=c++17"]
    command += ["-Wall", "-Wextra", "-Werror", "-ffp-contract=fast"]
    command += [f"-I{folder}" for folder in folders]
    command += [word for folder in foreign for word in ("-isystem", folder)]
    done = subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def rewritten(unit, folder):
    """The unit, or the C++ that the emulator makes of a CUDA file."""
    if unit.suffix != ".cu":
        return unit
    code = folder / f"{unit.stem}.cc"
    subprocess.run([sys.executable, EMULATOR / "rewrite.py", unit, code], check=True)
    return code


@pytest.mark.parametrize("target, unit", PAIRS)
def test_every_file_compiles_for_other_systems(target, unit, tmp_path):
    zig(target, "-O0", "-c", rewritten(unit, tmp_path), "-o", tmp_path / "unit.o")


PROGRAMS = {  # what tests the kernels by itself
    "given kernels": [SHARED / "kernels" / "tests" / "given.cc", *GIVEN],
    "the reference's kernels": [
        Path(__file__).with_name("kernels.cc"),
        SOURCES / "ndarray_backend_cpu.cc",
        *GIVEN,
    ],
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_kernels_are_right_as_a_windows_program(name, tmp_path):
    program = tmp_path / "program.exe"
    zig("x86_64-windows-gnu", "-O2", *PROGRAMS[name], "-o", program)
    wine = shutil.which("wine") if platform.machine() in ("x86_64", "AMD64") else None
    if wine is None:
        warnings.warn(
            "Windows compiled, NOT RUN: no Wine here (Debian: apt install wine wine64)",
            stacklevel=1,
        )
        return
    environment = {**os.environ, "WINEPREFIX": str(tmp_path / "wine"), "WINEDEBUG": "-all"}
    done = subprocess.run(
        [wine, program], env=environment, capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
