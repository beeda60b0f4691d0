"""A missing name of the student's module fails the tests that use it, and no others."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOY = Path(__file__).with_name("toy")


def run_toy(name, *flags):
    """What pytest says of one file of the toy homework."""
    command = [sys.executable, "-m", "pytest", *flags, "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-p", "no:randomly", f"tests/{name}"],
        cwd=TOY,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def output():
    return run_toy("toy_cases.py", "-rA", "--tb=line")


def test_what_does_without_the_name_runs(output):
    assert "PASSED tests/toy_cases.py::test_function[double]" in output
    assert "PASSED tests/toy_cases.py::test_shape[plain]" in output
    assert (
        "2 passed" in output
        and "4 failed" in output
        and "error" not in output.lower().replace("attributeerror", "")
    )


@pytest.mark.parametrize(
    "test, words",
    [
        ("test_function[triple]", "toylib has no 'triple'"),
        ("test_shape[toylib.shapes.square]", "toylib.shapes has no 'square'"),
        ("test_box", "toylib has no 'Box'"),
        ("test_name_inside_a_test", "has no attribute 'nowhere'"),
    ],
)
def test_what_uses_it_names_it(output, test, words):
    (line,) = [row for row in output.splitlines() if row.startswith("FAILED") and test in row]
    assert words in line


def test_the_end_lists_what_is_missing(output):
    end = output[output.index("names that the tests look for and do not find") :]
    for name in ("toylib.triple", "toylib.Box", "toylib.shapes"):
        assert f"\n{name}\n" in end
