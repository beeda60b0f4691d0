"""Where everybody stands, for pages that show all students: read once, then only what is new.

Each process keeps, for each student and problem, the attempts that could still decide a score (those
better than all before them), and the results derived from them, and reads on from there (follow.py).
What must be exact while a regrade is under way asks `standing` instead.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from mugrade.server.models import Account, Attempt
from mugrade.server.services import follow, policies, standing
from mugrade.server.services.courses import CourseView

_COLUMNS = (
    Attempt.pk,
    Attempt.id,
    Attempt.account_pk,
    Attempt.problem_pk,
    Attempt.at,
    Attempt.created_at,
    Attempt.correct,
    Attempt.total,
    Attempt.origin,
)
Front = list[policies.Try]
"""Attempts at one problem by time, each better than those before it."""


@dataclass
class _Kept(follow.Kept):
    fronts: dict[int, dict[int, Front]] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    derived: dict[int, tuple[Any, standing.AccountStanding]] = field(default_factory=dict)

    def add(self, row: Row[Any], problem: str) -> None:
        front = self.fronts.setdefault(row.account_pk, {}).setdefault(row.problem_pk, [])
        put(front, policies.Try(row.id, problem, row.at, row.correct, row.total))
        self.counts[row.account_pk] = self.counts.get(row.account_pk, 0) + 1


def put(front: Front, new: policies.Try) -> None:
    """Add an attempt unless one as good came before it; those that it outdoes leave."""
    share = _share(new)
    if any(old.at <= new.at and _share(old) >= share for old in front):
        return
    front[:] = [old for old in front if old.at < new.at or _share(old) > share]
    front.append(new)
    front.sort(key=lambda attempt: attempt.at)


def _share(attempt: policies.Try) -> Fraction:
    return Fraction(attempt.correct, attempt.total) if attempt.total else Fraction(0)


def everybody(
    session: Session, course: CourseView, account_pks: list[int], now: dt.datetime
) -> dict[int, standing.AccountStanding]:
    """The same as `standing.of_everybody`, but for attempts that a running regrade has just changed."""
    names = {p.pk: (a.id, p.id) for a in course.assignments for p in a.problems}
    kept = follow.kept(session, course, "ledger", lambda: _Kept(course.version))
    with kept.lock:
        query = (
            select(*_COLUMNS)
            .join(Account, Account.pk == Attempt.account_pk)
            .where(Account.course_pk == course.pk)
        )
        recent: dict[int, list[Row[Any]]] = {}
        for row in follow.read_on(
            session, query, kept, now, lambda row: kept.add(row, names[row.problem_pk][1])
        ):
            recent.setdefault(row.account_pk, []).append(row)
        decisions = standing.decisions_of(session, account_pks)
        found = {}
        for pk in account_pks:
            decided = decisions[pk]
            fresh = recent.get(pk, ())
            key = (kept.counts.get(pk, 0), tuple((r.pk, r.correct) for r in fresh), decided)
            known = kept.derived.get(pk)
            if known is None or known[0] != key:
                tries = _tries(kept.fronts.get(pk, {}), fresh, names)
                known = kept.derived[pk] = key, standing.derive(course, tries, decided)
            found[pk] = known[1]
        return found


def _tries(
    fronts: dict[int, Front], fresh: Any, names: dict[int, tuple[str, str]]
) -> standing.Tries:
    """The kept attempts and the fresh ones by assignment."""
    merged = {pk: list(front) for pk, front in fronts.items()}
    for row in fresh:
        attempt = policies.Try(row.id, names[row.problem_pk][1], row.at, row.correct, row.total)
        put(merged.setdefault(row.problem_pk, []), attempt)
    found: standing.Tries = {}
    for pk, front in merged.items():
        found.setdefault(names[pk][0], []).extend(front)
    return found
