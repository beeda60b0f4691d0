"""Publishing: a new immutable revision of a problem. `prepare` checks, `preview` tells who would
move, `commit` writes in one short transaction and leaves the attempts that stand to a job."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mugrade import words
from mugrade.compare import OK, Tolerance, compare
from mugrade.encoding import Array, EncodingError, decode
from mugrade.recorder import solo_seed
from mugrade.server.errors import Refusal, invalid, not_found
from mugrade.server.models import Account, Assignment, Expected, Problem, Revision
from mugrade.server.schemas import RevisionIn, VariantIn
from mugrade.server.services import accounts, audit, courses, jobs, regrading, revisions
from mugrade.server.services.amending import LOOSEST
from mugrade.server.services.answers import Answers


@dataclass(frozen=True)
class Published:
    """What publishing came to; `job_pk` is of the job that compares the attempts that stand, None
    where there are none or nothing new was published."""

    revision: int
    cases: int
    variants: int
    unchanged: bool
    warnings: list[str]
    job_pk: int | None = None


@dataclass(frozen=True)
class Publication:
    """Answers that were checked, compared among themselves and packed, all without a lock.

    Attributes:
        current: primary key of the revision that stood then, None before the first.
        target: what attempts would be compared with; None for a problem that is not there yet.
    """

    assignment: str
    problem: str
    given: RevisionIn
    labels: list[str]
    tolerance: dict[str, Any]
    case_tolerances: dict[str, Any]
    digest: str
    expected: list[Expected]
    warnings: list[str]
    current: Revision | None
    number: int
    target: regrading.Target | None

    @property
    def unchanged(self) -> bool:
        return self.current is not None and self.current.digest == self.digest

    def outcome(self) -> Published:
        number = self.current.number if self.unchanged and self.current else self.number + 1
        return Published(
            revision=number,
            cases=len(self.labels),
            variants=len(self.given.variants),
            unchanged=self.unchanged,
            warnings=self.warnings,
        )


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
        if len({_repeated(values[index]) for values in variants} - {None}) == 1:
            found.append(f"Case {index} is an array of one repeated number; a constant would pass.")
        if isinstance(value, bool):
            found.append(f"Case {index} is one bool: every second guess is right; submit several.")
        if any(_same(value, other) for other in first[:index]):
            found.append(f"Case {index} repeats an earlier case; do two inputs share a seed?")
    return found


def loose(view: courses.RevisionView, variants: Sequence[Sequence[Any]]) -> list[str]:
    """A sentence for each tolerance with which a value wrong in its second digit would pass, with
    the cases that have it by name."""
    named: dict[str, list[str]] = {}
    for index, label in enumerate(view.labels):
        tolerance = view.case_tolerance(index)
        largest = regrading.largest([values[index] for values in variants], kinds="f")
        if largest is None:
            continue  # only floats are compared with a tolerance
        limits = {"rtol": LOOSEST, "ascale": LOOSEST, "atol": LOOSEST * largest}
        for name, limit in limits.items():
            if (given := getattr(tolerance, name)) > limit:
                named.setdefault(f"{name} = {given:g}", []).append(repr(label))
    return [
        f"{given} in {', '.join(labels)} is loose: a value wrong in its second digit would pass."
        for given, labels in named.items()
    ]


def _repeated(value: Any) -> Any:
    """The number that an array repeats; None for anything else."""
    if isinstance(value, Array) and value.values.size > 1 and value.values.dtype.kind != "b":
        flat = value.values.ravel()
        return flat[0].item() if (flat == flat[0]).all() else None
    return None


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


def prepare(
    session: Session, actor: accounts.Actor, assignment_id: str, problem_id: str, given: RevisionIn
) -> Publication:
    """Check answers before they count; all that takes time happens here, in a read transaction.

    Raises:
        Refusal: with every reason.
    """
    assignment = _assignment(session, actor, assignment_id)
    problem = courses.find_problem(session, assignment.pk, problem_id)
    _refuse_solo_in_a_class(session, actor, assignment_id, problem_id, given)
    decoded = _decoded(given.variants)
    reasons = faults(decoded, given.constant_cases)
    labels = _labels(given, len(decoded[0]), reasons)
    tolerance = _tolerance(given, problem)
    case_tolerances = {
        index: change.changes()
        for index, change in given.case_tolerances.items()
        if change.changes()
    }
    reasons += [
        f"case_tolerances names case {i}, which does not exist."
        for i in case_tolerances
        if int(i) >= len(labels)
    ]
    reasons += _input_faults(given.variants)
    if reasons:
        raise invalid(f"{problem_id} was not published: {reasons[0]}", errors=reasons)
    expected = revisions.packed(given.variants)
    view = _view(given, labels, tolerance, case_tolerances)
    return Publication(
        assignment=assignment_id,
        problem=problem_id,
        given=given,
        labels=labels,
        tolerance=tolerance,
        case_tolerances=case_tolerances,
        digest=revisions.digest_of(given.variants, labels, tolerance, case_tolerances),
        expected=expected,
        warnings=warnings(decoded) + loose(view, decoded),
        current=_current(session, problem),
        number=revisions.newest(session, problem.pk) if problem else 0,
        target=regrading.Target(problem.pk, view, _answers(expected, decoded)) if problem else None,
    )


def preview(
    session: Session, actor: accounts.Actor, publication: Publication
) -> regrading.Regrading:
    """Whose attempts and scores publishing would move; nothing is written."""
    if publication.target is None or publication.unchanged:
        return regrading.Regrading()
    course = courses.view(session, actor.course_pk)
    return regrading.preview(session, course, publication.target)


def commit(
    session: Session, now: dt.datetime, actor: accounts.Actor, publication: Publication
) -> Published:
    """Make the answers current; the attempts that stand are compared by a job afterwards.

    Nothing is new when values, labels and tolerances are those that stand.
    """
    courses.lock(session, actor.course_pk)
    given = publication.given
    assignment = _assignment(session, actor, publication.assignment)
    problem = courses.find_problem(session, assignment.pk, publication.problem)
    problem = problem or _new_problem(session, assignment, publication.problem)
    publication = replace(
        publication,
        current=_current(session, problem),
        number=revisions.newest(session, problem.pk),
    )
    jobs.check_base(given.base, publication.current)
    if given.title is not None:
        problem.title = given.title
    if given.points is not None:
        problem.points = given.points
    problem.tolerance, new = publication.tolerance, None
    if not publication.unchanged:
        names = ("expected", "labels", "tolerance", "case_tolerances", "digest")
        fields = {name: getattr(publication, name) for name in names}
        new = revisions.add(session, now, actor, problem, note=given.note, **fields)
    courses.changed(session, actor.course_pk)
    outcome = publication.outcome()
    _record(session, now, actor, publication, outcome)
    if new is None or publication.current is None:
        return outcome
    job = jobs.start(session, now, actor, problem_pk=problem.pk, revision_pk=new.pk, kind="publish")
    return replace(outcome, job_pk=job.pk)


def _refuse_solo_in_a_class(
    session: Session, actor: accounts.Actor, assignment: str, problem: str, given: RevisionIn
) -> None:
    """What is sealed for everybody must never be what somebody in a class is graded by."""
    if not any(v.seed == solo_seed(assignment, problem) for v in given.variants):
        return
    students = (Account.course_pk == actor.course_pk) & (Account.role == "student")
    if number := session.scalar(select(func.count()).where(students)):
        raise Refusal(
            409,
            "class_has_students",
            f"{assignment}/{problem} was not published: these are the values for learners alone "
            f"(--solo), and {actor.course_id} has {words.count(number, 'student')}; publish without "
            "--solo here, or with it to a grader of its own.",
        )


def _record(
    session: Session,
    now: dt.datetime,
    actor: accounts.Actor,
    publication: Publication,
    outcome: Published,
) -> None:
    audit.record(
        session,
        now,
        actor=actor.email,
        action="publish",
        object=f"{publication.assignment}/{publication.problem}",
        course_pk=actor.course_pk,
        revision=outcome.revision,
        cases=outcome.cases,
        variants=outcome.variants,
        unchanged=outcome.unchanged,
        note=publication.given.note,
    )


def _assignment(session: Session, actor: accounts.Actor, assignment_id: str) -> Assignment:
    row = session.scalar(
        select(Assignment).where(
            Assignment.course_pk == actor.course_pk, Assignment.id == assignment_id
        )
    )
    if row is None:
        raise not_found(f"assignment {assignment_id!r:.80}")
    return row


def _current(session: Session, problem: Problem | None) -> Revision | None:
    return session.get(Revision, problem.current_pk) if problem and problem.current_pk else None


def _input_faults(variants: Sequence[VariantIn]) -> list[str]:
    return [
        f"Variant {v.variant} has {len(v.inputs)} digests of inputs for {len(v.values)} cases; "
        "give one each."
        for v in variants
        if v.inputs is not None and len(v.inputs) != len(v.values)
    ]


def _view(
    given: RevisionIn, labels: list[str], tolerance: dict[str, Any], cases: dict[str, Any]
) -> courses.RevisionView:
    """The revision that these answers would be, before it is one."""
    variants = tuple(sorted((v.variant, v.seed) for v in given.variants))
    return courses.RevisionView(
        pk=0,
        number=0,
        labels=tuple(labels),
        tolerance=Tolerance(**tolerance),
        case_tolerances=cases,
        sealed=False,
        variants=variants,
        created_at=dt.datetime.now(dt.timezone.utc),
        note=given.note,
    )


def _answers(expected: list[Expected], decoded: list[list[Any]]) -> Callable[..., Answers | None]:
    found = {
        row.variant: Answers(row.seed, values, tuple(row.inputs or ()) or None, 0)
        for row, values in zip(expected, decoded)
    }
    return lambda session, variant: found.get(variant)


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
