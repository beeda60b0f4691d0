"""All C++ of the CPU and CUDA devices, compiled for systems that CI does not have, by `zig c++`; and
the kernels' own tests, run as Windows programs under Wine.

Compiled, nothing more: for macOS and AArch64 Linux kernels, emulator and Python bindings; for Windows
the kernels, since the emulator does not exist there and Python's headers for Windows are not at hand.
For macOS the bindings see this machine's pyconfig.h.
"""

import functools
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import warnings
from pathlib import Path

import pybind11
import pytest
from coursekit.core import kept_builds

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT / "shared"
SOURCES = SHARED / "reference" / "src"
EMULATOR = SHARED / "cuda_emulator" / "src"

GIVEN = [SHARED / "kernels" / name for name in ("allocator.cc", "parallel.cc", "shortcuts.cc")]
FUSED = set((SHARED / "kernels" / "fused").glob("*.cc"))
FUSED_BINDINGS = {path for path in FUSED if path.stem.startswith("bindings")}
KERNELS = [SOURCES / "ndarray_backend_cpu.cc", *GIVEN, *(FUSED - FUSED_BINDINGS)]
BINDINGS = [
    *SOURCES.glob("ndarray_bindings_*.cc"),
    *SHARED.glob("kernels/*_bindings.cc"),
    *FUSED_BINDINGS,
]
UNIX_ONLY = [*EMULATOR.glob("*.cc"), SOURCES / "ndarray_backend_cuda.cu"]
UNIX = ("aarch64-macos", "x86_64-macos", "aarch64-linux-gnu")
UNITS = {"x86_64-windows-gnu": KERNELS, **dict.fromkeys(UNIX, KERNELS + UNIX_ONLY)}
PAIRS = [
    pytest.param(target, unit, id=f"{target}-{unit.relative_to(SHARED).as_posix()}")
    for target, units in UNITS.items()
    for unit in sorted(units)
]


def _link_or_copy(source, target):
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


@functools.cache
def zigs_folder():
    """zig in this machine's cache: it knows its own files by their place, and from another it would
    compile all of C++'s library anew, for minutes."""
    place = kept_builds.cache_folder() / f"zig-{importlib.metadata.version('ziglang')}"
    if not place.is_dir():
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix="zig-", dir=place.parent))
        source = Path(importlib.util.find_spec("ziglang").origin).parent
        shutil.copytree(source, partial, copy_function=_link_or_copy, dirs_exist_ok=True)
        try:
            os.replace(partial, place)
        except OSError:  # another worker was faster
            shutil.rmtree(partial)
    return place


def zig(target, *arguments):
    """Run `zig c++` for a target; fails with what the compiler said."""
    folders = [SHARED, SOURCES, EMULATOR]
    foreign = [sysconfig.get_path("include"), pybind11.get_include()]
    command = [zigs_folder() / "zig", "c++", "-target", target, "-std=c++17"]
    command += ["-Wall", "-Wextra", "-Werror", "-ffp-contract=fast"]
    command += [f"-I{folder}" for folder in folders]
    command += [word for folder in foreign for word in ("-isystem", folder)]
    done = subprocess.run([*map(str, command + [*arguments])], capture_output=True, text=True)
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
    nothing_else = ["-O0", "-g0", "-fno-sanitize=undefined"]
    zig(target, *nothing_else, "-c", rewritten(unit, tmp_path), "-o", tmp_path / "unit.o")


@pytest.mark.parametrize("target", UNIX)
def test_all_bindings_compile_for_other_systems(target, tmp_path):
    """As one unit: nearly all of a binding's compilation is pybind11's."""
    unit = tmp_path / "bindings.cc"
    unit.write_text("".join(f'#include "{file}"\n' for file in sorted(BINDINGS)))
    test_every_file_compiles_for_other_systems(target, unit, tmp_path)


PROGRAMS = {  # what tests the kernels by itself
    "given kernels": [SHARED / "kernels" / "tests" / "given.cc", *GIVEN],
    "the reference's kernels": [
        Path(__file__).with_name("kernels.cc"),
        SOURCES / "ndarray_backend_cpu.cc",
        *GIVEN,
    ],
}


@pytest.fixture
def wine_prefix(tmp_path_factory):
    """Wine's folder, hundreds of megabytes that it writes at its first start: one for all workers."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "wine"


@pytest.mark.parametrize("name", PROGRAMS)
def test_kernels_are_right_as_a_windows_program(name, tmp_path, wine_prefix):
    program = tmp_path / "program.exe"
    zig("x86_64-windows-gnu", "-O2", *PROGRAMS[name], "-o", program)
    wine = shutil.which("wine") if platform.machine() in ("x86_64", "AMD64") else None
    if wine is None:
        warnings.warn(
            "Windows compiled, NOT RUN: no Wine here (Debian: apt install wine wine64)",
            stacklevel=1,
        )
        return
    environment = {**os.environ, "WINEPREFIX": str(wine_prefix), "WINEDEBUG": "-all"}
    done = subprocess.run(
        [wine, program], env=environment, capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
