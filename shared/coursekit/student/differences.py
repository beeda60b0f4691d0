"""Where two versions of a student's work differ, region by region: `hw diff`.

What is compared are the regions that both have; what a student changed outside of all marks is one
more place a file.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from coursekit.core import tree
from coursekit.core.errors import CourseError
from coursekit.core.problems import Problem
from coursekit.core.syllabus import Course
from coursekit.core.tree import Files
from coursekit.student import carry
from coursekit.student.handouts import pristine
from coursekit.student.merge import conflicts
from coursekit.student.written import bodies, is_stub, outside, problems_in, regions

OUTSIDE = "outside the marks"


@dataclass(frozen=True)
class Place:
    """One region in two versions, `mine` and `other`."""

    problem: str
    """Its id; OUTSIDE for what belongs to no problem."""
    file: str
    line: int
    """Where mine begins in its file."""
    name: str
    """The function around it; "" outside of any."""
    mine: list[str]
    other: list[str]
    word: str
    """"same", "differs", or which of the two is still a stub: "stub here", "stub there"."""

    def rows(self, context: int = 3) -> Iterator[str]:
        """The unified diff from `other` to `mine`, without heads: @@, and rows with ' ', - or +."""
        found = difflib.unified_diff(self.other, self.mine, lineterm="", n=context)
        return (row for row in found if not row.startswith(("---", "+++")))


@dataclass(frozen=True)
class Comparison:
    """What `hw diff` shows; `here` and `there` name the two versions."""

    here: str
    there: str
    places: list[Place]
    back: str
    """The command that brings the other version here; "" when there is none."""

    def problems(self) -> dict[str, list[Place]]:
        """The places of each problem, in the order of the files."""
        found: dict[str, list[Place]] = {}
        for place in self.places:
            found.setdefault(place.problem, []).append(place)
        return found


def compare(course: Course, stage: str, other: str | None = None) -> Comparison:
    """The student's hwN against the same code in another homework, or against what was handed out.

    Args:
        other: a homework; None: what `hw start` last brought into `stage`, else the handout.
    """
    mine = tree.students_code(course, stage)
    if other is None:
        brought = carry.brought_into(course, stage)
        there = f"what hw start brought into {stage}" if brought else f"the handout of {stage}"
        theirs = brought or tree.code_of(pristine(course, stage))
        return Comparison(stage, there, _places(mine, theirs), "")
    if other == stage:
        raise CourseError(
            f"two homeworks are compared; against what was handed out: hw diff {stage}"
        )
    if lab := next((s for s in (stage, other) if course.homework(s).is_lab), None):
        raise CourseError(
            f"{lab} is a lab and shares no code with homeworks; against what was handed out: "
            f"hw diff {lab}"
        )
    if course.index(other) > course.index(stage):
        back = f"hw start {stage} --from {other}"
        return Comparison(stage, other, _places(mine, carry.as_earlier(course, stage, other)), back)
    alike, theirs = carry.as_earlier(course, other, stage), tree.students_code(course, other)
    back = f"hw start {stage}" if course.index(other) + 1 == course.index(stage) else ""
    return Comparison(stage, other, _places(mine, theirs, alike), back)


def of_problem(course: Course, problem: Problem, other: str | None = None) -> Comparison:
    """`compare`, of one problem's regions only.

    Raises:
        CourseError: one of the versions has no code of that problem.
    """
    found = compare(course, problem.homework, other)
    found.places[:] = [place for place in found.places if place.problem == problem.id]
    if not found.places and problem.id not in problems_in(
        tree.students_code(course, problem.homework)
    ):
        raise CourseError(f"the marks of {problem.id} are gone; put back BEGIN/END YOUR SOLUTION")
    if not found.places:
        raise CourseError(f"{found.there} has no code of {problem.id} to compare with")
    return found


def _places(mine: Files, theirs: Files, alike: Files | None = None) -> list[Place]:
    """Every place of `mine` that `theirs` has too.

    Args:
        alike: `mine` in the shape of the homework that `theirs` belongs to, where that is another.
    """
    found = []
    for name in sorted(mine.keys() & theirs.keys()):
        there = bodies(theirs[name])
        for key, match in regions(mine[name]):
            if key in there:
                found.append(_place(name, key[0], mine[name], match, there[key]))
        found += _outside(name, (alike or mine).get(name, b""), theirs[name])
    return found


def _place(name: str, problem: str, content: bytes, mine: re.Match[bytes], other: bytes) -> Place:
    """A region's place, without its marks."""
    stubs = is_stub(mine[0], problem), is_stub(other, problem)
    word = "same" if mine[0] == other else "differs"
    if stubs[0] != stubs[1]:
        word = "stub here" if stubs[0] else "stub there"
    before = content[: mine.start()]
    here, there = _rows(mine[0])[1:-1], _rows(other)[1:-1]
    return Place(problem, name, before.count(b"\n") + 1, _function(before), here, there, word)


def _function(before: bytes) -> str:
    """`Class.function` of Python, or the name before the last brace of C++ at the file's edge."""
    text = before.decode("utf-8", "replace")
    found = list(re.finditer(r"^([ ]*)def (\w+)", text, re.M))
    if found:
        owner = re.findall(r"^class (\w+)", text[: found[-1].start()], re.M) if found[-1][1] else []
        return ".".join([*owner[-1:], found[-1][2]])
    found = list(re.finditer(r"^[A-Za-z_][\w:<>*& ,]*?[ *&](\w+)\(", text, re.M))
    return found[-1][1] if found else ""


def _outside(name: str, mine: bytes, theirs: bytes) -> list[Place]:
    """What was changed outside of all regions, if the two can be told apart by more than a merge."""
    if (
        conflicts(theirs)
        or conflicts(mine)
        or (parts := outside(mine)) == (others := outside(theirs))
    ):
        return []
    return [Place(OUTSIDE, name, 1, "", _rows(parts), _rows(others), "differs")]


def _rows(content: bytes) -> list[str]:
    return content.decode("utf-8", "replace").splitlines()
