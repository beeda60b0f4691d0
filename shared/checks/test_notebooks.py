"""The notebooks run from top to bottom on the solved trees.

Cells that are shell commands (`%%bash`) are left to test_commands.py.
"""

import os
from pathlib import Path

import nbformat
import pytest
from coursekit.core import syllabus
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
COURSE = syllabus.load(ROOT)


@pytest.mark.parametrize("stage", COURSE.stages)
def test_notebook_runs(stage, solved, monkeypatch):
    homework = COURSE.homework(stage)
    path, place = ROOT / homework.folder / f"{stage}.ipynb", solved / homework.folder
    for name, value in homework.env.items():
        monkeypatch.setenv(name, value)
    folders = [str(place / folder) for folder in homework.path]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([*folders, os.environ.get("PYTHONPATH", "")]))
    book = nbformat.read(path, as_version=4)
    assert any(cell.cell_type == "code" for cell in book.cells)
    for cell in book.cells:
        if cell.cell_type == "code" and cell.source.startswith(("%%bash", "%%sh", "!")):
            cell.source = "pass"
    NotebookClient(
        book, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(place)}}
    ).execute()
