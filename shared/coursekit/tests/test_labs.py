"""Labs: optional, in project/labs, on the library of a homework that lies beside; by the same verbs."""

from __future__ import annotations

import sys

import pytest
from coursekit.core.errors import CourseError
from coursekit.staff import grading
from coursekit.student import progress

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LAB = """
[[lab]]
id = "lab-one"
title = "Boxes in use"
on = "hw1"
path = ["./python"]
program = "apps/show.py"
needs = ["hw0"]
files = ["python/inuse.py", "apps/show.py"]
"""

DOUBLE = """\
title = "Doubling"
points = 100
tests = "tests/test_inuse.py"
select = "double"
mutants = 1
hints = ["think", "use scale", "scale by 2"]

[[mutant]]
name = "thrice"
file = "python/inuse.py"
find = "scale(2)"
replace = "scale(3)"
why = "double"
"""

INUSE = '''\
"""Boxes in use."""


def double(box):
    ### BEGIN SOLUTION lab-one/double
    twice_its_value = box.scale(2)
    return twice_its_value
    ### END SOLUTION
'''

SHOW = """\
import os
import sys

import inuse
from minilib.box import Box

print(sys.argv[1:], os.environ["CLUSTER_TRANSPORT"], inuse.double(Box(21)).value)
"""

TEST_INUSE = """\
import os
import sys
sys.path.append("./python")
sys.path.append(os.path.join(os.environ.get("NEEDLE_HOME", "../../../hw1"), "python"))
from inuse import double
from minilib.box import Box


def test_double():
    assert double(Box(2)).value == 4


def submit_double():
    import mugrade

    mugrade.submit(double(Box(2)).value)
"""

FOLDER = "project/labs/lab_one"
FILES = {
    "shared/problems/lab-one/double.toml": DOUBLE,
    "shared/reference/labs/lab_one/python/inuse.py": INUSE,
    "shared/reference/labs/lab_one/apps/show.py": SHOW,
    "shared/reference/labs/lab_one/tests/lab_support.py": '"""Support of the lab."""\n',
    "shared/reference/texts/lab-one.md": "# Boxes in use\n\n<!-- problems -->\n",
    f"{FOLDER}/tests/test_inuse.py": TEST_INUSE,
}


@pytest.fixture
def lab(world):
    """The small course with a lab on its second homework, as `hw render` leaves it."""
    world.write("course.toml", world.read("course.toml") + LAB)
    for name, text in FILES.items():
        world.write(name, text)
    assert world.hw("render").returncode == 0
    return world


def scale_is_done(lab):
    for stage in ("hw0", "hw1"):
        lab.hw("start", stage)
        box = f"{stage}/python/minilib/box.py"
        lab.solve(box, "hw0/add", "return Box(self.value + other.value)")
        lab.solve(box, "hw0/scale", "return Box(self.value * factor)")


def test_a_lab_stands_in_project_and_holds_its_own_files_only(lab):
    course = lab.course()
    assert course.stages == ("hw0", "hw1", "lab-one")
    assert [homework.id for homework in course.counted] == ["hw0", "hw1"]
    assert course.files("lab-one") == ["python/inuse.py", "apps/show.py"]
    assert course.previous("lab-one") is None and course.following("hw1") is None
    here = {name for name in lab.snapshot() if name.startswith(FOLDER)}
    assert here == {
        f"{FOLDER}/{name}"
        for name in (
            "README.md",
            "lab-one.ipynb",
            "apps/show.py",
            "python/inuse.py",
            "tests/lab_support.py",
            "tests/test_inuse.py",
        )
    }
    assert "is yours to write" in lab.read(f"{FOLDER}/python/inuse.py")
    assert "`hw test lab-one/double`" in lab.read(f"{FOLDER}/README.md")
    assert lab.hw("check").returncode == 0


def test_a_changed_file_of_a_lab_is_a_fault(lab):
    lab.edit(f"{FOLDER}/python/inuse.py", "Boxes", "Cases")
    done = lab.hw("check", "lab-one")
    assert done.returncode == 1 and f"{FOLDER}/python/inuse.py (committed)" in done.stdout


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('on = "hw1"', 'on = "hw7"', "on = 'hw7', which is no homework"),
        ('on = "hw1"\n', "", "lab 'lab-one' lacks 'on'"),
        ('id = "lab-one"', 'id = "hw0"', "lab 'hw0' stands twice"),
    ],
)
def test_a_fault_of_a_lab_is_told(lab, old, new, says):
    lab.edit("course.toml", old, new)
    with pytest.raises(CourseError, match=says):
        lab.course()


def test_a_lab_is_proved_on_the_solved_library(lab):
    done = lab.process("prove", "lab-one")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 killed by tests, 1 by submitted values" in done.stdout


def test_a_student_starts_tests_and_resets_a_lab(lab):
    done = lab.hw("start", "lab-one")
    assert "note: hw0/add, hw0/scale are not written yet" in done.stdout
    assert f"the text is {FOLDER}/README.md" in done.stdout
    step = "write lab-one/double in project/labs/lab_one/python/inuse.py:6"
    assert step in progress.next_step(lab.course())
    scale_is_done(lab)
    lab.hw("start", "lab-one")
    lab.solve(f"{FOLDER}/python/inuse.py", "lab-one/double", "return box.scale(2)")
    done = lab.process("test", "lab-one/double")
    assert done.returncode == 0, done.stdout + done.stderr
    done = lab.hw("reset", "lab-one/double")
    assert f"{FOLDER}/python/inuse.py: stub of lab-one/double put back" in done.stdout


def test_a_stub_of_the_library_is_told_as_what_the_lab_needs(lab):
    lab.hw("start", "lab-one")
    lab.solve(f"{FOLDER}/python/inuse.py", "lab-one/double", "return box.scale(2)")
    done = lab.process("test", "lab-one")
    assert done.returncode == 1 and "needs hw0/scale" in done.stdout
    box = "hw1/python/minilib/box.py"
    rows = lab.read(box).splitlines()
    place = next(n for n, row in enumerate(rows, 1) if "hw0/scale: Box.scale is yours" in row)
    step = f"write hw0/scale in {box}:{place}, which lab-one/double needs, then: hw test lab-one/double"
    assert done.stdout.rstrip().endswith(f"next: {step}")


def test_a_lab_is_no_next_step_before_it_is_begun_and_counts_for_nothing(lab):
    scale_is_done(lab)
    lab.solve("hw1/python/minilib/box.py", "hw1/negate", "return Box(-self.value)")
    for stage in ("hw0", "hw1"):
        assert lab.process("test", stage).returncode == 0
    course = lab.course()
    for stage in ("hw0", "hw1"):
        homework = course.homework(stage)
        rows = [
            {
                "problem": p.hook,
                "word": "ok",
                "score": p.points,
                "best": p.points,
                "points": p.points,
            }
            for p in homework.problems
        ]
        progress.record_submission(course, homework, rows)
    assert "a lab on the way there: hw start lab-one" in progress.next_step(course)
    assert "lab-one" not in lab.hw().stdout.split("next: ")[0]
    assert "lab-one  Boxes in use" in lab.hw("--all").stdout
    made = tomllib.loads(grading.course_file(course))
    weights = {a["id"]: a.get("weight", 1) for a in made["assignment"]}
    assert weights == {"hw0": 1, "hw1": 1, "lab-one": 0}


def test_a_release_holds_a_lab_without_its_solutions(lab, tmp_path):
    out = tmp_path / "release"
    done = lab.hw("release", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    assert (out / FOLDER / "tests" / "test_inuse.py").is_file()
    assert (out / "shared/handouts/lab-one/python/inuse.py").is_file()
    assert "[[mutant" not in (out / "shared/problems/lab-one/double.toml").read_text("utf-8")
    lab.write("shared/notes/leak.md", "    twice_its_value = box.scale(2)\n")
    done = lab.hw("release", str(tmp_path / "leaking"))
    assert done.returncode == 1 and "a line of lab-one/double's solution" in done.stdout


def test_a_lab_shares_no_code_with_homeworks(lab):
    lab.hw("start", "lab-one")
    done = lab.hw("diff", "lab-one", "hw1")
    assert done.returncode == 2 and "lab-one is a lab and shares no code" in done.stderr
    done = lab.hw("start", "hw0", "--from", "lab-one")
    assert done.returncode == 2 and "and lab-one is none" in done.stderr


def test_a_labs_program_runs_on_ranks_with_the_library(lab, capfd):
    assert lab.hw("lab", "lab-one", "--ranks", "3", "apps/show.py", "--", "word").returncode == 0
    assert capfd.readouterr().out.splitlines() == ["['3', 'word'] virtual 42"]
    done = lab.hw("lab", "lab-one", "apps/nothing.py")
    assert done.returncode == 2 and "there are: apps/show.py" in done.stderr
    done = lab.hw("lab", "hw1")
    assert (
        done.returncode == 2 and "no lab with programs for ranks; there are: lab-one" in done.stderr
    )
