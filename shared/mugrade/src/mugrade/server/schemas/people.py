"""Staff's gradebook, roster, invitations and decisions about single students."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import Field

from mugrade.server.coursefile import Moment
from mugrade.server.schemas.basis import DecimalText, In, Out, PointsIn, Text, UtcText


class GradeAssignment(Out):
    id: str
    title: str
    points: DecimalText


class ProjectGrade(Out):
    """`of` is what the rubric's points come to."""

    state: Literal["forming", "proposed", "returned", "accepted", "submitted", "graded"]
    grade: DecimalText | None
    of: DecimalText


class GradeRow(Out):
    id: str
    name: str
    email: str
    scores: dict[str, DecimalText]
    average: DecimalText
    project: ProjectGrade | None
    certificate: bool
    certificate_state: Literal[
        "not earned", "earned", "issued", "issued, no longer earned", "revoked"
    ]


class Grades(Out):
    assignments: list[GradeAssignment]
    students: list[GradeRow]


class Person(Out):
    id: str
    name: str
    email: str
    role: str
    active: bool
    section: str
    extra_days: int


class Roster(Out):
    people: list[Person]


Who = Annotated[Text, Field(min_length=1, max_length=254)]
Reason = Annotated[Text, Field(max_length=2000)]


class InvitationsIn(In):
    people: Annotated[list[Who], Field(max_length=100)]
    mail: bool = False


class InvitationOut(Out):
    email: str
    name: str
    code: str
    link: str
    mailed: bool
    problem: str | None


class NotInvited(Out):
    email: str
    reason: str


class Invitations(Out):
    invitations: list[InvitationOut]
    skipped: list[NotInvited]


class Uninvited(Out):
    """Who is on the roster and has not come in yet."""

    people: list[str]
    mail: bool


class LinkIn(In):
    person: Who
    reason: Reason = ""


class LinkOut(Out):
    link: str


class RevocationIn(In):
    student: Who
    reason: Annotated[Text, Field(min_length=1, max_length=2000)]
    reinstate: bool = False


class RevocationOut(Out):
    id: str
    revoked_at: UtcText | None


class TimesIn(In):
    """What is absent stays, what is null is taken away."""

    assignment: Annotated[Text, Field(max_length=64)]
    opens_at: Moment | None = None
    due_at: Moment | None = None
    cutoff_at: Moment | None = None

    def changes(self) -> dict[str, dt.datetime | None]:
        return self.model_dump(exclude_unset=True, exclude={"assignment"})


class TimesOut(Out):
    opens_at: UtcText | None
    due_at: UtcText | None
    cutoff_at: UtcText | None


class RoleIn(In):
    person: Who
    role: Literal["student", "grader", "instructor"] | None = None
    active: bool | None = None
    reason: Reason = ""


class RosterIn(In):
    """`domain` is what follows the @ where an export has only logins."""

    csv: Annotated[Text, Field(max_length=1_000_000)]
    dry_run: bool = True
    domain: Annotated[Text, Field(max_length=253)] = ""


class LineError(Out):
    line: int
    detail: str


class RosterChange(Out):
    added: int
    changed: int
    unchanged: int
    errors: list[LineError]


class ExtensionIn(In):
    student: Annotated[Text, Field(max_length=254)]
    assignment: Annotated[Text, Field(max_length=64)]
    days: Annotated[int, Field(ge=0, le=365)] | None = None
    until: Moment | None = None
    reason: Annotated[Text, Field(max_length=2000)] = ""


class ExtensionOut(Out):
    due_at: UtcText | None


class OverrideIn(In):
    student: Annotated[Text, Field(max_length=254)]
    assignment: Annotated[Text, Field(max_length=64)]
    problem: Annotated[Text, Field(max_length=80)]
    points: PointsIn | None
    reason: Annotated[Text, Field(max_length=2000)] = ""


class OverrideOut(Out):
    score: DecimalText


class AuditEntry(Out):
    seq: int
    at: UtcText
    actor: str
    action: str
    object: str
    detail: dict[str, Any]
    hash: str


class AuditOut(Out):
    intact: bool
    entries: list[AuditEntry]
