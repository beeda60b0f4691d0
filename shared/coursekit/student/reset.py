"""Putting a problem's stubs back, with a backup of what stood there."""

from __future__ import annotations

import re

from coursekit.core import tree
from coursekit.core.errors import CourseError
from coursekit.core.problems import Problem
from coursekit.core.syllabus import Course
from coursekit.student.handouts import pristine


def reset(course: Course, problem: Problem) -> tuple[list[str], str]:
    """Put the problem's stubs back; returns the files changed and where the backup lies.

    Raises:
        CourseError: the region's marks are no longer there as the handout has them; nothing has
            changed then.
    """
    plan = _plan(course, problem)
    backup = tree.Backup(course, f"reset-{problem.name}")
    changed = []
    for name, text in plan.items():
        path = course.folder(problem.homework) / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        backup.keep(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        changed.append(path.relative_to(course.root).as_posix())
    return changed, str(backup) if backup.used else ""


def _plan(course: Course, problem: Problem) -> dict[str, str]:
    """File -> its text with the stubs; a file that was deleted comes back as a whole."""
    plan: dict[str, str] = {}
    for name, content in tree.code_of(pristine(course, problem.homework)).items():
        if b"BEGIN YOUR SOLUTION " + problem.id.encode() not in content:
            continue
        given, path = content.decode("utf-8"), course.folder(problem.homework) / name
        if path.is_file():
            label = path.relative_to(course.root).as_posix()
            plan[name] = _with_stubs(path.read_text(encoding="utf-8"), given, problem.id, label)
        else:
            plan[name] = given
    return plan


def _with_stubs(text: str, given: str, problem: str, label: str) -> str:
    """The student's text with the regions of the problem as the handout gave them."""
    region = re.compile(
        rf"^[^\n]*BEGIN YOUR SOLUTION {re.escape(problem)}\b(?:(?!BEGIN YOUR SOLUTION).)*?"
        r"END YOUR SOLUTION[^\n]*$",
        re.M | re.S,
    )
    stubs = region.findall(given)
    if len(region.findall(text)) != len(stubs):
        raise CourseError(
            f"the marks of {problem} are not as the handout has them ({len(stubs)} pairs "
            f"expected); put back the lines BEGIN/END YOUR SOLUTION {problem}",
            label,
        )
    queue = iter(stubs)
    return region.sub(lambda _: next(queue), text)
