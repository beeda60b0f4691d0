"""Self-reported running times for speed problems, under pseudonyms that people chose."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from mugrade.server.errors import Refusal, not_found
from mugrade.server.models import Account, Timing
from mugrade.server.services import courses, standing
from mugrade.server.services.accounts import Actor


@dataclass(frozen=True)
class BestTime:
    name: str
    seconds: float
    device: str
    at: dt.datetime


def report(
    session: Session,
    now: dt.datetime,
    actor: Actor,
    assignment_id: str,
    problem_id: str,
    seconds: float,
    device: str,
) -> None:
    """Keep a time; only a problem that the account has solved completely counts."""
    course = courses.view(session, actor.course_pk)
    problem = course.assignment(assignment_id).problem(problem_id)
    if not problem.speed:
        raise not_found(f"leaderboard of {problem_id}")
    best = (
        standing.of_account(session, course, actor.pk)
        .results[assignment_id]
        .problems[problem_id]
        .best
    )
    if best is None or best.correct < best.total:
        raise Refusal(403, "forbidden", f"Solve {problem_id} first; only right programs are timed.")
    session.add(
        Timing(account_pk=actor.pk, problem_pk=problem.pk, seconds=seconds, device=device, at=now)
    )


def entries(
    session: Session, course_pk: int, assignment_id: str, problem_id: str
) -> list[BestTime]:
    """Everybody's best time, fastest first; who has no pseudonym is not listed."""
    problem = courses.view(session, course_pk).assignment(assignment_id).problem(problem_id)
    if not problem.speed:
        raise not_found(f"leaderboard of {problem_id}")
    query = (
        select(Timing, Account.pseudonym)
        .join(Account, Account.pk == Timing.account_pk)
        .where(Timing.problem_pk == problem.pk, Account.pseudonym.is_not(None), Account.active)
        .order_by(Timing.seconds, Timing.pk)
    )
    best: dict[int, BestTime] = {}
    for timing, name in session.execute(query):
        best.setdefault(
            timing.account_pk, BestTime(name or "", timing.seconds, timing.device, timing.at)
        )
    return list(best.values())
