"""Upkeep of a database: what may be deleted, whether all of it holds together, who serves it."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Delete, Update, delete, func, select, text, update
from sqlalchemy.orm import Session

from mugrade.server.db import Database
from mugrade.server.errors import Refusal
from mugrade.server.models import (
    Attempt,
    Claim,
    DeviceLogin,
    Expected,
    FailedTry,
    Job,
    JobChange,
    Problem,
    ServerFact,
    SourceBundle,
    WebSession,
)
from mugrade.server.services import answers, audit
from mugrade.server.settings import Settings

AT_ONCE = 500
"""Rows between two releases of the lock."""
SESSION_DAYS, KEY_DAYS, JOB_DAYS = 7, 180, 180
"""How long ended sessions and links are kept; after how long an attempt cannot be repeated under its
key any more; how long what a job has changed is kept."""


# ---------------------------------------------------------------------------------- server facts


def note_address(session: Session, now: dt.datetime, web: str) -> None:
    """Tell the commands on this machine under which address the server is reached."""
    row = session.get(ServerFact, "web")
    if row is None:
        session.add(ServerFact(name="web", value=web, changed_at=now))
    elif row.value != web:
        row.value, row.changed_at = web, now


def address(session: Session) -> str | None:
    """What `note_address` has noted last."""
    row = session.get(ServerFact, "web")
    return row.value if row else None


@contextlib.contextmanager
def serving(settings: Settings, *, alone: bool = False) -> Iterator[None]:
    """Hold the data folder as a server does (several may), or alone.

    Raises:
        Refusal: alone is not possible while a server runs, and the other way round.
    """
    try:
        import fcntl
    except ImportError:  # not on Windows, where an open file cannot be replaced anyway
        yield
        return
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (settings.data_dir / "serving.lock").open("a") as file:
        try:
            fcntl.flock(file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except OSError:
            raise Refusal(
                409,
                "conflict",
                f"A server is running on {settings.data_dir}; stop it first."
                if alone
                else f"{settings.data_dir} is being restored; start again when that has ended.",
            ) from None
        yield


def alone(settings: Settings) -> contextlib.AbstractContextManager[None]:
    return serving(settings, alone=True)


# ----------------------------------------------------------------------------------------- prune


def prune(
    database: Database, now: dt.datetime, *, keep_values_days: int | None, dry_run: bool
) -> dict[str, int]:
    """Delete what has expired, a few hundred rows at a time; returns how many of each kind.

    An attempt without its values keeps its verdicts and is skipped by every later regrade.
    """

    def ago(days: int) -> dt.datetime:
        return now - dt.timedelta(days=days)

    session_over = (WebSession.expires_at < ago(SESSION_DAYS)) | (
        WebSession.ended_at < ago(SESSION_DAYS)
    )
    old_jobs = select(Job.pk).where(Job.finished_at < ago(JOB_DAYS))
    kinds: list[tuple[str, Any, Any, Delete | Update]] = [
        ("sessions and links", WebSession.pk, session_over, delete(WebSession)),
        ("device codes", DeviceLogin.pk, DeviceLogin.expires_at < ago(1), delete(DeviceLogin)),
        ("failed tries", FailedTry.pk, FailedTry.at < ago(1), delete(FailedTry)),
        (
            "idempotency keys",
            Attempt.pk,
            Attempt.idempotency_key.is_not(None) & (Attempt.created_at < ago(KEY_DAYS)),
            update(Attempt).values(idempotency_key=None),
        ),
        (
            "changes noted by jobs",
            JobChange.attempt_pk,
            JobChange.job_pk.in_(old_jobs),
            delete(JobChange),
        ),
    ]
    if keep_values_days:
        old = select(Attempt.pk).where(Attempt.created_at < ago(keep_values_days))
        kinds += [
            (what, model.attempt_pk, model.attempt_pk.in_(old), delete(model))
            for what, model in (("values", Claim), ("sources", SourceBundle))
        ]
    counts = {}
    for what, key, condition, change in kinds:
        counts[what] = _count(database, key, condition)
        if not dry_run:
            _in_pieces(database, key, condition, change)
    if not dry_run and any(counts.values()):
        with database.write() as session:
            audit.record(session, now, actor="mugrade prune", action="prune", object="", **counts)
    return counts


def _count(database: Database, key: Any, condition: Any) -> int:
    with database.read() as session:
        return session.scalar(select(func.count(key)).where(condition)) or 0


def _in_pieces(database: Database, key: Any, condition: Any, change: Delete | Update) -> None:
    while True:
        with database.write() as session:
            keys = session.scalars(select(key).where(condition).distinct().limit(AT_ONCE)).all()
            if not keys:
                return
            session.execute(
                change.where(key.in_(keys), condition),
                execution_options={"synchronize_session": False},
            )


# ----------------------------------------------------------------------------------------- check


def check(database: Database) -> dict[str, str]:
    """What was looked at, with the first fault found, empty where all is well."""
    found = {}
    if database.is_sqlite:
        with database.read() as session:
            said = session.execute(text("PRAGMA integrity_check(1)")).scalar()
            found["file"] = "" if said == "ok" else str(said)
            if found["file"]:
                return found
    found["schema"] = "" if database.is_current() else f"it is {database.revision()!r:.60}"
    if found["schema"]:
        return found
    with database.read() as session:
        if database.is_sqlite:
            broken = session.execute(text("PRAGMA foreign_key_check")).first()
            found["foreign keys"] = f"a row of {broken[0]} names one that is not" if broken else ""
        seq = audit.first_broken(session, newest=None)
        found["audit log"] = "" if seq is None else f"the chain breaks at entry {seq}"
        found["current answers"] = _lost_answers(session)
        found["attempts"] = _odd_attempt(session)
    return found


def _lost_answers(session: Session) -> str:
    published = select(Expected.revision_pk)
    query = select(Problem.id).where(
        Problem.current_pk.is_not(None), Problem.current_pk.not_in(published)
    )
    lost = session.scalars(query).all()
    return f"{', '.join(lost)} without the answers that count" if lost else ""


def _odd_attempt(session: Session) -> str:
    """An attempt whose counts are not those of its verdicts."""
    last = 0
    columns = (Attempt.pk, Attempt.id, Attempt.correct, Attempt.total, Attempt.verdicts)
    while rows := session.execute(
        select(*columns).where(Attempt.pk > last).order_by(Attempt.pk).limit(AT_ONCE)
    ).all():
        for row in rows:
            right = sum(verdict.correct for verdict in answers.from_json(row.verdicts))
            if right != row.correct or len(row.verdicts) != row.total:
                return f"{row.id} counts {row.correct} of {row.total}, its verdicts {right} right"
        last = rows[-1].pk
    return ""
