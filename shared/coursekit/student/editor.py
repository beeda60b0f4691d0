"""Where a problem stands, and problems by where an editor's cursor stands."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from coursekit.core import tree
from coursekit.core.errors import CourseError
from coursekit.core.problems import Problem
from coursekit.core.syllabus import Course, Homework
from coursekit.core.tree import OPTIONAL
from coursekit.student import progress
from coursekit.student.handouts import pristine
from coursekit.student.obstacles import obstacles
from coursekit.student.written import is_stub, regions

_FORMS = {
    "{file}:{line}": ("subl", "hx", "helix", "zed", "micro"),
    "-g {file}:{line}": ("code", "code-insiders", "codium", "cursor", "windsurf"),
    "+{line} {file}": (
        "vi",
        "vim",
        "nvim",
        "gvim",
        "nano",
        "emacs",
        "emacsclient",
        "kak",
        "joe",
        "ne",
    ),
    "--line {line} {file}": ("charm", "pycharm", "clion", "idea", "kate"),
}
"""How editors are told a line, and which; any other is given the file alone."""


def place_of(course: Course, problem: Problem) -> tuple[Path, int]:
    """The file and line of a problem's first stub, else of what is written of it.

    Raises:
        CourseError: none of its regions is left, or it has none.
    """
    stage = problem.homework
    files = progress.own_files(course, stage, pristine(course, stage))
    found = [
        (_turn(match[0], owner), name, line)
        for name, content in files.items()
        for owner, line, match in _lines(content)
        if owner == problem.id
    ]
    if not found:
        for fault in obstacles(course, stage):  # a file that is missing, say
            raise fault
        if problem.id in {
            o for c in tree.code_of(pristine(course, stage)).values() for o, *_ in _lines(c)
        }:
            raise CourseError(
                f"the marks of {problem.id} are gone; put back BEGIN/END YOUR SOLUTION"
            )
        return (
            course.folder(stage) / "README.md",
            1,
        )  # a problem that asks for measuring, or changing
    _, name, line = min(found)
    return course.folder(stage) / name, line + 1


def _turn(region: bytes, problem: str) -> int:
    """What must be written comes first, what nobody must write last."""
    if not is_stub(region, problem):
        return 1
    return 2 if OPTIONAL.encode() in region else 0


def at_line(course: Course, path: Path, line: int) -> Problem:
    """The problem around a line of a homework's file, else the last one above it, else the first;
    in a file of tests the one that the test around the line belongs to.

    Raises:
        CourseError: the file belongs to no homework, or holds nothing of its problems.
    """
    try:
        inside = path.resolve().relative_to(course.root.resolve())
        homework = next(h for h in course.homeworks if inside.is_relative_to(h.folder))
        content = path.read_bytes()
    except (ValueError, OSError, StopIteration):
        raise CourseError(f"{path} is no file of a homework; give one, or hwN/problem") from None
    mine = {problem.id: problem for problem in homework.everything}
    mine |= {other: problem for problem in homework.problems for other in problem.reopens}
    found = [(start, mine[owner]) for owner, start, _ in _lines(content) if owner in mine]
    found = found or _tested(homework, inside.relative_to(homework.folder).as_posix(), content)
    if not found:
        raise CourseError(f"{inside.as_posix()} holds nothing of {homework.id}'s problems")
    return [*(p for _, p in found[:1]), *(p for start, p in found if start <= line)][-1]


def _tested(homework: Homework, name: str, content: bytes) -> list[tuple[int, Problem]]:
    """(line of a test, problem) of a file of the homework's tests, in order."""
    mine = [problem for problem in homework.everything if problem.tests == name]
    if not mine:
        return []
    from _pytest.mark.expression import Expression  # slow to import, and seldom needed

    found = []
    for match in re.finditer(rb"^\s*(?:async )?def (test_\w+)", content, re.M):
        test, line = match[1].decode(), content.count(b"\n", 0, match.start(1)) + 1
        meant = [p for p in mine if Expression.compile(p.select).evaluate(_part_of(test))]
        found.append((line, (meant or mine)[0]))  # a device is told by a test's case alone
    return found


def _part_of(test: str) -> Callable[..., bool]:
    """Is a word of `pytest -k` part of the test's name?"""
    return lambda word, /, **_: word.lower() in test.lower()


def _lines(content: bytes) -> Iterator[tuple[str, int, re.Match[bytes]]]:
    """(problem, line of its first mark, region)."""
    for (owner, _), match in regions(content):
        yield owner, content.count(b"\n", 0, match.start()) + 1, match


def command(file: Path, line: int) -> list[str]:
    """What opens the place: $VISUAL, $EDITOR, else VS Code where it is installed; [] without any."""
    wish, code = os.environ.get("VISUAL") or os.environ.get("EDITOR"), shutil.which("code")
    try:
        split = shlex.split(wish or "", posix=os.name != "nt")  # else a \ would be lost
    except ValueError as error:  # a quote that is not closed
        raise CourseError(f"the editor's command {wish!r} cannot be read: {error}") from None
    words = [word.strip('"') for word in split] or ([code] if code else [])
    if not words:
        return []
    name = Path(words[0]).stem.lower()
    form = next((form for form, names in _FORMS.items() if name in names), "{file}")
    return words + [part.format(file=file, line=line) for part in form.split(" ")]
