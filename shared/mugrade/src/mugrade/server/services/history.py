"""Attempts that were made: lists of them, and one with everything that came with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from mugrade.compare import MISSING, Tolerance, Verdict
from mugrade.server.errors import not_found
from mugrade.server.models import Account, Attempt, Revision, SourceBundle
from mugrade.server.services import answers, attempts, courses, inspection, remarks, revisions
from mugrade.server.services import standing as standings
from mugrade.server.services.accounts import Actor
from mugrade.server.services.attempts import AttemptReport, Place
from mugrade.server.services.courses import CourseView


def of_problem(
    session: Session,
    course: CourseView,
    account_pk: int,
    assignment_id: str,
    problem_id: str,
    limit: int = 200,
) -> list[AttemptReport]:
    """The account's attempts at one problem, newest first."""
    problem = course.assignment(assignment_id).problem(problem_id)
    query = _newest(account_pk, limit).where(Attempt.problem_pk == problem.pk)
    return _reports(session, course, account_pk, query)


def recent(
    session: Session, course: CourseView, account_pk: int, limit: int = 50
) -> list[AttemptReport]:
    """The account's last attempts at any problem, newest first."""
    return _reports(session, course, account_pk, _newest(account_pk, limit))


def _newest(account_pk: int, limit: int) -> Select[tuple[Attempt, int, list[Any]]]:
    return (
        select(Attempt, Revision.number, Revision.labels)
        .join(Revision, Revision.pk == Attempt.graded_pk)
        .where(Attempt.account_pk == account_pk)
        .order_by(Attempt.created_at.desc(), Attempt.pk.desc())
        .limit(limit)
    )


def _reports(
    session: Session,
    course: CourseView,
    account_pk: int,
    query: Select[tuple[Attempt, int, list[Any]]],
) -> list[AttemptReport]:
    state = standings.of_account(session, course, account_pk)
    reports = []
    for attempt, number, labels in session.execute(query):
        place = attempts.place_of(course, attempt.problem_pk)
        mine = attempts.judged(state, place, attempts.as_try(attempt, place.problem.id))
        reports.append(
            AttemptReport(
                attempt.id,
                place,
                number,
                attempt.variant,
                attempt.at,
                tuple(labels),
                answers.from_json(attempt.verdicts),
                attempt.error,
                attempt.receipt,
                mine.score,
                mine.late_days,
                mine.penalty_percent,
                0,
                state,
                origin=attempt.origin,
            )
        )
    return reports


# --------------------------------------------------------------------------------- one attempt


@dataclass(frozen=True)
class Case:
    label: str
    verdict: Verdict
    leaves: list[inspection.Leaf]


@dataclass(frozen=True)
class Other:
    """Another attempt of the same person at the same problem."""

    id: str
    row: Attempt


@dataclass(frozen=True)
class Inspected:
    """An attempt with what came with it.

    Attributes:
        cases: published beside submitted values; for a student only their own, as `right`.
        others: to compare it with, newest first.
        other: the one that was asked for; then `cases` has its values on the left.
        difference: of the sources of both.
    """

    attempt: Attempt
    place: Place
    person: Account
    revision: int
    cases: list[Case]
    source: list[dict[str, Any]]
    remarks: list[remarks.Shown]
    others: list[Other]
    other: Attempt | None = None
    difference: str = ""

    @property
    def asked(self) -> bool:
        """Whether a request waits for an answer."""
        kinds = [remark.kind for remark in self.remarks if remark.kind != "comment"]
        return bool(kinds) and kinds[-1] == "request"


def inspect(
    session: Session,
    actor: Actor,
    attempt_id: str,
    other_id: str | None = None,
    *,
    published: bool = False,
) -> Inspected:
    """One attempt that the actor may see.

    Args:
        published: for staff's eyes, with the published values.
        other_id: another attempt of the same person at the same problem, to see what has changed.
    """
    attempt = remarks.find(session, actor, attempt_id)
    course = courses.view(session, actor.course_pk, actor.course_version)
    row = session.get_one(Revision, attempt.graded_pk)
    view = revisions.view_of(session, row)
    others = [Other(a.id, a) for a in _others(session, attempt)]
    other = next((o.row for o in others if o.id == other_id), None)
    if other_id and other is None:
        raise not_found("attempt to compare with")
    mine = _values(session, attempt)
    if other is not None:
        left = _values(session, other)
    elif published and actor.is_staff:
        expected = answers.of_variant(session, view, attempt.variant)
        left = expected.values if expected else []
    else:
        left = mine
    verdicts = answers.from_json(attempt.verdicts)
    exact = Tolerance(rtol=0, ascale=0)
    cases = [
        Case(
            label,
            verdicts[i] if i < len(verdicts) else MISSING_VERDICT,
            inspection.beside(
                left[i] if i < len(left) else MISSING,
                mine[i] if i < len(mine) else MISSING,
                exact if other is not None else view.case_tolerance(i),
            ),
        )
        for i, label in enumerate(view.labels)
    ]
    found = Inspected(
        attempt,
        attempts.place_of(course, attempt.problem_pk),
        session.get_one(Account, attempt.account_pk),
        row.number,
        cases,
        _source(session, attempt),
        remarks.of_attempt(session, attempt.pk),
        others,
    )
    if other is None:
        return found
    difference = inspection.source_difference(_source(session, other), found.source)
    return replace(found, other=other, difference=difference)


MISSING_VERDICT = Verdict("missing")


def _values(session: Session, attempt: Attempt) -> list[Any]:
    rows = answers.claims(session, [attempt.pk]).get(attempt.pk, [])
    return answers.decoded_claims(rows, attempt.total)


def _source(session: Session, attempt: Attempt) -> list[dict[str, Any]]:
    bundle = session.get(SourceBundle, attempt.pk)
    return answers.unpack(bundle.body) if bundle else []


def _others(session: Session, attempt: Attempt, limit: int = 30) -> list[Attempt]:
    query = (
        select(Attempt)
        .where(
            Attempt.account_pk == attempt.account_pk,
            Attempt.problem_pk == attempt.problem_pk,
            Attempt.pk != attempt.pk,
        )
        .order_by(Attempt.created_at.desc(), Attempt.pk.desc())
        .limit(limit)
    )
    return list(session.scalars(query))
