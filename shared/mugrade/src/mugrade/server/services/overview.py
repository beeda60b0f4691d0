"""An account's assignments and problems with everything that its dashboard shows."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy.orm import Session

from mugrade.server.errors import seconds_until
from mugrade.server.services import (
    admission,
    attempts,
    courses,
    limits,
    policies,
    standing,
)
from mugrade.server.services.accounts import Actor
from mugrade.server.services.courses import AssignmentView, ProblemView
from mugrade.server.services.sheet import heat


@dataclass(frozen=True)
class ProblemStatus:
    problem: ProblemView
    variant: int | None
    seed: int | None
    attempts: int
    allowance: limits.Allowance
    result: policies.ProblemResult

    @property
    def complete(self) -> bool:
        return self.result.score >= self.problem.points

    @property
    def heat(self) -> int | None:
        """As the gradebook colours it; None where nothing was handed in."""
        handed_in = self.result.best or self.result.overridden
        return heat(self.result.score, self.problem.points) if handed_in else None

    def retry_after(self, now: dt.datetime) -> int:
        return seconds_until(self.allowance.next_at, now) if self.allowance.next_at else 0


@dataclass(frozen=True)
class AssignmentStatus:
    assignment: AssignmentView
    window: policies.Window
    state: policies.State
    result: policies.Result
    late_days_left: int
    penalty_now: Decimal
    days_late_now: int
    free_days_now: int
    dropped: list[str]
    problems: tuple[ProblemStatus, ...]


def of_account(session: Session, now: dt.datetime, actor: Actor) -> list[AssignmentStatus]:
    """Every assignment of the actor's course, in order."""
    course = courses.view(session, actor.course_pk, actor.course_version)
    rows = standing.attempt_rows(session, actor.pk)
    state = standing.of_account(session, course, actor.pk, rows)
    return [_status(session, now, actor.id, a, state, rows) for a in course.assignments]


def of_assignment(
    session: Session, now: dt.datetime, actor: Actor, assignment_id: str
) -> AssignmentStatus:
    """One assignment of the actor's course, or 404."""
    course = courses.view(session, actor.course_pk, actor.course_version)
    assignment = course.assignment(assignment_id)
    rows = standing.attempt_rows(session, actor.pk)
    state = standing.of_account(session, course, actor.pk, rows)
    return _status(session, now, actor.id, assignment, state, rows)


def _status(
    session: Session,
    now: dt.datetime,
    account_id: str,
    assignment: AssignmentView,
    state: standing.AccountStanding,
    rows: list[standing.AttemptRow],
) -> AssignmentStatus:
    window, result = state.tasks[assignment.id].window, state.results[assignment.id]
    problems = []
    for problem in assignment.problems:
        variant = attempts.variant_for(session, account_id, problem)
        seed = problem.revision.seed(variant) if problem.revision and variant is not None else None
        made = sum(row.problem_pk == problem.pk for row in rows)
        allowed = admission.allowance(session, rows, problem, now)
        problems.append(
            ProblemStatus(problem, variant, seed, made, allowed, result.problems[problem.id])
        )
    return AssignmentStatus(
        assignment,
        window,
        window.state(now),
        result,
        state.late_days_left,
        state.penalty_now(assignment.id, now),
        *state.late_now(assignment.id, now),
        state.dropped,
        tuple(problems),
    )
