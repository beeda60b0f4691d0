"""Personal invitations: how people on the roster come to their accounts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from mugrade.server.errors import Refusal, invalid
from mugrade.server.models import Account, Course
from mugrade.server.services import accounts, audit, identity, mail, sessions

MOST = 100
"""People invited by one request; mail to each takes a moment."""


@dataclass(frozen=True)
class Invitation:
    email: str
    name: str
    code: str


@dataclass
class Made:
    """New invitations, and who got none with the reason."""

    course: str
    made: list[Invitation] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)


def waiting(session: Session, course_pk: int) -> list[Account]:
    """Everybody on the roster who has not come in yet."""
    query = select(Account).where(Account.course_pk == course_pk, identity.CLAIMABLE)
    return list(session.scalars(query.order_by(Account.name, Account.pk)))


def invite(
    session: Session, now: dt.datetime, actor: accounts.Actor, people: Sequence[str]
) -> Made:
    """Make a personal invitation for each of these e-mail addresses or ids; earlier ones end."""
    if not people:
        raise invalid("Name whom to invite, by e-mail address.")
    if len(people) > MOST:
        raise invalid(f"{len(people)} people were named; invite at most {MOST} at once.")
    course = session.get_one(Course, actor.course_pk)
    result = Made(course.title)
    for who in people:
        try:
            account = accounts.find(session, course.pk, who)
        except Refusal:
            result.skipped.append((who, "is not on the roster"))
            continue
        if (reason := identity.why_not_claimable(session, account)) is not None:
            result.skipped.append((account.email, reason))
            continue
        code = sessions.invitation(session, now, account)
        result.made.append(Invitation(account.email, account.name, code))
    if result.made:
        audit.record(
            session,
            now,
            actor=actor.email,
            action="invitation",
            object=course.id,
            course_pk=course.pk,
            people=[one.email for one in result.made],
        )
    return result


def link_for(
    session: Session, now: dt.datetime, actor: accounts.Actor, account: Account, *, reason: str
) -> str:
    """A one-time sign-in link for somebody who forgot their password; audited."""
    if account.role == "instructor" and account.pk != actor.pk:
        raise Refusal(
            403,
            "forbidden",
            "An instructor's sign-in link is made on the server itself: mugrade link EMAIL.",
        )
    if not account.active:
        raise invalid(f"{account.email} is deactivated; activate the account first.")
    audit.record(
        session,
        now,
        actor=actor.email,
        action="sign-in-link",
        object=account.email,
        course_pk=account.course_pk,
        reason=reason,
    )
    return sessions.one_time_link(session, now, account)


def letter(web: str, course: str, one: Invitation) -> mail.Letter:
    return mail.Letter(
        one.email,
        one.name,
        f"Your account in {course}",
        f"Hello {one.name},\n\nthe staff of {course} have made an account for you. Choose a password "
        f"here:\n\n{web}invitation?code={one.code}\n\nThe link is for you alone and works once. "
        f"If it does not open, go to {web}invitation and enter the code {one.code}\n",
    )
