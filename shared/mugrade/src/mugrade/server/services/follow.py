"""Attempts are read once: each process keeps what it has made of them and reads on from there.

What is kept belongs to one version of the course; a change of it (a publication, the end of a regrade, a
moved due time) begins anew.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Row
from sqlalchemy.orm import Session

from mugrade.server.models import Attempt
from mugrade.server.services.courses import CourseView

SETTLED = {"api": dt.timedelta(minutes=1), "public": dt.timedelta(days=1)}
"""After so long an attempt is what it stays, but for regrades: it has committed past its neighbours,
and the public client has sent all of its cases."""
AT_ONCE = 2000


@dataclass
class Kept:
    """What is known of a course's settled attempts up to the primary key `last`."""

    version: int
    last: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


K = TypeVar("K", bound=Kept)


def kept(session: Session, course: CourseView, what: str, make: Callable[[], K]) -> K:
    """This process's `what` for the course as it is now."""
    tallies: dict[Any, Any] = session.info["tallies"]
    found: K | None = tallies.get((what, course.pk))
    if found is None or found.version != course.version:
        found = tallies[what, course.pk] = make()
    return found


def read_on(
    session: Session,
    query: Any,
    kept: Kept,
    now: dt.datetime,
    keep: Callable[[Row[Any]], None],
) -> list[Row[Any]]:
    """Hand the attempts after `kept.last` to `keep` as far as they are settled; the rest is returned, and
    read again the next time. Hold `kept.lock` meanwhile.

    Args:
        query: a select of attempts with `pk`, `created_at` and `origin` among their columns.
    """
    recent: list[Row[Any]] = []
    for row in _rows(session, query, kept.last):
        if recent or row.created_at > now - SETTLED[row.origin]:
            recent.append(row)
        else:
            keep(row)
            kept.last = row.pk
    return recent


def _rows(session: Session, query: Any, last: int) -> Iterator[Row[Any]]:
    query = query.order_by(Attempt.pk).limit(AT_ONCE)
    while rows := session.execute(query.where(Attempt.pk > last)).all():
        yield from rows
        last = rows[-1].pk
