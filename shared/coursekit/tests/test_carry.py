"""Work moves from one homework to the next: nothing is lost, nothing is overwritten unsaved."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from coursekit.core.errors import CourseError
from coursekit.staff import render
from coursekit.student import carry, merge

BOX0, BOX1 = "hw0/python/minilib/box.py", "hw1/python/minilib/box.py"


def solved(world) -> None:
    """A student's hw0, done."""
    world.solve(BOX0, "hw0/add", "mine = self.value + other.value\nreturn Box(mine)")
    world.solve(BOX0, "hw0/scale", "return Box(self.value * factor)")


def own_negate(world) -> None:
    """The student writes, in hw0, the very method that hw1 hands out."""
    mine = "\n    def negate(self):\n        return 'mine'\n\n\ndef boxes(values):"
    world.edit(BOX0, "\n\ndef boxes(values):", mine)


def test_a_clean_merge_brings_solutions_and_keeps_the_new_stubs(world):
    solved(world)
    outcome = carry.start(world.course(), "hw1")
    text = world.read(BOX1)
    assert "mine = self.value + other.value" in text
    assert 'NotImplementedError("hw1/negate: Box.negate is yours to write")' in text
    assert "<<<<<<<" not in text
    assert outcome.conflicts == [] and outcome.unsolved == [] and outcome.changed == [BOX1]


def test_the_command_says_what_it_did_and_what_is_next(world):
    solved(world)
    done = world.hw("start", "hw0")
    assert done.returncode == 0, done.stderr
    done = world.hw("start", "hw1")
    assert done.returncode == 0, done.stderr
    assert f"changed {BOX1}" in done.stdout and ".hw/backups/" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("next: ")


def test_helpers_outside_regions_and_imports_come_along(world):
    solved(world)
    world.edit(BOX0, '"""Boxes of numbers."""\n', '"""Boxes of numbers."""\n\nimport math\n')
    world.edit(
        BOX0,
        "def boxes(values):",
        "def helper(x):\n    return math.floor(x)\n\n\ndef boxes(values):",
    )
    world.write("hw0/python/minilib/mine.py", "MINE = 1\n")
    carry.start(world.course(), "hw1")
    text = world.read(BOX1)
    assert "import math" in text and "def helper(x):" in text and "hw1/negate" in text
    assert world.read("hw1/python/minilib/mine.py") == "MINE = 1\n"


def test_a_real_conflict_keeps_both_sides_and_names_file_and_line(world):
    own_negate(world)
    done = world.hw("start", "hw1")
    assert done.returncode == 1
    rows = world.read(BOX1).splitlines()
    line = next(n for n, row in enumerate(rows, 1) if row.startswith("<<<<<<<"))
    assert f"CONFLICT {BOX1}:{line}:" in done.stdout
    text = world.read(BOX1)
    assert "return 'mine'" in text and "Box.negate is yours to write" in text
    assert "your hw0" in text and "hw1 handout" in text


def test_a_second_run_changes_nothing(world):
    solved(world)
    carry.start(world.course(), "hw1")
    world.solve(BOX1, "hw1/negate", "return Box(-self.value)")
    before = world.snapshot()
    outcome = carry.start(world.course(), "hw1")
    assert outcome.changed == [] and outcome.backup is None
    assert world.snapshot() == before


def test_a_second_run_with_an_open_conflict_changes_nothing_and_still_reports_it(world):
    own_negate(world)
    first = carry.start(world.course(), "hw1")
    before = world.snapshot()
    second = carry.start(world.course(), "hw1")
    assert world.snapshot() == before and second.conflicts == first.conflicts != []


def test_later_work_in_the_old_homework_comes_in_a_second_run(world):
    world.solve(BOX0, "hw0/add", "return Box(self.value + other.value)")
    carry.start(world.course(), "hw1")
    world.solve(BOX1, "hw1/negate", "return Box(-self.value)")
    world.solve(BOX0, "hw0/scale", "return Box(self.value * factor)")
    outcome = carry.start(world.course(), "hw1")
    text = world.read(BOX1)
    assert "self.value * factor" in text and "return Box(-self.value)" in text
    assert outcome.conflicts == []


def test_work_already_in_the_new_homework_is_backed_up_before_a_merge(world):
    world.solve(BOX1, "hw1/negate", "return Box(-self.value)")
    mine = world.read(BOX1)
    solved(world)
    outcome = carry.start(world.course(), "hw1")
    assert "return Box(-self.value)" in world.read(BOX1)
    assert world.read(f"{outcome.backup}/{BOX1}") == mine


def test_a_file_deleted_in_the_old_homework_comes_from_the_handout(world):
    (world.root / "hw0/python/minilib/given.py").unlink()
    (world.root / "hw1/python/minilib/given.py").unlink()
    outcome = carry.start(world.course(), "hw1")
    assert "GIVEN = 1" in world.read("hw1/python/minilib/given.py")
    assert "you deleted it" in outcome.notes[0]


def test_a_package_named_data_inside_the_library_is_carried(world):
    world.write("hw0/python/minilib/data/loader.py", "LOADER = 1\n")
    assert carry.start(world.course(), "hw1").changed == ["hw1/python/minilib/data/loader.py"]


def test_unsolved_problems_of_the_old_homework_are_named(world):
    world.solve(BOX0, "hw0/add", "return Box(self.value + other.value)")
    done = world.hw("start", "hw1")
    assert done.returncode == 0
    assert "hw0/scale is not written yet" in done.stdout
    assert "hw0/add is not" not in done.stdout


def test_a_homework_that_leans_on_nothing_before_it_says_nothing_of_it(world):
    assert "hw0/add, hw0/scale are not written yet" in world.hw("start", "hw1").stdout
    world.edit("course.toml", 'title = "More numbers"', 'title = "More numbers"\nneeds = []')
    assert "not written yet" not in world.hw("start", "hw1").stdout


def test_tests_texts_data_and_builds_are_not_carried(world):
    world.write("hw0/tests/mine.py", "")
    world.write("hw0/README.md", "my notes")
    world.write("hw0/data/big.bin", "")
    world.write("hw0/python/minilib/ext.so", "")
    assert carry.start(world.course(), "hw1").changed == []


@pytest.fixture
def three(world):
    """The same course with a third homework."""
    text = world.read("course.toml")
    block = text[text.rindex("[[homework]]\n") :]
    for old, new in (("hw1", "hw2"), ("more.py", "last.py")):
        block = block.replace(old, new)
    world.write("course.toml", text + "\n" + block)
    world.write("shared/problems/hw2/final.toml", world.read("shared/problems/hw1/negate.toml"))
    world.write(
        "shared/reference/python/minilib/last.py",
        "def final():\n    ### BEGIN SOLUTION hw2/final\n    return 1\n    ### END SOLUTION\n",
    )
    render.render_in_place(world.course(), world.course().stages)
    return world


def test_the_third_homework_takes_the_first_ones_work_from_the_second(three):
    solved(three)
    carry.start(three.course(), "hw1")
    three.solve(BOX1, "hw1/negate", "return Box(-self.value)")
    carry.start(three.course(), "hw2")
    text = three.read("hw2/python/minilib/box.py")
    assert "mine = self.value + other.value" in text and "return Box(-self.value)" in text


def test_skipping_a_homework_that_should_carry_work_is_refused(three):
    solved(three)
    before = three.snapshot()
    with pytest.raises(CourseError, match="run first: hw start hw1"):
        carry.start(three.course(), "hw2")
    assert three.snapshot() == before


# ------------------------------------------------------------------- a stub never replaces work


def carried_and_negated(world) -> str:
    """hw1 holds hw0's solutions and its own; returns its file."""
    solved(world)
    world.edit(BOX0, "def boxes(values):", "def helper(x):\n    return x\n\n\ndef boxes(values):")
    carry.start(world.course(), "hw1")
    world.solve(BOX1, "hw1/negate", "return Box(-self.value)")
    return world.read(BOX1)


def test_a_problem_that_was_reset_keeps_its_solution_in_the_next_homework(world):
    mine = carried_and_negated(world)
    assert world.hw("reset", "hw0/add").returncode == 0
    for _ in range(2):
        done = world.hw("start", "hw1")
        assert done.returncode == 0 and world.read(BOX1) == mine
        assert done.stdout.count("hw0/add is a stub again; hw1 keeps your solution") == 1
        assert "hw0/add is not written yet" not in done.stdout
    world.solve(BOX0, "hw0/add", "return Box(sum([self.value, other.value]))")
    outcome = carry.start(world.course(), "hw1")
    assert "sum([self.value" in world.read(BOX1) and "mine =" not in world.read(BOX1)
    assert outcome.conflicts == [] and outcome.notes == []


@pytest.mark.parametrize("put_back", [True, False])
def test_a_file_that_was_lost_takes_nothing_from_the_next_homework(world, put_back):
    world.hw("start", "hw0")
    mine = carried_and_negated(world)
    (world.root / BOX0).unlink()
    if put_back:
        assert world.hw("start", "hw0").returncode == 0
        assert "Box.add is yours to write" in world.read(BOX0)
    done = world.hw("start", "hw1")
    assert done.returncode == 0 and world.read(BOX1) == mine, "the helper outside regions too"
    assert "hw0/scale is a stub again; hw1 keeps your solution" in done.stdout


def test_what_is_written_in_the_new_homework_alone_is_kept_without_a_word(world):
    world.solve(BOX1, "hw0/add", "return Box(self.value + other.value)")
    mine = world.read(BOX1)
    outcome = carry.start(world.course(), "hw1")
    assert world.read(BOX1) == mine and outcome.notes == []
    assert outcome.unsolved == ["hw0/scale"]


def test_a_solution_comes_back_from_a_later_homework(world):
    carried_and_negated(world)
    world.edit(BOX1, "mine = self.value + other.value", "mine = sum([self.value, other.value])")
    world.hw("reset", "hw0/scale")
    before = world.read(BOX0)
    done = world.hw("start", "hw0", "--from", "hw1")
    assert done.returncode == 0, done.stderr
    text = world.read(BOX0)
    assert "mine = sum([self.value" in text and "self.value * factor" in text
    assert "negate" not in text and "<<<<<<<" not in text
    backup = next(row for row in done.stdout.splitlines() if ".hw/backups" in row).split()[-1]
    assert world.read(f"{backup}/{BOX0}") == before
    assert "nothing new" in world.hw("start", "hw0", "--from", "hw1").stdout
    assert carry.start(world.course(), "hw1").changed == []


def test_bringing_back_never_puts_a_stub_over_what_is_written(world):
    carried_and_negated(world)
    mine = world.read(BOX0)
    world.hw("reset", "hw1/negate")
    world.edit(BOX1, "mine = self.value + other.value\n        return Box(mine)", "pass")
    world.edit(BOX1, "pass", 'raise NotImplementedError("hw0/add: Box.add is yours to write")')
    assert world.hw("start", "hw0", "--from", "hw1").returncode == 0
    assert world.read(BOX0) == mine


@pytest.mark.parametrize("other", ["hw0", "hw7"])
def test_bringing_back_from_what_is_not_later_changes_nothing(world, other):
    before = world.snapshot()
    done = world.hw("start", "hw1", "--from", other)
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1
    assert world.snapshot() == before


def test_an_unknown_homework_is_one_sentence(world):
    before = world.snapshot()
    done = world.hw("start", "hw7")
    assert done.returncode == 2 and "there is no homework 'hw7'" in done.stderr
    assert world.snapshot() == before


def test_binary_files_that_both_changed_stay_the_students():
    assert merge.merge_file(b"\0a", b"\0b", b"\0c", ("a", "b")) == b"\0a"


# ---------------------------------------------------------------------------------------- update


@pytest.fixture
def released(world, tmp_path):
    """(staff's course, a student's tree released from it)."""
    world.write("CHANGELOG.md", "# Changes\n\n## 1\n\nFirst.\n")
    done = world.hw("release", str(tmp_path / "student"))
    assert done.returncode == 0, done.stdout + done.stderr
    return world, type(world)(tmp_path / "student")


def test_a_corrected_handout_comes_into_the_students_tree(released, tmp_path):
    staff, student = released
    solved(student)
    staff.edit(
        "shared/reference/python/minilib/box.py",
        "def boxes(values):",
        'def boxes(values):\n    """A box for each value."""',
    )
    staff.edit("hw0/tests/test_numbers.py", "value == 6", "value == 6.0")
    staff.write("CHANGELOG.md", "# Changes\n\n## 2\n\nA docstring.\n\n## 1\n\nFirst.\n")
    assert staff.hw("release", str(tmp_path / "new")).returncode == 0
    done = student.hw("update", str(tmp_path / "new"))
    assert done.returncode == 0, done.stderr
    assert "A docstring." in done.stdout and "First." not in done.stdout
    text = student.read(BOX0)
    assert "A box for each value." in text and "mine = self.value + other.value" in text
    assert "6.0" in student.read("hw0/tests/test_numbers.py")
    assert ".hw/backups/" in done.stdout
    again = student.hw("update", str(tmp_path / "new"))
    assert again.returncode == 0 and "nothing new" in again.stdout


def test_update_refuses_what_is_no_release(released, tmp_path):
    staff, student = released
    for target in (tmp_path / "nothing", tmp_path):
        before = student.snapshot()
        done = student.hw("update", str(target))
        assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1
        assert student.snapshot() == before
    assert "git pull" in staff.hw("update", str(student.root)).stderr


def test_start_works_in_a_released_tree(released):
    _, student = released
    solved(student)
    done = student.hw("start", "hw1")
    assert done.returncode == 0, done.stderr
    assert "mine = self.value + other.value" in student.read(BOX1)


@pytest.mark.parametrize("kind", ["gztar", "bztar", "xztar", "zip"])
def test_an_archive_that_was_cut_short_is_one_sentence(world, tmp_path, kind):
    made = Path(shutil.make_archive(str(tmp_path / "release"), kind, world.root))
    made.write_bytes(made.read_bytes()[:-200])
    world.hw("release", str(tmp_path / "out"))
    done = type(world)(tmp_path / "out").hw("update", str(made))
    assert done.returncode == 2 and f"{made} cannot be unpacked: " in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
