"""The public client's submissions: opened empty, filled case by case, first verdict stands."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from mugrade.compare import MISSING, Verdict, compare
from mugrade.encoding import canonical_json, decode
from mugrade.server.errors import Refusal, invalid, not_found
from mugrade.server.models import Account, Attempt, Claim, Revision, new_id
from mugrade.server.services import (
    admission,
    answers,
    attempts,
    courses,
    revisions,
    signing,
    standing,
)
from mugrade.server.services.accounts import Actor

VARIANT = 0
"""The one variant that the public client knows."""


def open_submission(
    session: Session,
    now: dt.datetime,
    actor: Actor,
    assignment_id: str,
    problem_id: str,
    *,
    clock: Callable[[], dt.datetime] | None = None,
) -> str:
    """Start a submission; it counts as an attempt with every case missing until cases come.

    Times are as in `attempts.store`.
    """
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
    admission.check_limits(session, rows, place.problem, max(now, clock() if clock else now))
    admission.check_quota(session, rows, 0, now)
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
    decided = standing.decisions(session, actor.pk)
    window = standing.task(place.course, place.assignment, decided).window
    state = window.state(now)
    if state == "not_open":
        raise Refusal(403, "not_open", f"{place.assignment.id} is not open yet.")
    if state == "closed":
        raise Refusal(403, "closed", f"{place.assignment.id} is closed.")


@dataclass(frozen=True)
class Compared:
    """A case that was compared and packed, and is not stored yet.

    Attributes:
        verdict: None where the case has one already, which stands.
        graded_pk: the revision that the attempt was graded by at the time.
    """

    submission: str
    index: int
    verdict: Verdict | None
    graded_pk: int
    content: bytes
    packed: bytes


def compare_case(
    session: Session, actor: Actor, submission_id: str, index: int, data: Any
) -> Compared:
    """Compare one case; nothing is written."""
    attempt = _submission(session, actor, submission_id)
    if not 0 <= index < attempt.total:
        raise invalid(
            f"Case {index} does not exist; this problem has {attempt.total} published cases."
        )
    content, claim = canonical_json(data), decode(data)
    revision, expected = _judge_of(session, attempt, index)
    admission.check_values_size(session.info["settings"], expected, len(content))
    verdict = None
    if session.get(Claim, (attempt.pk, index)) is None:
        verdict = compare(expected.values[index], claim, revision.case_tolerance(index))
    packed = answers.pack([data])
    return Compared(submission_id, index, verdict, attempt.graded_pk, content, packed)


def keep_case(session: Session, now: dt.datetime, actor: Actor, compared: Compared) -> bool | None:
    """Store a compared case; a repeated case gets its first verdict again.

    Returns:
        Whether it is right; None when the attempt was graded anew meanwhile: compare again.
    """
    attempt = _submission(session, actor, compared.submission, lock=True)
    if session.get(Claim, (attempt.pk, compared.index)) is not None:
        return answers.from_json(attempt.verdicts)[compared.index].correct
    course = courses.view(session, actor.course_pk)
    place = attempts.place_of(course, attempt.problem_pk)
    _check_open(session, now, actor, place)
    hours = session.info["settings"].legacy_attempt_hours
    if now > attempt.created_at + dt.timedelta(hours=hours):
        raise Refusal(403, "closed", f"This submission is older than {hours} hours; submit again.")
    verdict = compared.verdict
    if verdict is None or attempt.graded_pk != compared.graded_pk:
        return None
    session.add(Claim(attempt_pk=attempt.pk, first=compared.index, body=compared.packed))
    stored = list(attempt.verdicts)
    stored[compared.index] = answers.to_json([verdict])[0]
    attempt.verdicts = stored
    attempt.correct += verdict.correct
    attempt.stored_bytes += len(compared.packed)
    attempt.at = max(now, attempt.at)
    _sign(session, actor, attempt, place, compared.content)
    return verdict.correct


def _submission(
    session: Session, actor: Actor, submission_id: str, *, lock: bool = False
) -> Attempt:
    query = select(Attempt).where(
        Attempt.id == submission_id, Attempt.account_pk == actor.pk, Attempt.origin == "public"
    )
    attempt = session.scalar(query.with_for_update() if lock else query)
    if attempt is None:
        raise not_found(f"submission {submission_id!r:.40}")
    return attempt


def _judge_of(
    session: Session, attempt: Attempt, index: int
) -> tuple[courses.RevisionView, answers.Answers]:
    """The revision that the attempt is graded by; that which it was opened for where the case's
    inputs have become others since."""
    made, now = (
        revisions.view_of(session, session.get_one(Revision, pk))
        for pk in (attempt.revision_pk, attempt.graded_pk)
    )
    then = answers.of_variant(session, made, attempt.variant)
    found = answers.of_variant(session, now, attempt.variant)
    assert then is not None and found is not None
    if answers.other_inputs(found, index, None, then):
        return made, then
    return now, found


def _sign(
    session: Session, actor: Actor, attempt: Attempt, place: attempts.Place, body: bytes
) -> None:
    """The receipt of what has come so far; the digest chains over the cases in their order."""
    attempt.digest = hashlib.sha256(attempt.digest.encode() + body).hexdigest()
    revision = session.get_one(Revision, attempt.revision_pk)
    attempt.receipt = signing.sign(
        session,
        {
            "type": "receipt",
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
