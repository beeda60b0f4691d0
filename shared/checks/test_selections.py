"""What the public course tells students to type selects one problem's tests here, too.

File names count for `pytest -k`, so a test file with an unlucky name would be dragged in.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from coursekit.core import syllabus
from public_selections import SELECTIONS

HERE = Path(__file__).resolve().parent
COURSE = syllabus.load(HERE.parents[1])
BESIDES = {"ptb": "hw4/cifar10"}  # the file's name has it, so that CIFAR-10's tests run, too


def collected(tree, stage):
    """What public_selections.py finds in a solved homework."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-qqq", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-p", "no:randomly", "-p", "public_selections", "tests"],
        cwd=tree / COURSE.homework(stage).folder,
        env={**os.environ, **COURSE.homework(stage).env, "PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
    )
    (line,) = [row for row in done.stdout.splitlines() if row.startswith("{")]
    return json.loads(line)


@pytest.mark.parametrize("stage", [homework.id for homework in COURSE.counted])
def test_public_selections_select_tests_of_their_problem_only(stage, solved):
    found = collected(solved, stage)
    for problem, expressions in SELECTIONS.items():
        for expression in expressions if problem.startswith(f"{stage}/") else ():
            selected = set(found["selected"][expression])
            allowed = {*found["own"][problem], *found["own"].get(BESIDES.get(expression), [])}
            assert selected and selected <= allowed, f"-k {expression!r}: {selected - allowed}"
