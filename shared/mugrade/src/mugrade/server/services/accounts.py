"""Accounts, passwords, API tokens, browser sessions and one-time links."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import bindparam, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from mugrade.server.errors import Refusal, invalid, not_found
from mugrade.server.models import Account, Course, Token, WebSession
from mugrade.server.services import audit

TOKEN_PREFIX = "mug_"
ROLE_SCOPES = {
    "student": frozenset({"read", "submit"}),
    "grader": frozenset({"read", "submit", "grade"}),
    "instructor": frozenset({"read", "submit", "grade", "publish", "roster"}),
}
ALL_SCOPES = ROLE_SCOPES["instructor"]
SESSION_DAYS = 30
LINK_HOURS = 24
MIN_PASSWORD = 10
_EMAIL = re.compile(r"[^@\s,;<>\"]{1,64}@[^@\s,;<>\"]{1,180}")
_USED_EVERY = dt.timedelta(hours=1)


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
            f"{', '.join(sorted(actor.scopes)) or 'none'}.",
        )


# ---------------------------------------------------------------------------- sign-up and sign-in


def normal_email(email: str) -> str:
    email = email.strip().lower()
    if not _EMAIL.fullmatch(email):
        raise invalid(f"{email!r:.80} is no e-mail address; expected name@host.")
    return email


def clean_name(name: str) -> str:
    name = " ".join(name.split())
    if not 1 <= len(name) <= 200 or not name.isprintable():
        raise invalid("A name has 1 to 200 printable characters.")
    return name


@functools.cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


def hash_password(password: str) -> str:
    if not MIN_PASSWORD <= len(password) <= 1000:
        raise invalid(f"A password has at least {MIN_PASSWORD} characters.")
    return _hasher().hash(password)


def _password_fits(stored: str | None, password: str) -> bool:
    """Takes the same time whether or not there is a stored hash."""
    try:
        _hasher().verify(stored or _decoy(), password)
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None


@functools.cache
def _decoy() -> str:
    return _hasher().hash(secrets.token_hex(16))


def sign_up(
    session: Session, now: dt.datetime, *, code: str, email: str, name: str, password: str
) -> Account:
    """A new student of the course with this sign-up code.

    An address that staff put on the roster keeps its role and gets this password, once.
    """
    course = session.scalar(select(Course).where(Course.code == code.strip()))
    if course is None:
        raise Refusal(404, "not_found", "No course has this code; ask the course's staff for it.")
    email, name = normal_email(email), clean_name(name)
    password_hash = hash_password(password)
    known = session.scalar(
        select(Account).where(Account.course_pk == course.pk, Account.email == email)
    )
    if known is not None and (known.password_hash or known.role != "student" or not known.active):
        # Staff on the roster come in by a link: a course code must never make somebody staff.
        raise Refusal(409, "exists", f"{email} has an account in this course; sign in instead.")
    if known is not None:
        known.password_hash, known.name = password_hash, name
        account = known
    else:
        account = add_account(session, now, course, email=email, name=name, role="student")
        account.password_hash = password_hash
    audit.record(
        session, now, actor=email, action="sign-up", object=account.id, course_pk=course.pk
    )
    return account


def add_account(
    session: Session, now: dt.datetime, course: Course, *, email: str, name: str, role: str
) -> Account:
    if role not in ROLE_SCOPES:
        raise invalid(f"{role!r:.40} is no role; expected {', '.join(ROLE_SCOPES)}.")
    account = Account(
        course_pk=course.pk,
        email=normal_email(email),
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


def sign_in(
    session: Session, *, email: str, password: str, course_id: str | None = None
) -> Account:
    """The active account with this address and password; one answer for every failure."""
    query = select(Account).join(Course, Course.pk == Account.course_pk)
    query = query.where(Account.email == email.strip().lower(), Account.active)
    if course_id:
        query = query.where(Course.id == course_id)
    accounts = list(session.scalars(query.order_by(Course.created_at.desc()).limit(5)))
    if not accounts:
        _password_fits(None, password)
    for account in accounts:
        if _password_fits(account.password_hash, password):
            return account
    raise Refusal(401, "bad_password", "Address and password do not fit; check both.")


def change_password(
    session: Session, now: dt.datetime, account: Account, *, old: str, new: str
) -> None:
    """Set a password; the old one is asked for where there is one. Ends all browser sessions."""
    if account.password_hash and not _password_fits(account.password_hash, old):
        raise Refusal(401, "bad_password", "The old password does not fit.")
    account.password_hash = hash_password(new)
    _end_sessions(session, now, account)
    audit.record(
        session,
        now,
        actor=account.email,
        action="password",
        object=account.id,
        course_pk=account.course_pk,
    )


def account_of(session: Session, actor: Actor) -> Account:
    return session.get_one(Account, actor.pk)


def find(session: Session, course_pk: int, who: str) -> Account:
    """The account with this id or e-mail address in the course, or 404."""
    query = select(Account).where(Account.course_pk == course_pk)
    column = Account.email if "@" in who else Account.id
    account = session.scalar(query.where(column == who.strip().lower()))
    if account is None:
        raise not_found(f"account {who!r:.80}")
    return account


def set_role(
    session: Session, now: dt.datetime, actor: Actor, account: Account, *, role: str, active: bool
) -> None:
    """Change role and activity; the last active instructor cannot be demoted."""
    if role not in ROLE_SCOPES:
        raise invalid(f"{role!r:.40} is no role; expected {', '.join(ROLE_SCOPES)}.")
    if account.role == "instructor" and (role != "instructor" or not active):
        others = select(Account.pk).where(
            Account.course_pk == account.course_pk,
            Account.role == "instructor",
            Account.active,
            Account.pk != account.pk,
        )
        if session.scalar(others.limit(1)) is None:
            raise invalid(f"{account.email} is the last instructor; make another one first.")
    before = {"role": account.role, "active": account.active}
    account.role, account.active = role, active
    audit.record(
        session,
        now,
        actor=actor.email,
        action="role",
        object=account.email,
        course_pk=account.course_pk,
        before=before,
        after={"role": role, "active": active},
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
    scopes: list[str] | None = None,
    days: int | None = None,
) -> tuple[str, Token]:
    """A new API token: the text to show once, and its row.

    Args:
        scopes: at most the account's role's; all of them when None.
    """
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
        expires_at=now + dt.timedelta(days=days) if days else None,
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
    .add_columns(Token.pk.label("token_pk"), Token.scopes, Token.expires_at, Token.revoked_at)
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
    return _actor(row, frozenset(row.scopes) & ROLE_SCOPES[row.role], token_pk=row.token_pk)


def _actor(row: Any, scopes: frozenset[str], **extra: int) -> Actor:
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


def note_use(session: Session, actor: Actor, now: dt.datetime) -> None:
    """Remember when a token was last used, to the hour: a write for every request is too dear."""
    session.execute(
        update(Token)
        .where(Token.pk == actor.token_pk)
        .where((Token.last_used_at.is_(None)) | (Token.last_used_at < now - _USED_EVERY))
        .values(last_used_at=now)
    )


# ------------------------------------------------------------------------- sessions and links


def open_session(session: Session, now: dt.datetime, account: Account, *, agent: str = "") -> str:
    """Sign a browser in; returns the cookie's value."""
    return _new_session(session, now, account, "browser", dt.timedelta(days=SESSION_DAYS), agent)


def one_time_link(session: Session, now: dt.datetime, account: Account) -> str:
    """The secret part of a link that signs in once, within a day."""
    return _new_session(session, now, account, "link", dt.timedelta(hours=LINK_HOURS), "")


def _new_session(
    session: Session, now: dt.datetime, account: Account, kind: str, life: dt.timedelta, agent: str
) -> str:
    text = secrets.token_urlsafe(32)
    row = WebSession(
        account_pk=account.pk,
        kind=kind,
        sha256=sha256(text),
        agent=agent[:120],
        created_at=now,
        expires_at=now + life,
    )
    session.add(row)
    session.flush()
    return text


def use_link(session: Session, now: dt.datetime, text: str, *, agent: str = "") -> str:
    """Turn a one-time link into a browser session; returns the cookie's value."""
    row = session.scalar(_session_row(text, now, "link").with_for_update())
    if row is None:
        raise Refusal(401, "bad_link", "This link was used or is too old; ask for a new one.")
    row.ended_at = now
    return open_session(session, now, session.get_one(Account, row.account_pk), agent=agent)


def session_actor(session: Session, now: dt.datetime, cookie: str) -> Actor | None:
    """Who is signed in with this cookie, or None."""
    query = _ACTOR.join(WebSession, WebSession.account_pk == Account.pk).add_columns(
        WebSession.pk.label("session_pk")
    )
    row = session.execute(
        query.where(
            WebSession.sha256 == sha256(cookie),
            WebSession.kind == "browser",
            WebSession.ended_at.is_(None),
            WebSession.expires_at > now,
        )
    ).first()
    return None if row is None else _actor(row, ROLE_SCOPES[row.role], session_pk=row.session_pk)


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


def _end_sessions(session: Session, now: dt.datetime, account: Account) -> None:
    session.execute(
        update(WebSession)
        .where(WebSession.account_pk == account.pk, WebSession.ended_at.is_(None))
        .values(ended_at=now)
    )
