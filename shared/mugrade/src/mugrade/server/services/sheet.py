"""The gradebook as staff reads it: what each cell says, averages over what was due, distributions."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from mugrade.server.models import Account
from mugrade.server.services import (
    certificates,
    courses,
    earning,
    ledger,
    policies,
    standing,
)
from mugrade.server.services.courses import AssignmentView, CourseView, ProblemView

State = Literal["unpublished", "not open", "nothing", "excused", "points"]
BINS = 10
NOTHING = "none"


@dataclass(frozen=True)
class Cell:
    """One homework or problem of one student.

    Attributes:
        state: why there are no points, or `points`.
        late_days: of the latest attempt that counts.
        extended: this student's due time is later than the course's.
        set_by_staff: a score in it was set by hand.
    """

    state: State
    score: Decimal
    points: Decimal
    late_days: int = 0
    extended: bool = False
    set_by_staff: bool = False

    @property
    def percent(self) -> int:
        return int(100 * self.score / self.points) if self.points else 0

    @property
    def heat(self) -> int:
        return heat(self.score, self.points)


def heat(score: Decimal, points: Decimal) -> int:
    """0 nothing right, 1 below half, 2 below four fifths, 3 below all, 4 all."""
    if not points or not score:
        return 0
    return 1 + sum(100 * score >= least * points for least in (50, 80, 100))


@dataclass(frozen=True)
class Column:
    key: str  # hw0, or hw0/add
    points: Decimal


@dataclass(frozen=True)
class Row:
    """One student. `average` is over what was due so far, None before anything was."""

    id: str
    name: str
    email: str
    section: str
    active: bool
    cells: dict[str, Cell]
    average: Decimal | None
    project: earning.Project | None
    certificate: bool
    certificate_state: certificates.State


@dataclass(frozen=True)
class Distribution:
    """How many students of each tenth of the points; `bins` begins with those who handed in nothing."""

    assignment: str
    bins: list[tuple[str, int]]
    median: int | None


@dataclass(frozen=True)
class Sheet:
    course: CourseView
    columns: tuple[Column, ...]
    due: tuple[str, ...]
    rows: list[Row]
    distributions: list[Distribution]


def sheet(
    session: Session, course_pk: int, now: dt.datetime, assignment_id: str | None = None
) -> Sheet:
    """Every student; with an assignment, its problems are the columns."""
    course = courses.view(session, course_pk)
    shown = (course.assignment(assignment_id),) if assignment_id else course.assignments
    people = session.scalars(
        select(Account)
        .where(Account.course_pk == course_pk, Account.role == "student")
        .order_by(Account.name, Account.pk)
    ).all()
    pks = [person.pk for person in people]
    states = ledger.everybody(session, course, pks, now)
    projects = standing.projects(session, course, pks)
    issued = certificates.of_accounts(session, pks)
    due = due_so_far(course, now)
    rows = []
    for person in people:
        state, project = states[person.pk], projects.get(person.pk)
        rule = state.certificate(project)
        counted = {name: state.results[name] for name in due}
        rows.append(
            Row(
                person.id,
                person.name,
                person.email,
                person.section,
                person.active,
                cells(state, shown, now, with_problems=assignment_id is not None),
                policies.average(counted, course.policy.drop_lowest) if counted else None,
                project,
                rule.earned,
                certificates.state_of(rule.earned, issued.get(person.pk)),
            )
        )
    columns = [column for a in shown for column in _columns(a, assignment_id is not None)]
    active = [row for row in rows if row.active]
    spread = [distribution(a.id, active) for a in shown if _published(a.problems)]
    return Sheet(course, tuple(columns), due, rows, spread)


def due_so_far(course: CourseView, now: dt.datetime) -> tuple[str, ...]:
    """The assignments that averages count: those past their due time, and of those without one the
    published."""
    return tuple(
        a.id
        for a in course.assignments
        if a.points
        and _published(a.problems)
        and (a.due_at <= now if a.due_at else a.opens_at is None or a.opens_at <= now)
    )


def _published(problems: Sequence[ProblemView]) -> bool:
    return any(problem.revision is not None for problem in problems)


def _columns(assignment: AssignmentView, with_problems: bool) -> list[Column]:
    problems = assignment.problems if with_problems else ()
    whole = Column(assignment.id, assignment.points)
    return [whole, *(Column(f"{assignment.id}/{p.id}", p.points) for p in problems)]


def cells(
    state: standing.AccountStanding,
    shown: Sequence[AssignmentView],
    now: dt.datetime,
    *,
    with_problems: bool,
) -> dict[str, Cell]:
    """A student's cells by column."""
    found = {}
    for assignment in shown:
        found[assignment.id] = _cell(state, assignment, assignment.problems, now)
        for problem in assignment.problems if with_problems else ():
            found[f"{assignment.id}/{problem.id}"] = _cell(state, assignment, (problem,), now)
    return found


def _cell(
    state: standing.AccountStanding,
    assignment: AssignmentView,
    problems: Sequence[ProblemView],
    now: dt.datetime,
) -> Cell:
    window = state.tasks[assignment.id].window
    results = [state.results[assignment.id].problems[p.id] for p in problems]
    by_staff = any(result.overridden for result in results)
    word: State = "points"
    if state.results[assignment.id].excused:
        word = "excused"
    elif not by_staff and not any(result.best for result in results):
        word = "nothing" if window.state(now) != "not_open" else "not open"
        word = word if _published(problems) else "unpublished"
    due = assignment.due_at
    return Cell(
        word,
        sum((result.score for result in results), Decimal(0)),
        sum((problem.points for problem in problems), Decimal(0)),
        late_days=max((r.late_days for r in results if r.score), default=0),
        extended=due is not None and window.due_at is not None and window.due_at > due,
        set_by_staff=by_staff,
    )


def distribution(assignment: str, rows: Sequence[Row]) -> Distribution:
    """Of these students; the median is of those who handed something in."""
    held = [row.cells[assignment] for row in rows if row.cells[assignment].state != "excused"]
    shares = sorted(cell.percent for cell in held if cell.state == "points")
    counts = Counter(min(share * BINS // 100, BINS - 1) for share in shares)
    names = [f"{100 * i // BINS}%" for i in range(BINS - 1)] + [f"{100 - 100 // BINS}-100%"]
    bins = [(NOTHING, len(held) - len(shares)), *((n, counts[i]) for i, n in enumerate(names))]
    return Distribution(assignment, bins, shares[len(shares) // 2] if shares else None)
