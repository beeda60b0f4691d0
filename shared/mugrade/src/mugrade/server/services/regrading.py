"""Comparing stored attempts again: after a new revision, or to see what a tolerance would do."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from mugrade.compare import Verdict
from mugrade.server.errors import Refusal
from mugrade.server.models import Account, Attempt, Expected, Problem, Revision
from mugrade.server.services import accounts, answers, audit, courses, revisions, standing
from mugrade.server.services.courses import ProblemView, RevisionView


@dataclass
class Regrading:
    """What a regrade changes (or, on a dry run, would change).

    `students` holds (account id, name, problem score before, after) of those whose score moves.
    """

    attempts: int = 0
    changed: int = 0
    up: int = 0
    down: int = 0
    skipped: int = 0
    students: list[tuple[str, str, Decimal, Decimal]] = field(default_factory=list)


def regrade(
    session: Session,
    now: dt.datetime,
    actor: accounts.Actor,
    assignment_id: str,
    problem_id: str,
    *,
    dry_run: bool,
    tolerance: dict[str, Any] | None = None,
    case_tolerances: dict[str, dict[str, Any]] | None = None,
) -> Regrading:
    """Compare every stored attempt of a problem with its current revision again.

    Args:
        tolerance: changes to the revision's tolerance to compare with. On a real run they are kept:
            the problem gets a new revision with the same values.
        case_tolerances: the same for single cases, by index; replaces those that stand.
    """
    course = courses.view(session, actor.course_pk)
    problem = course.assignment(assignment_id).problem(problem_id)
    if problem.revision is None:
        raise Refusal(409, "not_open", f"{problem_id} has no published answers; publish first.")
    revision = _changed_tolerance(problem.revision, tolerance, case_tolerances)
    if revision is not problem.revision and revision.sealed:
        raise Refusal(
            409, "sealed", "Sealed answers carry their tolerance; publish the values instead."
        )
    outcome, verdicts = _compare_all(session, course, problem, revision)
    if dry_run:
        return outcome
    target = problem.revision.pk
    if revision is not problem.revision:
        target = _copy_revision(session, now, actor, problem, revision)
    for attempt, new in verdicts:
        _apply(attempt, new, target)
    courses.changed(session, actor.course_pk)
    audit.record(
        session,
        now,
        actor=actor.email,
        action="regrade",
        object=f"{assignment_id}/{problem_id}",
        course_pk=actor.course_pk,
        attempts=outcome.attempts,
        changed=outcome.changed,
        up=outcome.up,
        down=outcome.down,
        tolerance=tolerance,
        case_tolerances=case_tolerances,
    )
    return outcome


def _changed_tolerance(
    revision: RevisionView,
    tolerance: dict[str, Any] | None,
    cases: dict[str, dict[str, Any]] | None,
) -> RevisionView:
    changed = revision
    if tolerance:
        changed = replace(changed, tolerance=revision.tolerance.override(tolerance))
    if cases is not None and cases != revision.case_tolerances:
        changed = replace(changed, case_tolerances=cases)
    return revision if changed == revision else changed


def _compare_all(
    session: Session, course: courses.CourseView, problem: ProblemView, revision: RevisionView
) -> tuple[Regrading, list[tuple[Attempt, list[Verdict]]]]:
    outcome, found = Regrading(), []
    after: dict[str, int] = {}
    for attempt in _attempts_of(session, problem.pk):
        new = _again(session, attempt, revision)
        if new is None:
            outcome.skipped += 1
            continue
        outcome.attempts += 1
        found.append((attempt, new))
        correct = sum(v.correct for v in new)
        after[attempt.id] = correct
        outcome.changed += answers.to_json(new) != attempt.verdicts
        outcome.up += correct > attempt.correct
        outcome.down += correct < attempt.correct
    outcome.students = _moved_scores(session, course, problem, after)
    return outcome, found


def _attempts_of(session: Session, problem_pk: int) -> Iterator[Attempt]:
    query = select(Attempt).where(Attempt.problem_pk == problem_pk).order_by(Attempt.pk)
    yield from session.scalars(query)


def _again(session: Session, attempt: Attempt, revision: RevisionView) -> list[Verdict] | None:
    """New verdicts, or None where the revision cannot judge this attempt (other variant or cases)."""
    if revision.seed(attempt.variant) is None or len(revision.labels) != attempt.total:
        return None
    expected = answers.expected(session, revision, attempt.variant)
    return answers.judge(expected, answers.claims(session, attempt.pk, attempt.total), revision)


def _moved_scores(
    session: Session, course: courses.CourseView, problem: ProblemView, after: dict[str, int]
) -> list[tuple[str, str, Decimal, Decimal]]:
    owners = select(Attempt.account_pk).where(Attempt.problem_pk == problem.pk)
    people = {a.pk: a for a in session.scalars(select(Account).where(Account.pk.in_(owners)))}
    assignment = next(a for a in course.assignments if problem in a.problems)
    before = standing.of_everybody(session, course, list(people))
    moved = []
    for pk, state in before.items():
        old = state.results[assignment.id].problems[problem.id].score
        tries = standing.tries(course, standing.attempt_rows(session, pk))
        mine = tries.get(assignment.id, [])
        tries[assignment.id] = [replace(t, correct=after.get(t.id, t.correct)) for t in mine]
        decisions = standing.decisions(session, pk)
        new = (
            standing.derive(course, tries, *decisions)
            .results[assignment.id]
            .problems[problem.id]
            .score
        )
        if new != old:
            moved.append((people[pk].id, people[pk].name, old, new))
    return moved


def _apply(attempt: Attempt, new: list[Verdict], revision_pk: int) -> bool:
    stored = answers.to_json(new)
    changed = stored != attempt.verdicts
    attempt.graded_pk = revision_pk
    if changed:
        attempt.verdicts = stored
        attempt.correct = sum(v.correct for v in new)
    return changed


def onto(session: Session, problem: Problem, row: Revision) -> tuple[int, int]:
    """After publishing: compare what the new revision can judge; (attempts, changed)."""
    revision = revisions.view_of(session, row)
    attempts = changed = 0
    for attempt in _attempts_of(session, problem.pk):
        seed_then = session.scalar(
            select(Expected.seed).where(
                Expected.revision_pk == attempt.revision_pk, Expected.variant == attempt.variant
            )
        )
        if seed_then != revision.seed(attempt.variant):
            continue  # the same number, but other inputs
        new = _again(session, attempt, revision)
        if new is not None:
            attempts += 1
            changed += _apply(attempt, new, row.pk)
    return attempts, changed


def _copy_revision(
    session: Session,
    now: dt.datetime,
    actor: accounts.Actor,
    problem: ProblemView,
    view: RevisionView,
) -> int:
    """The same values under another tolerance, as a revision of their own."""
    variants = revisions.variants_of(session, view)
    labels, tolerance = list(view.labels), vars(view.tolerance)
    row = session.get_one(Problem, problem.pk)
    revision = revisions.add(
        session,
        now,
        actor,
        row,
        variants=variants,
        labels=labels,
        tolerance=tolerance,
        case_tolerances=view.case_tolerances,
        note="tolerance changed",
        digest=revisions.digest_of(variants, labels, tolerance, view.case_tolerances),
    )
    row.tolerance = tolerance
    return revision.pk
