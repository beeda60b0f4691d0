"""course.toml: what is read, and the sentence and line for each fault."""

from __future__ import annotations

import pytest
from conftest import COURSE
from coursekit import syllabus
from coursekit.errors import CourseError


def fault(world, text: str) -> str:
    world.write("course.toml", text)
    with pytest.raises(CourseError) as caught:
        world.course()
    return str(caught.value)


def line_of(text: str, part: str) -> int:
    return next(n for n, row in enumerate(text.splitlines(), 1) if part in row)


def test_reads_homeworks_and_problems_in_order(world):
    course = world.course()
    assert course.stages == ("hw0", "hw1")
    assert [p.id for p in course.problems] == ["hw0/add", "hw0/scale", "hw1/negate"]
    assert course.homework("hw0").points == 10
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
        ("points = 10", "points = 0", "points = 0", "expected above 0"),
        ("points = 10", 'points = "ten"', 'points = "ten"', "must be a whole number"),
        ("points = 10", "points = true", "points = true", "must be a whole number"),
        ('title = "Negating"', 'titel = "Negating"', "titel", "did you mean 'title'"),
        ('id = "scale"', 'id = "add"', 'title = "Scaling"', "stands twice"),
        ('id = "hw1"', 'id = "hw0"', 'title = "More numbers"', "stands twice"),
        (
            '"python/minilib/more.py"',
            '"python/minilib/box.py"',
            '["python/minilib/box.py"]',
            "already enters at hw0",
        ),
        ('"python/minilib/more.py"', '"../more.py"', "../more.py", "leaves the homework's folder"),
        (
            'select = "negate"',
            'select = "negate"\nreopens = ["hw0/subtract"]',
            "reopens",
            "reopens 'hw0/subtract', which is no problem",
        ),
        (
            'select = "negate"',
            'select = "negate"\nreopens = ["hw1/negate"]',
            "reopens",
            "no problem of an earlier homework",
        ),
        ('select = "negate"', "", 'title = "Negating"', "lacks 'select'"),
        ('select = "negate"', 'select = "negate"\nhook = "a b"', "hook", "no Python name"),
        (
            'select = "scale"',
            'select = "scale"\nhook = "add"',
            'title = "Scaling"',
            "belongs to another problem",
        ),
        ('title = "More numbers"', 'title = "More numbers"\nbuild = "ant"', '"ant"', "one of make"),
        ('id = "negate"', 'id = "Negate me"', "Negate me", "lower-case"),
        ("[course]", "[curse]", "[curse]", "did you mean 'course'"),
    ],
)
def test_a_fault_names_its_line(world, old, new, at, says):
    text = COURSE.replace(old, new)
    message = fault(world, text)
    assert says in message
    place, number = message.split(": ")[0].rsplit(":", 1)
    assert place == "course.toml"
    assert abs(int(number) - line_of(text, at)) <= 2, message


def test_broken_toml_names_its_line(world):
    assert fault(world, COURSE.replace('id = "hw1"', "id = hw1")).startswith("course.toml:")


def test_an_unknown_problem_suggests_the_nearest(world):
    with pytest.raises(CourseError, match="did you mean 'hw1/negate'"):
        world.course().problem("hw1/negat")


def test_missing_facts_are_named(world):
    assert syllabus.missing_facts(world.course()) == []
    (world.root / "shared/reference/python/minilib/more.py").unlink()
    world.edit("hw0/tests/test_numbers.py", "def submit_add", "def submitted_add")
    (world.root / "hw1/tests/test_more.py").unlink()
    text = "\n".join(str(fault) for fault in syllabus.missing_facts(world.course()))
    assert "file 'python/minilib/more.py' does not exist" in text
    assert "has no submission hook submit_add()" in text
    assert "hw1/tests/test_more.py does not exist" in text
    assert all(row.startswith("course.toml:") for row in text.splitlines())
