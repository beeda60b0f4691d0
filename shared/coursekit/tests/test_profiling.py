"""What `hw profile` concludes from what was measured, and how it is stopped."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from coursekit.core.errors import CourseError
from coursekit.student import profiling


def profile(kernels, operators=(), seconds=1.0, numpy=100.0):
    """A profile of one second; kernels: (name, seconds, GFLOP)."""
    return profiling.read(
        {
            "operators": list(operators) or [["MatMul", "forward", 10, 0.5 * seconds]],
            "kernels": [[name, 1, spent, 1e9 * work] for name, spent, work in kernels],
            "seconds": seconds,
            "steps": 1,
            "numpy": 1e9 * numpy,
        }
    )


TURNED = "matmul, transposed operand"
CASES = {
    "62% in products with a transposed operand, at 1.0 GFLOP/s, and 30.0 without: a low rung": [
        (TURNED, 0.62, 0.62),
        ("matmul", 0.1, 3.0),
    ],
    "70% in matrix products, at 2.0 GFLOP/s, where NumPy reaches 100 on this machine: climb": [
        (TURNED, 0.4, 0.8),
        ("matmul", 0.3, 0.6),
    ],
    "80% in matrix products, at 90 GFLOP/s: that is where it should be": [("matmul", 0.8, 72.0)],
    "40% in compact: views are copied": [("compact", 0.4, 0), ("matmul", 0.2, 18.0)],
    "90% outside the kernels, in Python: 10 operators a step": [("ewise_add", 0.1, 0)],
}


@pytest.mark.parametrize("says", CASES)
def test_advice_names_what_dominates(says):
    assert profiling.advice(profile(CASES[says])).startswith(says)


def test_without_kernels_the_operator_is_named():
    rows = [["LogSumExp", "forward", 1, 0.1], ["LogSumExp", "backward", 1, 0.6]]
    assert (
        profiling.advice(profile([], rows)) == "70% in LogSumExp, most of it backward: begin there"
    )
    spread = [[f"Op{k}", "forward", 1, 0.1] for k in range(9)]
    assert profiling.advice(profile([], spread)).startswith("no single thing dominates")
    step = [["Adam.step", "optimizer", 1, 0.5]]  # more than the 42% that lie in no operator
    assert "50% in Adam.step" in profiling.advice(profile([], [*step, ["Exp", "forward", 1, 0.08]]))
    assert "in no operator" in profiling.advice(profile([], [["Add", "forward", 1, 0.3]]))


def test_time_in_a_given_kernel_is_not_time_in_python():
    rows = [["kernel lstm", "forward", 2, 0.3], ["kernel lstm", "backward", 2, 0.4]]
    said = profiling.advice(profile([("fill", 0.01, 0)], rows))
    assert said == "70% in given kernels: the Python around them costs little"


def test_bars_are_as_long_as_the_times_and_tell_directions_apart():
    rows = [["Exp", "forward", 1, 0.2], ["Exp", "backward", 1, 0.3], ["Log", "forward", 1, 0.1]]
    assert profiling.bars(profile([], rows), width=50) == (
        "Exp |" + "#" * 20 + "=" * 30 + "\n" + "Log |" + "#" * 10
    )


def test_the_picture_is_an_svg(tmp_path):
    pytest.importorskip("matplotlib")
    profiling.picture(profile([]), tmp_path / "new" / "p.svg")
    assert "<svg" in (tmp_path / "new" / "p.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["p.nothing", "folder.svg"])
def test_a_picture_that_cannot_be_written_is_a_sentence(tmp_path, name):
    pytest.importorskip("matplotlib")
    (tmp_path / "folder.svg").mkdir()
    with pytest.raises(CourseError, match=r"the picture .* cannot be written: "):
        profiling.picture(profile([]), tmp_path / name)


def test_a_program_that_failed_is_no_success(world, tmp_path, monkeypatch):
    assert world.hw("release", str(tmp_path / "out")).returncode == 0
    measured = replace(profile([], [["Add", "forward", 1, 0.3]]), status=3)
    monkeypatch.setattr(profiling, "measure", lambda *_: measured)
    monkeypatch.setattr(profiling, "picture", lambda *_: None)
    done = type(world)(tmp_path / "out").hw("profile", "hw0", "--", "run.py")
    assert done.returncode == 1
    assert done.stdout.endswith("the program ended with status 3; this is what ran before\n")


def test_a_needle_that_cannot_be_imported_is_one_sentence(tmp_path):
    needle = tmp_path / "needle"
    needle.mkdir()
    (needle / "__init__.py").write_text("\nnonsense\n")
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).resolve().parents[2])])
    done = subprocess.run(
        [sys.executable, "-m", "coursekit.student.profiled", "out.json", "run.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    said = "needle cannot be imported: NameError: name 'nonsense' is not defined"
    assert done.stderr == f"needle/__init__.py:2: {said}\n" and done.returncode == 1


INTERRUPTED = """\
import os, signal
os.kill(os.getppid(), signal.SIGINT)  # Ctrl-C reaches both
raise KeyboardInterrupt
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
def test_ctrl_c_before_the_program_began_is_one_quiet_line(world, tmp_path):
    assert world.hw("release", str(tmp_path / "out")).returncode == 0
    there = type(world)(tmp_path / "out")
    there.write("hw0/python/needle/__init__.py", INTERRUPTED)
    there.write("hw0/run.py", "print('never')\n")
    done = subprocess.run(
        [sys.executable, "-m", "coursekit", "profile", "hw0", "--", "run.py"],
        cwd=there.root,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        capture_output=True,
        text=True,
        # As on a terminal: what a shell starts in the background is deaf to Ctrl-C.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    assert done.returncode == 130 and done.stdout == ""
    assert done.stderr == "hw: stopped before the program's end: nothing to show\n"
