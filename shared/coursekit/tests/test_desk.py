"""What stands beside the editor: differences between homeworks, and what they leave alone."""

from __future__ import annotations

import pytest
from coursekit.student import differences, progress, work

BOX0, BOX1 = "hw0/python/minilib/box.py", "hw1/python/minilib/box.py"
ADD, SCALE = "return Box(self.value + other.value)", "return Box(self.value * factor)"


@pytest.fixture
def carried(world):
    """Both problems of hw0 written, and carried into hw1."""
    world.solve(BOX0, "hw0/add", ADD)
    world.solve(BOX0, "hw0/scale", SCALE)
    world.hw("start", "hw0")
    world.hw("start", "hw1")
    return world


# ---------------------------------------------------------------------------------------- hw diff


def test_a_function_mended_in_a_later_homework_is_shown_with_the_way_back(carried):
    carried.edit(BOX1, SCALE, SCALE + " + 0")
    done = carried.hw("diff", "hw0", "hw1")
    rows = done.stdout.splitlines()
    assert done.returncode == 0 and rows[0] == "hw0/scale: differs in Box.scale"
    line = carried.read(BOX0).splitlines().index("        ### BEGIN YOUR SOLUTION hw0/scale") + 1
    assert f"hw0/scale Box.scale in {BOX0}:{line}" in rows
    assert f"-        {SCALE} + 0" in rows and f"+        {SCALE}" in rows
    assert rows[-1] == "to bring hw1's version here: hw start hw0 --from hw1"
    assert carried.hw(*rows[-1].split(": hw ")[1].split()).returncode == 0
    assert "no difference between your hw0 and hw1" in carried.hw("diff", "hw0", "hw1").stdout


def test_the_later_homework_is_compared_with_the_earlier_one_too(carried):
    carried.edit(BOX0, ADD, ADD + " + 0")
    rows = carried.hw("diff", "hw1", "hw0").stdout.splitlines()
    assert rows[0] == "hw0/add: differs in Box.add" and rows[-1].endswith(": hw start hw1")
    assert f"+        {ADD}" in rows and f"-        {ADD} + 0" in rows


def test_a_stub_is_told_as_one_and_never_offered(carried):
    carried.hw("reset", "hw0/scale")
    there = carried.hw("diff", "hw1", "hw0").stdout.splitlines()
    assert there[0] == "hw0/scale: 1 not written in hw0" and "to bring" not in there[-1]
    here = carried.hw("diff", "hw0", "hw1").stdout.splitlines()
    assert here[0] == "hw0/scale: 1 still to write in hw0"
    assert here[-1].endswith("hw start hw0 --from hw1")


def test_a_helper_outside_of_the_marks_is_a_place_of_its_own(carried):
    carried.edit(BOX1, "class Box:", "def helper():\n    return 2\n\n\nclass Box:")
    rows = carried.hw("diff", "hw0", "hw1").stdout.splitlines()
    assert rows[0] == f"{differences.OUTSIDE}: differs in python/minilib/box.py"
    assert "-def helper():" in rows


def test_alone_it_shows_what_was_written_since_the_start(carried):
    assert "no difference" in carried.hw("diff", "hw1").stdout
    carried.solve(BOX1, "hw1/negate", "return self.scale(-1)")
    rows = carried.hw("diff", "hw1/negate").stdout.splitlines()
    assert rows[0].startswith("hw1/negate: 1 not written in what hw start brought into hw1")
    assert "+        return self.scale(-1)" in rows


@pytest.mark.parametrize(
    "words", [("hw0", "hw0"), ("hw0", "hw7"), ("hw0/ad",), ("hw1/negate", "hw0")]
)
def test_what_cannot_be_compared_is_one_sentence(carried, words):
    done = carried.hw("diff", *words)
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1


def test_marks_that_are_gone_are_told_of_the_right_side(carried):
    carried.edit(BOX1, "### BEGIN YOUR SOLUTION hw1/negate", "# mine")
    done = carried.hw("diff", "hw1/negate")
    assert done.returncode == 2 and "the marks of hw1/negate are gone" in done.stderr


# --------------------------------------------------------------------------- what a verdict covers


def test_editing_one_function_leaves_the_verdict_on_the_others(carried):
    course = carried.course()
    work.run_tests(course, list(course.homework("hw0").problems), ["-q"])
    carried.edit(BOX0, SCALE, SCALE + " + 0")
    assert [row.tests for row in progress.standings(course, "hw0")] == ["passed", "changed since"]
    carried.edit(BOX0, '"""Boxes of numbers."""', '"""Boxes."""')
    assert {row.tests for row in progress.standings(course, "hw0")} == {"changed since"}


def test_a_failure_is_to_be_tested_again_once_the_code_has_changed(carried):
    carried.edit(BOX0, SCALE, "return Box(7)")
    carried.process("test", "hw0/scale")
    following = lambda: carried.hw().stdout.strip().splitlines()[-1]
    assert following() == "next: mend hw0/scale (0 of 1 tests pass): hw test hw0/scale"
    carried.edit(BOX0, "return Box(7)", SCALE)
    carried.process("test", "hw0/add")
    assert following() == "next: test hw0/scale: hw test hw0/scale"


def test_some_of_the_tests_are_no_verdict_on_the_problem(carried):
    more = "def test_add_again():\n    assert Box(1).add(Box(1)).value == 2\n\n\ndef submit_add"
    carried.edit("hw0/tests/test_numbers.py", "def submit_add", more)
    course = carried.course()
    add = [course.problem("hw0/add")]
    assert work.run_tests(course, add, ["-q", "-k", "again"])[0] == 0
    assert progress.standings(course, "hw0")[0].tests == "not run"
    carried.edit(BOX0, ADD, "return Box(3)")
    work.run_tests(course, add, ["-q", "-k", "again"])
    row = progress.standings(course, "hw0")[0]
    assert (row.tests, row.detail) == ("failed", "0 of 1")


def test_tests_that_stop_at_another_problems_stub_say_which(world):
    world.hw("start", "hw0")
    world.solve(BOX0, "hw0/scale", "return self.add(Box(0))")
    done = world.process("test", "hw0/scale")
    assert "| needs hw0/add |" in done.stdout and "FAIL" not in done.stdout.split("| problem")[1]
    assert "next: write hw0/add in hw0/python/minilib/box.py:" in done.stdout
    assert done.stdout.rstrip().endswith(", which hw0/scale needs, then: hw test hw0/scale")
    world.solve(BOX0, "hw0/add", ADD)
    assert world.hw().stdout.rstrip().endswith("next: test hw0/scale: hw test hw0/scale")
