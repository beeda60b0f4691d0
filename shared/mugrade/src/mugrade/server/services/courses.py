"""Courses, assignments and problems: made from a course file, read as immutable views.

Views are kept per process under the course's version, which every change raises in the same
transaction; a request that holds the version needs no query for them.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mugrade.compare import Tolerance
from mugrade.server.coursefile import AssignmentIn, CourseFile
from mugrade.server.errors import invalid, not_found
from mugrade.server.models import Account, Assignment, Course, Expected, Problem, Revision
from mugrade.server.services import accounts, audit, email_addresses, policies


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


# ---------------------------------------------------------------------------------------- making


def new_code() -> str:
    """A sign-up code that can be read out: ten letters and digits without look-alikes."""
    return "-".join(
        "".join(secrets.choice("abcdefghjkmnpqrstuvwxyz23456789") for _ in range(5)) for _ in "ab"
    )


def apply_file(session: Session, now: dt.datetime, file: CourseFile, *, actor: str) -> Course:
    """Make the course, or bring an existing one of the same id up to the file.

    Assignments and problems are added and changed, never deleted: attempts hang on them. A sign-up
    code that stands is kept unless the file names another.
    """
    course = session.scalar(select(Course).where(Course.id == file.course.id))
    made = course is None
    if course is None:
        course = Course(
            id=file.course.id, title="", code=new_code(), policy={}, rubric=[], created_at=now
        )
        session.add(course)
    course.title, course.timezone = file.course.title, file.course.timezone
    course.code = file.course.code or course.code
    course.policy = file.policy()
    course.rubric = [criterion.model_dump(mode="json") for criterion in file.rubric]
    session.flush()
    for position, assignment in enumerate(file.assignment):
        _apply_assignment(session, course, file, assignment, position)
    for person in file.person:
        _apply_person(session, now, course, person.email, person.name, person.role)
    changed(session, course.pk)
    audit.record(
        session,
        now,
        actor=actor,
        action="course-made" if made else "course-changed",
        object=course.id,
        course_pk=course.pk,
    )
    session.refresh(course)
    return course


def _apply_assignment(
    session: Session, course: Course, file: CourseFile, given: AssignmentIn, position: int
) -> None:
    row = session.scalar(
        select(Assignment).where(Assignment.course_pk == course.pk, Assignment.id == given.id)
    )
    if row is None:
        row = Assignment(course_pk=course.pk, id=given.id)
        session.add(row)
    row.title, row.position = given.title or given.id, position
    row.opens_at, row.due_at = file.moment(given.opens_at), file.moment(given.due_at)
    row.cutoff_at = file.moment(given.cutoff_at)
    session.flush()
    for place, problem in enumerate(given.problem):
        target = find_problem(session, row.pk, problem.id)
        if target is None:
            target = Problem(assignment_pk=row.pk, id=problem.id)
            session.add(target)
        target.title, target.points, target.position = (
            problem.title or problem.id,
            problem.points,
            place,
        )
        target.pool, target.requires, target.speed = problem.pool, problem.requires, problem.speed
        target.tolerance = problem.tolerance.model_dump()
    session.flush()


def _apply_person(
    session: Session, now: dt.datetime, course: Course, email: str, name: str, role: str
) -> None:
    email = email_addresses.normal(email)
    known = session.scalar(
        select(Account).where(Account.course_pk == course.pk, Account.email == email)
    )
    if known is None:
        accounts.add_account(session, now, course, email=email, name=name, role=role)
    else:
        known.name, known.role = accounts.clean_name(name), role


def outline(course: CourseView) -> CourseFile:
    """The course as a file without times, people and policy of lateness."""
    return CourseFile.model_validate(
        {
            "course": {"id": course.id, "title": course.title, "timezone": course.timezone},
            "certificate": vars(course.policy.certificate),
            "assignment": [
                {
                    "id": a.id,
                    "title": a.title,
                    "problem": [
                        {
                            "id": p.id,
                            "title": p.title,
                            "points": p.points,
                            "requires": p.requires,
                            "speed": p.speed,
                            "tolerance": vars(p.tolerance),
                        }
                        for p in a.problems
                    ],
                }
                for a in course.assignments
            ],
        }
    )


def find_problem(session: Session, assignment_pk: int, problem_id: str) -> Problem | None:
    return session.scalar(
        select(Problem).where(Problem.assignment_pk == assignment_pk, Problem.id == problem_id)
    )


def set_code(session: Session, now: dt.datetime, actor: accounts.Actor, code: str | None) -> None:
    """Replace the sign-up code, or close sign-up with None."""
    course = session.get_one(Course, actor.course_pk)
    course.code = code
    changed(session, course.pk)
    audit.record(
        session,
        now,
        actor=actor.email,
        action="sign-up-code",
        object=course.id,
        course_pk=course.pk,
        open=code is not None,
    )


def set_times(
    session: Session,
    now: dt.datetime,
    actor: accounts.Actor,
    assignment_id: str,
    changes: Mapping[str, dt.datetime | None],
) -> Assignment:
    """Move an assignment's times for everybody.

    Args:
        changes: new values of `opens_at`, `due_at`, `cutoff_at`; None takes one away, what is not
            named stays.
    """
    row = session.scalar(
        select(Assignment)
        .where(Assignment.course_pk == actor.course_pk, Assignment.id == assignment_id)
        .with_for_update()
    )
    if row is None:
        raise not_found(f"assignment {assignment_id!r:.80}")
    if not changes:
        raise invalid("Name at least one of opens_at, due_at and cutoff_at.")
    if any(value is not None and value.tzinfo is None for value in changes.values()):
        raise invalid("A time needs a zone, such as 2026-10-08T12:00:00Z.")
    before = {name: getattr(row, name) for name in TIMES}
    after = {**before, **changes}
    known = [value for value in after.values() if value is not None]
    if known != sorted(known):
        raise invalid(f"{assignment_id} must open before it is due and close after it.")
    for name, value in changes.items():
        setattr(row, name, value)
    changed(session, actor.course_pk)
    audit.record(
        session,
        now,
        actor=actor.email,
        action="times",
        object=assignment_id,
        course_pk=actor.course_pk,
        before={name: _iso(value) for name, value in before.items()},
        after={name: _iso(value) for name, value in after.items()},
    )
    return row


TIMES = ("opens_at", "due_at", "cutoff_at")
"""An assignment's times, in the order in which they must come."""


def _iso(moment: dt.datetime | None) -> str | None:
    return moment.isoformat() if moment else None
