"""The course's certificate: the rule is pure (policies), the paper is signed, anybody can verify."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from mugrade.server.errors import Refusal
from mugrade.server.models import Account, Certificate, Course, new_id
from mugrade.server.services import (
    accounts,
    audit,
    courses,
    earning,
    signing,
    standing,
)
from mugrade.server.services.attempts import utc_text


@dataclass(frozen=True)
class Held:
    """How an account stands, and its certificate where one was issued.

    Attributes:
        certificate: the one that stands.
        revoked: the one that was taken back.
    """

    standing: earning.Standing
    certificate: Certificate | None
    revoked: Certificate | None = None

    @property
    def state(self) -> State:
        return state_of(self.standing.earned, self.certificate or self.revoked)


State = Literal["not earned", "earned", "issued", "issued, no longer earned", "revoked"]


def state_of(earned: bool, row: Certificate | None) -> State:
    """How a certificate stands in one word or two, for staff."""
    if row is None:
        return "earned" if earned else "not earned"
    if row.revoked_at is not None:
        return "revoked"
    return "issued" if earned else "issued, no longer earned"


@dataclass(frozen=True)
class Check:
    """What anybody may see of a certificate; of a revoked one only that, and the course."""

    valid: bool
    name: str | None = None
    course: str | None = None
    issued_at: dt.datetime | None = None
    signed: str | None = None
    revoked_at: dt.datetime | None = None


def standing_of(session: Session, course_pk: int, account_pk: int) -> Held:
    course = courses.view(session, course_pk)
    state = standing.of_account(session, course, account_pk)
    project = standing.projects(session, course, [account_pk]).get(account_pk)
    rule = state.certificate(project)
    row = of_accounts(session, [account_pk]).get(account_pk)
    if row is not None and row.revoked_at is not None:
        return Held(rule, None, row)
    return Held(rule, row)


def of_accounts(session: Session, account_pks: list[int]) -> dict[int, Certificate]:
    """The certificates of these accounts, revoked ones too."""
    query = select(Certificate).where(Certificate.account_pk.in_(account_pks))
    return {row.account_pk: row for row in session.scalars(query)}


def issue(session: Session, now: dt.datetime, actor: accounts.Actor) -> Held:
    """Issue the actor's certificate, once; 403 with what is missing while it is not earned."""
    session.execute(select(Account.pk).where(Account.pk == actor.pk).with_for_update())
    held = standing_of(session, actor.course_pk, actor.pk)
    if held.certificate is not None:
        return held
    if held.revoked is not None:
        raise Refusal(
            403, "forbidden", "The certificate was revoked by the course's staff; ask them."
        )
    if not held.standing.earned:
        raise Refusal(
            403, "not_earned", " ".join(held.standing.missing), errors=list(held.standing.missing)
        )
    certificate_id = new_id("c")
    signed = signing.sign(
        session,
        {
            "type": "certificate",
            "certificate": certificate_id,
            "course": actor.course_id,
            "title": actor.course_title,
            "name": actor.name,
            "average": f"{held.standing.average:f}",
            "at": utc_text(now),
        },
    )
    row = Certificate(
        id=certificate_id,
        account_pk=actor.pk,
        name=actor.name,
        average=held.standing.average,
        signed=signed,
        issued_at=now,
    )
    session.add(row)
    session.flush()
    audit.record(
        session,
        now,
        actor=actor.email,
        action="certificate",
        object=row.id,
        course_pk=actor.course_pk,
    )
    return Held(held.standing, row)


def check(session: Session, certificate_id: str) -> Check:
    """Whether a certificate was issued here and stands, or was taken back and when."""
    query = (
        select(Certificate, Course.title)
        .join(Account, Account.pk == Certificate.account_pk)
        .join(Course, Course.pk == Account.course_pk)
        .where(Certificate.id == certificate_id)
    )
    row = session.execute(query).first()
    if row is None:
        return Check(False)
    certificate, title = row
    if certificate.revoked_at is not None:
        return Check(False, course=title, revoked_at=certificate.revoked_at)
    return Check(True, certificate.name, title, certificate.issued_at, certificate.signed)


def revoke(
    session: Session, now: dt.datetime, actor: accounts.Actor, account: Account, reason: str
) -> Certificate:
    """Take a certificate back; whoever verifies it is then told so, with the date."""
    return _set_revoked(session, now, actor, account, reason, revoked=True)


def reinstate(
    session: Session, now: dt.datetime, actor: accounts.Actor, account: Account, reason: str
) -> Certificate:
    """Let a revoked certificate stand again, as it was issued."""
    return _set_revoked(session, now, actor, account, reason, revoked=False)


def _set_revoked(
    session: Session,
    now: dt.datetime,
    actor: accounts.Actor,
    account: Account,
    reason: str,
    *,
    revoked: bool,
) -> Certificate:
    row = session.scalar(
        select(Certificate).where(Certificate.account_pk == account.pk).with_for_update()
    )
    if row is None or (row.revoked_at is not None) == revoked:
        held = "a certificate that stands" if revoked else "a revoked certificate"
        raise Refusal(404, "not_found", f"{account.email} does not hold {held}.")
    row.revoked_at = now if revoked else None
    audit.record(
        session,
        now,
        actor=actor.email,
        action="certificate-revoked" if revoked else "certificate-reinstated",
        object=row.id,
        course_pk=actor.course_pk,
        student=account.email,
        reason=reason,
    )
    return row
