"""`hw card`: what a student has built, as text and as a picture, with the autograder's signatures.

A signature is a receipt, which the autograder gives for every attempt and signs with its key. A card
carries the receipts of its points, so that anybody with the grader's key can check it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coursekit.core.errors import CourseError
from coursekit.core.syllabus import Course, Homework
from coursekit.student import progress
from coursekit.student.handouts import pristine
from coursekit.student.written import is_stub, regions
from coursekit.viz import read_curve

RECEIPT = re.compile(rb"mgr1\.[\w-]+\.[\w-]+")


@dataclass(frozen=True)
class Row:
    """One homework: how each problem stands, in order, and what was signed."""

    homework: Homework
    states: tuple[str, ...]
    """"signed", "passed", "written" or "open"."""
    points: float
    """Of the problems that are signed or pass their tests."""


@dataclass(frozen=True)
class Curve:
    """A training run whose history stands beside its checkpoint."""

    name: str
    """Such as "hw4 lstm"."""
    label: str
    values: list[float]


@dataclass(frozen=True)
class Card:
    """Everything that is shown."""

    title: str
    rows: list[Row]
    lines: int
    """Lines of the student's own between the marks, blank ones left out."""
    curves: list[Curve]
    receipts: list[str] = field(default_factory=list)

    @property
    def numbers(self) -> str:
        states = [state for row in self.rows for state in row.states]
        passed = sum(state in ("signed", "passed") for state in states)
        points = sum(row.points for row in self.rows)
        whole = sum(row.homework.points for row in self.rows)
        return (
            f"{passed} of {len(states)} problems, {points:g} of {whole} points, "
            f"{self.lines:,} lines of code of my own"
        )

    @property
    def signature(self) -> str:
        signed = sum(row.states.count("signed") for row in self.rows)
        if not signed:
            return "not signed: no receipt of an autograder lies on this machine"
        return f"signed by the autograder: {signed} problems; check with: hw card --check FILE"


def collect(course: Course) -> Card:
    """What the tree, the verdicts that are kept and the receipts of this machine tell."""
    receipts = signed(course)
    rows = [_row(course, homework, receipts) for homework in course.counted]
    curves = [c for homework in course.counted for c in _curves(course, homework)]
    return Card(course.title, rows, _lines(course), curves, [text for text, _ in receipts.values()])


def _row(course: Course, homework: Homework, receipts: dict[str, tuple[str, dict]]) -> Row:
    states, points = [], 0.0
    for standing in progress.standings(course, homework.id):
        problem = standing.problem
        if problem.id in receipts:
            states.append("signed")
        elif standing.tests == "passed":
            states.append("passed")
        else:
            states.append("written" if standing.stub == "written" else "open")
        points += problem.points if states[-1] in ("signed", "passed") else 0
    return Row(homework, tuple(states), points)


def _lines(course: Course) -> int:
    """In the last homework that was begun, which holds the work of those before it."""
    begun = [h.id for h in course.counted if progress.is_started(course, h.id)]
    files = progress.own_files(course, begun[-1], pristine(course, begun[-1])) if begun else {}
    return sum(
        sum(bool(row.strip()) for row in match[0].splitlines()[1:-1])
        for content in files.values()
        for (problem, _), match in regions(content)
        if not is_stub(match[0], problem)
    )


def _curves(course: Course, homework: Homework) -> list[Curve]:
    """Of the histories beside checkpoints; what is no curve is left out."""
    found = []
    for path in sorted(course.folder(homework.id).glob("**/checkpoints/*.json")):
        try:
            values, label = read_curve(path)
        except CourseError:
            continue
        if values:
            found.append(Curve(f"{homework.id} {path.stem}", label, values))
    return found


# ------------------------------------------------------------------------------------- signatures


def signed(course: Course) -> dict[str, tuple[str, dict[str, Any]]]:
    """Problem -> the receipt (text, payload) of an attempt of which every case was right.

    Receipts of one account only: of the one that handed in last.
    """
    try:
        from mugrade.client import receipts
        from mugrade.client.settings import Folders
    except ImportError:
        return {}
    folders, ids = Folders.of_user(), {(p.homework, p.hook): p.id for p in course.problems}
    keys, genuine = receipts.known_keys(folders), []
    for path, payload in receipts.stored(folders.receipts):
        place = payload.get("assignment"), payload.get("problem")
        whole = payload.get("total") and payload.get("correct") == payload["total"]
        if place in ids and payload.get("course") == course.id and whole:
            text = path.read_text("utf-8").strip()
            if receipts.check(text, keys)[0]:
                genuine.append((ids[place], text, payload))
    account = genuine[-1][2].get("account") if genuine else None
    return {i: (text, payload) for i, text, payload in genuine if payload.get("account") == account}


def check(path: Path) -> Iterable[tuple[bool, str]]:
    """Every receipt that a card carries: whether it is genuine, and one sentence.

    Raises:
        CourseError: there is no such file, or it carries none.
    """
    try:
        found = dict.fromkeys(RECEIPT.findall(path.read_bytes()))
    except OSError as error:
        raise CourseError(f"{path} cannot be read: {error.strerror}") from None
    if not found:
        raise CourseError(f"{path} carries no receipt: nothing in it is signed")
    from mugrade.client import receipts
    from mugrade.client.settings import Folders

    keys = receipts.known_keys(Folders.of_user())
    return [receipts.check(text.decode("ascii"), keys) for text in found]
