"""Running programs inside a homework's folder: their environment, the autograder's client."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from coursekit.core.errors import CourseError
from coursekit.core.syllabus import Course, Homework

PATIENCE = "HW_TEST_SECONDS"
"""The environment variable that says how long one test, or one submission hook, may take; 0: as long
as it likes."""


def environment(course: Course, homework: Homework) -> dict[str, str]:
    """The variables for a program that runs inside a homework and calls the autograder."""
    client = course.root / "shared" / "mugrade" / "src"
    path = [str(client)] if client.is_dir() else []
    path += [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
    patience = os.environ.get(PATIENCE)
    hooks = {"MUGRADE_HOOK_SECONDS": patience} if patience else {}
    return {**hooks, **os.environ, **homework.env, "PYTHONPATH": os.pathsep.join(path)}


def mugrade(course: Course, homework: Homework, arguments: list[str], folder: Path) -> int:
    """Run the autograder's client inside the folder; returns its exit status."""
    client = course.root / "shared" / "mugrade" / "src" / "mugrade"
    installed = importlib.util.find_spec("mugrade")
    if (installed is None or installed.origin is None) and not client.is_dir():
        raise CourseError(
            "the autograder's client is missing; install it with: "
            f"{sys.executable} -m pip install -e shared/mugrade"
        )
    command = [sys.executable, "-m", "mugrade", *arguments]
    return subprocess.run(command, cwd=folder, env=environment(course, homework)).returncode
