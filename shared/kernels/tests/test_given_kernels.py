"""The given kernels, allocator and threads, on this processor and as other processors run them."""

import os
import subprocess

import compiling
import pytest

MOST_ULPS = 4.0
STEP = int(os.environ.get("NEEDLE_ULP_STEP", "1021"))  # 1: every float32; takes some minutes


@pytest.mark.parametrize(
    "target",
    [["-march=native"], [], ["-DNEEDLE_PORTABLE_SIMD"]],
    ids=["native", "baseline", "portable"],
)
def test_exp_log_tanh_are_within_four_units_in_the_last_place(target, tmp_path):
    program = compiling.compile_program([compiling.HERE / "ulp.cc"], tmp_path / "ulp", target)
    done = subprocess.run([str(program), str(STEP)], check=True, capture_output=True, text=True)
    errors = dict(zip(("exp", "log", "tanh"), map(float, done.stdout.split())))
    assert max(errors.values()) <= MOST_ULPS, errors


@pytest.mark.parametrize("processor", compiling.PROCESSORS)
def test_given_kernels_are_right_on_other_processors(processor, tmp_path):
    flags, needs = compiling.PROCESSORS[processor]
    if needs and not compiling.makes_x86_64():
        pytest.skip("the compiler does not make x86-64 code")
    sources = [compiling.HERE / "given.cc", *compiling.SOURCES]
    program = compiling.compile_program(sources, tmp_path / "given", flags)
    if missing := compiling.lacks(needs):
        pytest.skip(f"compiled, not run: this processor is not known to have {', '.join(missing)}")
    compiling.assert_right(program)
