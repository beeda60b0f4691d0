"""The solved homeworks as folders that can be run: the one place where such trees are made."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from coursekit.core import kept_builds
from coursekit.core.syllabus import Course, Homework
from coursekit.staff import render


def with_library(course: Course, homework: Homework, folder: Path) -> Homework:
    """A lab, told by NEEDLE_HOME to run on the solved library, which is written into the folder.

    Any other homework has its own library: it comes back as it is.
    """
    if homework.on is None:
        return homework
    below = course.homework(homework.on)
    compiled = homework.env.get("NEEDLE_BACKEND") == "nd"
    home = write(course, folder / "library", [below.id], built=compiled) / below.folder
    return replace(homework, env={**homework.env, "NEEDLE_HOME": str(home)})


def _quiet(_: str) -> None:
    pass


def write(
    course: Course,
    out: Path,
    stages: Iterable[str] | None = None,
    built: bool = True,
    say: Callable[[str], None] = _quiet,
) -> Path:
    """Write OUT/hwN with data samples, compiled; what is there and up to date stays. Returns OUT.

    Args:
        stages: the homeworks wanted; all, unless given.
        built: compile what must be compiled.
        say: called with a sentence for each homework.

    Raises:
        CourseError: a homework does not render or compile.
    """
    homeworks = [course.homework(s) for s in (course.stages if stages is None else stages)]
    render.render_out(course, out, [h.id for h in homeworks], render.everything, _quiet)
    for homework in homeworks:
        if built and homework.build is not None:
            nvcc = shutil.which("nvcc") is not None  # its tests look at what it makes, GPU or not
            cached = kept_builds.build_tree(out / homework.folder, homework, nvcc=nvcc)
            say(f"{homework.id}: {'built before' if cached else 'built'}")
    return out
