"""The notebooks run from top to bottom: on the solved trees to their end, on the empty handouts up to
the first problem that is still to write. No cell takes two minutes.

Cells that are shell commands (`%%bash`) are left to test_commands.py.
"""

import os
import re
from pathlib import Path

import nbformat
import pytest
from coursekit.core import syllabus
from coursekit.staff import render
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parents[2]
COURSE = syllabus.load(ROOT)
CELL_SECONDS = 120


@pytest.fixture
def run(monkeypatch):
    """A function: run a homework's notebook inside a tree; returns its code cells."""

    def go(stage, place, **env):
        homework = COURSE.homework(stage)
        for name, value in {**homework.env, **env}.items():
            monkeypatch.setenv(name, value)
        folders = [str(place / folder) for folder in homework.path]
        known = os.environ.get("PYTHONPATH", "")
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([*folders, known]))
        book = nbformat.read(ROOT / homework.folder / f"{stage}.ipynb", as_version=4)
        cells = [cell for cell in book.cells if cell.cell_type == "code"]
        for cell in cells:
            if cell.source.startswith(("%%bash", "%%sh", "!")):
                cell.source = "pass"
        inside = {"metadata": {"path": str(place)}}
        NotebookClient(
            book, timeout=CELL_SECONDS, kernel_name="python3", resources=inside
        ).execute()
        return cells

    return go


@pytest.mark.parametrize("stage", COURSE.stages)
def test_notebook_runs(stage, solved, run):
    assert run(stage, solved / COURSE.homework(stage).folder)


@pytest.mark.parametrize("stage", COURSE.stages)
def test_notebook_runs_on_the_handout_up_to_the_first_problem(stage, tmp_path, run):
    homework = COURSE.homework(stage)
    render.render_out(COURSE, tmp_path, [stage], warn=lambda sentence: None)
    place = tmp_path / homework.folder
    if stage == "hw3":  # its cells lean on nothing that is still to write
        assert run(stage, place)
        return
    with pytest.raises(CellExecutionError) as stopped:
        run(stage, place, NEEDLE_BACKEND="np")  # the stubs speak before any C++ is asked
    assert stopped.value.ename == "NotImplementedError", str(stopped.value)
    named = re.match(r"([\w-]+/\w+): ", stopped.value.evalue)
    upto = COURSE.problems[: COURSE.problems.index(homework.problems[-1]) + 1]
    assert named and named[1] in [problem.id for problem in upto], stopped.value.evalue
