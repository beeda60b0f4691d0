"""Whose program for a speed problem does least, under pseudonyms that people chose.

Counts come first: operations and bytes are the same on every machine, so anybody can check them by
running the program, and the size of the source is measured here. Seconds are only reported.
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from mugrade.server.errors import Refusal, not_found
from mugrade.server.models import Account, Attempt, SourceBundle, Timing
from mugrade.server.schemas import TimingIn
from mugrade.server.services import answers, courses, standing
from mugrade.server.services.accounts import Actor


@dataclass(frozen=True)
class Entry:
    """Somebody's best; a count that was not given is None."""

    name: str
    operations: int | None
    bytes: int | None
    size: int | None
    seconds: float
    device: str
    at: dt.datetime


def report(
    session: Session,
    now: dt.datetime,
    actor: Actor,
    assignment_id: str,
    problem_id: str,
    given: TimingIn,
) -> None:
    """Keep what is reported; only a problem that the account has solved completely counts."""
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
        Timing(
            account_pk=actor.pk,
            problem_pk=problem.pk,
            at=now,
            size=_size(session, best.id),
            **given.model_dump(),
        )
    )


def _size(session: Session, attempt_id: str) -> int | None:
    """Characters of the source that came with an attempt, spaces left out."""
    query = select(SourceBundle.body).join(Attempt, Attempt.pk == SourceBundle.attempt_pk)
    body = session.scalar(query.where(Attempt.id == attempt_id))
    if body is None:
        return None
    return sum(len("".join(file["text"].split())) for file in answers.unpack(body))


def entries(session: Session, course_pk: int, assignment_id: str, problem_id: str) -> list[Entry]:
    """Everybody's best, the least work first; who has no pseudonym is not listed."""
    problem = courses.view(session, course_pk).assignment(assignment_id).problem(problem_id)
    if not problem.speed:
        raise not_found(f"leaderboard of {problem_id}")
    query = (
        select(Timing, Account.pseudonym)
        .join(Account, Account.pk == Timing.account_pk)
        .where(Timing.problem_pk == problem.pk, Account.pseudonym.is_not(None), Account.active)
        .order_by(Timing.pk)
    )
    best: dict[int, Entry] = {}
    for timing, name in sorted(session.execute(query), key=lambda pair: _rank(pair[0])):
        facts = {name: getattr(timing, name) for name in (*COUNTS, "seconds", "device", "at")}
        best.setdefault(timing.account_pk, Entry(name or "", **facts))
    return list(best.values())


COUNTS = ("operations", "bytes", "size")


def _rank(timing: Timing) -> tuple[float, ...]:
    """Who gives a count stands before those who do not; seconds decide between equals."""
    counts = (getattr(timing, name) for name in COUNTS)
    return (*(math.inf if count is None else count for count in counts), timing.seconds)
