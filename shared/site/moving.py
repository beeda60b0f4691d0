"""The moving figures' files as a site needs them: scripts, and the numbers that needle computes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from coursekit.core import syllabus
from coursekit.staff import solved

FIGURES = Path(__file__).resolve().parent / "figures"
ROOT = FIGURES.parents[2]


def figures(scratch: Path, target: Path) -> None:
    """The scripts of moving figures, and their numbers, which the solved needle computes."""
    shutil.copytree(FIGURES, target, ignore=shutil.ignore_patterns("*.py", "*.json", "__*"))
    hw4 = solved.write(syllabus.load(ROOT), scratch, ["hw4"], built=False) / "hw4"
    command = [sys.executable, str(FIGURES / "values.py"), str(target / "values")]
    settings = {"PYTHONPATH": str(hw4 / "python"), "NEEDLE_BACKEND": "np"}
    subprocess.run(command, env={**os.environ, **settings}, check=True)
