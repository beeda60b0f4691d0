"""Signing in from a terminal: it shows a code, somebody enters it on the web page, it gets a token."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mugrade.server.errors import Refusal
from mugrade.server.models import Account, DeviceLogin, Token
from mugrade.server.services import accounts, tokens

LIFETIME = dt.timedelta(minutes=15)
INTERVAL_SECONDS = 5
_ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"


@dataclass(frozen=True)
class Started:
    device_code: str
    user_code: str


def start(
    session: Session,
    now: dt.datetime,
    client: str,
    *,
    address: str = "",
    block: str = "",
    scopes: Iterable[str] | None = None,
) -> Started:
    """A new pair of codes: the long one stays in the terminal, the short one is typed by hand.

    Args:
        client: the name that the terminal gives itself.
        address: where it asked from, and the block of addresses that this counts for.
        scopes: what it asks to be allowed, beyond reading and submitting.
    """
    waiting_now = select(func.count()).where(
        DeviceLogin.block == block, DeviceLogin.state == "pending", DeviceLogin.expires_at > now
    )
    if (session.scalar(waiting_now) or 0) >= session.info["settings"].terminals_per_address:
        raise Refusal(
            429,
            "rate_limited",
            "Too many terminals of your network wait for their code to be confirmed; wait a minute.",
            retry_after=60,
        )
    device_code = secrets.token_urlsafe(32)
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(8))
    user_code = f"{letters[:4]}-{letters[4:]}"
    session.add(
        DeviceLogin(
            sha256=accounts.sha256(device_code),
            user_code=user_code,
            client=_readable(client) or "terminal",
            address=address,
            block=block,
            scopes=None if scopes is None else sorted(scopes),
            state="pending",
            created_at=now,
            expires_at=now + LIFETIME,
        )
    )
    session.flush()
    return Started(device_code, user_code)


def _readable(client: str) -> str:
    """The name without quotation marks and control characters: it is shown between quotes."""
    return "".join(c for c in client if c.isprintable() and c not in '"“”').strip()[:80]


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
    session: Session,
    now: dt.datetime,
    actor: accounts.Actor,
    user_code: str,
    *,
    approve: bool,
    scopes: Iterable[str] = (),
) -> DeviceLogin:
    """Let the waiting terminal in as the actor, or turn it away.

    Args:
        scopes: what it may do beyond reading and submitting; at most what the actor may.
    """
    row = waiting(session, now, user_code)
    row.scopes = sorted((accounts.EVERYDAY_SCOPES | set(scopes)) & actor.scopes)
    row.state = "approved" if approve else "denied"
    row.account_pk = actor.pk if approve else None
    return row


def poll(session: Session, now: dt.datetime, device_code: str) -> tuple[str, Token, Account] | str:
    """The terminal asks whether it is let in: a token and its account, or why not yet.

    Returns:
        The token's text, the token and its account; or one of the words `authorization_pending`,
        `slow_down`, `expired_device_code`, `access_denied`.
    """
    query = select(DeviceLogin).where(DeviceLogin.sha256 == accounts.sha256(device_code))
    row = session.scalar(query.with_for_update())
    if row is None or row.state == "used" or row.expires_at <= now:
        return "expired_device_code"
    if row.state == "denied":
        return "access_denied"
    if row.state == "pending":
        since = None if row.polled_at is None else now - row.polled_at
        least = dt.timedelta(seconds=INTERVAL_SECONDS - 1)
        hasty = since is not None and dt.timedelta(0) <= since < least
        row.polled_at = now
        return "slow_down" if hasty else "authorization_pending"
    row.state = "used"
    account = session.get_one(Account, row.account_pk)
    if not account.active:
        return "access_denied"
    allowed = accounts.ROLE_SCOPES[account.role] & set(row.scopes or accounts.EVERYDAY_SCOPES)
    text, token = tokens.issue(session, now, account, name=row.client, scopes=allowed)
    return text, token, account
