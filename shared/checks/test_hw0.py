"""What students of homework 0 are given: safe wrappers, clear errors, tests that judge their files."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest


@pytest.fixture(scope="module")
def hw0(solved):
    """The solved homework's folder."""
    return solved / "hw0"


@pytest.fixture(scope="module")
def epoch(hw0):
    """The compiled function."""
    sys.path.insert(0, str(hw0 / "src"))
    try:
        import simple_ml_ext
    finally:
        sys.path.pop(0)
    return simple_ml_ext.softmax_regression_epoch_cpp


def arguments(**changes):
    random = np.random.RandomState(0)
    values = {
        "X": random.rand(20, 6).astype(np.float32),
        "y": (np.arange(20) % 4).astype(np.uint8),
        "theta": np.zeros((6, 4), np.float32),
        "lr": 0.1,
        "batch": 5,
    }
    return {**values, **changes}


GOOD = SimpleNamespace(**arguments())
READ_ONLY = np.zeros((6, 4), np.float32)
READ_ONLY.flags.writeable = False

WRONG = {
    "X float64": ({"X": GOOD.X.astype(float)}, TypeError, "X must be float32, got float64"),
    "X a list": ({"X": GOOD.X.tolist()}, TypeError, "X must be a float32 NumPy array, got list"),
    "y int64": ({"y": GOOD.y.astype(int)}, TypeError, "y must be uint8, got int64"),
    "theta float64": ({"theta": np.zeros((6, 4))}, TypeError, "theta must be float32"),
    "swapped bytes": ({"X": GOOD.X.astype(">f4")}, TypeError, "X must be float32"),
    "X one-dimensional": ({"X": GOOD.X[0]}, ValueError, "X must have shape"),
    "too few labels": ({"y": GOOD.y[:-1]}, ValueError, "20 rows of X, got shape .19,"),
    "labels as a column": ({"y": GOOD.y[:, None]}, ValueError, "got shape .20, 1"),
    "theta too short": ({"theta": GOOD.theta[:-1].copy()}, ValueError, "6 columns of X"),
    "theta one-dimensional": ({"theta": GOOD.theta[:, 0].copy()}, ValueError, "6 columns of X"),
    "theta transposed view": ({"theta": np.zeros((4, 6), np.float32).T}, ValueError, "row by row"),
    "theta read-only": ({"theta": READ_ONLY}, ValueError, "writeable"),
    "a label too large": ({"y": GOOD.y + np.uint8(1)}, ValueError, r"y\[3\] is 4, but theta has"),
    "no classes": ({"theta": np.zeros((6, 0), np.float32)}, ValueError, "only 0 columns"),
    "batch zero": ({"batch": 0}, ValueError, "batch must be at least 1, got 0"),
    "batch negative": ({"batch": -5}, ValueError, "batch must be at least 1, got -5"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_are_one_sentence_and_change_nothing(epoch, case):
    changes, error, words = WRONG[case]
    given = arguments(**changes)
    before = np.array(given["theta"])
    with pytest.raises(error, match=words) as caught:
        epoch(**given)
    assert "\n" not in str(caught.value)
    assert (np.array(given["theta"]) == before).all()


def test_a_huge_batch_and_no_examples_are_fine(epoch):
    one, all_rows = arguments(batch=2**62), arguments(batch=20)
    epoch(**one)
    epoch(**all_rows)
    assert (one["theta"] == all_rows["theta"]).all() and one["theta"].any()
    empty = arguments(X=GOOD.X[:0], y=GOOD.y[:0])
    epoch(**empty)
    assert not empty["theta"].any()


def test_views_of_examples_are_read_right(epoch):
    wide = np.random.RandomState(1).rand(6, 40).astype(np.float32)
    view, plain = arguments(X=wide.T[::2]), arguments(X=np.ascontiguousarray(wide.T[::2]))
    epoch(**view)
    epoch(**plain)
    assert (view["theta"] == plain["theta"]).all()


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


SEEDING = """
import numpy as np, pytest

@pytest.fixture
def seeded():
    np.random.seed(42)

class TestOfAClass:
    def setup_method(self):
        np.random.seed(42)

    def test_setup_method(self):
        assert np.random.rand() == np.random.RandomState(42).rand()

def test_fixture(seeded):
    assert np.random.rand() == np.random.RandomState(42).rand()

@pytest.mark.parametrize("time", range(2))
def test_nothing(time):
    assert np.random.rand() == np.random.RandomState(0).rand()
"""


def test_every_test_starts_from_one_seed_unless_its_file_seeds(hw0, tmp_path):
    suite = tmp_path / "tests"
    shutil.copytree(hw0 / "tests", suite, ignore=shutil.ignore_patterns("test_*", "__pycache__"))
    (suite / "test_seeding.py").write_text(SEEDING)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(suite)]
    status, output = run(command, hw0)
    assert status == 0 and "4 passed" in output, output


def test_missing_and_broken_data_are_one_sentence(hw0, tmp_path):
    program = (
        "import sys; sys.path.append('src'); import simple_ml\n"
        "try: simple_ml.parse_mnist(*sys.argv[1:])\n"
        "except (OSError, ValueError) as error: print(error)"
    )
    labels, images = (hw0 / "data" / f"train-{n}-ubyte.gz" for n in ("labels-idx1", "images-idx3"))
    cut, text = tmp_path / "cut.gz", tmp_path / "text.gz"
    cut.write_bytes(images.read_bytes()[:5000])
    text.write_text("no gzip file", encoding="utf-8")
    for image, words in (
        (tmp_path / "absent.gz", "there is no file"),
        (cut, "is broken"),
        (text, "is broken"),
        (labels, "magic number"),
        (hw0 / "data" / "t10k-images-idx3-ubyte.gz", "1000 images"),
    ):
        _, output = run([sys.executable, "-c", program, str(image), str(labels)], hw0)
        assert words in output and len(output.strip().splitlines()) == 1, output


def test_both_trainings_print_a_row_for_each_epoch_and_learn(hw0):
    program = (
        "import sys; sys.path.append('src'); import numpy as np; from simple_ml import *\n"
        "y = (np.arange(600) % 3).astype('uint8')\n"
        "X = (np.eye(3)[y] + np.random.RandomState(0).randn(600, 3) / 5).astype('float32')\n"
        "train_softmax(X, y, X, y, epochs=3); train_softmax(X, y, X, y, epochs=3, cpp=True)\n"
        "train_nn(X, y, X, y, hidden_dim=20, epochs=3)"
    )
    status, output = run([sys.executable, "-c", program], hw0)
    assert status == 0, output
    rows = [line.split("|")[1:-1] for line in output.splitlines() if line.startswith("|  ")]
    assert len(rows) == 9
    assert rows[:3] == rows[3:6], "C++ and NumPy learn the same"
    assert all(float(row[4]) < 0.05 for row in rows[2::3])


def test_an_unwritten_cpp_function_raises_not_implemented_in_python(tmp_path):
    from coursekit.core import build, syllabus
    from coursekit.staff import render

    course = syllabus.load()
    render.render_out(course, tmp_path, ["hw0"])
    build.build_tree(tmp_path / "hw0", course.homework("hw0"))
    _, output = run(
        [sys.executable, "-m", "pytest", "-q", "-k", "epoch_cpp_agrees"], tmp_path / "hw0"
    )
    assert "NotImplementedError: hw0/softmax_regression_epoch_cpp: " in output
    assert "is yours to write" in output


def test_the_demo_shows_every_homework_and_the_autograder():
    from coursekit.core import syllabus

    steps = [path.name for path in (Path(__file__).resolve().parents[1] / "demo").glob("hw*_*.py")]
    for homework in syllabus.load().homeworks:
        assert any(step.startswith(f"{homework.id}_") for step in steps), homework.id
    assert "hw0_grader.py" in steps
