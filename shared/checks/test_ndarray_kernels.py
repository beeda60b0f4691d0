"""The CPU device's C++ beyond the students' tests: its kernels on other processors. What Python sees of
it stands in in_hw3/."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KERNELS = ROOT / "shared" / "reference" / "src" / "ndarray_backend_cpu.cc"

sys.path.append(str(ROOT / "shared" / "kernels" / "tests"))
import compiling  # noqa: E402


def compile_kernels(flags, folder, compiler=compiling.COMPILER, kernels=KERNELS):
    """The program kernels.cc: the reference's kernels, and the given ones that they need."""
    sources = [Path(__file__).with_name("kernels.cc"), kernels, *compiling.SOURCES]
    flags = [*flags, f"-I{KERNELS.parent}"]
    return compiling.compile_program(sources, folder / "kernels", flags, compiler)


@pytest.mark.parametrize("processor", compiling.PROCESSORS)
def test_kernels_are_right_on_other_processors(processor, tmp_path):
    flags, needs = compiling.PROCESSORS[processor]
    if needs and not compiling.makes_x86_64():
        pytest.skip("the compiler does not make x86-64 code")
    program = compile_kernels(flags, tmp_path)
    if missing := compiling.lacks(needs):
        pytest.skip(f"compiled, not run: this processor is not known to have {', '.join(missing)}")
    compiling.assert_right(program)


def test_kernels_are_right_on_aarch64(tmp_path):
    compiler = os.environ.get("AARCH64_CXX", "aarch64-linux-gnu-g++")
    if shutil.which(compiler) is None:
        pytest.skip("no cross compiler for AArch64 (Debian: apt-get install g++-aarch64-linux-gnu)")
    listing = tmp_path / "kernels.s"
    flags = [*compiling.FLAGS, f"-I{KERNELS.parent}"]
    subprocess.run([compiler, *flags, "-S", "-o", str(listing), str(KERNELS)], check=True)
    said = listing.read_text(encoding="utf-8")
    assert "fmla\tv" in said, "the matrix kernel should use NEON's fused multiply-add"
    program = compile_kernels(["-static"], tmp_path, compiler, kernels=listing)
    emulator = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
    if emulator is None:
        pytest.skip("compiled, not run: no emulator (Debian: apt-get install qemu-user)")
    compiling.assert_right(emulator, program)
