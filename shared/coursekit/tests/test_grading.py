"""What staff prepare for the autograder: the course file, checked answers, sealed answers."""

from __future__ import annotations

import gzip
import json
import sys

import pytest
from conftest import ADD
from coursekit.core import syllabus, terminal
from coursekit.staff import grading, mutants

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HOOKS = """

def submit_add():
    import mugrade

    for _ in range(2):
        a, b = mugrade.rng().randn(2)
        mugrade.submit(Box(a).add(Box(b)).value)


def submit_scale():
    import mugrade

    a = mugrade.rng().randn()
    mugrade.submit(Box(a).scale(3.0).value)
"""


def test_the_course_file_holds_what_course_toml_says():
    course = syllabus.load()
    made = tomllib.loads(grading.course_file(course))
    assert made["course"] == {"id": course.id, "title": course.title}
    assert (made["certificate"], made["late"]) == (course.certificate, course.late)
    points = {(a["id"], p["id"]): p["points"] for a in made["assignment"] for p in a["problem"]}
    assert points == {(p.homework, p.hook): p.points for p in course.problems}


def test_the_released_answers_are_of_this_course():
    """Every problem of the course has sealed answers; `hw answers` makes them anew."""
    course = syllabus.load()
    text = gzip.decompress((course.root / grading.ANSWERS).read_bytes())
    sealed = {(p["assignment"], p["problem"]) for p in json.loads(text)["problems"]}
    assert sealed == {(p.homework, p.hook) for p in course.problems}


@pytest.fixture
def graded(world, tmp_path):
    """The small course with real hooks, and a grader of its own that knows it."""
    tests = world.read("hw0/tests/test_numbers.py")
    world.write("hw0/tests/test_numbers.py", tests.split("\n\ndef submit_add")[0] + HOOKS)
    course = grading.course_file(world.course()) + grading._PERSON
    (tmp_path / "grader").mkdir()
    (tmp_path / "grader" / "course.toml").write_text(course, encoding="utf-8")
    with grading._grader(tmp_path / "grader"):
        yield world


def test_publishing_asks_whether_stubs_and_mutants_fail(graded):
    """Two mutants: one gives other values, one the same; the second is refused until it is marked."""
    done = graded.process("publish", "hw0", "--", "--variants", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("revision 1") == 2

    mutant = (
        '\n[[mutant]]\nname = "turned"\nfile = "python/minilib/box.py"\n'
        'find = "self.value + other.value"\nreplace = "other.value + self.value"\nwhy = "no fault"\n'
    )
    graded.write("shared/problems/hw0/add.toml", ADD + mutant)
    refused = graded.process("publish", "hw0/add", "--", "--variants", "2")
    assert refused.returncode == 1
    assert "matches in every case" in " ".join(refused.stdout.split())
    graded.edit("shared/problems/hw0/add.toml", 'why = "no', 'unseen = "-"\nwhy = "no')
    done = graded.process("publish", "hw0/add", "--", "--variants", "2")
    assert done.returncode == 0 and "unchanged" in done.stdout, done.stdout + done.stderr


def test_a_hook_that_gives_points_for_a_stub_is_refused(graded):
    graded.edit(
        "hw0/tests/test_numbers.py",
        "    for _ in range(2):\n",
        "    mugrade.submit(mugrade.rng().rand())\n    for _ in range(2):\n",
    )
    done = graded.process("publish", "hw0/add", "--", "--variants", "1")
    assert done.returncode == 1 and "points for nothing" in " ".join(done.stdout.split())


def test_wrong_trees_are_built_as_the_proof_builds_them(tmp_path, monkeypatch):
    """So that what a proof has compiled is not compiled again, and hw0's C++ without optimization."""
    course, settings = syllabus.load(), []
    homework = course.homework("hw0")
    monkeypatch.setattr(
        grading.kept_builds, "build_tree", lambda place, homework: settings.append(homework.env)
    )
    (problem,) = (p for p in homework.problems if p.id.endswith("_cpp"))
    options = grading.wrong_trees(course, homework, [problem], tmp_path, lambda sentence: None)
    assert len(settings) == 1 + options.count("--must-differ") > 10
    assert all(env == mutants.unoptimized(course, homework).env for env in settings)
    assert "-O0" in settings[0]["CXXFLAGS"]


def test_a_key_that_may_not_publish_is_told_before_the_work(graded, tmp_path, monkeypatch):
    words = ("token", grading._STAFF, "--scope", "read", "--data", str(tmp_path / "grader/data"))
    monkeypatch.setenv("MUGRADE_KEY", grading._mugrade(*words).strip())
    refused = graded.process("publish", "hw0", "--", "--variants", "2")
    told = " ".join(refused.stderr.split())
    assert refused.returncode == 3 and "needs the scope 'publish'" in told
    assert "preparing" not in told and "Running" not in told


def test_the_pace_knows_that_some_parts_take_longer(monkeypatch):
    clock = iter([0.0, 20.0, 40.0, 42.0, 60.0])
    monkeypatch.setattr("coursekit.core.terminal.time.monotonic", lambda: next(clock))
    pace = terminal.Pace([20, 20, 1, 1, 1])
    told = [pace(done) for done in (1, 2, 3, 5)]
    assert told == [
        "1 of 5, about 23 s left",
        "2 of 5, about 3 s left",
        "3 of 5, about 2 s left",
        "5 of 5",
    ]
