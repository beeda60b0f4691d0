"""Taking attempts: compare first, then store in one short transaction that decides everything.

`grade` reads and compares without a lock. `store` takes the account's lock and checks, in this
order: repeated key, window, limits; only then is the attempt written and its receipt signed. Two
workers therefore never count past a limit, and an attempt that was acknowledged is in the database.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, exists, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from mugrade.compare import Verdict
from mugrade.encoding import EncodingError, canonical_json, decode
from mugrade.server.errors import Refusal, invalid, not_found
from mugrade.server.models import (
    Account,
    Attempt,
    Claim,
    Extension,
    Override,
    Revision,
    SourceBundle,
    new_id,
)
from mugrade.server.schemas import AttemptIn
from mugrade.server.services import admission, answers, courses, policies, signing, standing
from mugrade.server.services.accounts import Actor
from mugrade.server.services.courses import AssignmentView, CourseView, ProblemView, RevisionView


@dataclass(frozen=True)
class Place:
    """The problem that an attempt is for."""

    course: CourseView
    assignment: AssignmentView
    problem: ProblemView

    @property
    def revision(self) -> RevisionView:
        if self.problem.revision is None:
            raise Refusal(
                403,
                "not_open",
                f"{self.problem.id} has no published answers yet; ask the course's staff.",
            )
        return self.problem.revision


@dataclass(frozen=True)
class Graded:
    """A compared attempt that is not stored yet; `claims` and `source` are packed already."""

    place: Place
    variant: int
    verdicts: list[Verdict]
    inputs: list[str | None] | None
    claims: bytes
    source: bytes | None
    source_digest: str | None
    digest: str
    request_digest: str

    @property
    def correct(self) -> int:
        return sum(verdict.correct for verdict in self.verdicts)

    @property
    def stored_bytes(self) -> int:
        return len(self.claims) + len(self.source or b"")


@dataclass(frozen=True)
class AttemptReport:
    """An attempt as its account sees it, with what it did to the score."""

    id: str
    place: Place
    revision: int
    variant: int
    at: dt.datetime
    labels: tuple[str, ...]
    verdicts: list[Verdict]
    error: dict[str, Any] | None
    receipt: str | None
    score: Any
    late_days: int
    penalty_percent: Any
    tries_left: int | None
    standing: standing.AccountStanding
    replayed: bool = False
    origin: str = "api"

    @property
    def correct(self) -> int:
        return sum(verdict.correct for verdict in self.verdicts)


def find_place(session: Session, actor: Actor, assignment_id: str, problem_id: str) -> Place:
    course = courses.view(session, actor.course_pk, actor.course_version)
    assignment = course.assignment(assignment_id)
    return Place(course, assignment, assignment.problem(problem_id))


def variant_for(session: Session, account_id: str, problem: ProblemView) -> int | None:
    """The variant that this account is asked for, None before publication."""
    if problem.revision is None:
        return None
    variants = problem.revision.variants
    return variants[signing.variant_index(session, account_id, problem.pk, len(variants))][0]


# --------------------------------------------------------------------------------------- grading


def grade(session: Session, actor: Actor, place: Place, given: AttemptIn) -> Graded:
    """Check and compare one attempt; nothing is written."""
    revision, variant = place.revision, variant_for(session, actor.id, place.problem)
    assert variant is not None
    if given.revision is not None and given.revision != revision.number:
        raise _stale(f"revision {given.revision}", f"revision {revision.number}")
    if given.variant is not None and given.variant != variant:
        raise _stale(f"variant {given.variant}", f"variant {variant}")
    if len(given.cases) > len(revision.labels):
        raise invalid(
            f"{len(given.cases)} cases were sent; {place.problem.id} has {len(revision.labels)} published."
        )
    limit = session.info["settings"].max_case_bytes
    claims = []
    for index, case in enumerate(given.cases):
        try:
            claims.append(decode(case.value))
        except EncodingError as error:
            raise invalid(f"Case {index}: {error}") from None
    cases = [case.as_sent() for case in given.cases]
    body = canonical_json([case["value"] for case in cases])
    if len(body) > limit:
        for index, sent in enumerate(cases):
            if len(canonical_json(sent["value"])) > limit:
                raise Refusal(413, "too_large", f"Case {index} has more than {limit} bytes.")
    expected = answers.of_variant(session, revision, variant)
    assert expected is not None  # variant_for names one that there is
    admission.check_inputs(place.problem, expected, revision.labels, given)
    admission.check_values_size(session.info["settings"], expected, len(body))
    admission.check_source_size(session.info["settings"], given)
    verdicts = answers.judge(expected.values, claims, revision)
    digest = hashlib.sha256(canonical_json(cases)).hexdigest()
    inputs = [case.inputs for case in given.cases]
    source = [file.model_dump() for file in given.source or ()]
    return Graded(
        place=place,
        variant=variant,
        verdicts=verdicts,
        inputs=inputs if any(inputs) else None,
        claims=zlib.compress(body, 1),
        source=answers.pack(source) if source else None,
        source_digest=answers.source_digest(source) if source else None,
        digest=digest,
        request_digest=_request_digest(place.problem.pk, given, digest),
    )


def _request_digest(problem_pk: int, given: AttemptIn, digest: str) -> str:
    """Equal for requests that ask for the same attempt."""
    asked = f"{problem_pk}/{given.revision}/{given.variant}/{digest}"
    return hashlib.sha256(asked.encode()).hexdigest()


def _stale(given: str, current: str) -> Refusal:
    return Refusal(
        409,
        "stale_revision",
        f"The attempt is for {given}; {current} is asked for now. Run it again.",
    )


# --------------------------------------------------------------------------------------- storing


def store(
    session: Session,
    now: dt.datetime,
    actor: Actor,
    graded: Graded,
    given: AttemptIn,
    key: str | None,
    *,
    clock: Callable[[], dt.datetime] | None = None,
) -> AttemptReport:
    """Decide and write; call it in a write transaction.

    Args:
        now: when the attempt arrived, which is what lateness and receipt go by.
        clock: asked once the account's turn has come, which is what limits go by: whoever waited
            behind others must see them.
    """
    place, decided = _lock(session, actor, graded.place)
    rows = standing.attempt_rows(session, actor.pk)
    replay = _repeated(rows, key, graded.request_digest)
    if replay is not None:
        return report(session, now, actor, replay.id, rows=rows, replayed=True)
    decisions = standing.decisions(session, actor.pk) if decided else standing.Decisions()
    tries = standing.tries(place.course, rows)
    before = standing.derive(place.course, tries, decisions)
    admission.check_window(before, place.assignment.id, now, accept_late=given.accept_late)
    allowed = admission.check_limits(
        session, rows, place.problem, max(now, clock() if clock else now)
    )
    admission.check_quota(session, rows, graded.stored_bytes, now)
    left = None if allowed.tries_left is None else max(0, allowed.tries_left - 1)

    new = policies.Try(new_id("a"), place.problem.id, now, graded.correct, len(graded.verdicts))
    mine = judged(before, place, new)
    error = given.error.model_dump() if given.error else None
    receipt = signing.sign(session, _receipt(actor, graded, new.id, now, mine.score))
    pk = _insert(session, _values(actor, graded, place, given, new, key, receipt))
    claim = {"attempt_pk": pk, "first": 0, "body": graded.claims}
    session.connection().execute(_NEW_CLAIM, claim)
    if graded.source is not None:
        bundle = {"attempt_pk": pk, "body": graded.source, "digest": graded.source_digest}
        session.execute(insert(SourceBundle).values(**bundle))
    tries.setdefault(place.assignment.id, []).append(new)
    after = standing.derive(place.course, tries, decisions)
    return AttemptReport(
        new.id,
        place,
        place.revision.number,
        graded.variant,
        now,
        place.revision.labels,
        graded.verdicts,
        error,
        receipt,
        mine.score,
        mine.late_days,
        mine.penalty_percent,
        left,
        after,
    )


def _values(
    actor: Actor,
    graded: Graded,
    place: Place,
    given: AttemptIn,
    new: policies.Try,
    key: str | None,
    receipt: str,
) -> dict[str, Any]:
    """The attempt's row."""
    return {
        "id": new.id,
        "account_pk": actor.pk,
        "problem_pk": place.problem.pk,
        "revision_pk": place.revision.pk,
        "graded_pk": place.revision.pk,
        "variant": graded.variant,
        "origin": "api",
        "created_at": new.at,
        "at": new.at,
        "idempotency_key": key,
        "digest": graded.digest,
        "request_digest": graded.request_digest,
        "correct": new.correct,
        "total": new.total,
        "verdicts": answers.to_json(graded.verdicts),
        "receipt": receipt,
        "error": given.error.model_dump() if given.error else None,
        "client": given.client,
        "environment": given.environment,
        "inputs": graded.inputs,
        "stored_bytes": graded.stored_bytes,
    }


_NEW_ATTEMPT = insert(Attempt).returning(Attempt.pk)
_NEW_CLAIM = insert(Claim)


def _insert(session: Session, values: dict[str, Any]) -> int:
    try:
        return session.connection().execute(_NEW_ATTEMPT, values).scalar_one()
    except IntegrityError:
        raise _key_conflict() from None


def _key_conflict() -> Refusal:
    return Refusal(
        409,
        "idempotency_conflict",
        "This Idempotency-Key was used for another attempt; send a new one.",
    )


_TURN = (
    select(
        courses.Course.version,
        Account.extra_days,
        exists(select(1).where(Extension.account_pk == Account.pk)).label("extended"),
        exists(select(1).where(Override.account_pk == Account.pk)).label("overridden"),
    )
    .join(Account, Account.course_pk == courses.Course.pk)
    .where(Account.pk == bindparam("account"))
    .with_for_update(of=Account)
)


def _lock(session: Session, actor: Actor, place: Place) -> tuple[Place, bool]:
    """Take the account's turn; fails when answers were published since the comparison.

    Returns:
        The place as it is now, and whether staff has decided anything about the account.
    """
    row = session.connection().execute(_TURN, {"account": actor.pk}).one()
    decided = bool(row.extra_days or row.extended or row.overridden)
    if row.version == place.course.version:
        return place, decided
    course = courses.view(session, actor.course_pk)
    assignment = course.assignment(place.assignment.id)
    problem = assignment.problem(place.problem.id)
    if problem.revision is None or problem.revision.pk != place.revision.pk:
        raise _stale(f"revision {place.revision.number}", "a newer revision")
    return Place(course, assignment, problem), decided


def _repeated(
    rows: list[standing.AttemptRow], key: str | None, request_digest: str
) -> standing.AttemptRow | None:
    for row in rows if key else ():
        if row.idempotency_key == key:
            if row.request_digest != request_digest:
                raise _key_conflict()
            return row
    return None


def judged(
    state: standing.AccountStanding, place: Place, new: policies.Try
) -> policies.ProblemResult:
    """What this one attempt is worth by itself."""
    late = place.course.policy.late
    days = state.tasks[place.assignment.id].window.late_days(new.at)
    lost = policies.penalty(days, min(state.results[place.assignment.id].pool_before, days), late)
    score = policies.score_of(new.correct, new.total, place.problem.points, lost)
    return policies.ProblemResult(score, new, days, lost)


def _receipt(
    actor: Actor, graded: Graded, attempt_id: str, now: dt.datetime, score: Any
) -> dict[str, Any]:
    place = graded.place
    return {
        "type": "receipt",
        "course": place.course.id,
        "account": actor.id,
        "assignment": place.assignment.id,
        "problem": place.problem.id,
        "attempt": attempt_id,
        "revision": place.revision.number,
        "variant": graded.variant,
        "correct": graded.correct,
        "total": len(graded.verdicts),
        "score": f"{score:f}",
        "at": utc_text(now),
        "digest": graded.digest,
    }


def utc_text(moment: dt.datetime) -> str:
    return moment.astimezone(dt.timezone.utc).isoformat().replace("+00:00", "Z")


# --------------------------------------------------------------------------------------- reading


def find_repeated(session: Session, actor: Actor, key: str | None, given: AttemptIn) -> str | None:
    """The id of the account's attempt with this key and these cases."""
    if not key:
        return None
    query = select(Attempt).where(Attempt.account_pk == actor.pk, Attempt.idempotency_key == key)
    attempt = session.scalar(query)
    if attempt is None:
        return None
    cases = canonical_json([case.as_sent() for case in given.cases])
    if (
        _request_digest(attempt.problem_pk, given, hashlib.sha256(cases).hexdigest())
        != attempt.request_digest
    ):
        raise _key_conflict()
    return attempt.id


def report(
    session: Session,
    now: dt.datetime,
    actor: Actor,
    attempt_id: str,
    *,
    rows: list[standing.AttemptRow] | None = None,
    replayed: bool = False,
) -> AttemptReport:
    """One of the actor's own attempts, or 404."""
    attempt = session.scalar(
        select(Attempt).where(Attempt.id == attempt_id, Attempt.account_pk == actor.pk)
    )
    if attempt is None:
        raise not_found("attempt")
    place = place_of(
        courses.view(session, actor.course_pk, actor.course_version), attempt.problem_pk
    )
    rows = standing.attempt_rows(session, actor.pk) if rows is None else rows
    state = standing.of_account(session, place.course, actor.pk, rows)
    mine = judged(state, place, as_try(attempt, place.problem.id))
    revision = session.get_one(Revision, attempt.graded_pk)
    left = admission.allowance(session, rows, place.problem, now).tries_left
    return AttemptReport(
        attempt.id,
        place,
        revision.number,
        attempt.variant,
        attempt.at,
        tuple(revision.labels),
        answers.from_json(attempt.verdicts),
        attempt.error,
        attempt.receipt,
        mine.score,
        mine.late_days,
        mine.penalty_percent,
        left,
        state,
        replayed,
        attempt.origin,
    )


def as_try(attempt: Attempt, problem_id: str) -> policies.Try:
    return policies.Try(attempt.id, problem_id, attempt.at, attempt.correct, attempt.total)


def place_of(course: CourseView, problem_pk: int) -> Place:
    for assignment in course.assignments:
        for problem in assignment.problems:
            if problem.pk == problem_pk:
                return Place(course, assignment, problem)
    raise not_found("problem")
