"""Accounts, API tokens, browser sessions, one-time links and invitations; identity.py has the ways in."""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from mugrade.server.errors import Refusal, invalid, not_found
from mugrade.server.models import Account, Course, Token, WebSession
from mugrade.server.services import audit, email_addresses
from mugrade.server.services.email_addresses import first_invisible

TOKEN_PREFIX = "mug_"
ROLE_SCOPES = {
    "student": frozenset({"read", "submit"}),
    "grader": frozenset({"read", "submit", "grade"}),
    "instructor": frozenset({"read", "submit", "grade", "publish", "roster"}),
}
ALL_SCOPES = ROLE_SCOPES["instructor"]
EVERYDAY_SCOPES = frozenset({"read", "submit"})
"""What a key may do unless more was asked for."""
SESSION_DAYS = 30
LINK_HOURS = 24
INVITATION_DAYS = 30
_USED_EVERY = dt.timedelta(minutes=10)


@dataclass(frozen=True)
class Actor:
    """Who is asking: one account in one course, and what this token or session may do."""

    pk: int
    id: str
    email: str
    name: str
    role: str
    scopes: frozenset[str]
    course_pk: int
    course_id: str
    course_title: str
    course_version: int
    token_pk: int | None = None
    session_pk: int | None = None
    key_until: dt.datetime | None = None
    use_noted: bool = True
    """Whether the key's last use is written down, as of some minutes ago."""
    resets: bool = False
    """Whether this browser came by a link from staff or mail, which may set a password."""

    @property
    def is_staff(self) -> bool:
        return self.role in ("grader", "instructor")


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def require_scope(actor: Actor, scope: str) -> None:
    if scope not in actor.scopes:
        raise Refusal(
            403,
            "forbidden",
            f"This needs the scope {scope!r}; your {actor.role} token has "
            f"{', '.join(sorted(actor.scopes)) or 'none'}."
            + (
                f" Run `mugrade login --scope {scope}`." if scope in ROLE_SCOPES[actor.role] else ""
            ),
        )


# -------------------------------------------------------------------------------------- accounts


def clean_name(name: str) -> str:
    name = " ".join(name.split())
    if not 1 <= len(name) <= 200 or not name.isprintable() or first_invisible(name):
        raise invalid("A name has 1 to 200 printable characters.")
    return name


def add_account(
    session: Session, now: dt.datetime, course: Course, *, email: str, name: str, role: str
) -> Account:
    if role not in ROLE_SCOPES:
        raise invalid(f"{role!r:.40} is no role; expected {', '.join(ROLE_SCOPES)}.")
    account = Account(
        course_pk=course.pk,
        email=email_addresses.normal(email),
        name=clean_name(name),
        role=role,
        created_at=now,
    )
    session.add(account)
    try:
        session.flush()
    except IntegrityError:
        raise Refusal(409, "exists", f"{email} has an account in this course already.") from None
    return account


def account_of(session: Session, actor: Actor) -> Account:
    return session.get_one(Account, actor.pk)


def find(session: Session, course_pk: int, who: str) -> Account:
    """The account with this id or e-mail address in the course, or 404."""
    query = select(Account).where(Account.course_pk == course_pk)
    mine = (
        Account.email.in_(email_addresses.looked_up(who))
        if "@" in who
        else Account.id == who.strip().lower()
    )
    account = session.scalar(query.where(mine))
    if account is None:
        raise not_found(f"account {who!r:.80}")
    return account


def find_student(session: Session, course_pk: int, who: str) -> Account:
    """As `find`, of those who get scores: staff sets no score for staff."""
    account = find(session, course_pk, who)
    if account.role != "student":
        raise invalid(f"{account.email} is {account.role}; only a student has times and scores.")
    return account


def set_role(
    session: Session,
    now: dt.datetime,
    actor: Actor,
    account: Account,
    *,
    role: str | None = None,
    active: bool | None = None,
    reason: str = "",
) -> None:
    """Change an account's role, or whether it is active; what is None stays.

    Who is deactivated is signed out everywhere and their keys are revoked; their attempts stay.
    """
    if account.pk == actor.pk:
        raise invalid("You cannot change your own role or deactivate yourself.")
    before = {"role": account.role, "active": account.active}
    after = {
        "role": account.role if role is None else role,
        "active": account.active if active is None else active,
    }
    if after["role"] not in ROLE_SCOPES:
        raise invalid(f"{role!r:.40} is no role; expected {', '.join(ROLE_SCOPES)}.")
    account.role, account.active = str(after["role"]), bool(after["active"])
    if not account.active:
        end_sessions(session, now, account)
        revoke_all_tokens(session, now, account)
    if after != before:
        audit.record(
            session,
            now,
            actor=actor.email,
            action="role",
            object=account.email,
            course_pk=account.course_pk,
            before=before,
            after=after,
            reason=reason,
        )


def set_pseudonym(session: Session, account: Account, pseudonym: str | None) -> None:
    """Opt in to the leaderboard under this name, or out with None."""
    account.pseudonym = clean_name(pseudonym)[:40] if pseudonym and pseudonym.strip() else None


# ---------------------------------------------------------------------------------------- tokens


def issue_token(
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
    text = TOKEN_PREFIX + secrets.token_urlsafe(32)
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


_ACTOR = (
    select(
        Account.pk,
        Account.id,
        Account.email,
        Account.name,
        Account.role,
        Account.course_pk,
        Course.id.label("course_id"),
        Course.title,
        Course.version,
    )
    .join(Course, Course.pk == Account.course_pk)
    .where(Account.active)
)


_BY_TOKEN = (
    _ACTOR.join(Token, Token.account_pk == Account.pk)
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
    return _actor(
        row,
        frozenset(row.scopes) & ROLE_SCOPES[row.role],
        token_pk=row.token_pk,
        key_until=row.expires_at,
        use_noted=used is not None and abs(now - used) < _USED_EVERY,
    )


def _actor(row: Any, scopes: frozenset[str], **extra: Any) -> Actor:
    return Actor(
        pk=row.pk,
        id=row.id,
        email=row.email,
        name=row.name,
        role=row.role,
        scopes=scopes,
        course_pk=row.course_pk,
        course_id=row.course_id,
        course_title=row.title,
        course_version=row.version,
        **extra,
    )


def tokens(session: Session, account_pk: int) -> list[Token]:
    """The account's tokens that still work, newest first."""
    query = select(Token).where(Token.account_pk == account_pk, Token.revoked_at.is_(None))
    return list(session.scalars(query.order_by(Token.created_at.desc(), Token.pk.desc())))


def revoke_token(
    session: Session, now: dt.datetime, actor: Actor, token_id: str | None = None
) -> None:
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


def revoke_all_tokens(session: Session, now: dt.datetime, account: Account) -> None:
    session.execute(
        update(Token)
        .where(Token.account_pk == account.pk, Token.revoked_at.is_(None))
        .values(revoked_at=now)
    )


def note_use(session: Session, token_pk: int, now: dt.datetime) -> None:
    """Write down that a token was used; callers do so once in some minutes (`Actor.use_noted`)."""
    session.execute(update(Token).where(Token.pk == token_pk).values(last_used_at=now))


# ------------------------------------------------------------------------- sessions and links


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


def session_actor(session: Session, now: dt.datetime, cookie: str) -> Actor | None:
    """Who is signed in with this cookie, or None."""
    query = _ACTOR.join(WebSession, WebSession.account_pk == Account.pk).add_columns(
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
    return _actor(row, scopes, session_pk=row.session_pk, resets=row.resets)


def _session_row(text: str, now: dt.datetime, kind: str) -> Any:
    return select(WebSession).where(
        WebSession.sha256 == sha256(text),
        WebSession.kind == kind,
        WebSession.ended_at.is_(None),
        WebSession.expires_at > now,
    )


def sessions(session: Session, now: dt.datetime, account_pk: int) -> list[WebSession]:
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


def end_sessions(session: Session, now: dt.datetime, account: Account) -> None:
    """Sign every browser of the account out; its links and invitations end too."""
    session.execute(
        update(WebSession)
        .where(WebSession.account_pk == account.pk, WebSession.ended_at.is_(None))
        .values(ended_at=now)
    )
