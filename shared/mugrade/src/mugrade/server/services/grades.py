"""The gradebook: everybody's scores, as rows, JSON or CSV; and staff's own decisions about scores."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session

from mugrade.server.errors import invalid
from mugrade.server.models import Account, Extension, Override
from mugrade.server.services import (
    accounts,
    audit,
    certificates,
    courses,
    earning,
    policies,
    standing,
)
from mugrade.server.services.courses import CourseView


@dataclass(frozen=True)
class Line:
    """One student's line of the gradebook."""

    id: str
    name: str
    email: str
    section: str
    active: bool
    results: dict[str, policies.Result]
    scores: dict[str, Decimal]
    average: Decimal
    late_days_left: int
    project: earning.Project | None
    project_done: bool
    certificate: bool
    certificate_state: certificates.State


@dataclass(frozen=True)
class Gradebook:
    course: CourseView
    assignments: tuple[courses.AssignmentView, ...]
    rows: list[Line]


def project_points(course: CourseView) -> Decimal:
    """What the rubric's points come to."""
    return sum((Decimal(str(c["points"])) for c in course.rubric), Decimal(0))


def gradebook(session: Session, course_pk: int, assignment_id: str | None = None) -> Gradebook:
    """Every student of the course by name; one assignment's column only when asked."""
    course = courses.view(session, course_pk)
    shown = (course.assignment(assignment_id),) if assignment_id else course.assignments
    people = session.scalars(
        select(Account)
        .where(Account.course_pk == course_pk, Account.role == "student")
        .order_by(Account.name, Account.pk)
    ).all()
    pks = [person.pk for person in people]
    states = standing.of_everybody(session, course, pks)
    projects = standing.projects(session, course, pks)
    issued = certificates.of_accounts(session, pks)
    rows = []
    for person in people:
        state = states[person.pk]
        project = projects.get(person.pk)
        rule = state.certificate(project)
        rows.append(
            Line(
                person.id,
                person.name,
                person.email,
                person.section,
                person.active,
                state.results,
                {a.id: state.results[a.id].score for a in shown},
                state.average,
                state.late_days_left,
                project,
                rule.project_done,
                rule.earned,
                certificates.state_of(rule.earned, issued.get(person.pk)),
            )
        )
    return Gradebook(course, shown, rows)


def as_csv(book: Gradebook) -> str:
    """Totals, then every problem of the shown assignments; cells are safe to open in a spreadsheet."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    header = ["id", "name", "email", "average", "late_days_left", "project", "certificate"]
    for assignment in book.assignments:
        header += [assignment.id, *(f"{assignment.id}/{p.id}" for p in assignment.problems)]
    header += ["project_state", "project_grade", "project_points", "certificate_state"]
    sections = any(row.section for row in book.rows)  # columns of what the course makes use of
    excuses = any(r.excused for row in book.rows for r in row.results.values())
    header += ["section"] * sections + ["excused"] * excuses
    writer.writerow([safe_cell(cell) for cell in header])
    for row in book.rows:
        cells = [row.id, row.name, row.email, f"{row.average:f}", str(row.late_days_left)]
        cells += ["yes" if row.project_done else "no", "yes" if row.certificate else "no"]
        for assignment in book.assignments:
            result = row.results[assignment.id]
            cells.append(f"{result.score:f}")
            cells += [f"{result.problems[p.id].score:f}" for p in assignment.problems]
        cells += [*_project_cells(row.project), row.certificate_state]
        excused = " ".join(name for name, result in row.results.items() if result.excused)
        cells += [row.section] * sections + [excused] * excuses
        writer.writerow([safe_cell(cell) for cell in cells])
    return out.getvalue()


def _project_cells(project: earning.Project | None) -> list[str]:
    if project is None:
        return ["", "", ""]
    grade = "" if project.grade is None else f"{project.grade:f}"
    return [project.state, grade, f"{project.of:f}"]


def safe_cell(text: str) -> str:
    """A cell that a spreadsheet would run as a formula gets an apostrophe in front."""
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") else text


def extend(
    session: Session,
    now: dt.datetime,
    actor: accounts.Actor,
    *,
    student: str,
    assignment_id: str,
    days: int | None,
    until: dt.datetime | None,
    reason: str,
) -> dt.datetime | None:
    """As `give_time`, to one student; their due time now."""
    account = accounts.find_student(session, actor.course_pk, student)
    give_time(session, now, actor, [account], assignment_id, days=days, until=until, reason=reason)
    course = courses.view(session, actor.course_pk)
    return standing.of_account(session, course, account.pk).tasks[assignment_id].window.due_at


def give_time(
    session: Session,
    now: dt.datetime,
    actor: accounts.Actor,
    people: Sequence[Account],
    assignment_id: str,
    *,
    days: int | None = None,
    until: dt.datetime | None = None,
    reason: str,
) -> None:
    """Give students more time; `days` count from the assignment's own due time, 0 lifts what was decided
    before."""
    course = courses.view(session, actor.course_pk)
    assignment = course.assignment(assignment_id)
    if (days is None) == (until is None):
        raise invalid("Give either days or until, not both.")
    if assignment.due_at is None and days != 0:
        raise invalid(
            f"{assignment_id} has no due time; there is nothing to extend. `mugrade times` sets one."
        )
    if until is not None and until.tzinfo is None:
        raise invalid("The time `until` needs a zone, such as 2026-10-08T12:00:00Z.")
    due = until
    if due is None and assignment.due_at is not None:
        due = policies.days_after(assignment.due_at, days or 0, course.zone)
    if due is not None and assignment.due_at is not None and due <= assignment.due_at:
        due = None
    _decide(session, now, actor, people, assignment, due=due, reason=reason)


def excuse(
    session: Session,
    now: dt.datetime,
    actor: accounts.Actor,
    people: Sequence[Account],
    assignment_id: str,
    *,
    reason: str,
) -> None:
    """The assignment does not count for these students; more time of 0 days lifts it."""
    assignment = courses.view(session, actor.course_pk).assignment(assignment_id)
    _decide(session, now, actor, people, assignment, excused=True, reason=reason)


def _decide(
    session: Session,
    now: dt.datetime,
    actor: accounts.Actor,
    people: Sequence[Account],
    assignment: courses.AssignmentView,
    *,
    due: dt.datetime | None = None,
    excused: bool = False,
    reason: str,
) -> None:
    for account in people:
        accounts.students_only(account)
        session.add(
            Extension(
                account_pk=account.pk,
                assignment_pk=assignment.pk,
                due_at=due,
                excused=excused,
                reason=reason,
                author_pk=actor.pk,
                created_at=now,
            )
        )
    session.flush()
    audit.record(
        session,
        now,
        actor=actor.email,
        action="excuse" if excused else "extension",
        object=f"{accounts.named(people)} {assignment.id}",
        course_pk=actor.course_pk,
        **({} if excused else {"due_at": None if due is None else due.isoformat()}),
        **({"students": [account.email for account in people]} if len(people) > 1 else {}),
        reason=reason,
    )


def override(
    session: Session,
    now: dt.datetime,
    actor: accounts.Actor,
    *,
    student: str,
    assignment_id: str,
    problem_id: str,
    points: Decimal | None,
    reason: str,
) -> Decimal:
    """Set one student's score for a problem by hand, or lift that with None; the score now."""
    account = accounts.find_student(session, actor.course_pk, student)
    course = courses.view(session, actor.course_pk)
    problem = course.assignment(assignment_id).problem(problem_id)
    if points is not None and points > problem.points:
        raise invalid(f"{points} is more than the {problem.points} points of {problem_id}.")
    session.add(
        Override(
            account_pk=account.pk,
            problem_pk=problem.pk,
            points=points,
            reason=reason,
            author_pk=actor.pk,
            created_at=now,
        )
    )
    session.flush()
    audit.record(
        session,
        now,
        actor=actor.email,
        action="override",
        object=f"{account.email} {assignment_id}/{problem_id}",
        course_pk=actor.course_pk,
        points=None if points is None else str(points),
        reason=reason,
    )
    result = standing.of_account(session, course, account.pk).results[assignment_id]
    return result.problems[problem_id].score


def decisions_about(session: Session, account_pk: int) -> tuple[list[Extension], list[Override]]:
    """Every extension and override of one account, newest first."""
    extensions = (
        select(Extension).where(Extension.account_pk == account_pk).order_by(Extension.pk.desc())
    )
    overrides = (
        select(Override).where(Override.account_pk == account_pk).order_by(Override.pk.desc())
    )
    return list(session.scalars(extensions)), list(session.scalars(overrides))
