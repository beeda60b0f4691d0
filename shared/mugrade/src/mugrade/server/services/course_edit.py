"""Courses are made from a course file and changed by it: from the shell, or by forms in the browser.

A form is an edit of the file that the course would be exported as, so all that may be said about a
course is checked in one place (coursefile.py).
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from mugrade.server import coursefile
from mugrade.server.coursefile import AssignmentIn, CourseFile
from mugrade.server.errors import invalid, not_found
from mugrade.server.models import Account, Assignment, Course, Problem
from mugrade.server.services import accounts, audit, courses, email_addresses, policies
from mugrade.server.services.courses import AssignmentView, CourseView, ProblemView


def new_code() -> str:
    """A sign-up code that can be read out: ten letters and digits without look-alikes."""
    return "-".join(
        "".join(secrets.choice("abcdefghjkmnpqrstuvwxyz23456789") for _ in range(5)) for _ in "ab"
    )


def apply_file(
    session: Session, now: dt.datetime, file: CourseFile, *, actor: str, **detail: Any
) -> Course:
    """Make the course, or bring an existing one of the same id up to the file.

    Assignments and problems are added and changed, never deleted: attempts hang on them. A sign-up
    code that stands is kept unless the file names another.

    Args:
        detail: for the audit log.
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
    courses.changed(session, course.pk)
    audit.record(
        session,
        now,
        actor=actor,
        action="course-made" if made else "course-changed",
        object=course.id,
        course_pk=course.pk,
        **detail,
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
    row.cutoff_at, row.weight = file.moment(given.cutoff_at), given.weight
    session.flush()
    for place, problem in enumerate(given.problem):
        target = courses.find_problem(session, row.pk, problem.id)
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


# --------------------------------------------------------------------------------- as a file again


def as_file(course: CourseView) -> CourseFile:
    """The course as the file that would make it, without its people."""
    late, rule = course.policy.late, course.policy.certificate
    return CourseFile.model_validate(
        {
            "course": {
                "id": course.id,
                "title": course.title,
                "code": course.code,
                "timezone": course.timezone,
            },
            "late": vars(late),
            "certificate": vars(rule),
            "average": {"drop_lowest": course.policy.drop_lowest},
            "assignment": [_assignment(course, a) for a in course.assignments],
            "rubric": list(course.rubric),
        }
    )


def _assignment(course: CourseView, view: AssignmentView) -> dict[str, Any]:
    return {
        "id": view.id,
        "title": view.title,
        "weight": view.weight,
        **{name: _by_the_clock(getattr(view, name), course.zone) for name in TIMES},
        "problem": [_problem(p) for p in view.problems],
    }


def _problem(view: ProblemView) -> dict[str, Any]:
    names = ("id", "title", "points", "pool", "requires", "speed")
    facts = {name: getattr(view, name) for name in names}
    return {**facts, "tolerance": vars(view.tolerance)}


def _by_the_clock(moment: dt.datetime | None, zone: dt.tzinfo) -> dt.datetime | None:
    """As the course's clocks show it; with its offset where they show it twice."""
    if moment is None:
        return None
    shown = moment.astimezone(zone)
    local = shown.replace(tzinfo=None)
    return local if policies.at_clock(local, zone) == moment else shown


def outline(course: CourseView) -> CourseFile:
    """The course as a file without times, sign-up code, policy of lateness and rubric."""
    return coursefile.for_one(as_file(course)).model_copy(
        update={
            "course": coursefile.CourseIn(
                id=course.id, title=course.title, timezone=course.timezone
            ),
            "certificate": coursefile.CertificateIn(**vars(course.policy.certificate)),
            "rubric": [],
        }
    )


# ----------------------------------------------------------------------------- changes by a browser


def edit(
    session: Session,
    now: dt.datetime,
    actor: accounts.Actor,
    change: Callable[[dict[str, Any]], None],
) -> None:
    """Let `change` alter the course's file, as plain data, and bring the course up to it."""
    courses.lock(session, actor.course_pk)
    before = as_file(courses.view(session, actor.course_pk))
    data = before.model_dump()
    change(data)
    _bring_up_to(session, now, actor, before, coursefile.checked(data, "This cannot be"))


def homework(data: dict[str, Any], assignment_id: str) -> dict[str, Any]:
    """An assignment in a course's file as plain data, or 404."""
    for assignment in data["assignment"]:
        if assignment["id"] == assignment_id:
            found: dict[str, Any] = assignment
            return found
    raise not_found(f"assignment {assignment_id!r:.80}")


def bring_in(
    session: Session, now: dt.datetime, actor: accounts.Actor, text: str, *, dry_run: bool
) -> list[str]:
    """Bring the actor's course up to an uploaded course file; what that changes, in words.

    Raises:
        Refusal: it is no course file, of another course, or names people, who come by the roster.
    """
    given = coursefile.parse(text, "The text")
    if given.course.id != actor.course_id:
        raise invalid(
            f"This is the file of the course {given.course.id!r}; here is {actor.course_id!r}."
        )
    if given.person:
        raise invalid("Take [[person]] out of the file; people are imported on the roster's page.")
    courses.lock(session, actor.course_pk)
    before = as_file(courses.view(session, actor.course_pk))
    if not dry_run:
        return _bring_up_to(session, now, actor, before, given)
    return list(differences(before, given))


def _bring_up_to(
    session: Session,
    now: dt.datetime,
    actor: accounts.Actor,
    before: CourseFile,
    after: CourseFile,
) -> list[str]:
    told = list(differences(before, after))
    if told:
        apply_file(session, now, after, actor=actor.email, changes=told)
    return told


def differences(before: CourseFile, after: CourseFile) -> Iterator[str]:
    """What bringing a course up to `after` changes, a sentence each."""
    old, new = _facts(before), _facts(after)
    for place, value in new.items():
        if place not in old:
            yield f"{place} is new: {value}"
        elif old[place] != value and not (place == "course.code" and value is None):
            yield f"{place} changes from {old[place]} to {value}"
    gone = {place.rpartition(".")[0] for place in old.keys() - new.keys()}
    for place in sorted(gone):
        if place.startswith("assignment."):
            yield f"{place} is not in the file and stays as it is"
        elif place.startswith("rubric."):
            yield f"{place} goes"


def _facts(file: CourseFile) -> dict[str, Any]:
    """Every field by its place, such as `assignment.hw0.problem.add.points`."""
    found: dict[str, Any] = {}

    def walk(value: Any, place: str) -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                walk(inner, f"{place}.{name}" if place else name)
        elif isinstance(value, list):
            for inner in value:
                walk({k: v for k, v in inner.items() if k != "id"}, f"{place}.{inner['id']}")
        else:
            found[place] = file.moment(value) if isinstance(value, dt.datetime) else value

    walk(file.model_dump(exclude={"person"}), "")
    return found


def set_code(session: Session, now: dt.datetime, actor: accounts.Actor, code: str | None) -> None:
    """Replace the sign-up code, or close sign-up with None."""
    course = session.get_one(Course, actor.course_pk)
    course.code = code
    courses.changed(session, course.pk)
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
    courses.changed(session, actor.course_pk)
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
