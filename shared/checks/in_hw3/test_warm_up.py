"""The puzzles of src/warm_up.cu: right as solved; their test tells stubs and mistakes, by name."""

import fcntl
import subprocess
import sys

import inside
import pytest
from coursekit.core import syllabus
from coursekit.staff import render

SOURCE = "src/warm_up.cu"
TEST = "tests/hw3/test_warm_up.py"


@pytest.fixture
def warm_up():
    """The file in the solved homework, for one test at a time; as it was afterwards."""
    path = inside.place / SOURCE
    with open(inside.place.parent / "warm_up.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        solved = path.read_text(encoding="utf-8")
        yield path
        path.write_text(solved, encoding="utf-8")


def puzzles():
    """What the homework's own test prints."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
    done = subprocess.run([*command, TEST], cwd=inside.place, capture_output=True, text=True)
    return done.stdout + done.stderr


def test_they_are_right_as_solved(warm_up):
    assert "5 passed" in puzzles()


def test_a_stub_fails_and_says_that_nothing_was_written(warm_up):
    course = syllabus.load(inside.ROOT)
    stubs = render.render_code(course, "hw3")[SOURCE].decode()
    assert stubs.count("is yours to write or not") == 5
    warm_up.write_text(stubs, encoding="utf-8")
    said = puzzles()
    assert "5 failed" in said and said.count("nothing was written there") >= 5


def test_mistakes_are_told_by_the_checked_device(warm_up):
    text = warm_up.read_text(encoding="utf-8")
    for right, wrong in (
        ("if (i < size) out", "out"),
        ("  __syncthreads();\n  out[first", "  out[first"),
        ("out[column * rows + row]", "out[row * columns + column]"),
    ):
        assert text.count(right) == 1, right
        text = text.replace(right, wrong)
    warm_up.write_text(text, encoding="utf-8")
    said = puzzles()
    assert "2 passed" in said and "3 failed" in said
    assert "GuardKernel, block (2, 0, 0), thread (11, 0, 0)" in said
    assert "reads the __shared__ tile[31], which nothing has written yet" in said
    assert "Arrays are not equal" in said
