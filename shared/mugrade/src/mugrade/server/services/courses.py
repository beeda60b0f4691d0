"""Courses, assignments and problems, read as immutable views; course_edit.py makes and changes them.

Views are kept per process under the course's version, which every change raises in the same
transaction; a request that holds the version needs no query for them.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mugrade.compare import Tolerance
from mugrade.server.errors import not_found
from mugrade.server.models import Assignment, Course, Expected, Problem, Revision
from mugrade.server.services import policies


@dataclass(frozen=True)
class RevisionView:
    pk: int
    number: int
    labels: tuple[str, ...]
    tolerance: Tolerance
    case_tolerances: dict[str, dict[str, Any]]
    sealed: bool
    variants: tuple[tuple[int, int], ...]  # (variant, seed), in order
    created_at: dt.datetime
    note: str

    def case_tolerance(self, index: int) -> Tolerance:
        return self.tolerance.override(self.case_tolerances.get(str(index)))

    def seed(self, variant: int) -> int | None:
        return dict(self.variants).get(variant)


@dataclass(frozen=True)
class ProblemView:
    pk: int
    id: str
    title: str
    points: Decimal
    pool: int
    requires: str | None
    speed: bool
    tolerance: Tolerance
    revision: RevisionView | None


@dataclass(frozen=True)
class AssignmentView:
    pk: int
    id: str
    title: str
    opens_at: dt.datetime | None
    due_at: dt.datetime | None
    cutoff_at: dt.datetime | None
    weight: Decimal
    problems: tuple[ProblemView, ...]

    @property
    def points(self) -> Decimal:
        return sum((problem.points for problem in self.problems), Decimal(0))

    def problem(self, problem_id: str) -> ProblemView:
        for problem in self.problems:
            if problem.id == problem_id:
                return problem
        raise not_found(f"problem {problem_id!r:.80} of {self.id}")


@dataclass(frozen=True)
class CourseView:
    pk: int
    id: str
    title: str
    code: str | None
    timezone: str
    policy: policies.Policy
    rubric: tuple[dict[str, Any], ...]
    version: int
    assignments: tuple[AssignmentView, ...]

    @property
    def zone(self) -> dt.tzinfo:
        return policies.zone(self.timezone)

    def assignment(self, assignment_id: str) -> AssignmentView:
        for assignment in self.assignments:
            if assignment.id == assignment_id:
                return assignment
        raise not_found(f"assignment {assignment_id!r:.80}")


# --------------------------------------------------------------------------------------- reading


def view(session: Session, course_pk: int, version: int | None = None) -> CourseView:
    """The course with all its assignments and problems, as of `version` (asked for when None)."""
    if session.info.get("writing"):
        return _load(session, course_pk)  # what is not committed yet must not be kept
    if version is None:
        version = session.scalar(select(Course.version).where(Course.pk == course_pk))
    key = ("course", course_pk, version)
    return session.info["cache"].get(key, lambda: _load(session, course_pk))


def _load(session: Session, course_pk: int) -> CourseView:
    course = session.get_one(Course, course_pk, populate_existing=True)
    problems: dict[int, list[ProblemView]] = {}
    revisions = _current_revisions(session, course_pk)
    rows = session.scalars(
        select(Problem)
        .join(Assignment, Assignment.pk == Problem.assignment_pk)
        .where(Assignment.course_pk == course_pk)
        .order_by(Problem.position, Problem.pk)
    )
    for row in rows:
        problems.setdefault(row.assignment_pk, []).append(
            ProblemView(
                row.pk,
                row.id,
                row.title or row.id,
                row.points,
                row.pool,
                row.requires,
                row.speed,
                Tolerance(**row.tolerance),
                revisions.get(row.current_pk or 0),
            )
        )
    assignments = session.scalars(
        select(Assignment)
        .where(Assignment.course_pk == course_pk)
        .order_by(Assignment.position, Assignment.pk)
    )
    views = tuple(
        AssignmentView(
            a.pk,
            a.id,
            a.title or a.id,
            a.opens_at,
            a.due_at,
            a.cutoff_at,
            a.weight,
            tuple(problems.get(a.pk, ())),
        )
        for a in assignments
    )
    return CourseView(
        course.pk,
        course.id,
        course.title,
        course.code,
        course.timezone,
        policies.policy_from(course.policy),
        tuple(course.rubric),
        course.version,
        views,
    )


def _current_revisions(session: Session, course_pk: int) -> dict[int, RevisionView]:
    current = (
        select(Problem.current_pk)
        .join(Assignment, Assignment.pk == Problem.assignment_pk)
        .where(Assignment.course_pk == course_pk)
    )
    variants: dict[int, list[tuple[int, int]]] = {}
    for revision_pk, variant, seed in session.execute(
        select(Expected.revision_pk, Expected.variant, Expected.seed)
        .where(Expected.revision_pk.in_(current))
        .order_by(Expected.variant)
    ):
        variants.setdefault(revision_pk, []).append((variant, seed))
    rows = session.scalars(select(Revision).where(Revision.pk.in_(current)))
    return {row.pk: revision_view(row, tuple(variants.get(row.pk, ()))) for row in rows}


def revision_view(row: Revision, variants: tuple[tuple[int, int], ...]) -> RevisionView:
    return RevisionView(
        row.pk,
        row.number,
        tuple(row.labels),
        Tolerance(**row.tolerance),
        row.case_tolerances,
        row.sealed,
        variants,
        row.created_at,
        row.note,
    )


def courses(session: Session) -> list[Course]:
    return list(session.scalars(select(Course).order_by(Course.created_at, Course.pk)))


def lock(session: Session, course_pk: int) -> None:
    """Publications, and whatever else changes a course's answers, take turns."""
    session.execute(select(Course.pk).where(Course.pk == course_pk).with_for_update())


def changed(session: Session, course_pk: int) -> None:
    """Raise the course's version; every change below a course calls this."""
    session.execute(update(Course).where(Course.pk == course_pk).values(version=Course.version + 1))


def find_problem(session: Session, assignment_pk: int, problem_id: str) -> Problem | None:
    return session.scalar(
        select(Problem).where(Problem.assignment_pk == assignment_pk, Problem.id == problem_id)
    )
