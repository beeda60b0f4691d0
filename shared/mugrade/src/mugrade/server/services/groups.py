"""Final projects: two or three students form a group, propose, hand in; staff decides and grades.

forming -> proposed -> accepted -> submitted -> graded
              ^  \\-> returned -/ (propose again)
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from mugrade.server.errors import Refusal, invalid, not_found
from mugrade.server.models import Account, Course, GroupMember, ProjectGroup, ProjectState
from mugrade.server.services import accounts, audit, courses, email_addresses
from mugrade.server.services.accounts import Actor

MIN_MEMBERS, MAX_MEMBERS = 2, 3
LONGEST = 20_000
"""Characters of a proposal, report or feedback."""


@dataclass(frozen=True)
class Member:
    id: str
    name: str
    email: str
    confirmed: bool


@dataclass(frozen=True)
class Group:
    """A group with its members, as pages and routes show it."""

    row: ProjectGroup
    members: list[Member]

    @property
    def confirmed(self) -> int:
        return sum(member.confirmed for member in self.members)


# --------------------------------------------------------------------------------------- reading


def _with_members(session: Session, row: ProjectGroup) -> Group:
    return Group(row, _members(session, [row.pk]).get(row.pk, []))


def _members(session: Session, group_pks: list[int]) -> dict[int, list[Member]]:
    """Of each group its members, those who have said yes first."""
    query = (
        select(GroupMember.group_pk, Account.id, Account.name, Account.email, GroupMember.confirmed)
        .join(GroupMember, GroupMember.account_pk == Account.pk)
        .where(GroupMember.group_pk.in_(group_pks))
        .order_by(GroupMember.confirmed.desc(), Account.name)
    )
    found: dict[int, list[Member]] = {}
    for row in session.execute(query):
        found.setdefault(row[0], []).append(Member(*row[1:]))
    return found


def own(session: Session, account_pk: int) -> Group | None:
    """The group that the account belongs to, invitations not counted."""
    row = session.scalar(_of(account_pk, confirmed=True))
    return _with_members(session, row) if row else None


def invitations(session: Session, account_pk: int) -> list[Group]:
    rows = session.scalars(_of(account_pk, confirmed=False).order_by(ProjectGroup.pk))
    return [_with_members(session, row) for row in rows]


def _of(account_pk: int, *, confirmed: bool) -> Any:
    return (
        select(ProjectGroup)
        .join(GroupMember, GroupMember.group_pk == ProjectGroup.pk)
        .where(GroupMember.account_pk == account_pk, GroupMember.confirmed == confirmed)
    )


def all_of(session: Session, course_pk: int) -> list[Group]:
    """Every group of the course; those that wait for staff first."""
    rows = session.scalars(select(ProjectGroup).where(ProjectGroup.course_pk == course_pk))
    order = ("proposed", "submitted", "accepted", "returned", "forming", "graded")
    ranked = sorted(rows, key=lambda row: (order.index(row.state), row.pk))
    members = _members(session, [row.pk for row in ranked])
    return [Group(row, members.get(row.pk, [])) for row in ranked]


def find(session: Session, actor: Actor, group_id: str) -> Group:
    """A group of the actor's course for staff; 404 for everybody else's."""
    row = session.scalar(
        select(ProjectGroup)
        .where(ProjectGroup.id == group_id, ProjectGroup.course_pk == actor.course_pk)
        .with_for_update()
    )
    _staff_only(actor)
    if row is None:
        raise not_found("project group")
    return _with_members(session, row)


# -------------------------------------------------------------------------------------- students


def students_only(actor: Actor) -> None:
    if actor.role != "student":
        raise Refusal(
            403, "forbidden", "Project groups are for students; staff decides and grades."
        )


def _written(text: str, what: str) -> str:
    """What was handed in, which may not be empty: a blank page is no work."""
    if not text.strip():
        raise Refusal(422, "invalid", f"The {what} is empty; write it before you hand it in.")
    if len(text) > LONGEST:
        raise Refusal(422, "invalid", f"The {what} has more than {LONGEST} characters.")
    return text


def form(session: Session, now: dt.datetime, actor: Actor) -> Group:
    """A new group with the actor in it."""
    students_only(actor)
    _take_turn(session, actor)
    if own(session, actor.pk) is not None:
        raise Refusal(409, "conflict", "You are in a group already; leave it first.")
    row = ProjectGroup(course_pk=actor.course_pk, state="forming", created_at=now, changed_at=now)
    session.add(row)
    session.flush()
    _put(session, actor.pk, row.pk, confirmed=True)
    return _with_members(session, row)


def invite(session: Session, now: dt.datetime, actor: Actor, email: str) -> Group:
    """Ask a fellow student, by their e-mail address, into the own group."""
    _take_turn(session, actor)
    group = _mine(session, actor, ("forming", "returned"))
    if len(group.members) >= MAX_MEMBERS:
        raise Refusal(
            409, "conflict", f"A group has at most {MAX_MEMBERS} members, invited ones counted."
        )
    other = _student(session, actor, email)
    standing = session.get(GroupMember, (other.pk, group.row.pk))
    if standing is None:
        _put(session, other.pk, group.row.pk, confirmed=False)
    elif standing.confirmed:
        raise Refusal(409, "conflict", f"{other.email} is in this group already.")
    return _with_members(session, group.row)


def _student(session: Session, actor: Actor, email: str) -> Account:
    email = email_addresses.normal(email)
    found = session.scalar(
        select(Account).where(
            Account.course_pk == actor.course_pk,
            Account.email == email,
            Account.role == "student",
            Account.active,
        )
    )
    if found is None:
        raise not_found(f"student {email}")
    return found


def answer(
    session: Session, now: dt.datetime, actor: Actor, group_id: str, *, accept: bool
) -> Group | None:
    """Accept or decline an invitation."""
    _take_turn(session, actor)
    row = session.scalar(_of(actor.pk, confirmed=False).where(ProjectGroup.id == group_id))
    if row is None:
        raise not_found("invitation")
    if not accept:
        session.execute(
            delete(GroupMember).where(
                GroupMember.account_pk == actor.pk, GroupMember.group_pk == row.pk
            )
        )
        return own(session, actor.pk)
    if own(session, actor.pk) is not None:
        raise Refusal(409, "conflict", "You are in a group already; leave it first.")
    if row.state not in ("forming", "returned"):
        raise Refusal(409, "conflict", "This group has handed its proposal in without you.")
    _check_room(session, row)
    session.get_one(GroupMember, (actor.pk, row.pk)).confirmed = True
    session.flush()
    return _with_members(session, row)


def leave(session: Session, now: dt.datetime, actor: Actor) -> None:
    """Leave the own group before its proposal stands; an empty group disappears."""
    _take_turn(session, actor)
    _take_out(session, _mine(session, actor, ("forming", "returned")), actor.pk)


def _take_out(session: Session, group: Group, account_pk: int) -> None:
    """Who was invited into a group that nobody is left in is invited no longer."""
    session.execute(
        delete(GroupMember).where(
            GroupMember.account_pk == account_pk, GroupMember.group_pk == group.row.pk
        )
    )
    session.flush()
    if not _with_members(session, group.row).confirmed:
        session.execute(delete(GroupMember).where(GroupMember.group_pk == group.row.pk))
        session.delete(group.row)
        session.flush()


def propose(session: Session, now: dt.datetime, actor: Actor, *, title: str, text: str) -> Group:
    """Hand the proposal in; open invitations lapse."""
    _take_turn(session, actor)
    group = _mine(session, actor, ("forming", "returned", "proposed"))
    if group.confirmed < MIN_MEMBERS:
        raise Refusal(409, "conflict", f"A group needs {MIN_MEMBERS} members who have said yes.")
    session.execute(
        delete(GroupMember).where(
            GroupMember.group_pk == group.row.pk, GroupMember.confirmed.is_(False)
        )
    )
    group.row.title = accounts.clean_name(title)
    group.row.proposal = _written(text, "proposal")
    return _move(session, now, group, "proposed")


def hand_in(session: Session, now: dt.datetime, actor: Actor, report: str) -> Group:
    """Hand the finished project in; again until it is graded."""
    _take_turn(session, actor)
    group = _mine(session, actor, ("accepted", "submitted"))
    group.row.report = _written(report, "report")
    return _move(session, now, group, "submitted")


def _mine(session: Session, actor: Actor, states: tuple[str, ...]) -> Group:
    group = own(session, actor.pk)
    if group is None:
        raise Refusal(404, "not_found", "You are in no project group; form one first.")
    if group.row.state not in states:
        raise Refusal(
            409,
            "conflict",
            f"Your project is {group.row.state}; this is possible while it is {' or '.join(states)}.",
        )
    return group


def _take_turn(session: Session, actor: Actor) -> None:
    """Group changes of one course happen one after the other: two accounts are often involved."""
    session.execute(select(Course.pk).where(Course.pk == actor.course_pk).with_for_update())


def _check_room(session: Session, row: ProjectGroup) -> None:
    if _with_members(session, row).confirmed >= MAX_MEMBERS:
        raise Refusal(409, "conflict", f"A group has at most {MAX_MEMBERS} members.")


def _put(session: Session, account_pk: int, group_pk: int, *, confirmed: bool) -> None:
    session.add(GroupMember(account_pk=account_pk, group_pk=group_pk, confirmed=confirmed))
    session.flush()


def _move(session: Session, now: dt.datetime, group: Group, state: ProjectState) -> Group:
    group.row.state, group.row.changed_at = state, now
    session.flush()
    return _with_members(session, group.row)


# ----------------------------------------------------------------------------------------- staff


def put_together(session: Session, now: dt.datetime, actor: Actor, emails: Sequence[str]) -> Group:
    """A new group of these students, made by staff."""
    _staff_only(actor)
    _take_turn(session, actor)
    row = ProjectGroup(course_pk=actor.course_pk, state="forming", created_at=now, changed_at=now)
    session.add(row)
    session.flush()
    if not emails:
        raise invalid("Name the members by their e-mail addresses.")
    for email in emails:
        _join(session, actor, row, email)
    return _members_changed(session, now, actor, row)


def add_member(
    session: Session, now: dt.datetime, actor: Actor, group_id: str, *, email: str
) -> Group:
    """Staff puts a student into a group, whatever state its project is in."""
    _take_turn(session, actor)
    group = find(session, actor, group_id)
    _join(session, actor, group.row, email)
    return _members_changed(session, now, actor, group.row)


def remove_member(
    session: Session, now: dt.datetime, actor: Actor, group_id: str, *, email: str
) -> Group:
    """Staff takes somebody out; the last one stays, because the project is theirs."""
    _take_turn(session, actor)
    group = find(session, actor, group_id)
    member = next((m for m in group.members if m.email == email), None)
    if member is None:
        raise not_found(f"member {email:.80}")
    if member.confirmed and group.confirmed == 1:
        raise Refusal(409, "conflict", f"{member.name} is the last; a project needs somebody.")
    _take_out(session, group, accounts.find(session, actor.course_pk, member.id).pk)
    return _members_changed(session, now, actor, group.row)


def _join(session: Session, actor: Actor, row: ProjectGroup, email: str) -> None:
    student = _student(session, actor, email)
    held = own(session, student.pk)
    if held is not None:
        where = "this group" if held.row.pk == row.pk else "another group"
        raise Refusal(409, "conflict", f"{student.email} is in {where} already.")
    _check_room(session, row)
    invited = session.get(GroupMember, (student.pk, row.pk))
    if invited is None:
        _put(session, student.pk, row.pk, confirmed=True)
    else:
        invited.confirmed = True
        session.flush()


def _members_changed(session: Session, now: dt.datetime, actor: Actor, row: ProjectGroup) -> Group:
    group = _with_members(session, row)
    audit.record(
        session,
        now,
        actor=actor.email,
        action="project-members",
        object=row.id,
        course_pk=actor.course_pk,
        members=[member.email for member in group.members],
    )
    return group


def _staff_only(actor: Actor) -> None:
    if not actor.is_staff:
        raise not_found("project group")


def decide(
    session: Session, now: dt.datetime, actor: Actor, group_id: str, *, accept: bool, feedback: str
) -> Group:
    """Accept a proposal or return it with feedback."""
    _take_turn(session, actor)
    group = find(session, actor, group_id)
    if group.row.state != "proposed":
        raise Refusal(
            409, "conflict", f"This project is {group.row.state}; only a proposal can be decided."
        )
    group.row.feedback = feedback
    moved = _move(session, now, group, "accepted" if accept else "returned")
    audit.record(
        session,
        now,
        actor=actor.email,
        action="project-accepted" if accept else "project-returned",
        object=group_id,
        course_pk=actor.course_pk,
        title=group.row.title,
    )
    return moved


def grade(
    session: Session,
    now: dt.datetime,
    actor: Actor,
    group_id: str,
    *,
    marks: dict[str, Decimal],
    feedback: str,
) -> Group:
    """Grade a project that was handed in, by the course's rubric; can be done again."""
    _take_turn(session, actor)
    group = find(session, actor, group_id)
    if group.row.state not in ("submitted", "graded"):
        raise Refusal(
            409, "conflict", f"This project is {group.row.state}; it must be handed in first."
        )
    rubric = {
        c["id"]: Decimal(str(c["points"])) for c in courses.view(session, actor.course_pk).rubric
    }
    if not rubric:
        raise invalid("The course has no rubric; add [[rubric]] to its course file.")
    if set(marks) != set(rubric):
        raise invalid(f"Give points for each of: {', '.join(rubric)}.")
    for name, points in marks.items():
        if points > rubric[name]:
            raise invalid(f"{name} has at most {rubric[name]} points; {points} were given.")
    group.row.marks = {name: str(points) for name, points in marks.items()}
    group.row.grade = sum(marks.values(), Decimal(0))
    group.row.feedback = feedback
    moved = _move(session, now, group, "graded")
    audit.record(
        session,
        now,
        actor=actor.email,
        action="project-graded",
        object=group_id,
        course_pk=actor.course_pk,
        grade=str(group.row.grade),
        marks=group.row.marks,
    )
    return moved
