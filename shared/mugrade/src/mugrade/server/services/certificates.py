"""The course's certificate: the rule is pure (policies), the paper is signed, anybody can verify."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from mugrade.server.errors import Refusal
from mugrade.server.models import Account, Certificate, Course, new_id
from mugrade.server.services import accounts, audit, courses, policies, signing, standing
from mugrade.server.services.attempts import utc_text


@dataclass(frozen=True)
class Held:
    """How an account stands, and its certificate where one was issued and stands."""

    standing: policies.Standing
    certificate: Certificate | None


@dataclass(frozen=True)
class Check:
    """What anybody may see of a certificate."""

    valid: bool
    name: str | None = None
    course: str | None = None
    issued_at: dt.datetime | None = None
    signed: str | None = None


def standing_of(session: Session, course_pk: int, account_pk: int) -> Held:
    course = courses.view(session, course_pk)
    state = standing.of_account(session, course, account_pk)
    done = account_pk in standing.project_done(session, [account_pk])
    rule = policies.certificate_standing(state.results, done, course.policy.certificate)
    row = session.scalar(
        select(Certificate).where(
            Certificate.account_pk == account_pk, Certificate.revoked_at.is_(None)
        )
    )
    return Held(rule, row)


def issue(session: Session, now: dt.datetime, actor: accounts.Actor) -> Held:
    """Issue the actor's certificate, once; 403 with what is missing while it is not earned."""
    session.execute(select(Account.pk).where(Account.pk == actor.pk).with_for_update())
    held = standing_of(session, actor.course_pk, actor.pk)
    if held.certificate is not None:
        return held
    if not held.standing.earned:
        raise Refusal(
            403, "not_earned", " ".join(held.standing.missing), errors=list(held.standing.missing)
        )
    row = session.scalar(select(Certificate).where(Certificate.account_pk == actor.pk))
    if row is not None:
        raise Refusal(
            403, "forbidden", "The certificate was revoked by the course's staff; ask them."
        )
    certificate_id = new_id("c")
    signed = signing.sign(
        session,
        {
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
    """Whether a certificate was issued here and stands; nothing about unknown or revoked ones."""
    query = (
        select(Certificate, Course.title)
        .join(Account, Account.pk == Certificate.account_pk)
        .join(Course, Course.pk == Account.course_pk)
        .where(Certificate.id == certificate_id, Certificate.revoked_at.is_(None))
    )
    row = session.execute(query).first()
    if row is None:
        return Check(False)
    certificate, title = row
    return Check(True, certificate.name, title, certificate.issued_at, certificate.signed)


def revoke(
    session: Session, now: dt.datetime, actor: accounts.Actor, account: Account, reason: str
) -> None:
    """Take a certificate back; its verification page then says that it does not stand."""
    row = session.scalar(select(Certificate).where(Certificate.account_pk == account.pk))
    if row is None or row.revoked_at is not None:
        raise Refusal(404, "not_found", f"{account.email} holds no certificate.")
    row.revoked_at = now
    audit.record(
        session,
        now,
        actor=actor.email,
        action="certificate-revoked",
        object=row.id,
        course_pk=actor.course_pk,
        reason=reason,
    )
