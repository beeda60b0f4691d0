"""Everything that is stored about one person, for their own eyes."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from mugrade.server.models import (
    Account,
    Assignment,
    Attempt,
    Certificate,
    Extension,
    Override,
    Problem,
    Remark,
    SourceBundle,
    Timing,
)
from mugrade.server.services import answers, groups, sessions, tokens


def of_account(session: Session, now: dt.datetime, account: Account) -> dict[str, Any]:
    """JSON-able data. Submitted values are left out (they are large, and the person's own);
    so are hashes of secrets, which member of the staff decided something, and what staff notes for
    itself (`LookedAt`)."""
    places = {
        pk: f"{assignment}/{problem}"
        for pk, assignment, problem in session.execute(
            select(Problem.pk, Assignment.id, Problem.id).join(
                Assignment, Assignment.pk == Problem.assignment_pk
            )
        )
    }
    names = {pk: name for pk, name in session.execute(select(Assignment.pk, Assignment.id))}

    def rows(model: Any, *fields: str) -> list[dict[str, Any]]:
        found = session.scalars(
            select(model).where(model.account_pk == account.pk).order_by(model.pk)
        )
        return [_row(item, fields, places, names) for item in found]

    group = groups.own(session, account.pk)
    return {
        "account": _row(
            account,
            ("id", "email", "name", "role", "section", "extra_days", "pseudonym", "created_at"),
        ),
        "tokens": [
            _row(t, ("id", "name", "hint", "scopes", "created_at", "last_used_at"))
            for t in tokens.of_account(session, account.pk)
        ],
        "browsers": [
            _row(s, ("id", "agent", "created_at", "expires_at"))
            for s in sessions.of_account(session, now, account.pk)
        ],
        "attempts": _attempts(session, account, places),
        "remarks": _remarks(session, account),
        "timings": rows(
            Timing, "problem", "seconds", "device", "operations", "bytes", "size", "at"
        ),
        "extensions": rows(Extension, "assignment", "due_at", "excused", "reason", "created_at"),
        "overrides": rows(Override, "problem", "points", "reason", "created_at"),
        "project": group
        and {
            **_row(
                group.row,
                ("id", "state", "title", "proposal", "report", "feedback", "marks", "grade"),
            ),
            "members": [member.name for member in group.members],
        },
        "certificates": rows(
            Certificate, "id", "name", "average", "signed", "issued_at", "revoked_at"
        ),
    }


def _remarks(session: Session, account: Account) -> list[dict[str, Any]]:
    """What was written to the person's attempts; of staff only that it was staff."""
    query = (
        select(Remark, Attempt.id)
        .join(Attempt, Attempt.pk == Remark.attempt_pk)
        .where(Attempt.account_pk == account.pk)
        .order_by(Remark.pk)
    )
    return [
        {
            **_row(row, ("kind", "text", "created_at")),
            "attempt": attempt,
            "by": "you" if row.author_pk == account.pk else "staff",
        }
        for row, attempt in session.execute(query)
    ]


def _attempts(session: Session, account: Account, places: dict[int, str]) -> list[dict[str, Any]]:
    query = (
        select(Attempt, SourceBundle.body)
        .outerjoin(SourceBundle, SourceBundle.attempt_pk == Attempt.pk)
        .where(Attempt.account_pk == account.pk)
        .order_by(Attempt.created_at, Attempt.pk)
    )
    fields = (
        "id",
        "problem",
        "variant",
        "at",
        "correct",
        "total",
        "error",
        "client",
        "environment",
        "receipt",
    )
    return [
        {**_row(attempt, fields, places), "source": answers.unpack(source) if source else []}
        for attempt, source in session.execute(query)
    ]


def _row(
    row: Any,
    fields: tuple[str, ...],
    places: dict[int, str] | None = None,
    names: dict[int, str] | None = None,
) -> dict[str, Any]:
    """The fields as JSON has them; `problem` and `assignment` by name."""
    out = {}
    for field in fields:
        if field == "problem":
            value = (places or {}).get(row.problem_pk)
        elif field == "assignment":
            value = (names or {}).get(row.assignment_pk)
        else:
            value = getattr(row, field)
        if isinstance(value, dt.datetime):
            value = value.isoformat()
        out[field] = str(value) if isinstance(value, Decimal) else value
    return out
