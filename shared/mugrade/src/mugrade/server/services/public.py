"""The public client's submissions: opened empty, filled case by case, first verdict stands."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from mugrade.compare import MISSING, Verdict, compare
from mugrade.encoding import canonical_json, decode
from mugrade.server.errors import Refusal, invalid, not_found
from mugrade.server.models import Account, Attempt, Claim, Revision, new_id
from mugrade.server.services import answers, attempts, courses, revisions, signing, standing
from mugrade.server.services.accounts import Actor

VARIANT = 0
"""The one variant that the public client knows."""


def open_submission(
    session: Session, now: dt.datetime, actor: Actor, assignment_id: str, problem_id: str
) -> str:
    """Start a submission; it counts as an attempt with every case missing until cases come."""
    session.execute(select(Account.pk).where(Account.pk == actor.pk).with_for_update())
    course = courses.view(session, actor.course_pk)
    assignment = course.assignment(assignment_id)
    place = attempts.Place(course, assignment, assignment.problem(problem_id))
    revision = place.revision
    if revision.seed(VARIANT) is None:
        raise Refusal(
            409,
            "stale_revision",
            f"{problem_id} has variants that this client does not know; update it.",
        )
    rows = standing.attempt_rows(session, actor.pk)
    _check_open(session, now, actor, place)
    attempts.check_limits(session, rows, place.problem, now)
    total = len(revision.labels)
    attempt_id = new_id("a")
    session.execute(
        insert(Attempt).values(
            id=attempt_id,
            account_pk=actor.pk,
            problem_pk=place.problem.pk,
            revision_pk=revision.pk,
            graded_pk=revision.pk,
            variant=VARIANT,
            origin="public",
            created_at=now,
            at=now,
            digest="",
            request_digest="",
            correct=0,
            total=total,
            verdicts=answers.to_json([MISSING] * total),
        )
    )
    return attempt_id


def _check_open(session: Session, now: dt.datetime, actor: Actor, place: attempts.Place) -> None:
    """The public client cannot say that late is meant, so late is taken and penalized."""
    extended, _ = standing.decisions(session, actor.pk)
    window = standing.task(
        place.course, place.assignment, extended.get(place.assignment.pk), {}
    ).window
    state = window.state(now)
    if state == "not_open":
        raise Refusal(403, "not_open", f"{place.assignment.id} is not open yet.")
    if state == "closed":
        raise Refusal(403, "closed", f"{place.assignment.id} is closed.")


def submit_case(
    session: Session, now: dt.datetime, actor: Actor, submission_id: str, index: int, data: Any
) -> bool:
    """Compare one case and keep it; a repeated case gets its first verdict again."""
    attempt = session.scalar(
        select(Attempt)
        .where(
            Attempt.id == submission_id, Attempt.account_pk == actor.pk, Attempt.origin == "public"
        )
        .with_for_update()
    )
    if attempt is None:
        raise not_found(f"submission {submission_id!r:.40}")
    if not 0 <= index < attempt.total:
        raise invalid(
            f"Case {index} does not exist; this problem has {attempt.total} published cases."
        )
    if session.get(Claim, (attempt.pk, index)) is not None:
        return answers.from_json(attempt.verdicts)[index].correct
    course = courses.view(session, actor.course_pk)
    place = attempts.place_of(course, attempt.problem_pk)
    _check_open(session, now, actor, place)
    hours = session.info["settings"].legacy_attempt_hours
    if now > attempt.created_at + dt.timedelta(hours=hours):
        raise Refusal(403, "closed", f"This submission is older than {hours} hours; submit again.")
    verdict = _compare_case(session, attempt, index, decode(data))
    session.add(Claim(attempt_pk=attempt.pk, first=index, body=answers.pack([data])))
    stored = list(attempt.verdicts)
    stored[index] = answers.to_json([verdict])[0]
    attempt.verdicts = stored
    attempt.correct += verdict.correct
    attempt.at = now
    _sign(session, actor, attempt, place, canonical_json(data))
    return verdict.correct


def _compare_case(session: Session, attempt: Attempt, index: int, claim: Any) -> Verdict:
    revision = revisions.view_of(session, session.get_one(Revision, attempt.graded_pk))
    expected = answers.expected(session, revision, attempt.variant)
    return compare(expected[index], claim, revision.case_tolerance(index))


def _sign(
    session: Session, actor: Actor, attempt: Attempt, place: attempts.Place, body: bytes
) -> None:
    """The receipt of what has come so far; the digest chains over the cases in their order."""
    attempt.digest = hashlib.sha256(attempt.digest.encode() + body).hexdigest()
    revision = session.get_one(Revision, attempt.revision_pk)
    attempt.receipt = signing.sign(
        session,
        {
            "course": place.course.id,
            "account": actor.id,
            "assignment": place.assignment.id,
            "problem": place.problem.id,
            "attempt": attempt.id,
            "revision": revision.number,
            "variant": attempt.variant,
            "correct": attempt.correct,
            "total": attempt.total,
            "at": attempts.utc_text(attempt.at),
            "digest": attempt.digest,
        },
    )
