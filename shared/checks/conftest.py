"""What the staff's checks share: one solved, built copy of every homework."""

import os
from pathlib import Path

import pytest
from coursekit.core import syllabus
from coursekit.staff import solved as solved_trees

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def solved():
    """Folder with the solved, built trees hw0 ... hw4.

    The one that NEEDLE_SOLVED names (`course.py test` makes one), else build/solved, made up to date.
    """
    ready = os.environ.get("NEEDLE_SOLVED")
    if ready:
        return Path(ready)
    course = syllabus.load(ROOT)
    out = ROOT / "build" / "solved"
    return solved_trees.write(course, out)
