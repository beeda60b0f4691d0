"""The students' tree holds what they need and no line of a solution."""

from __future__ import annotations

import json
from pathlib import Path

import coursekit
import pytest
import typer
from conftest import ADD
from coursekit.staff import release as releasing
from coursekit.staff import verbs

LEAK = "        total_of_both = self.value + other.value\n"


def release(world, tmp_path):
    return world.hw("release", str(tmp_path / "out"))


def test_the_tree_has_handouts_and_student_verbs_only(world, tmp_path):
    world.write("project/README.md", "# Project\n")
    done = release(world, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    out = tmp_path / "out"
    names = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}
    assert {
        "course.toml",
        "hw0/README.md",
        "hw1/tests/test_more.py",
        "project/README.md",
        "shared/handouts/hw1/python/minilib/box.py",
        "shared/problems/hw0/add.toml",
    } <= names
    assert not any("reference" in name for name in names)
    assert (out / "shared/problems/hw0/add.toml").read_text() == ADD.split("\n[[mutant]]")[0]
    for name in names:
        assert b"total_of_both" not in (out / name).read_bytes(), name


def test_a_release_for_a_class_leaves_the_sealed_answers_out(world, tmp_path):
    world.write("answers.json.gz", "sealed")
    for words, there in (((), True), (("--class",), False)):
        out = tmp_path / f"out{there}"
        done = world.hw("release", str(out), *words)
        assert done.returncode == 0, done.stdout + done.stderr
        assert (out / "answers.json.gz").exists() == there
        assert ("with no answers" in done.stdout) != there


FRONT = """\
# The course

<!-- BEGIN STAFF -->
For staff: `make test`, `hw prove`, [how](CONTRIBUTING.md).

<!-- END STAFF -->
Begin with [hw0](hw0/README.md): `make setup`.
"""
RULES = """\
# BEGIN STAFF
# Everything: make test
# END STAFF
help:
\t@echo "make setup"
# BEGIN STAFF
\t@echo "make test"
# END STAFF

setup:
\ttrue
# BEGIN STAFF

test:
\tfalse
# END STAFF
"""


def test_staffs_verbs_are_those_that_the_staffs_room_adds():
    app = typer.Typer()
    verbs.add_to(app)
    names = [c.name or getattr(c.callback, "__name__", "") for c in app.registered_commands]
    names = [name.replace("_", "-") for name in names]
    assert sorted(names) == sorted(releasing.STAFFS_VERBS)


def test_the_front_pages_are_the_students_own(world, tmp_path):
    world.write("README.md", FRONT)
    world.write("Makefile", RULES)
    world.write("shared/release/AGENTS.md", "Be a tutor.\n")
    done = release(world, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    student = type(world)(tmp_path / "out")
    assert (
        student.read("README.md")
        == "# The course\n\nBegin with [hw0](hw0/README.md): `make setup`.\n"
    )
    assert student.read("Makefile") == 'help:\n\t@echo "make setup"\n\nsetup:\n\ttrue\n'
    assert student.read("AGENTS.md") == student.read("CLAUDE.md") == "Be a tutor.\n"
    assert not (tmp_path / "out/shared/release").exists()


@pytest.mark.parametrize(
    ("name", "line", "fault"),
    [
        ("README.md", "Then `hw prove hw0`.", "README.md:4: for the staff only: hw prove"),
        ("README.md", "Then `make test`.", "README.md:4: for the staff only: make test"),
        ("README.md", "The staff know.", "README.md:4: for the staff only: the staff"),
        (
            "README.md",
            "See [there](CONTRIBUTING.md#how).",
            "README.md:4: a link to CONTRIBUTING.md",
        ),
        ("shared/notes/a.md", "[b](b.md) [a](a.md)", "shared/notes/a.md:1: a link to b.md"),
        ("project/a.md", "`a[i](j)` [us](https://example.org)", ""),
        ("project/a.md", "```python\nf[i](j)\n```", ""),
    ],
)
def test_what_leads_nowhere_turns_the_release_red(world, tmp_path, name, line, fault):
    world.write("Makefile", RULES)
    world.write("README.md", FRONT)
    old = world.read(name) if (world.root / name).is_file() else ""
    world.write(name, old + line + "\n")
    done = release(world, tmp_path)
    assert done.returncode == bool(fault) and fault in done.stdout, done.stdout
    assert (tmp_path / "out").exists() == (not fault)


def test_the_tool_without_its_staff_room_still_runs(world, tmp_path):
    """coursekit as a release carries it: student verbs there, staff verbs gone."""
    here = Path(coursekit.__file__).parent
    for path in here.rglob("*.py"):
        name = path.relative_to(here).as_posix()
        world.write(f"shared/coursekit/{name}", path.read_text(encoding="utf-8"))
    assert release(world, tmp_path).returncode == 0
    shipped = tmp_path / "out" / "shared"
    rooms = {path.name for path in (shipped / "coursekit").iterdir() if path.is_dir()}
    assert rooms == {"cli", "core", "datasets", "student", "viz"}
    student = type(world)(tmp_path / "out")
    done = student.process("--help", PYTHONPATH=str(shipped))
    assert "prove" not in done.stdout and "start" in done.stdout, done.stderr
    done = student.process("test", "hw0", PYTHONPATH=str(shipped))
    assert done.returncode == 1 and "to write" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("shared/reference/texts/hw0.md", 9),
        ("shared/notes/boxes.md", 9),
        ("project/topics.md", 9),
        ("hw1/tests/test_more.py", None),
        ("shared/problems/hw1/negate.toml", None),
        ("shared/reference/python/minilib/given.py", None),
    ],
)
def test_a_planted_solution_line_turns_the_release_red(world, tmp_path, name, line):
    text = world.read(name) if (world.root / name).is_file() else "\n" * 8
    if line:
        rows = text.split("\n")
        text = "\n".join([*rows[: line - 1], f"> the trick: `{LEAK.strip()}`", *rows[line - 1 :]])
    elif name.endswith(".py"):
        text += f'\n"""\n{LEAK}"""\n'
    else:
        text = text.replace("[[mutant]]", f'hints = ["a", "b", "{LEAK.strip()}"]\n\n[[mutant]]')
    world.write(name, text)
    done = release(world, tmp_path)
    if name.endswith("given.py"):  # given code may say it: then it is no secret
        assert done.returncode == 0
        return
    assert done.returncode == 1, done.stdout
    assert "hw0/add's solution" in done.stdout
    place = {"shared/reference/texts/hw0.md": "hw0/README.md:13", "project/topics.md": name + ":9"}
    assert place.get(name, "") in done.stdout
    assert not (tmp_path / "out").exists()


def test_a_solution_line_in_a_notebook_is_found(world, tmp_path):
    cell = {"cell_type": "code", "source": ["x = 1\n", LEAK], "outputs": [], "metadata": {}}
    world.write("project/start.ipynb", json.dumps({"cells": [cell]}, indent=1))
    done = release(world, tmp_path)
    assert done.returncode == 1 and "project/start.ipynb:" in done.stdout


def test_a_solution_region_is_found_even_when_its_lines_are_trivial(world, tmp_path):
    world.write("project/a.py", "### BEGIN SOLUTION hw0/add\nx\n### END SOLUTION\n")
    done = release(world, tmp_path)
    assert done.returncode == 1 and "project/a.py:1: a solution region" in done.stdout


def test_trivial_lines_are_no_leak(world, tmp_path):
    world.write("project/a.md", "    return x\n    zero = Box(0)\n")
    assert release(world, tmp_path).returncode == 0


def test_a_folder_in_use_is_refused_and_left_alone(world, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    done = release(world, tmp_path)
    assert done.returncode == 2 and "not an empty folder" in done.stderr
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["mine.txt"]
    assert world.hw("release", "inside").returncode == 2
