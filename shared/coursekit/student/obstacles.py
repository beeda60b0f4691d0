"""What keeps a homework from running at all, whatever is written in it."""

from __future__ import annotations

import warnings
from pathlib import Path

from coursekit.core import tree
from coursekit.core.errors import CourseError
from coursekit.core.syllabus import Course
from coursekit.student.handouts import pristine
from coursekit.student.merge import conflicts


def obstacles(course: Course, stage: str) -> list[CourseError]:
    """What keeps everything of a homework from running: missing files, conflicts left open, what is
    no Python."""
    found = []
    for name, given in sorted(tree.code_of(pristine(course, stage)).items()):
        path = course.folder(stage) / name
        label = _inside(course, path)
        if not path.is_file():
            kept = sorted((course.root / ".hw" / "backups").glob(f"*/{label}"))
            last = f", your last version is {_inside(course, kept[-1])}" if kept else ""
            sentence = f"the file is missing; hw start {stage} puts the handout back{last}"
            found.append(CourseError(sentence, label))
            continue
        sentence = (
            "two versions stand here; keep one, and delete the lines <<<<<<<, ======= and >>>>>>>"
        )
        content = path.read_bytes()
        open_ones = [CourseError(sentence, label, line) for line in conflicts(content)]
        found += open_ones or (_no_python(content, label) if content != given else [])
    return found


def _no_python(content: bytes, label: str) -> list[CourseError]:
    """What Python cannot even read, before thirty lines of a test session say so."""
    if not label.endswith(".py"):
        return []
    if b"\0" in content:
        return [CourseError("this is no UTF-8 (it has null bytes): save it so", label)]
    try:
        with warnings.catch_warnings():  # the tests' own run says them
            warnings.simplefilter("ignore")
            compile(content, label, "exec", dont_inherit=True)
    except SyntaxError as error:
        return [CourseError(f"{type(error).__name__}: {error.msg}", label, error.lineno)]
    return []


def _inside(course: Course, path: Path) -> str:
    return path.relative_to(course.root).as_posix()
