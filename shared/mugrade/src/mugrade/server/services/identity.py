"""The ways in: signing up and in, one-time links, personal invitations, passwords.

Each of these compares or makes a password hash, which takes a good part of a second; so each is a
short read or write, the slow part outside of any transaction, and a short write that looks again.
That is why these functions take the database, where other services take a session. Wrong guesses
are counted (tries.py).
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlalchemy import and_, exists, select
from sqlalchemy.orm import Session

from mugrade.server.db import Database
from mugrade.server.errors import Refusal
from mugrade.server.models import Account, Attempt, Course, Token, WebSession
from mugrade.server.services import (
    accounts,
    audit,
    email_addresses,
    mail,
    passwords,
    sessions,
    tokens,
    tries,
)

log = logging.getLogger("mugrade")
Clock = Callable[[], dt.datetime]


@dataclass(frozen=True)
class Caller:
    """Who knocks: the block of network addresses that failures count for, and the browser."""

    block: str
    agent: str = ""


# ------------------------------------------------------------------------------------- sign-up


def sign_up(
    database: Database,
    clock: Clock,
    caller: Caller,
    *,
    code: str,
    email: str,
    name: str,
    password: str,
) -> str:
    """Make a new student of the course with this code and sign them in; returns the cookie's value.

    Never opens an account that exists: one on the roster is claimed by its personal invitation.
    """
    with tries.counted(database, clock, tries.of_address(database, caller.block)):
        email, name = email_addresses.normal(email), accounts.clean_name(name)
        passwords.check(password)
        with database.read() as session:
            _course_to_join(session, code, email)
        password_hash = passwords.hashed(password)
        with database.write() as session:
            now, course = clock(), _course_to_join(session, code, email)
            account = accounts.add_account(
                session, now, course, email=email, name=name, role="student"
            )
            account.password_hash = password_hash
            _note(session, now, account, "sign-up")
            return sessions.open_session(session, now, account, agent=caller.agent)


def _course_to_join(session: Session, code: str, email: str) -> Course:
    course = session.scalar(select(Course).where(Course.code == code.strip()))
    if course is None:
        raise Refusal(404, "not_found", "No course has this code; ask the course's staff for it.")
    known = session.scalar(
        select(Account).where(Account.course_pk == course.pk, Account.email == email)
    )
    if known is not None and known.password_hash:
        raise Refusal(409, "exists", f"{email} has an account in this course; sign in instead.")
    if known is not None:
        raise Refusal(
            409,
            "exists",
            f"{email} is on the course's list already; use the personal invitation that the course's "
            "staff sent you, or ask them for one.",
        )
    return course


# ------------------------------------------------------------------------------------- sign-in


def sign_in(database: Database, clock: Clock, caller: Caller, *, email: str, password: str) -> str:
    """Sign in by address and password; one answer for every failure. Returns the cookie's value."""
    forms = email_addresses.looked_up(email)
    budgets = (
        tries.of_address(database, caller.block),
        tries.of_account(database, min(forms, key=len)),
    )
    with tries.counted(database, clock, *budgets):
        with database.read() as session:
            found = _with_address(session, forms)
        fitting = next((a for a in found if passwords.fits(a.password_hash, password)), None)
        if not found:
            passwords.fits(None, password)
        with database.write() as session:
            account = fitting and session.get_one(Account, fitting.pk)
            if (
                fitting is None
                or account is None
                or not account.active
                or account.password_hash != fitting.password_hash
            ):
                raise Refusal(401, "bad_password", "Address and password do not fit; check both.")
            return sessions.open_session(session, clock(), account, agent=caller.agent)


def _with_address(session: Session, forms: set[str]) -> list[Account]:
    """The active accounts with this address; one a course, the newest course first."""
    query = select(Account).join(Course, Course.pk == Account.course_pk)
    query = query.where(Account.email.in_(forms), Account.active)
    return list(session.scalars(query.order_by(Course.created_at.desc()).limit(5)))


def use_link(database: Database, clock: Clock, caller: Caller, code: str) -> str:
    """Sign in by a one-time link; returns the cookie's value."""
    with (
        tries.counted(database, clock, tries.of_address(database, caller.block)),
        database.write() as session,
    ):
        return sessions.use_link(session, clock(), code, agent=caller.agent)


# --------------------------------------------------------------------------------- invitations


@dataclass(frozen=True)
class Invited:
    """Whom an invitation is for."""

    email: str
    name: str
    course: str


def invited(database: Database, clock: Clock, caller: Caller, code: str) -> Invited:
    """Whom this invitation is for; 401 for one that cannot be used."""
    with (
        tries.counted(database, clock, tries.of_address(database, caller.block)),
        database.read() as session,
    ):
        row = sessions.open_invitation(session, clock(), code)
        account = session.get_one(Account, row.account_pk)
        course = session.get_one(Course, account.course_pk)
        _refuse_claimed(session, account)
        return Invited(account.email, account.name, course.title)


def accept(database: Database, clock: Clock, caller: Caller, *, code: str, password: str) -> str:
    """Claim the account that a personal invitation is for; returns the cookie's value.

    Its name and role stay as staff entered them.
    """
    passwords.check(password)
    invited(database, clock, caller, code)  # nothing slow is done for a code that does not work
    password_hash = passwords.hashed(password)
    with database.write() as session:
        now = clock()
        row = sessions.open_invitation(session, now, code)
        account = session.get_one(Account, row.account_pk, with_for_update=True)
        _refuse_claimed(session, account)
        account.password_hash, row.ended_at = password_hash, now
        _note(session, now, account, "invitation-accepted")
        return sessions.open_session(session, now, account, agent=caller.agent)


def _refuse_claimed(session: Session, account: Account) -> None:
    if (reason := why_not_claimable(session, account)) is not None:
        raise Refusal(
            409, "exists", f"{account.email} {reason}; ask the course's staff for a sign-in link."
        )


def why_not_claimable(session: Session, account: Account) -> str | None:
    """Why nobody may claim this account by an invitation, or None: only a fresh one may be."""
    if not account.active:
        return "is deactivated"
    if account.password_hash:
        return "has a password"
    for past, words in _PASTS:
        if session.scalar(select(Account.pk).where(Account.pk == account.pk, past)):
            return words
    return None


_PASTS = tuple(
    (exists(select(1).where(*conditions).correlate(Account)), words)
    for conditions, words in (
        ((Attempt.account_pk == Account.pk,), "has attempts"),
        ((Token.account_pk == Account.pk,), "has keys"),
        (
            (WebSession.account_pk == Account.pk, WebSession.kind == "browser"),
            "was signed in before",
        ),
    )
)
CLAIMABLE = and_(Account.active, Account.password_hash.is_(None), *(~past for past, _ in _PASTS))
"""The same as a condition on accounts: nobody has used this one yet."""


# ----------------------------------------------------------------------------------- passwords


def set_password(
    database: Database,
    clock: Clock,
    caller: Caller,
    actor: accounts.Actor,
    *,
    old: str,
    new: str,
    revoke_keys: bool,
) -> str:
    """Set a password and sign all other browsers out; returns a new cookie's value.

    The old password is asked for where there is one, except of a browser that came by a one-time
    link: that is how a forgotten password is replaced.
    """
    passwords.check(new)
    with database.read() as session:
        stored = accounts.account_of(session, actor).password_hash
    with tries.counted(database, clock, tries.of_account(database, actor.id)):
        if stored and not actor.resets and not passwords.fits(stored, old):
            raise Refusal(401, "bad_password", "The old password does not fit.")
    password_hash = passwords.hashed(new)
    with database.write() as session:
        now = clock()
        account = session.get_one(Account, actor.pk, with_for_update=True)
        if account.password_hash != stored:
            raise Refusal(409, "conflict", "The password was changed meanwhile; try again.")
        account.password_hash = password_hash
        sessions.end_all(session, now, account)
        if revoke_keys:
            tokens.revoke_all(session, now, account)
        _note(session, now, account, "password", by_link=actor.resets, keys_revoked=revoke_keys)
        return sessions.open_session(session, now, account, agent=caller.agent)


MAILS_PER_WINDOW = 3


def mail_links(database: Database, clock: Clock, caller: Caller, email: str) -> Callable[[], None]:
    """For a forgotten password: what this returns mails a one-time link to whoever has the address.

    The answer to the request is the same whether or not there is somebody, and does not wait for it.
    Every request is counted, because each may send a mail.
    """
    forms = email_addresses.looked_up(email)
    tries.spend(
        database,
        clock,
        tries.of_address(database, caller.block),
        replace(tries.of_account(database, "mail/" + min(forms, key=len)), most=MAILS_PER_WINDOW),
    )
    return lambda: _mail_links(database, clock, forms)


def _mail_links(database: Database, clock: Clock, forms: set[str]) -> None:
    letters = []
    with database.write() as session:
        for account in _with_address(session, forms):
            code = sessions.one_time_link(session, clock(), account)
            course = session.get_one(Course, account.course_pk)
            letters.append(_reset_letter(database.settings.web_address(), account, course, code))
    try:
        told = mail.send(database.settings, letters) if letters else {}
    except Refusal as error:
        log.error("a sign-in link was not mailed: %s", error.detail)
        return
    for reason in filter(None, told.values()):
        log.error("a sign-in link was not mailed: %s", reason)


def _reset_letter(web: str, account: Account, course: Course, code: str) -> mail.Letter:
    return mail.Letter(
        account.email,
        account.name,
        f"Sign in to {course.title}",
        f"Hello {account.name},\n\nthis link signs you in to {course.title} once, within a day; "
        f"then you can set a new password:\n\n{web}link?code={code}\n\n"
        "If you did not ask for it, do nothing: without the link nobody gets in.\n",
    )


def _note(
    session: Session, now: dt.datetime, account: Account, action: str, **detail: object
) -> None:
    audit.record(
        session,
        now,
        actor=account.email,
        action=action,
        object=account.id,
        course_pk=account.course_pk,
        **detail,
    )
