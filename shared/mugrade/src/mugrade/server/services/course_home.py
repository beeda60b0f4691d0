"""What staff looks at first: what is due next, and every student's progress at one glance."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from mugrade.server.models import Account
from mugrade.server.services import ledger, standing
from mugrade.server.services.courses import AssignmentView, CourseView
from mugrade.server.services.sheet import heat


@dataclass(frozen=True)
class Due:
    """A homework that takes attempts now or soon: how many students began, and have all points."""

    assignment: AssignmentView
    began: int
    done: int


@dataclass(frozen=True)
class Progress:
    """Students by problems.

    Attributes:
        columns: assignment and problem of each column.
        rows: of each student name, id and a heat a column; None: nothing handed in.
    """

    columns: list[tuple[str, str]]
    rows: list[tuple[str, str, list[int | None]]]


@dataclass(frozen=True)
class Overview:
    students: dict[int, Account]
    due: list[Due]
    progress: Progress


def overview(session: Session, course: CourseView, now: dt.datetime) -> Overview:
    """Of the course's active students."""
    people = session.scalars(
        select(Account)
        .where(Account.course_pk == course.pk, Account.role == "student", Account.active)
        .order_by(Account.name, Account.pk)
    ).all()
    states = ledger.everybody(session, course, [person.pk for person in people], now)
    published = [(a, [p for p in a.problems if p.revision is not None]) for a in course.assignments]
    columns = [(a.id, p.id) for a, problems in published for p in problems]
    rows = []
    for person in sorted(people, key=lambda one: -states[one.pk].average):
        results = states[person.pk].results
        shown = [results[a].problems[p] for a, p in columns]
        points = [p.points for _, problems in published for p in problems]
        heats = [
            heat(r.score, of) if r.best or r.overridden else None for r, of in zip(shown, points)
        ]
        rows.append((person.name, person.id, heats))
    return Overview(
        {person.pk: person for person in people},
        _due(course, list(states.values()), now),
        Progress(columns, rows),
    )


def _due(
    course: CourseView, states: list[standing.AccountStanding], now: dt.datetime, limit: int = 3
) -> list[Due]:
    coming = sorted(
        (a for a in course.assignments if a.due_at is not None and a.due_at > now),
        key=lambda a: a.due_at or now,
    )
    found = []
    for assignment in coming[:limit]:
        results = [state.results[assignment.id] for state in states]
        began = sum(any(p.best for p in result.problems.values()) for result in results)
        done = sum(result.score >= result.points for result in results)
        found.append(Due(assignment, began, done if assignment.points else 0))
    return found
