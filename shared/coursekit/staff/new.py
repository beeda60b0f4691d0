"""`hw new hwN/problem`: the skeletons of a problem that is to stand after the homework's last one.

A problem has four places that people edit: its solution in the reference, its tests, its own file,
and its part of the text. The last three are written here; where in the library the solution
belongs, a tool cannot know.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from coursekit.core import problems
from coursekit.core.errors import CourseError
from coursekit.core.syllabus import Course, Homework

_PROBLEM = """\
title = "TITLE"
points = 1              # all points of a homework add up to 100: take these from others; 0: an extra
after = "{after}"
tests = "{tests}"
select = "{name}"
hints = [
  "a nudge",
  "the idea",
  "an outline that is not the solution",
]

# Wrong solutions, four at least; `find` must stand exactly once in the solved file.
[[mutant]]
name = "what-is-wrong"
file = "python/needle/FILE.py"
find = "the right line"
replace = "a wrong line"
why = "in a few words"
"""

_TESTS = '''\
"""{id}: what is asked, and what the tests compare it with."""

import sys

sys.path += {path}

import pytest


def test_{name}():
    pytest.fail("{id}: its tests are still to be written")


def submit_{name}():
    """The values that are graded: they must see what the tests see."""
    import mugrade

    mugrade.submit(mugrade.rng().randn(3))
'''

_REGION = """\
    ### BEGIN SOLUTION {id}
    the solution
    ### END SOLUTION"""


@dataclass(frozen=True)
class Places:
    """Where a problem stands: files from the course's root, and the marks of its solution."""

    problem: str
    tests: str
    text: str
    region: str


def write(course: Course, problem: str) -> Places:
    """Write the three skeletons.

    Args:
        problem: the new id, `hw1/cube`.

    Raises:
        CourseError: no such homework, a bad name, or something of it is there already; nothing is
            written then.
    """
    stage, _, name = problem.partition("/")
    homework = course.homework(stage)
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise CourseError(
            f"{problem!r}: expected hwN/problem, the problem in lower-case letters, digits and _"
        )
    if not homework.problems:
        raise CourseError(f"{stage} has no problem yet; write its first one's file by hand")
    last = homework.everything[-1]
    tests = (Path(last.tests).parent / f"test_{name}.py").as_posix()
    places = Places(
        problem=f"{problems.FOLDER}/{problem}.toml",
        tests=f"{homework.folder}/{tests}",
        text=f"shared/reference/texts/{stage}.md",
        region=_REGION.format(id=problem),
    )
    for place in (places.problem, places.tests):
        if (course.root / place).exists():
            raise CourseError("is there already; nothing was written", place)
    text = (course.root / places.text).read_text(encoding="utf-8")
    facts = _PROBLEM.format(after=last.name, tests=tests, name=name)
    program = _TESTS.format(id=problem, name=name, path=list(homework.path)).replace("'", '"')
    for place, content in (
        (places.problem, facts),
        (places.tests, program),
        (places.text, with_heading(text, homework, problem)),
    ):
        (course.root / place).write_text(content, encoding="utf-8")
    return places


def with_heading(text: str, homework: Homework, problem: str) -> str:
    """The text with a heading for the problem behind the part of the homework's last one."""
    rows = text.rstrip("\n").split("\n")
    name = re.escape(homework.everything[-1].id)
    heads = [(n, re.match(r"#+", row)) for n, row in enumerate(rows)]
    begin, level = next(
        ((n, len(m[0])) for n, m in heads if m and re.search(rf"\({name}\)", rows[n])),
        (len(rows), 3),
    )
    fence, end = False, len(rows)
    for number in range(begin + 1, len(rows)):
        fence ^= rows[number].startswith("```")
        head = re.match(r"(#+) ", rows[number])
        if head and not fence and len(head[1]) <= level:
            end = number
            break
    title = f"{'#' * level} {problem.split('/')[1]}: TITLE ({problem})"
    part = [title, "", "What is asked, in words and formulas.", ""]
    before = rows[:end] if not rows[:end] or not rows[end - 1] else [*rows[:end], ""]
    return "\n".join([*before, *part, *rows[end:]]).rstrip("\n") + "\n"
