"""Putting a problem's stubs back, with a backup of what stood there."""

from __future__ import annotations

from coursekit.core import tree
from coursekit.core.errors import CourseError
from coursekit.core.problems import Problem
from coursekit.core.syllabus import Course
from coursekit.student.handouts import pristine
from coursekit.student.written import regions, without


def reset(course: Course, problem: Problem) -> tuple[list[str], str]:
    """Put the problem's stubs back; returns the files changed and where the backup lies.

    Raises:
        CourseError: the region's marks are no longer there as the handout has them; nothing has
            changed then.
    """
    plan = _plan(course, problem)
    backup = tree.Backup(course, f"reset-{problem.name}")
    changed = []
    for name, content in plan.items():
        path = course.folder(problem.homework) / name
        if path.is_file() and tree.as_handed_out(path.read_bytes()) == content:
            continue
        backup.keep(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        changed.append(path.relative_to(course.root).as_posix())
    return changed, str(backup) if backup.used else ""


def _plan(course: Course, problem: Problem) -> tree.Files:
    """File -> its content with the stubs; a file that was deleted comes back as a whole."""
    plan: tree.Files = {}
    for name, given in tree.code_of(pristine(course, problem.homework)).items():
        wanted = _count(given, problem)
        if not wanted:
            continue
        path = course.folder(problem.homework) / name
        mine = tree.as_handed_out(path.read_bytes()) if path.is_file() else given
        if _count(mine, problem) != wanted:
            raise CourseError(
                f"the marks of {problem.id} are not as the handout has them ({wanted} pairs "
                f"expected); put back the lines BEGIN/END YOUR SOLUTION {problem.id}",
                path.relative_to(course.root).as_posix(),
            )
        plan[name] = without(mine, given, {problem.id})
    return plan


def _count(content: bytes, problem: Problem) -> int:
    """The problem's regions in a file."""
    return sum(owner == problem.id for (owner, _), _ in regions(content))
