"""Publishing: a new immutable revision of a problem, checked before it counts, then a regrade."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mugrade.compare import OK, Tolerance, compare
from mugrade.encoding import Array, EncodingError, decode
from mugrade.server.errors import invalid, not_found
from mugrade.server.models import Assignment, Problem, Revision
from mugrade.server.schemas import RevisionIn, VariantIn
from mugrade.server.services import accounts, audit, courses, regrading, revisions


@dataclass(frozen=True)
class Published:
    revision: int
    cases: int
    variants: int
    unchanged: bool
    warnings: list[str]
    attempts: int
    changed: int


# ------------------------------------------------------------------------------- checks (pure)


def faults(variants: Sequence[Sequence[Any]], constant_cases: Sequence[int]) -> list[str]:
    """Why these decoded values must not be published; empty when they may.

    Args:
        variants: for each variant, its decoded values, one a case.
        constant_cases: cases that staff declares the same in all variants on purpose.
    """
    lengths = sorted({len(values) for values in variants})
    if lengths == [0]:
        return ["There is no case; a hook must submit at least one value."]
    if len(lengths) > 1:
        return [
            f"The variants have {lengths[0]} to {lengths[-1]} cases; every variant needs the same number."
        ]
    found = []
    for index in range(lengths[0]):
        if any(_is_empty(values[index]) for values in variants):
            found.append(f"Case {index} is empty; it would give points for nothing.")
    if len(variants) > 1:
        same = [i for i in range(lengths[0]) if _is_constant([values[i] for values in variants])]
        if len(same) < lengths[0]:
            found += [
                f"Case {i} is the same in all {len(variants)} variants although others vary; "
                "draw its input from mugrade.rng(), or list it in constant_cases."
                for i in same
                if i not in constant_cases
            ]
    return found


def warnings(variants: Sequence[Sequence[Any]]) -> list[str]:
    """What staff should look at although it may be published."""
    found = []
    first = variants[0]
    if len(variants) > 1 and all(_is_constant(values) for values in zip(*variants)):
        found.append(f"Nothing differs between the {len(variants)} variants; one would do.")
    for index, value in enumerate(first):
        if isinstance(value, Array) and value.values.size > 1 and value.values.dtype.kind != "b":
            flat = value.values.ravel()
            if (flat == flat[0]).all():
                found.append(
                    f"Case {index} is an array of one repeated number; a constant would pass."
                )
        if any(_same(value, other) for other in first[:index]):
            found.append(f"Case {index} repeats an earlier case; do two inputs share a seed?")
    return found


def _is_empty(value: Any) -> bool:
    if isinstance(value, Array):
        return value.values.size == 0
    if isinstance(value, (list, dict)):
        items = list(value.values()) if isinstance(value, dict) else value
        return all(_is_empty(item) for item in items)
    return value is None or value == ""


def _is_constant(values: Sequence[Any]) -> bool:
    return all(_same(values[0], other) for other in values[1:])


def _same(a: Any, b: Any) -> bool:
    return compare(a, b, Tolerance(rtol=0, ascale=0)) == OK


# ----------------------------------------------------------------------------------- publishing


def publish(
    session: Session,
    now: dt.datetime,
    actor: accounts.Actor,
    assignment_id: str,
    problem_id: str,
    given: RevisionIn,
) -> Published:
    """Make a revision current and regrade what was compared with the one before.

    Nothing is written on a dry run, or when the values, labels and tolerances are those that stand.
    """
    assignment = _assignment(session, actor, assignment_id)
    problem = courses.find_problem(session, assignment.pk, problem_id)
    decoded = _decoded(given.variants)
    reasons = faults(decoded, given.constant_cases)
    labels = _labels(given, len(decoded[0]), reasons)
    tolerance = _tolerance(given, problem)
    case_tolerances = {
        index: changes.changes()
        for index, changes in given.case_tolerances.items()
        if changes.changes()
    }
    reasons += [
        f"case_tolerances names case {i}, which does not exist."
        for i in case_tolerances
        if int(i) >= len(labels)
    ]
    if reasons:
        raise invalid(f"{problem_id} was not published: {reasons[0]}", errors=reasons)
    digest = revisions.digest_of(given.variants, labels, tolerance, case_tolerances)
    standing = session.get(Revision, problem.current_pk) if problem and problem.current_pk else None
    unchanged = standing is not None and standing.digest == digest
    number = standing.number if standing else 0
    outcome = Published(
        number if unchanged else number + 1,
        len(labels),
        len(given.variants),
        unchanged,
        warnings(decoded),
        0,
        0,
    )
    if given.dry_run:
        return outcome
    problem = problem or _new_problem(session, assignment, problem_id)
    if given.title is not None:
        problem.title = given.title
    if given.points is not None:
        problem.points = given.points
    problem.tolerance = tolerance
    counts = (0, 0)
    if not unchanged:
        revision = revisions.add(
            session,
            now,
            actor,
            problem,
            variants=given.variants,
            labels=labels,
            tolerance=tolerance,
            case_tolerances=case_tolerances,
            digest=digest,
            note=given.note,
        )
        counts = regrading.onto(session, problem, revision)
    courses.changed(session, actor.course_pk)
    audit.record(
        session,
        now,
        actor=actor.email,
        action="publish",
        object=f"{assignment_id}/{problem_id}",
        course_pk=actor.course_pk,
        revision=outcome.revision,
        cases=len(labels),
        variants=len(given.variants),
        unchanged=unchanged,
        note=given.note,
        regraded=counts[0],
        changed=counts[1],
    )
    return Published(
        outcome.revision,
        outcome.cases,
        outcome.variants,
        unchanged,
        outcome.warnings,
        counts[0],
        counts[1],
    )


def _assignment(session: Session, actor: accounts.Actor, assignment_id: str) -> Assignment:
    """The assignment, locked: two publications of one course take turns."""
    session.execute(
        select(courses.Course.pk).where(courses.Course.pk == actor.course_pk).with_for_update()
    )
    row = session.scalar(
        select(Assignment).where(
            Assignment.course_pk == actor.course_pk, Assignment.id == assignment_id
        )
    )
    if row is None:
        raise not_found(f"assignment {assignment_id!r:.80}")
    return row


def _decoded(variants: Sequence[VariantIn]) -> list[list[Any]]:
    if len({v.variant for v in variants}) < len(variants):
        raise invalid("A variant is given twice; give each once.")
    decoded = []
    for variant in variants:
        try:
            decoded.append([decode(value) for value in variant.values])
        except EncodingError as error:
            raise invalid(f"Variant {variant.variant}: {error}") from None
    return decoded


def _labels(given: RevisionIn, cases: int, reasons: list[str]) -> list[str]:
    labels = [label or f"case {i}" for i, label in enumerate(given.labels or [""] * cases)]
    if len(labels) != cases and not reasons:
        reasons.append(f"There are {len(labels)} labels for {cases} cases; give one each.")
    return labels


def _tolerance(given: RevisionIn, problem: Problem | None) -> dict[str, Any]:
    if given.tolerance is not None:
        return given.tolerance.model_dump()
    return dict(problem.tolerance) if problem else vars(Tolerance())


def _new_problem(session: Session, assignment: Assignment, problem_id: str) -> Problem:
    if (
        not problem_id.replace("_", "a").replace("-", "a").replace(".", "a").isalnum()
        or len(problem_id) > 64
    ):
        raise invalid(
            f"{problem_id!r:.80} is no problem name; use letters, digits and underscores."
        )
    last = session.scalar(
        select(func.max(Problem.position)).where(Problem.assignment_pk == assignment.pk)
    )
    problem = Problem(
        assignment_pk=assignment.pk,
        id=problem_id,
        title=problem_id,
        position=(last or 0) + 1,
        points=Decimal(1),
        tolerance=vars(Tolerance()),
    )
    session.add(problem)
    session.flush()
    return problem
