"""The audit log: append-only, each entry's hash covers the entry before it."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from mugrade.encoding import canonical_json
from mugrade.server.models import Audit

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
        select(Audit.seq, Audit.hash).order_by(Audit.seq.desc()).limit(1)
    ).first()
    entry = Audit(
        seq=last.seq + 1 if last else 1,
        course_pk=course_pk,
        at=now.astimezone(dt.timezone.utc),
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


def first_broken(session: Session) -> int | None:
    """The `seq` at which the chain does not hold, or None when the whole log is intact."""
    previous, expected = "", 1
    for entry in _in_order(session):
        if entry.seq != expected or entry.hash != _hash(previous, entry):
            return entry.seq
        previous, expected = entry.hash, expected + 1
    return None


def _in_order(session: Session, batch: int = 500) -> Iterator[Audit]:
    last = 0
    while rows := session.scalars(
        select(Audit).where(Audit.seq > last).order_by(Audit.seq).limit(batch)
    ).all():
        yield from rows
        last = rows[-1].seq
