"""Where an account stands: loads attempts, extensions and overrides, and asks the pure policies."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol, cast

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from mugrade.server.models import Account, Attempt, Extension, GroupMember, Override, ProjectGroup
from mugrade.server.services import earning, policies
from mugrade.server.services.courses import AssignmentView, CourseView

_COLUMNS = (
    Attempt.pk,
    Attempt.id,
    Attempt.account_pk,
    Attempt.problem_pk,
    Attempt.created_at,
    Attempt.at,
    Attempt.correct,
    Attempt.total,
    Attempt.idempotency_key,
    Attempt.request_digest,
    Attempt.stored_bytes,
)


class AttemptRow(Protocol):
    """A row of these columns: an attempt without its values."""

    pk: int
    id: str
    account_pk: int
    problem_pk: int
    created_at: dt.datetime
    at: dt.datetime
    correct: int
    total: int
    idempotency_key: str | None
    request_digest: str
    stored_bytes: int


@dataclass(frozen=True)
class AccountStanding:
    """Everything derived for one account in one course."""

    course: CourseView
    tasks: dict[str, policies.Task]
    results: dict[str, policies.Result]

    @property
    def late_days_left(self) -> int:
        return policies.days_left(self.results, self.course.policy.late)

    @property
    def average(self) -> Decimal:
        return policies.average(self.results, self.course.policy.drop_lowest)

    @property
    def dropped(self) -> list[str]:
        """The assignments that would count but are left out of the average, as the lowest."""
        kept = policies.kept(self.results.values(), self.course.policy.drop_lowest)
        names = {result.id for result in kept}
        return [name for name, r in self.results.items() if r.weight and name not in names]

    def certificate(self, project: earning.Project | None) -> earning.Standing:
        """How the account stands with the certificate, with this final project."""
        policy = self.course.policy
        return earning.certificate_standing(
            self.results, project, policy.certificate, policy.drop_lowest
        )

    def penalty_now(self, assignment_id: str, now: dt.datetime) -> Decimal:
        """Per cent that an attempt made now would lose."""
        late = self.course.policy.late
        days = self.tasks[assignment_id].window.late_days(now)
        return policies.penalty(days, min(self.results[assignment_id].pool_before, days), late)

    def late_now(self, assignment_id: str, now: dt.datetime) -> tuple[int, int]:
        """How many days late an attempt made now would be, and how many of them free days cover."""
        days = self.tasks[assignment_id].window.late_days(now)
        if not self.course.policy.late.percent_per_day:
            return days, 0
        return days, min(self.results[assignment_id].pool_before, days)


_OWN_ATTEMPTS = (
    select(*_COLUMNS)
    .where(Attempt.account_pk == bindparam("account"))
    .order_by(Attempt.created_at, Attempt.pk)
)


def attempt_rows(session: Session, account_pk: int) -> list[AttemptRow]:
    """The account's attempts without their values, oldest first."""
    session.flush()  # the connection below does not know what waits in the session
    rows = session.connection().execute(_OWN_ATTEMPTS, {"account": account_pk})
    return cast("list[AttemptRow]", list(rows))


def of_account(
    session: Session, course: CourseView, account_pk: int, rows: Iterable[AttemptRow] | None = None
) -> AccountStanding:
    """Derive one account's results.

    Args:
        rows: its attempts where the caller has them already (`attempt_rows`).
    """
    rows = attempt_rows(session, account_pk) if rows is None else rows
    return derive(course, tries(course, rows), decisions(session, account_pk))


@dataclass(frozen=True)
class Decisions:
    """What staff has decided about one account.

    Attributes:
        extra_days: by which each assignment is due later.
        extended: due times by assignment.
        excused: assignments that do not count.
        points: by problem.
    """

    extra_days: int = 0
    extended: Mapping[int, dt.datetime] = field(default_factory=dict)
    excused: frozenset[int] = frozenset()
    points: Mapping[int, Decimal] = field(default_factory=dict)


def decisions(session: Session, account_pk: int) -> Decisions:
    """Of one account."""
    return decisions_of(session, [account_pk])[account_pk]


def decisions_of(session: Session, account_pks: list[int]) -> dict[int, Decisions]:
    """Of many accounts, with two queries."""
    found = dict.fromkeys(account_pks, Decisions())
    query = (
        select(Account.pk, Account.extra_days, *_EXTENSION)
        .outerjoin(Extension, Extension.account_pk == Account.pk)
        .where(Account.pk.in_(account_pks))
        .order_by(Extension.pk)
    )
    extra: dict[int, int] = {}
    newest: dict[int, dict[int, tuple[dt.datetime | None, bool]]] = {}
    for account, days, assignment, due, excused in session.execute(query):
        extra[account] = days
        if assignment is not None:
            newest.setdefault(account, {})[assignment] = due, excused
    points = _overrides(session, account_pks)
    for pk in extra.keys() | points.keys():
        mine = newest.get(pk, {})
        found[pk] = Decisions(
            extra.get(pk, 0),
            {assignment: due for assignment, (due, _) in mine.items() if due is not None},
            frozenset(assignment for assignment, (_, excused) in mine.items() if excused),
            points.get(pk, {}),
        )
    return found


_EXTENSION = (Extension.assignment_pk, Extension.due_at, Extension.excused)


def of_everybody(
    session: Session, course: CourseView, account_pks: list[int]
) -> dict[int, AccountStanding]:
    """The same for many accounts with three queries."""
    found = material(session, course, account_pks)
    return {pk: derive(course, tries, decided) for pk, (tries, decided) in found.items()}


Tries = dict[str, list[policies.Try]]
"""One account's attempts by assignment, oldest first."""


def material(
    session: Session, course: CourseView, account_pks: list[int]
) -> dict[int, tuple[Tries, Decisions]]:
    """What `derive` needs, of many accounts with three queries."""
    rows: dict[int, list[AttemptRow]] = {pk: [] for pk in account_pks}
    query = select(*_COLUMNS).where(Attempt.account_pk.in_(account_pks))
    for row in session.execute(query.order_by(Attempt.created_at, Attempt.pk)):
        rows[row.account_pk].append(cast(AttemptRow, row))
    decided = decisions_of(session, account_pks)
    return {pk: (tries(course, rows[pk]), decided[pk]) for pk in account_pks}


def tries(course: CourseView, rows: Iterable[AttemptRow]) -> Tries:
    """The attempts of these rows as far as scores care."""
    place = {p.pk: (a.id, p.id) for a in course.assignments for p in a.problems}
    found: Tries = {}
    for row in rows:
        where = place.get(row.problem_pk)
        if where is not None:
            attempt = policies.Try(row.id, where[1], row.at, row.correct, row.total)
            found.setdefault(where[0], []).append(attempt)
    return found


def derive(course: CourseView, tries: Tries, decided: Decisions) -> AccountStanding:
    """From attempts to results."""
    tasks = {a.id: task(course, a, decided) for a in course.assignments}
    results = policies.course_results(
        list(tasks.values()), tries, course.policy.late, course.policy.drop_lowest
    )
    return AccountStanding(course, tasks, results)


def task(course: CourseView, assignment: AssignmentView, decided: Decisions) -> policies.Task:
    """An assignment as it stands for one account."""
    window = policies.window(
        assignment.opens_at,
        assignment.due_at,
        assignment.cutoff_at,
        _extended_to(course, assignment, decided),
        course.policy.late,
        course.zone,
    )
    points = {p.id: p.points for p in assignment.problems}
    mine = {p.id: decided.points[p.pk] for p in assignment.problems if p.pk in decided.points}
    excused = assignment.pk in decided.excused
    return policies.Task(assignment.id, points, window, mine, assignment.weight, excused)


def _extended_to(
    course: CourseView, assignment: AssignmentView, decided: Decisions
) -> dt.datetime | None:
    """The later of the account's extension and what its standing extra days come to."""
    given = decided.extended.get(assignment.pk)
    if assignment.due_at is None or not decided.extra_days:
        return given
    later = policies.days_after(assignment.due_at, decided.extra_days, course.zone)
    return later if given is None else max(given, later)


def _overrides(session: Session, account_pks: list[int]) -> dict[int, dict[int, Decimal]]:
    """account -> problem -> points; the newest decision counts."""
    found: dict[int, dict[int, Decimal | None]] = {}
    query = select(Override.account_pk, Override.problem_pk, Override.points).order_by(Override.pk)
    for account, problem, points in session.execute(
        query.where(Override.account_pk.in_(account_pks))
    ):
        found.setdefault(account, {})[problem] = points
    return {
        a: {k: points for k, points in by.items() if points is not None} for a, by in found.items()
    }


def projects(
    session: Session, course: CourseView, account_pks: list[int]
) -> dict[int, earning.Project]:
    """The final project of each of these accounts that belongs to a group."""
    of = sum((Decimal(str(criterion["points"])) for criterion in course.rubric), Decimal(0))
    query = (
        select(GroupMember.account_pk, ProjectGroup.state, ProjectGroup.grade)
        .join(ProjectGroup, ProjectGroup.pk == GroupMember.group_pk)
        .where(GroupMember.account_pk.in_(account_pks), GroupMember.confirmed)
    )
    return {pk: earning.Project(state, grade, of) for pk, state, grade in session.execute(query)}
