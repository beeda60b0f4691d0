"""Signing in from a terminal: it shows a code, somebody enters it on the web page, it gets a token."""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from mugrade.server.errors import Refusal
from mugrade.server.models import Account, DeviceLogin
from mugrade.server.services import accounts

LIFETIME = dt.timedelta(minutes=15)
INTERVAL_SECONDS = 5
_ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"


@dataclass(frozen=True)
class Started:
    device_code: str
    user_code: str


def start(session: Session, now: dt.datetime, client: str) -> Started:
    """A new pair of codes: the long one stays in the terminal, the short one is typed by hand."""
    device_code = secrets.token_urlsafe(32)
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(8))
    user_code = f"{letters[:4]}-{letters[4:]}"
    session.add(
        DeviceLogin(
            sha256=accounts.sha256(device_code),
            user_code=user_code,
            client=client or "terminal",
            state="pending",
            created_at=now,
            expires_at=now + LIFETIME,
        )
    )
    session.flush()
    return Started(device_code, user_code)


def waiting(session: Session, now: dt.datetime, user_code: str) -> DeviceLogin:
    """The terminal that shows this code, for the page on which it is approved."""
    letters = "".join(c for c in user_code.upper() if c in _ALPHABET)
    code = f"{letters[:4]}-{letters[4:]}"
    row = session.scalar(select(DeviceLogin).where(DeviceLogin.user_code == code).with_for_update())
    if row is None or row.state != "pending" or row.expires_at <= now:
        raise Refusal(
            404, "not_found", "No terminal is waiting with this code; run `mugrade login` again."
        )
    return row


def decide(
    session: Session, now: dt.datetime, actor: accounts.Actor, user_code: str, *, approve: bool
) -> DeviceLogin:
    """Let the waiting terminal in as the actor, or turn it away."""
    row = waiting(session, now, user_code)
    row.state = "approved" if approve else "denied"
    row.account_pk = actor.pk if approve else None
    return row


def poll(session: Session, now: dt.datetime, device_code: str) -> tuple[str, Account] | str:
    """The terminal asks whether it is let in: a token and its account, or why not yet.

    Returns:
        The token's text with its account; or one of the words `authorization_pending`,
        `slow_down`, `expired_device_code`, `access_denied`.
    """
    query = select(DeviceLogin).where(DeviceLogin.sha256 == accounts.sha256(device_code))
    row = session.scalar(query.with_for_update())
    if row is None or row.state == "used" or row.expires_at <= now:
        return "expired_device_code"
    if row.state == "denied":
        return "access_denied"
    if row.state == "pending":
        hasty = row.polled_at is not None and now - row.polled_at < dt.timedelta(
            seconds=INTERVAL_SECONDS - 1
        )
        row.polled_at = now
        return "slow_down" if hasty else "authorization_pending"
    row.state = "used"
    account = session.get_one(Account, row.account_pk)
    if not account.active:
        return "access_denied"
    token, _ = accounts.issue_token(session, now, account, name=row.client)
    return token, account
