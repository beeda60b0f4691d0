"""Comparing stored attempts again: with a new revision, or to see what a tolerance would do.

Everything here only reads. `preview` compares all attempts in one read transaction; what is to be
kept is done by a job (services/jobs.py), which takes the same batches and writes each one down.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import islice
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Row, func, select
from sqlalchemy.orm import Session

from mugrade.compare import MISSING, Verdict, as_array, compare
from mugrade.server.errors import Refusal
from mugrade.server.models import Account, Attempt, Expected, Revision
from mugrade.server.services import answers, courses, standing
from mugrade.server.services.answers import Answers
from mugrade.server.services.courses import CourseView, ProblemView, RevisionView

CLAIMS_AT_ONCE = 20
"""Attempts whose values are in memory at the same time."""
PEOPLE_AT_ONCE = 100
_COLUMNS = (
    Attempt.pk,
    Attempt.id,
    Attempt.account_pk,
    Attempt.revision_pk,
    Attempt.graded_pk,
    Attempt.variant,
    Attempt.digest,
    Attempt.inputs,
    Attempt.correct,
    Attempt.total,
    Attempt.verdicts,
)

Moved = list[tuple[str, str, Decimal, Decimal]]
"""(account id, name, problem score before, after) of those whose score moves."""


@dataclass
class Regrading:
    """What a regrade changes (or would change): attempts compared, with another verdict, with more
    and with fewer right cases, not comparable; and whose score moves."""

    attempts: int = 0
    changed: int = 0
    up: int = 0
    down: int = 0
    skipped: int = 0
    students: Moved = field(default_factory=list)

    def count(self, batch: Batch) -> None:
        self.skipped += len(batch.skipped)
        self.attempts += len(batch.compared)
        for again in batch.compared:
            self.changed += again.changed
            self.up += again.after > again.before
            self.down += again.after < again.before


@dataclass(frozen=True)
class Target:
    """What attempts are compared with: a revision that stands, or one that may come.

    Attributes:
        answers: a variant's answers, None where the revision lacks it.
    """

    problem_pk: int
    revision: RevisionView
    answers: Callable[[Session, int], Answers | None]


@dataclass(frozen=True)
class Again:
    """One attempt compared again; `digest` tells whether it is still what was compared."""

    pk: int
    id: str
    account_pk: int
    digest: str
    before: int
    after: int
    verdicts: list[Any]
    changed: bool


@dataclass
class Batch:
    """Attempts up to the primary key `cursor`, in order; those skipped by primary key."""

    cursor: int
    compared: list[Again]
    skipped: list[int]

    @property
    def size(self) -> int:
        return len(self.compared) + len(self.skipped)

    def before(self, pk: int) -> Batch:
        """The part in front of an attempt."""
        return Batch(
            pk - 1, [a for a in self.compared if a.pk < pk], [s for s in self.skipped if s < pk]
        )


def stored(problem_pk: int, revision: RevisionView) -> Target:
    """A revision of the database, with the tolerances of the view."""

    def find(session: Session, variant: int) -> Answers | None:
        return answers.of_variant(session, revision, variant)

    return Target(problem_pk, revision, find)


def changed_tolerance(
    problem: ProblemView,
    tolerance: dict[str, Any] | None,
    cases: dict[str, dict[str, Any]] | None,
) -> RevisionView:
    """The problem's current revision under other tolerances; the same object when they are equal.

    Args:
        tolerance: changes to the revision's.
        cases: the same for single cases, by index; replaces those that stand.
    """
    revision = problem.revision
    if revision is None:
        raise Refusal(409, "not_open", f"{problem.id} has no published answers; publish first.")
    changed = revision
    if tolerance:
        changed = replace(changed, tolerance=revision.tolerance.override(tolerance))
    if cases is not None and cases != revision.case_tolerances:
        changed = replace(changed, case_tolerances=cases)
    if changed == revision:
        return revision
    if revision.sealed:
        raise Refusal(
            409, "sealed", "Sealed answers carry their tolerance; publish the values instead."
        )
    return changed


# ------------------------------------------------------------------------------------ comparing


def made_for(session: Session, problem_pk: int) -> dict[tuple[int, int], Answers]:
    """Seeds and inputs of everything ever published for a problem, by (revision, variant)."""
    query = (
        select(Expected.revision_pk, Expected.variant, Expected.seed, Expected.inputs)
        .join(Revision, Revision.pk == Expected.revision_pk)
        .where(Revision.problem_pk == problem_pk)
    )
    return {
        (row.revision_pk, row.variant): Answers(
            row.seed, [], tuple(row.inputs) if row.inputs else None, 0
        )
        for row in session.execute(query)
    }


def batch(
    session: Session,
    target: Target,
    then: Mapping[tuple[int, int], Answers],
    *,
    after: int,
    limit: int,
    only: ColumnElement[bool] | None = None,
) -> Batch:
    """Compare the next attempts of the problem.

    Args:
        then: `made_for` of the problem.
        after: primary key of the last attempt of the batch before.
        only: a further condition.
    """
    query = select(*_COLUMNS).where(Attempt.problem_pk == target.problem_pk, Attempt.pk > after)
    if only is not None:
        query = query.where(only)
    rows = iter(session.execute(query.order_by(Attempt.pk).limit(limit)).all())
    found = Batch(after, [], [])
    while some := list(islice(rows, CLAIMS_AT_ONCE)):
        claims = answers.claims(session, [row.pk for row in some])
        for row in some:
            again = _again(session, row, target, then, claims.get(row.pk))
            if again is None:
                found.skipped.append(row.pk)
            else:
                found.compared.append(again)
            found.cursor = row.pk
    return found


def _again(
    session: Session,
    row: Row,
    target: Target,
    then: Mapping[tuple[int, int], Answers],
    claims: list[tuple[int, bytes]] | None,
) -> Again | None:
    """New verdicts; None where there is nothing to compare: the variant or the number of cases is
    another, the values were pruned, or all of them were computed from other inputs."""
    now = target.answers(session, row.variant)
    if now is None or len(now.values) != row.total or claims is None:
        return None
    made = then.get((row.revision_pk, row.variant))
    others = [answers.other_inputs(now, i, row.inputs, made) for i in range(row.total)]
    if all(others):
        return None
    values, old = answers.decoded_claims(claims, row.total), answers.from_json(row.verdicts)
    new = [
        old[i] if others[i] else _verdict(now.values[i], value, target.revision, i)
        for i, value in enumerate(values)
    ]
    kept = answers.to_json(new)
    correct = sum(verdict.correct for verdict in new)
    return Again(
        row.pk, row.id, row.account_pk, row.digest, row.correct, correct, kept, kept != row.verdicts
    )


def _verdict(expected: Any, claim: Any, revision: RevisionView, index: int) -> Verdict:
    return MISSING if claim is MISSING else compare(expected, claim, revision.case_tolerance(index))


# --------------------------------------------------------------------------------------- preview


def preview(session: Session, course: CourseView, target: Target) -> Regrading:
    """What comparing every stored attempt with `target` would change; nothing is written."""
    outcome = Regrading()
    after: dict[str, Again] = {}
    for found in batches(session, target):
        outcome.count(found)
        after |= {a.id: a for a in found.compared if a.after != a.before}
    owners = {again.account_pk for again in after.values()}
    new = {attempt: again.after for attempt, again in after.items()}
    outcome.students = moved_scores(session, course, target.problem_pk, owners, {}, new)
    return outcome


def batches(session: Session, target: Target, limit: int = 200) -> Iterator[Batch]:
    """All attempts of the problem, compared; gives way to requests between two batches."""
    then, cursor = made_for(session, target.problem_pk), 0
    while True:
        began = time.thread_time()
        found = batch(session, target, then, after=cursor, limit=limit)
        if not found.size:
            return
        yield found
        cursor = found.cursor
        time.sleep(min(1.0, time.thread_time() - began))


def stored_attempts(session: Session, problem_pk: int) -> int:
    """How many attempts a regrade of the problem compares."""
    query = select(func.count()).select_from(Attempt).where(Attempt.problem_pk == problem_pk)
    return session.scalar(query) or 0


def moved_scores(
    session: Session,
    course: CourseView,
    problem_pk: int,
    owners: set[int],
    before: Mapping[str, int],
    after: Mapping[str, int],
) -> Moved:
    """Whose score for the problem differs between two states of some attempts.

    Args:
        before: right cases by attempt id where they are not those that are stored; so `after`.
    """
    place = next((a.id, p.id) for a in course.assignments for p in a.problems if p.pk == problem_pk)
    moved: Moved = []
    remaining = iter(sorted(owners))
    while some := list(islice(remaining, PEOPLE_AT_ONCE)):
        people = {a.pk: a for a in session.scalars(select(Account).where(Account.pk.in_(some)))}
        for pk, (tries, decisions) in standing.material(session, course, some).items():
            old, new = (
                standing.derive(course, _with(tries, place[0], correct), decisions)
                .results[place[0]]
                .problems[place[1]]
                .score
                for correct in (before, after)
            )
            if new != old:
                moved.append((people[pk].id, people[pk].name, old, new))
    return sorted(moved, key=lambda line: (line[3] - line[2], line[1]))


def _with(tries: standing.Tries, assignment: str, correct: Mapping[str, int]) -> standing.Tries:
    mine = tries.get(assignment, [])
    return {
        **tries,
        assignment: [replace(t, correct=correct[t.id]) if t.id in correct else t for t in mine],
    }


def view_of(course: CourseView, problem_pk: int) -> tuple[courses.AssignmentView, ProblemView]:
    """The problem and its assignment."""
    for assignment in course.assignments:
        for problem in assignment.problems:
            if problem.pk == problem_pk:
                return assignment, problem
    raise Refusal(404, "not_found", "There is no such problem in this course.")


def largest(values: Iterable[Any], kinds: str = "iuf") -> float | None:
    """The largest finite number of these kinds of dtype among decoded values; None without any."""
    found: list[float] = []

    def look(value: Any) -> None:
        if isinstance(value, Mapping):
            value = list(value.values())
        if isinstance(value, list | tuple):
            for part in value:
                look(part)
        array = as_array(value)
        if array is not None and array.values.size and array.values.dtype.kind in kinds:
            finite = np.abs(array.values[np.isfinite(array.values)])
            found.append(float(finite.max(initial=0)))

    for value in values:
        look(value)
    return max(found, default=None)
