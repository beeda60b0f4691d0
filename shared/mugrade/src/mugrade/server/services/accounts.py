"""Accounts and roles, and who is asking. Their keys are in tokens.py, their browsers in sessions.py; identity.py
has the ways in."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from mugrade.server.errors import Refusal, invalid, not_found
from mugrade.server.models import Account, Course
from mugrade.server.services import email_addresses
from mugrade.server.services.email_addresses import first_invisible

ROLE_SCOPES = {
    "student": frozenset({"read", "submit"}),
    "grader": frozenset({"read", "submit", "grade"}),
    "instructor": frozenset({"read", "submit", "grade", "publish", "roster"}),
}
ALL_SCOPES = ROLE_SCOPES["instructor"]
EVERYDAY_SCOPES = frozenset({"read", "submit"})
"""What a key may do unless more was asked for."""


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
    students_only(account)
    return account


def students_only(account: Account) -> None:
    if account.role != "student":
        raise invalid(f"{account.email} is {account.role}; only a student has times and scores.")


def named(people: Sequence[Account]) -> str:
    """One person's address, or how many they are; for the audit log."""
    return people[0].email if len(people) == 1 else f"{len(people)} people"


def set_pseudonym(session: Session, account: Account, pseudonym: str | None) -> None:
    """Opt in to the leaderboard under this name, or out with None."""
    account.pseudonym = clean_name(pseudonym)[:40] if pseudonym and pseudonym.strip() else None


# --------------------------------------------------------------------------------- who is asking


ACTOR = (
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
"""What `actor_from` needs of an active account; joined with what it was found by."""


def actor_from(row: Any, scopes: frozenset[str], **extra: Any) -> Actor:
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
