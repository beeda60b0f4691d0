"""The audit log: append-only, each entry's hash covers the entry before it."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from mugrade.encoding import canonical_json
from mugrade.server.models import Audit

NEWEST = 500
"""Entries that are verified whenever the log is shown."""
CLOCK_SLACK = dt.timedelta(minutes=1)
_LOCK = 0x61756474
"""PostgreSQL advisory lock that makes the chain's writers take turns."""


def record(
    session: Session,
    now: dt.datetime,
    *,
    actor: str,
    action: str,
    object: str,
    course_pk: int | None = None,
    **detail: Any,
) -> None:
    """Append one entry; call it inside the transaction that does what it records."""
    if session.get_bind().dialect.name != "sqlite":
        session.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
    last = session.execute(
        select(Audit.seq, Audit.hash, Audit.at).order_by(Audit.seq.desc()).limit(1)
    ).first()
    now = now.astimezone(dt.timezone.utc)
    if last and now < last.at - CLOCK_SLACK:  # `seq` is the order; the log says why times are not
        detail["clock_set_back_seconds"] = round((last.at - now).total_seconds())
    entry = Audit(
        seq=last.seq + 1 if last else 1,
        course_pk=course_pk,
        at=now,
        actor=actor,
        action=action,
        object=object[:200],
        detail=detail,
    )
    entry.hash = _hash(last.hash if last else "", entry)
    session.add(entry)
    session.flush()


def _hash(previous: str, entry: Audit) -> str:
    content = {
        "seq": entry.seq,
        "course": entry.course_pk,
        "at": entry.at.astimezone(dt.timezone.utc).isoformat(),
        "actor": entry.actor,
        "action": entry.action,
        "object": entry.object,
        "detail": entry.detail,
    }
    return hashlib.sha256(previous.encode() + canonical_json(content)).hexdigest()


def entries(
    session: Session, course_pk: int, *, limit: int = 100, before: int | None = None
) -> list[Audit]:
    """The course's entries, newest first; `before` is the last `seq` of the page above."""
    query = select(Audit).where(Audit.course_pk == course_pk)
    if before is not None:
        query = query.where(Audit.seq < before)
    return list(session.scalars(query.order_by(Audit.seq.desc()).limit(limit)))


def first_broken(session: Session, newest: int | None = NEWEST) -> int | None:
    """The `seq` at which the chain does not hold, or None.

    Args:
        newest: look at so many entries only (`mugrade db check` looks at all, by None): each hash
            covers the entry before, so what is left out is as it was when it was looked at last.
    """
    previous, expected = "", 1
    if newest is not None:
        last = session.scalar(select(func.max(Audit.seq))) or 0
        before = session.get(Audit, last - newest) if last > newest else None
        if before is not None:
            previous, expected = before.hash, before.seq + 1
    for entry in _in_order(session, expected - 1):
        if entry.seq != expected or entry.hash != _hash(previous, entry):
            return entry.seq
        previous, expected = entry.hash, expected + 1
    return None


def _in_order(session: Session, last: int, batch: int = 500) -> Iterator[Audit]:
    while rows := session.scalars(
        select(Audit).where(Audit.seq > last).order_by(Audit.seq).limit(batch)
    ).all():
        yield from rows
        last = rows[-1].seq
