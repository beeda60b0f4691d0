"""Groups, their projects, and certificates."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from mugrade.server.schemas.basis import DecimalText, In, Out, PointsIn, Text, UtcText


class InviteIn(In):
    email: Annotated[Text, Field(max_length=254)]


class ProposalIn(In):
    title: Annotated[Text, Field(min_length=1, max_length=200)]
    text: Annotated[Text, Field(min_length=1, max_length=20_000)]


class ReportIn(In):
    report: Annotated[Text, Field(min_length=1, max_length=20_000)]


class DecisionIn(In):
    accept: bool
    feedback: Annotated[Text, Field(max_length=20_000)] = ""


class MarksIn(In):
    marks: Annotated[
        dict[Text, PointsIn],
        Field(max_length=50, json_schema_extra={"additionalProperties": False}),
    ]
    feedback: Annotated[Text, Field(max_length=20_000)] = ""


class MemberOut(Out):
    id: str
    name: str
    confirmed: bool


class GroupOut(Out):
    id: str
    state: Literal["forming", "proposed", "returned", "accepted", "submitted", "graded"]
    title: str
    proposal: str
    report: str
    feedback: str
    marks: dict[str, str] | None
    grade: DecimalText | None
    members: list[MemberOut]


class Project(Out):
    """The own group (null before there is one) and invitations from others."""

    group: GroupOut | None
    invitations: list[GroupOut]
    rubric: list[dict[str, Any]]


class Groups(Out):
    groups: list[GroupOut]


class CertificateOut(Out):
    earned: bool
    average: DecimalText
    needed: DecimalText
    project_done: bool
    missing: list[str]
    id: str | None
    verify: str | None
    signed: str | None


class CertificateCheck(Out):
    valid: bool
    name: str | None = None
    course: str | None = None
    issued_at: UtcText | None = None
    signed: str | None = None
    revoked_at: UtcText | None = None
