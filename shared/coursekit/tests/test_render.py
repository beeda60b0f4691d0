"""Rendering trees, and the check that committed handouts are what the reference renders to."""

from __future__ import annotations

import json
import re

import pytest
from coursekit.core.errors import CourseError
from coursekit.staff import check, render
from coursekit.student.handouts import pristine


def faults(world) -> str:
    return "\n".join(check.faults(world.course(), list(world.course().stages)))


def test_a_fresh_rendering_passes_the_check(world):
    assert faults(world) == ""
    done = world.hw("check")
    assert done.returncode == 0, done.stdout


def test_rendering_again_writes_nothing(world):
    before = {p: p.stat().st_mtime_ns for p in world.root.rglob("*") if p.is_file()}
    assert set(render.render_in_place(world.course(), world.course().stages).values()) == {0}
    assert {p: p.stat().st_mtime_ns for p in before} == before


def test_each_stage_holds_all_of_the_one_before(world):
    course = world.course()
    first, second = (set(render.render_code(course, stage)) for stage in course.stages)
    assert first < second
    assert "tests/course_support.py" in first


def test_check_shows_the_difference_of_a_planted_fault(world):
    world.edit("hw1/python/minilib/box.py", "self.value = value", "self.value = 0")
    done = world.hw("check")
    assert done.returncode == 1
    assert "-        self.value = 0" in done.stdout
    assert "+        self.value = value" in done.stdout
    assert "hw1/python/minilib/box.py" in done.stdout


def test_check_finds_a_mutant_that_no_longer_fits_the_solution(world):
    source = next(
        path
        for path in sorted((world.root / "shared/problems").rglob("*.toml"))
        if "\nfind = " in path.read_text(encoding="utf-8")
    )
    text = source.read_text(encoding="utf-8")
    source.write_text(re.sub(r"\nfind = .*", '\nfind = "renamed_since"', text, count=1), "utf-8")
    done = world.hw("check")
    assert done.returncode == 1
    assert "`find` stands 0 times" in done.stdout + done.stderr


def test_check_finds_missing_and_stale_files(world):
    (world.root / "hw0/README.md").unlink()
    world.write("hw1/python/minilib/old.py", "")
    text = faults(world)
    assert "hw0/README.md: missing" in text
    assert "hw1/python/minilib/old.py: the reference does not render this file" in text


def test_handwritten_tests_are_no_stale_files(world):
    world.write("hw1/tests/goldens/numbers.txt", "1 2 3")
    assert faults(world) == ""


def test_the_text_gets_the_problem_table_and_a_notebook(world):
    text = world.read("hw0/README.md")
    assert "| `hw0/add` | Adding | 40 | `hw test hw0/add` |" in text
    assert "<!-- problems -->" not in text
    book = json.loads(world.read("hw0/hw0.ipynb"))
    assert [cell["cell_type"] for cell in book["cells"]][-1] == "code"
    assert len({cell["id"] for cell in book["cells"]}) == len(book["cells"])


def test_a_text_that_shows_a_missing_figure_is_refused(world):
    world.write("shared/reference/texts/hw0.md", "# T\n\n![graph](figures/graph.svg)\n")
    with pytest.raises(CourseError, match=r"texts/hw0.md:3: figure 'graph.svg'"):
        render.render_stage(world.course(), "hw0")
    world.write("shared/reference/figures/graph.svg", "<svg/>")
    assert render.render_stage(world.course(), "hw0")["figures/graph.svg"] == b"<svg/>"


def test_a_figure_of_a_note_stays_where_it_is(world):
    world.write("shared/reference/texts/hw0.md", "# T\n\n![graph](../shared/notes/figures/g.svg)\n")
    assert "figures/g.svg" not in render.render_stage(world.course(), "hw0")


def test_out_writes_trees_that_run_from_inside(world, tmp_path):
    done = world.hw("render", "--solved", "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    box = (tmp_path / "out/hw0/python/minilib/box.py").read_text()
    assert "total_of_both" in box and "negate" not in box
    assert (tmp_path / "out/hw1/tests/test_more.py").is_file()
    done = world.hw("render", "--out", str(tmp_path / "one"), "--stage", "hw1")
    assert sorted(p.name for p in (tmp_path / "one").iterdir()) == ["hw1"]
    assert "total_of_both" not in (tmp_path / "one/hw1/python/minilib/box.py").read_text()


def test_a_missing_file_warns_while_rendering_and_fails_the_check(world, tmp_path):
    (world.root / "shared/reference/python/minilib/more.py").unlink()
    done = world.hw("render", "--out", str(tmp_path / "out"))
    assert done.returncode == 0 and "minilib/more.py" in done.stderr
    done = world.hw("check")
    assert done.returncode == 1 and "minilib/more.py" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [("render", "--stage", "hw9"), ("render", "--solved"), ("render", "--out", "course.toml")],
)
def test_bad_input_is_one_sentence_and_changes_nothing(world, arguments):
    before = world.snapshot()
    done = world.hw(*arguments)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1 and "Traceback" not in done.stderr
    assert world.snapshot() == before


def test_a_grammar_fault_writes_nothing_at_all(world, tmp_path):
    world.edit("shared/reference/python/minilib/box.py", "hw1/negate", "hw1/negatt")
    done = world.hw("render", "--out", str(tmp_path / "out"))
    assert done.returncode == 2 and "box.py:" in done.stderr
    assert not (tmp_path / "out").exists()


BOX = "python/minilib/box.py"


def test_pristine_is_the_handout_whatever_stands_in_its_folder(world):
    handout = world.read(f"hw0/{BOX}")
    world.write(f"hw0/{BOX}", "mine\n")
    assert pristine(world.course(), "hw0")[BOX].decode() == handout


def test_pristine_follows_the_reference_and_is_not_rendered_in_vain(world, monkeypatch):
    world.course()
    monkeypatch.setattr(render, "render_code", None)
    world.course()
    monkeypatch.undo()
    world.edit(f"shared/reference/{BOX}", "Boxes of numbers.", "Boxes.")
    assert b'"""Boxes."""' in pristine(world.course(), "hw0")[BOX]
    world.write(f"shared/reference/{BOX}", "")
    assert pristine(world.course(), "hw1")[BOX] == b""


def test_missing_facts_are_named(world):
    assert check.missing_facts(world.course()) == []
    (world.root / "shared/reference/python/minilib/more.py").unlink()
    world.edit("hw0/tests/test_numbers.py", "def submit_add", "def submitted_add")
    (world.root / "hw1/tests/test_more.py").unlink()
    world.edit("shared/problems/hw0/scale.toml", "points = 60", "points = 55")
    world.write("shared/problems/hw7/late.toml", "")
    assert [str(fault) for fault in check.missing_facts(world.course())] == [
        "shared/problems/hw0: the points of hw0 add up to 95, expected 100; change those of one of "
        "its problems",
        "shared/problems/hw0/add.toml:3: hw0/tests/test_numbers.py has no submission hook "
        "submit_add()",
        "course.toml:15: hw1: file 'python/minilib/more.py' does not exist in shared/reference; "
        "write it or take it off the list",
        "shared/problems/hw1/negate.toml:3: its test file hw1/tests/test_more.py does not exist",
        "shared/problems/hw7: no homework of course.toml has this id; there are hw0, hw1",
    ]
