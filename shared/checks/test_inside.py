"""Each folder of checks inside a homework is a session that `course.py test` runs."""

import importlib.util
from pathlib import Path

import inside
import pytest

HERE = Path(__file__).parent
FOLDERS = sorted(folder.name for folder in HERE.glob("in_hw*"))


def test_course_py_runs_every_folder():
    spec = importlib.util.spec_from_file_location("course", inside.ROOT / "course.py")
    course = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(course)
    suites = {Path(name).name for name in course.SUITES}
    assert FOLDERS and set(FOLDERS) <= suites


def test_a_session_is_in_one_homework_only(monkeypatch):
    monkeypatch.setattr(inside, "entered", "hw2")
    with pytest.raises(pytest.exit.Exception, match="one session tests one homework"):
        inside.enter("hw4")


SAMPLE = HERE / "own_process_sample.py"


@pytest.mark.parametrize(
    "name, says",
    [
        ("test_passes_with_its_variable", None),
        ("test_fails", "assert 2 == 3"),
        ("test_skips", "1 skipped"),
    ],
)
def test_a_test_in_its_own_process_ends_as_it_ended_there(name, says):
    class Item:
        path = SAMPLE

    Item.name = name
    if says is None:
        inside.run_in_own_process(Item, {"NEEDLE_SAMPLE": "here"})
        return
    with pytest.raises(pytest.fail.Exception, match=says):
        inside.run_in_own_process(Item, {})
