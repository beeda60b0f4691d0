"""Item statistics: which case fails most often, above all at the first try; attempts over time.

Each process keeps a tally of what it has read and reads on from there (follow.py).
"""

from __future__ import annotations

import contextlib
import copy
import datetime as dt
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from mugrade.server.models import Account, Assignment, Attempt, Problem
from mugrade.server.services import answers, courses, follow
from mugrade.server.services.courses import ProblemView

_COLUMNS = (
    Attempt.pk,
    Attempt.problem_pk,
    Attempt.account_pk,
    Attempt.correct,
    Attempt.total,
    Attempt.verdicts,
    Attempt.origin,
    Attempt.created_at,
    Account.role,
)


@dataclass
class CaseStatistics:
    index: int
    label: str
    first_tries: int = 0
    failed_first: int = 0
    attempts: int = 0
    failed: int = 0
    kinds: Counter[str] = field(default_factory=Counter)


@dataclass
class ItemStatistics:
    """Of students only; staff's own attempts are left out."""

    assignment: str
    problem: str
    students: int
    solved: int
    attempts: int
    median_attempts_to_solve: float | None
    cases: list[CaseStatistics]
    until_solved: Counter[int] = field(default_factory=Counter)
    """How many students solved it with so many attempts."""


@dataclass
class _Counts:
    """What one problem's attempts come to."""

    tries: Counter[int] = field(default_factory=Counter)
    solved_after: dict[int, int] = field(default_factory=dict)
    last: dict[int, tuple[dt.datetime, int | None]] = field(default_factory=dict)
    """Of each account the newest attempt's time, and the first case that it failed."""
    cases: dict[int, CaseStatistics] = field(default_factory=dict)

    def add(self, row: Row[Any]) -> None:
        self.tries[row.account_pk] += 1
        first = self.tries[row.account_pk] == 1
        if row.correct == row.total:
            self.solved_after.setdefault(row.account_pk, self.tries[row.account_pk])
        verdicts = answers.from_json(row.verdicts)
        wrong = next((i for i, verdict in enumerate(verdicts) if not verdict.correct), None)
        self.last[row.account_pk] = row.created_at, wrong
        for index, verdict in enumerate(verdicts):
            case = self.cases.setdefault(index, CaseStatistics(index, ""))
            case.attempts += 1
            case.failed += not verdict.correct
            case.first_tries += first
            case.failed_first += first and not verdict.correct
            if not verdict.correct:
                case.kinds[verdict.kind] += 1


@dataclass
class _Tally(follow.Kept):
    zone: dt.tzinfo = dt.timezone.utc
    problems: defaultdict[int, _Counts] = field(default_factory=lambda: defaultdict(_Counts))
    days: Counter[dt.date] = field(default_factory=Counter)

    def add(self, row: Row[Any]) -> None:
        self.days[row.created_at.astimezone(self.zone).date()] += 1
        if row.role == "student":
            self.problems[row.problem_pk].add(row)


def of_course(
    session: Session, course_pk: int, now: dt.datetime, assignment_id: str | None = None
) -> list[ItemStatistics]:
    """Every problem's statistics, in the course's order."""
    course = courses.view(session, course_pk)
    shown = [course.assignment(assignment_id)] if assignment_id else course.assignments
    with _counted(session, course, now) as (counts, _):
        return [_item(a.id, p, counts.get(p.pk, _Counts())) for a in shown for p in a.problems]


def of_problem(
    session: Session,
    course: courses.CourseView,
    now: dt.datetime,
    assignment_id: str,
    problem: ProblemView,
) -> ItemStatistics:
    with _counted(session, course, now) as (counts, _):
        return _item(assignment_id, problem, counts.get(problem.pk, _Counts()))


def attempts_per_day(
    session: Session, course_pk: int, days: int, now: dt.datetime
) -> list[tuple[dt.date, int]]:
    """How many attempts each of the last days saw, by the course's clocks, oldest first, zeros
    included."""
    course = courses.view(session, course_pk)
    first = now.astimezone(course.zone).date() - dt.timedelta(days=days - 1)
    shown = [first + dt.timedelta(days=i) for i in range(days)]
    with _counted(session, course, now) as (_, counts):
        return [(day, counts[day]) for day in shown]


@dataclass(frozen=True)
class Stuck:
    """A student who has tried a problem again and again, and lately, without solving it."""

    account_pk: int
    assignment: str
    problem: str
    attempts: int
    last: dt.datetime
    case: str


STUCK_ATTEMPTS = 5
STUCK_WITHIN = dt.timedelta(days=2)


def stuck(session: Session, course_pk: int, now: dt.datetime, limit: int = 12) -> list[Stuck]:
    """Those with most attempts first."""
    course, found = courses.view(session, course_pk), []
    with _counted(session, course, now) as (by_problem, _):
        for assignment in course.assignments:
            for problem in assignment.problems:
                counts = by_problem.get(problem.pk, _Counts())
                labels = problem.revision.labels if problem.revision else ()
                for account, (last, wrong) in counts.last.items():
                    made = counts.tries[account]
                    if made < STUCK_ATTEMPTS or last < now - STUCK_WITHIN:
                        continue
                    if account not in counts.solved_after:
                        label = labels[wrong] if wrong is not None and wrong < len(labels) else ""
                        place = (assignment.id, problem.id)
                        found.append(Stuck(account, *place, made, last, label))
    found.sort(key=lambda one: (-one.attempts, one.account_pk))
    return found[:limit]


def _item(assignment_id: str, problem: ProblemView, counts: _Counts) -> ItemStatistics:
    labels = problem.revision.labels if problem.revision else ()
    cases = []
    for index, label in enumerate(labels):
        case = copy.copy(counts.cases.get(index) or CaseStatistics(index, label))
        case.label = label
        cases.append(case)
    solved = counts.solved_after
    return ItemStatistics(
        assignment_id,
        problem.id,
        students=len(counts.tries),
        solved=len(solved),
        attempts=sum(counts.tries.values()),
        median_attempts_to_solve=float(statistics.median(solved.values())) if solved else None,
        cases=cases,
        until_solved=Counter(solved.values()),
    )


@contextlib.contextmanager
def _counted(
    session: Session, course: courses.CourseView, now: dt.datetime
) -> Iterator[tuple[dict[int, _Counts], Counter[dt.date]]]:
    """Counts by problem, and attempts by day, while nobody else adds to them; keeps what is settled,
    and adds the rest to copies."""
    tally = follow.kept(
        session, course, "statistics", lambda: _Tally(course.version, zone=course.zone)
    )
    with tally.lock:
        recent = follow.read_on(
            session, _QUERY.where(Assignment.course_pk == course.pk), tally, now, tally.add
        )
        touched = {row.problem_pk for row in recent}
        shown = _Tally(course.version, zone=course.zone, days=tally.days.copy())
        shown.problems.update(tally.problems)
        shown.problems.update({pk: copy.deepcopy(tally.problems[pk]) for pk in touched})
        for row in recent:
            shown.add(row)
        yield shown.problems, shown.days


_QUERY = (
    select(*_COLUMNS)
    .join(Account, Account.pk == Attempt.account_pk)
    .join(Problem, Problem.pk == Attempt.problem_pk)
    .join(Assignment, Assignment.pk == Problem.assignment_pk)
)


def hardest_cases(
    problems: list[ItemStatistics], limit: int = 10
) -> list[tuple[ItemStatistics, CaseStatistics]]:
    """Cases failed most often at the first try, worst first; never-failed ones are left out."""
    pairs = [(p, c) for p in problems for c in p.cases if c.failed_first]
    pairs.sort(
        key=lambda pair: (-pair[1].failed_first / pair[1].first_tries, -pair[1].failed_first)
    )
    return pairs[:limit]
