"""API tokens: keys of programs. Only their SHA-256 is kept."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Iterable

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from mugrade.server.errors import Refusal, not_found
from mugrade.server.models import Account, Token
from mugrade.server.services import audit
from mugrade.server.services.accounts import ACTOR, ROLE_SCOPES, Actor, actor_from, sha256

PREFIX = "mug_"
_USED_EVERY = dt.timedelta(minutes=10)


def issue(
    session: Session,
    now: dt.datetime,
    account: Account,
    *,
    name: str,
    scopes: Iterable[str] | None = None,
    days: int | None = None,
) -> tuple[str, Token]:
    """A new API token: the text to show once, and its row.

    Args:
        scopes: at most the account's role's; all of them when None.
        days: how long it works; the server's `key_days` when None.
    """
    days = session.info["settings"].key_days if days is None else days
    allowed = ROLE_SCOPES[account.role]
    chosen = sorted(allowed if scopes is None else scopes)
    if not set(chosen) <= allowed:
        raise Refusal(
            403, "forbidden", f"A {account.role} may have the scopes {', '.join(sorted(allowed))}."
        )
    text = PREFIX + secrets.token_urlsafe(32)
    token = Token(
        account_pk=account.pk,
        name=" ".join(name.split())[:80] or "token",
        hint=text[:10],
        sha256=sha256(text),
        scopes=chosen,
        created_at=now,
        expires_at=now + dt.timedelta(days=days),
    )
    session.add(token)
    session.flush()
    audit.record(
        session,
        now,
        actor=account.email,
        action="token",
        object=token.id,
        course_pk=account.course_pk,
        name=token.name,
        scopes=chosen,
    )
    return text, token


_BY_TOKEN = (
    ACTOR.join(Token, Token.account_pk == Account.pk)
    .add_columns(
        Token.pk.label("token_pk"),
        Token.scopes,
        Token.expires_at,
        Token.revoked_at,
        Token.last_used_at,
    )
    .where(Token.sha256 == bindparam("sha256"))
)


def authenticate(session: Session, text: str, now: dt.datetime) -> Actor:
    """Who this API token belongs to, or 401."""
    row = session.connection().execute(_BY_TOKEN, {"sha256": sha256(text)}).first()
    if row is None or row.revoked_at is not None:
        raise Refusal(
            401, "bad_token", "The server does not know this key; get one with `mugrade login`."
        )
    if row.expires_at is not None and row.expires_at <= now:
        raise Refusal(
            401, "expired_token", "This key has expired; get a new one with `mugrade login`."
        )
    used = row.last_used_at
    return actor_from(
        row,
        frozenset(row.scopes) & ROLE_SCOPES[row.role],
        token_pk=row.token_pk,
        key_until=row.expires_at,
        use_noted=used is not None and abs(now - used) < _USED_EVERY,
    )


def of_account(session: Session, account_pk: int) -> list[Token]:
    """The account's tokens that still work, newest first."""
    query = select(Token).where(Token.account_pk == account_pk, Token.revoked_at.is_(None))
    return list(session.scalars(query.order_by(Token.created_at.desc(), Token.pk.desc())))


def revoke(session: Session, now: dt.datetime, actor: Actor, token_id: str | None = None) -> None:
    """Revoke one of the actor's own tokens; the one in use when no id is given."""
    query = select(Token).where(Token.account_pk == actor.pk, Token.revoked_at.is_(None))
    query = (
        query.where(Token.id == token_id) if token_id else query.where(Token.pk == actor.token_pk)
    )
    token = session.scalar(query)
    if token is None:
        raise not_found("token")
    token.revoked_at = now
    audit.record(
        session,
        now,
        actor=actor.email,
        action="token-revoked",
        object=token.id,
        course_pk=actor.course_pk,
    )


def revoke_all(session: Session, now: dt.datetime, account: Account) -> None:
    session.execute(
        update(Token)
        .where(Token.account_pk == account.pk, Token.revoked_at.is_(None))
        .values(revoked_at=now)
    )


def note_use(session: Session, token_pk: int, now: dt.datetime) -> None:
    """Write down that a token was used; callers do so once in some minutes (`Actor.use_noted`)."""
    session.execute(update(Token).where(Token.pk == token_pk).values(last_used_at=now))
