"""What students of homework 0 are given: tests that judge their files, stubs that say so, a demo."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def hw0(solved):
    """The solved homework's folder."""
    return solved / "hw0"


def run(command, cwd, **changes):
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **changes}
    environment.pop("PYTHONPATH", None) if "PYTHONPATH" not in changes else None
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


TESTS = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "test_add"]


def test_the_header_names_the_file_under_test(hw0):
    status, output = run([*TESTS[:3], "-p", "no:cacheprovider", "-k", "test_add"], hw0)
    assert status == 0, output
    assert "under test: simple_ml from ./src/simple_ml.py" in output


@pytest.mark.parametrize("kind", ["module", "package"])
def test_a_library_of_the_same_name_elsewhere_is_refused(hw0, tmp_path, kind):
    stranger = tmp_path / ("simple_ml.py" if kind == "module" else "simple_ml/__init__.py")
    stranger.parent.mkdir(exist_ok=True)
    stranger.write_text("def add(x, y):\n    return x + y\n", encoding="utf-8")
    status, output = run(TESTS, hw0, PYTHONPATH=str(tmp_path))
    assert status == 2, output
    assert "These tests are for ./src/simple_ml.py" in output and str(stranger) in output
    assert "passed" not in output


def test_tests_started_in_another_folder_are_refused(hw0, tmp_path):
    status, output = run([*TESTS, str(hw0 / "tests")], tmp_path)
    assert status == 2, output
    assert "run the tests from inside the homework" in output


def test_every_test_starts_from_one_seed_unless_its_file_seeds(hw0, tmp_path):
    suite = tmp_path / "tests"
    shutil.copytree(hw0 / "tests", suite, ignore=shutil.ignore_patterns("test_*", "__pycache__"))
    shutil.copy(Path(__file__).with_name("seeding_sample.py"), suite / "test_seeding.py")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(suite)]
    status, output = run(command, hw0)
    assert status == 0 and "4 passed" in output, output


def test_an_unwritten_cpp_function_raises_not_implemented_in_python(tmp_path):
    from coursekit.core import kept_builds, syllabus
    from coursekit.staff import render

    course = syllabus.load()
    render.render_out(course, tmp_path, ["hw0"])
    kept_builds.build_tree(tmp_path / "hw0", course.homework("hw0"))
    _, output = run(
        [sys.executable, "-m", "pytest", "-q", "-k", "epoch_cpp_agrees"], tmp_path / "hw0"
    )
    assert "NotImplementedError: hw0/softmax_regression_epoch_cpp: " in output
    assert "is yours to write" in output


def test_the_demo_shows_every_homework_and_the_autograder():
    from coursekit.core import syllabus

    steps = [path.name for path in (Path(__file__).resolve().parents[1] / "demo").glob("hw*_*.py")]
    for homework in syllabus.load().counted:
        assert any(step.startswith(f"{homework.id}_") for step in steps), homework.id
    assert "hw0_grader.py" in steps
