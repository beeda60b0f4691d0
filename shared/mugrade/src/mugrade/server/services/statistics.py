"""Item statistics: which case fails most often, above all at the first try; attempts over time."""

from __future__ import annotations

import datetime as dt
import statistics
from collections import Counter
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from mugrade.server.models import Account, Attempt
from mugrade.server.services import answers, courses, policies
from mugrade.server.services.courses import CourseView, ProblemView


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


def of_course(
    session: Session, course_pk: int, assignment_id: str | None = None
) -> list[ItemStatistics]:
    """Every problem's statistics, in the course's order."""
    course = courses.view(session, course_pk)
    shown = [course.assignment(assignment_id)] if assignment_id else course.assignments
    return [of_problem(session, a.id, p) for a in shown for p in a.problems]


def of_problem(session: Session, assignment_id: str, problem: ProblemView) -> ItemStatistics:
    labels = problem.revision.labels if problem.revision else ()
    cases = [CaseStatistics(i, label) for i, label in enumerate(labels)]
    query = (
        select(Attempt.account_pk, Attempt.correct, Attempt.total, Attempt.verdicts)
        .join(Account, Account.pk == Attempt.account_pk)
        .where(Attempt.problem_pk == problem.pk, Account.role == "student")
        .order_by(Attempt.created_at, Attempt.pk)
    )
    tries: dict[int, int] = {}
    solved_after: dict[int, int] = {}
    for row in session.execute(query):
        tries[row.account_pk] = tries.get(row.account_pk, 0) + 1
        if row.correct == row.total:
            solved_after.setdefault(row.account_pk, tries[row.account_pk])
        for case, verdict in zip(cases, answers.from_json(row.verdicts)):
            first = tries[row.account_pk] == 1
            case.attempts += 1
            case.failed += not verdict.correct
            case.first_tries += first
            case.failed_first += first and not verdict.correct
            if not verdict.correct:
                case.kinds[verdict.kind] += 1
    median = float(statistics.median(solved_after.values())) if solved_after else None
    return ItemStatistics(
        assignment_id, problem.id, len(tries), len(solved_after), sum(tries.values()), median, cases
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


def attempts_per_day(
    session: Session, course: CourseView, days: int, now: dt.datetime
) -> list[tuple[dt.date, int]]:
    """How many attempts each of the last days saw, by the course's clocks, oldest first, zeros
    included."""
    today = now.astimezone(course.zone).date()
    shown = [today - dt.timedelta(days=days - 1 - i) for i in range(days)]
    first = policies.at_clock(dt.datetime.combine(shown[0], dt.time()), course.zone)
    query = (
        select(Attempt.created_at)
        .join(Account, Account.pk == Attempt.account_pk)
        .where(Account.course_pk == course.pk, Attempt.created_at >= first)
    )
    counts = Counter(moment.astimezone(course.zone).date() for moment in session.scalars(query))
    return [(day, counts[day]) for day in shown]
