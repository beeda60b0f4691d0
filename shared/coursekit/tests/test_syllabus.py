"""The syllabus: what is read, and the sentence, file and line for each fault."""

from __future__ import annotations

import pytest
from coursekit.core import syllabus
from coursekit.core.errors import CourseError


def fault(world, name: str, text: str) -> str:
    world.write(name, text)
    with pytest.raises(CourseError) as caught:
        world.course()
    return str(caught.value)


def check(world, name, old, new, at, says):
    """Replace `old` in the file: the error says so, at the line that now holds `at`."""
    assert old in world.read(name)
    text = world.read(name).replace(old, new)
    message = fault(world, name, text)
    assert says in message
    place, number = message.split(": ")[0].rsplit(":", 1)
    assert place == name
    assert text.splitlines()[int(number) - 1].count(at), message


def test_reads_homeworks_and_problems_in_order(world):
    course = world.course()
    assert course.stages == ("hw0", "hw1")
    assert [p.id for p in course.problems] == ["hw0/add", "hw0/scale", "hw1/negate"]
    assert course.homework("hw0").points == 100
    assert course.problem("hw0/add").hook == "add"


def test_files_of_a_stage_are_all_that_entered_so_far(world):
    assert world.course().files("hw1") == [
        "python/minilib/box.py",
        "python/minilib/given.py",
        "python/minilib/more.py",
    ]


@pytest.mark.parametrize(
    ("old", "new", "at", "says"),
    [
        ('id = "hw1"', 'id = "hw0"', 'id = "hw0"', "stands twice"),
        ('id = "hw1"', 'id = "HW 1"', 'id = "HW 1"', "lower-case"),
        ('id = "hw1"', "id = 1", "id = 1", "must be a string"),
        (
            '"python/minilib/more.py"',
            '"python/minilib/box.py"',
            'files = ["python/minilib/box.py"',
            "already enters at hw0",
        ),
        (
            '"python/minilib/given.py"',
            '"python/minilib/box.py"',
            "python/minilib/box.py",
            "'python/minilib/box.py' stands twice",
        ),
        ('"python/minilib/more.py"', '"../more.py"', "../more.py", "leaves the homework's folder"),
        ('"python/minilib/more.py"', "1", "files = [1]", "holds 1, expected strings"),
        ('title = "More numbers"', 'title = "More"\nbuild = "ant"', '"ant"', "one of make"),
        ('title = "More numbers"', 'title = "More"\nneeds = ["hw1"]', "needs", "no earlier"),
        ('title = "More numbers"', 'title = "More"\nenv = {A = 1}', "env", "must be a string"),
        ("[course]", "[curse]", "[curse]", "did you mean 'course'"),
        ("[course]", "[course]\nzzz = 1", "zzz", "known are id, title"),
        ("[course]", "[certificate]\nmin_grade = 101\n[course]", "min_grade", "per cent, 0 to 100"),
        ("[course]", "[certificate]\naverage = -1\n[course]", "average", "per cent, 0 to 100"),
        ("[course]", "[certificate]\nmin_grade = '5'\n[course]", "min_grade", "whole number"),
        (
            'title = "More numbers"',
            'title = "More"\n[[homework.problem]]\nid = "negate"',
            "",
            "unknown key 'problem' in homework 'hw1'",
        ),
    ],
)
def test_a_fault_of_the_course_names_its_line(world, old, new, at, says):
    check(world, "course.toml", old, new, at, says)


@pytest.mark.parametrize(
    ("name", "old", "new", "at", "says"),
    [
        ("negate", "points = 100", "points = -1", "points = -1", "expected above 0, or 0"),
        ("negate", "points = 100", 'points = "ten"', "ten", "must be a whole number"),
        ("negate", "points = 100", "points = true", "true", "must be a whole number"),
        ("negate", 'title = "Negating"', 'titel = "N"', "titel", "did you mean 'title'"),
        ("negate", 'select = "negate"', "", "title", "problem hw1/negate lacks 'select'"),
        ("negate", "mutants = 1", 'reopens = ["hw0/no"]', "hw0/no", "reopens 'hw0/no', which is"),
        (
            "negate",
            "mutants = 1",
            'reopens = ["hw1/negate"]',
            "reopens",
            "no problem of an earlier homework",
        ),
        ("negate", "mutants = 1", "reopens = [1]", "reopens", "holds 1, expected strings"),
        ("negate", "mutants = 1", 'hints = ["a", "b"]', "hints", "2 hints, expected 3"),
        ("negate", "mutants = 1", 'hook = "a b"', "a b", "no Python name"),
        ("scale", "mutants = 1", 'hook = "add"', "hook", "'add' belongs to hw0/add"),
        ("scale", 'after = "add"', 'after = "ad"', "after", "did you mean 'add'?"),
        ("scale", 'after = "add"', 'after = "zz"', "after", "there are add, scale"),
        ("scale", 'after = "add"', "", "", "first, without `after`, and so does add"),
        ("scale", 'after = "add"', 'after = "scale"', "after", "in a circle: scale, scale"),
        ("add", "points = 40", 'after = "scale"\npoints = 40', "after", "circle: add, scale, add"),
    ],
)
def test_a_fault_of_a_problem_names_its_file_and_line(world, name, old, new, at, says):
    stage = "hw1" if name == "negate" else "hw0"
    check(world, f"shared/problems/{stage}/{name}.toml", old, new, at, says)


def test_two_problems_after_the_same_are_refused(world):
    third = world.read("shared/problems/hw0/scale.toml")
    message = fault(world, "shared/problems/hw0/third.toml", third)
    assert message.startswith("shared/problems/hw0/third.toml:3: third stands after 'add', and so")


def test_the_order_is_what_after_says_and_not_the_alphabet(world):
    world.edit("shared/problems/hw0/scale.toml", 'after = "add"\n', "")
    world.edit("shared/problems/hw0/add.toml", "points = 40", 'points = 40\nafter = "scale"')
    assert [p.name for p in world.course().homework("hw0").problems] == ["scale", "add"]


def test_a_problem_with_a_bad_name_is_refused(world):
    message = fault(world, "shared/problems/hw1/Not-a-name.toml", "")
    assert message.startswith("shared/problems/hw1/Not-a-name.toml: a problem's id is lower-case")


def test_broken_toml_names_its_line(world):
    text = world.read("course.toml").replace('id = "hw1"', "id = hw1")
    assert fault(world, "course.toml", text).startswith("course.toml:12: not valid TOML")


def test_an_unknown_problem_suggests_the_nearest(world):
    with pytest.raises(CourseError, match="did you mean 'hw1/negate'"):
        world.course().problem("hw1/negat")


def test_a_folder_without_a_course_is_told(tmp_path):
    with pytest.raises(CourseError, match=r"^course.toml: cannot be read: No such file"):
        syllabus.load(tmp_path)


def test_targets_are_all_a_homework_or_a_problem(world):
    course = world.course()
    assert [p.id for p in course.select(None)] == ["hw0/add", "hw0/scale", "hw1/negate"]
    assert [p.id for p in course.select("hw0/")] == ["hw0/add", "hw0/scale"]
    assert [p.id for p in course.select("hw1/negate")] == ["hw1/negate"]
    assert course.previous("hw0") is None and course.previous("hw1").id == "hw0"
