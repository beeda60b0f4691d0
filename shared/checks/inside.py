"""Tests that run inside a solved homework: the folders `in_hw0/`, `in_hw2/`, `in_hw3/`, `in_hw4/`.

A process can import one homework's library only, so each folder is a pytest session of its own, for
example `pytest shared/checks/in_hw2`; its conftest.py says which homework it enters. What must run
with another environment, or with nothing else in its process, is marked `own_process`.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from coursekit.core import syllabus
from coursekit.staff import solved

ROOT = Path(__file__).resolve().parents[2]
IN_OWN_PROCESS = "NEEDLE_CHECKS_IN_OWN_PROCESS"
entered = place = None


def solved_trees(*stages):
    """Folder with the solved, built trees hw0 ... hw4, or of these stages only.

    The one that NEEDLE_SOLVED names (`course.py test` makes one), else build/solved, made up to date.
    """
    ready = os.environ.get("NEEDLE_SOLVED")
    if ready:
        return Path(ready)
    course = syllabus.load(ROOT)
    out = ROOT / "build" / "solved"
    return solved.write(course, out, stages or None)


def enter(stage):
    """Make this process one of a solved homework: its import path, its environment, its folder.

    Called while conftest.py is read. The current folder changes with the first test (conftest.py has
    the fixture): until then pytest and its parallel workers resolve their arguments in the old one.
    """
    global entered, place
    if entered not in (None, stage):
        pytest.exit(
            f"one session tests one homework, and this one is in {entered} already: "
            f"run `pytest shared/checks/in_{stage}` by itself",
            returncode=2,
        )
    entered = stage
    homework = syllabus.load(ROOT).homework(stage)
    trees = solved_trees(stage)
    place = trees / stage
    os.environ.update(homework.env, NEEDLE_SOLVED=str(trees))
    if IN_OWN_PROCESS not in os.environ:
        for name in ("PYTHONPATH", "NEEDLE_CUDA", "NEEDLE_CUDA_ORDER", "NEEDLE_NUM_THREADS"):
            os.environ.pop(name, None)
    sys.path[:0] = [str(place / folder) for folder in homework.path]


def run_in_own_process(test, environment):
    """Run one test in a new process, with these environment variables besides."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
    done = subprocess.run(
        [*command, f"{test.path}::{test.name}"],
        cwd=ROOT,
        env={**os.environ, **environment, IN_OWN_PROCESS: "1"},
        capture_output=True,
        text=True,
    )
    if done.returncode or "1 passed" not in done.stdout or "Exception ignored" in done.stderr:
        pytest.fail(done.stdout + done.stderr, pytrace=False)
