"""What people write to an attempt: staff's comments, a student's request for a second look, and the
answer to it. A request is open until staff has answered."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import exists, select
from sqlalchemy.orm import Session, aliased

from mugrade.server.errors import Refusal, not_found
from mugrade.server.models import Account, Assignment, Attempt, Problem, Remark
from mugrade.server.services import audit
from mugrade.server.services.accounts import Actor

MOST_OPEN = 5
"""Requests of one student that wait at the same time."""
Kind = Literal["comment", "request", "answer"]


@dataclass(frozen=True)
class Shown:
    kind: str
    text: str
    at: dt.datetime
    author: str
    by_staff: bool


@dataclass(frozen=True)
class Request:
    """A student's request that waits for an answer."""

    attempt: str
    student: str
    assignment: str
    problem: str
    text: str
    at: dt.datetime


def of_attempt(session: Session, attempt_pk: int) -> list[Shown]:
    """Everything written to an attempt, oldest first; both sides see all of it."""
    query = (
        select(Remark, Account.name, Account.role)
        .join(Account, Account.pk == Remark.author_pk)
        .where(Remark.attempt_pk == attempt_pk)
        .order_by(Remark.pk)
    )
    return [
        Shown(row.kind, row.text, row.created_at, name, role != "student")
        for row, name, role in session.execute(query)
    ]


def find(session: Session, actor: Actor, attempt_id: str) -> Attempt:
    """An attempt that the actor may see: their own, or for staff any of the course; else 404."""
    query = (
        select(Attempt)
        .join(Account, Account.pk == Attempt.account_pk)
        .where(Attempt.id == attempt_id, Account.course_pk == actor.course_pk)
    )
    if not actor.is_staff:
        query = query.where(Attempt.account_pk == actor.pk)
    attempt = session.scalar(query)
    if attempt is None:
        raise not_found("attempt")
    return attempt


def ask(session: Session, now: dt.datetime, actor: Actor, attempt_id: str, text: str) -> Remark:
    """A student asks staff to look at their own attempt again."""
    session.execute(select(Account.pk).where(Account.pk == actor.pk).with_for_update())
    attempt = find(session, actor, attempt_id)
    if attempt.account_pk != actor.pk:
        raise not_found("attempt")
    waiting = [
        row.attempt_pk for row in session.scalars(_open().where(Remark.author_pk == actor.pk))
    ]
    if attempt.pk in waiting:
        raise Refusal(409, "conflict", "You have asked already; staff will answer here.")
    if len(waiting) >= MOST_OPEN:
        raise Refusal(
            409,
            "conflict",
            f"{MOST_OPEN} of your requests wait already; staff answers those first.",
        )
    return _add(session, now, actor, attempt, "request", text)


def write(session: Session, now: dt.datetime, actor: Actor, attempt_id: str, text: str) -> Remark:
    """Staff's comment; it answers the request that is open."""
    attempt = find(session, actor, attempt_id)
    waits = session.scalar(_open().where(Remark.attempt_pk == attempt.pk)) is not None
    return _add(session, now, actor, attempt, "answer" if waits else "comment", text)


def _add(
    session: Session, now: dt.datetime, actor: Actor, attempt: Attempt, kind: Kind, text: str
) -> Remark:
    row = Remark(attempt_pk=attempt.pk, author_pk=actor.pk, kind=kind, text=text, created_at=now)
    session.add(row)
    session.flush()
    audit.record(
        session,
        now,
        actor=actor.email,
        action=f"attempt-{kind}",
        object=attempt.id,
        course_pk=actor.course_pk,
    )
    return row


def _open():
    answer = aliased(Remark)
    later = (answer.attempt_pk == Remark.attempt_pk) & (answer.pk > Remark.pk)
    answered = exists(select(1).where(later, answer.kind == "answer"))
    return select(Remark).where(Remark.kind == "request", ~answered)


def waiting(session: Session, course_pk: int, limit: int = 20) -> list[Request]:
    """The course's open requests, the oldest first."""
    query = (
        _open()
        .join(Attempt, Attempt.pk == Remark.attempt_pk)
        .join(Account, Account.pk == Attempt.account_pk)
        .join(Problem, Problem.pk == Attempt.problem_pk)
        .join(Assignment, Assignment.pk == Problem.assignment_pk)
        .where(Account.course_pk == course_pk)
        .add_columns(Attempt.id, Account.name, Assignment.id, Problem.id)
        .order_by(Remark.pk)
        .limit(limit)
    )
    return [
        Request(attempt, name, assignment, problem, row.text, row.created_at)
        for row, attempt, name, assignment, problem in session.execute(query)
    ]
