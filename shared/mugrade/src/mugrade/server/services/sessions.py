"""Signed-in browsers, one-time links and personal invitations: secrets that open an account."""

from __future__ import annotations

import datetime as dt
import secrets
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mugrade.server.errors import Refusal, not_found
from mugrade.server.models import Account, WebSession
from mugrade.server.services.accounts import ACTOR, ROLE_SCOPES, Actor, actor_from, sha256

SESSION_DAYS = 30
LINK_HOURS = 24
INVITATION_DAYS = 30


def open_session(
    session: Session, now: dt.datetime, account: Account, *, agent: str = "", resets: bool = False
) -> str:
    """Sign a browser in; returns the cookie's value."""
    life = dt.timedelta(days=SESSION_DAYS)
    return _new_session(
        session, now, account, "browser", secrets.token_urlsafe(32), life, agent, resets
    )


def one_time_link(session: Session, now: dt.datetime, account: Account) -> str:
    """The secret part of a link that signs in once, within a day, and may set a password."""
    life = dt.timedelta(hours=LINK_HOURS)
    return _new_session(session, now, account, "link", secrets.token_urlsafe(32), life, resets=True)


def invitation(session: Session, now: dt.datetime, account: Account) -> str:
    """The code of a personal invitation; ones made before for this account no longer work."""
    session.execute(
        update(WebSession)
        .where(WebSession.account_pk == account.pk, WebSession.kind == "invite")
        .where(WebSession.ended_at.is_(None))
        .values(ended_at=now)
    )
    code = "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(5))
    return _new_session(session, now, account, "invite", code, dt.timedelta(days=INVITATION_DAYS))


_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Letters and digits that are not taken for each other: 99 bits in twenty of them."""


def _new_session(
    session: Session,
    now: dt.datetime,
    account: Account,
    kind: str,
    text: str,
    life: dt.timedelta,
    agent: str = "",
    resets: bool = False,
) -> str:
    row = WebSession(
        account_pk=account.pk,
        kind=kind,
        sha256=sha256(text),
        agent=agent[:120],
        resets=resets,
        created_at=now,
        expires_at=now + life,
    )
    session.add(row)
    session.flush()
    return text


def use_link(session: Session, now: dt.datetime, text: str, *, agent: str = "") -> str:
    """Turn a one-time link into a browser session; returns the cookie's value."""
    row = session.scalar(_session_row(text, now, "link").with_for_update())
    account = row and session.get_one(Account, row.account_pk)
    if row is None or account is None or not account.active:
        raise Refusal(401, "bad_link", "This link was used or is too old; ask for a new one.")
    row.ended_at = now
    return open_session(session, now, account, agent=agent, resets=row.resets)


def open_invitation(session: Session, now: dt.datetime, text: str) -> WebSession:
    """The invitation with this code while it can be used; locked until the transaction ends."""
    row = session.scalar(_session_row(text.strip().lower(), now, "invite").with_for_update())
    if row is None:
        raise Refusal(
            401,
            "bad_invitation",
            "This invitation was used, replaced by a newer one, or is too old; ask the course's "
            "staff for a new one.",
        )
    return row


def actor(session: Session, now: dt.datetime, cookie: str) -> Actor | None:
    """Who is signed in with this cookie, or None."""
    query = ACTOR.join(WebSession, WebSession.account_pk == Account.pk).add_columns(
        WebSession.pk.label("session_pk"), WebSession.resets
    )
    row = session.execute(
        query.where(
            WebSession.sha256 == sha256(cookie),
            WebSession.kind == "browser",
            WebSession.ended_at.is_(None),
            WebSession.expires_at > now,
        )
    ).first()
    if row is None:
        return None
    scopes = ROLE_SCOPES[row.role]
    return actor_from(row, scopes, session_pk=row.session_pk, resets=row.resets)


def _session_row(text: str, now: dt.datetime, kind: str) -> Any:
    return select(WebSession).where(
        WebSession.sha256 == sha256(text),
        WebSession.kind == kind,
        WebSession.ended_at.is_(None),
        WebSession.expires_at > now,
    )


def of_account(session: Session, now: dt.datetime, account_pk: int) -> list[WebSession]:
    """The account's signed-in browsers, newest first."""
    query = select(WebSession).where(
        WebSession.account_pk == account_pk,
        WebSession.kind == "browser",
        WebSession.ended_at.is_(None),
        WebSession.expires_at > now,
    )
    return list(session.scalars(query.order_by(WebSession.created_at.desc())))


def sign_out(
    session: Session, now: dt.datetime, actor: Actor, session_id: str | None = None
) -> None:
    """End one of the actor's sessions; the one in use when no id is given."""
    query = select(WebSession).where(
        WebSession.account_pk == actor.pk, WebSession.ended_at.is_(None)
    )
    column = WebSession.id == session_id if session_id else WebSession.pk == actor.session_pk
    row = session.scalar(query.where(column))
    if row is None:
        raise not_found("session")
    row.ended_at = now


def end_all(session: Session, now: dt.datetime, account: Account) -> None:
    """Sign every browser of the account out; its links and invitations end too."""
    session.execute(
        update(WebSession)
        .where(WebSession.account_pk == account.pk, WebSession.ended_at.is_(None))
        .values(ended_at=now)
    )
