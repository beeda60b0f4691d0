"""What /api/v1 takes and gives, as pydantic models; docs/api.md is the promise in words.

Points and scores are decimal strings, times ISO 8601 in UTC.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

from mugrade.compare import Kind
from mugrade.server.coursefile import Moment, ToleranceIn

DecimalText = Annotated[
    Decimal,
    PlainSerializer(lambda value: format(value, "f"), return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^-?\d+(\.\d+)?$"}, mode="serialization"),
]
UtcText = Annotated[
    dt.datetime,
    PlainSerializer(
        lambda value: value.astimezone(dt.timezone.utc).isoformat().replace("+00:00", "Z"),
        return_type=str,
    ),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]
State = Literal["not_open", "open", "late", "closed"]
JobState = Literal["waiting", "running", "stopped", "done", "failed", "superseded"]


Text = Annotated[str, Field(pattern=r"^[^\x00]*$")]
"""PostgreSQL's text has no NUL."""
Label = Annotated[Text, Field(max_length=200)]
PointsIn = Annotated[
    Decimal,
    Field(ge=0, le=10000, max_digits=8, decimal_places=2),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^[0-9]{1,4}(\.[0-9]{1,2})?$"},
                {"type": "integer", "minimum": 0, "maximum": 10000},
            ]
        }
    ),
]


class In(BaseModel):
    """A request body; unknown fields are refused so that a typing error is seen."""

    model_config = ConfigDict(extra="forbid")


class Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class ProblemDocument(Out):
    """RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    retry_after: int | None = None
    errors: list[str] | None = None


# ------------------------------------------------------------------------------- open and account


class ReceiptKey(Out):
    id: str
    public: str


class Meta(Out):
    name: Literal["mugrade"] = "mugrade"
    version: str
    api: Literal[1] = 1
    time: UtcText
    web: str
    receipt_keys: list[ReceiptKey]


Scope = Literal["read", "submit", "grade", "publish", "roster"]


class DeviceCodeIn(In):
    client: Annotated[Text, Field(max_length=80)] = "terminal"
    scopes: Annotated[list[Scope], Field(max_length=5)] | None = None


class DeviceCode(Out):
    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    interval: int
    expires_in: int


class DeviceTokenIn(In):
    device_code: Annotated[Text, Field(max_length=200)]


class CourseOut(Out):
    id: str
    title: str


class Me(Out):
    id: str
    name: str
    email: str
    role: Literal["student", "grader", "instructor"]
    scopes: list[str]
    course: CourseOut
    key_expires_at: UtcText | None = None


class DeviceToken(Out):
    token: str
    account: Me


# ------------------------------------------------------------------------------------ assignments


class Best(Out):
    attempt: str
    correct: int
    cases: int
    score: DecimalText
    at: UtcText


class ToleranceOut(Out):
    rtol: float
    ascale: float
    atol: float
    dtype: bool


class ProblemOut(Out):
    id: str
    title: str
    points: DecimalText
    published: bool
    revision: int | None
    variant: int | None
    seed: int | None
    cases: list[str]
    requires: str | None
    speed: bool = False
    attempts: int
    tries_left: int | None
    retry_after: int
    best: Best | None
    score: DecimalText
    overridden: bool = False
    pool: int | None = None
    tolerance: ToleranceOut | None = None


class AssignmentOut(Out):
    id: str
    title: str
    account: str
    now: UtcText
    opens_at: UtcText | None
    due_at: UtcText | None
    cutoff_at: UtcText | None
    state: State
    score: DecimalText
    points: DecimalText
    late_days_left: int
    late_penalty_percent: int | float
    problems: list[ProblemOut] | None = None


class Assignments(Out):
    now: UtcText
    assignments: list[AssignmentOut]


# --------------------------------------------------------------------------------------- attempts


Inputs = Annotated[str, Field(pattern=r"^[0-9a-f]{16,64}$")]
"""A digest of what a case's value was computed from; equal inputs have equal digests."""


class CaseIn(In):
    label: Label | None = None
    value: Any = None
    inputs: Inputs | None = None

    def as_sent(self) -> dict[str, Any]:
        """What the receipt's digest covers; without `inputs` where an older client sent none."""
        return self.model_dump(exclude={"inputs"} if self.inputs is None else None)


class ErrorIn(In):
    kind: Literal["not_written", "exception", "crash"]
    message: Annotated[Text, Field(max_length=4000)] = ""


class SourceFile(In):
    path: Annotated[Text, Field(min_length=1, max_length=300)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    text: Text


Fingerprint = Annotated[
    dict[Text, Text | int | float | bool | None],
    Field(max_length=40, json_schema_extra={"additionalProperties": False}),
]


class AttemptIn(In):
    revision: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    variant: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    accept_late: bool = False
    cases: Annotated[list[CaseIn], Field(max_length=1000)]
    error: ErrorIn | None = None
    client: Fingerprint | None = None
    environment: Fingerprint | None = None
    source: Annotated[list[SourceFile], Field(max_length=100)] | None = None


class CaseOut(Out):
    index: int
    label: str
    correct: bool
    kind: Kind
    submitted_shape: list[int] | None = None
    expected_shape: list[int] | None = None


class AttemptOut(Out):
    id: str
    assignment: str
    problem: str
    revision: int
    variant: int
    at: UtcText
    cases: list[CaseOut]
    correct: int
    total: int
    score: DecimalText
    points: DecimalText
    best: Best | None
    late_days: int
    penalty_percent: int | float
    tries_left: int | None
    assignment_score: DecimalText
    assignment_points: DecimalText
    due_at: UtcText | None
    error: dict[str, Any] | None = None
    receipt: str | None


class AttemptSummary(Out):
    id: str
    revision: int
    variant: int
    at: UtcText
    cases: list[CaseOut]
    correct: int
    total: int
    score: DecimalText
    late_days: int
    error: dict[str, Any] | None
    origin: str
    receipt: str | None


class Attempts(Out):
    attempts: list[AttemptSummary]


class TimingIn(In):
    seconds: Annotated[float, Field(gt=0, lt=1e7)]
    device: Annotated[Text, Field(max_length=80)] = ""


class LeaderboardEntry(Out):
    name: str
    seconds: float
    device: str
    at: UtcText


class Leaderboard(Out):
    """Self-reported; only people who chose a pseudonym are listed."""

    self_reported: Literal[True] = True
    entries: list[LeaderboardEntry]


# ------------------------------------------------------------------------------------------ staff


class ToleranceChange(In):
    rtol: Annotated[float, Field(ge=0, le=1)] | None = None
    ascale: Annotated[float, Field(ge=0, le=1)] | None = None
    atol: Annotated[float, Field(ge=0, le=1e300)] | None = None
    dtype: bool | None = None

    def changes(self) -> dict[str, Any]:
        return self.model_dump(exclude_none=True)


CaseTolerances = Annotated[
    dict[Annotated[str, Field(pattern=r"^[0-9]{1,4}$")], ToleranceChange],
    Field(json_schema_extra={"additionalProperties": False}),
]


class VariantIn(In):
    variant: Annotated[int, Field(ge=0, lt=1000)]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    values: Annotated[list[Any], Field(max_length=1000)]
    inputs: Annotated[list[Inputs | None], Field(max_length=1000)] | None = None


class RevisionIn(In):
    title: Annotated[Text, Field(max_length=200)] | None = None
    points: PointsIn | None = None
    note: Annotated[Text, Field(max_length=2000)] = ""
    dry_run: bool = False
    base: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    labels: Annotated[list[Label], Field(max_length=1000)] | None = None
    tolerance: ToleranceIn | None = None
    case_tolerances: CaseTolerances = {}
    constant_cases: Annotated[
        list[Annotated[int, Field(ge=0, lt=1000)]], Field(max_length=1000)
    ] = []
    variants: Annotated[list[VariantIn], Field(min_length=1, max_length=64)]


class Regraded(Out):
    attempts: int
    changed: int


class MovedStudent(Out):
    id: str
    name: str
    before: DecimalText
    after: DecimalText


class Moves(Out):
    """Whose attempts and scores a comparison moves, up and down."""

    up: int
    down: int
    skipped: int
    students: list[MovedStudent]


class RevisionOut(Out):
    revision: int
    cases: int
    variants: int
    unchanged: bool
    warnings: list[str]
    regraded: Regraded
    moves: Moves
    job: str | None = None
    state: JobState | None = None


class RevisionLine(Out):
    revision: int
    current: bool
    created_at: UtcText
    author: str | None
    cases: int
    variants: int
    note: str


class Revisions(Out):
    """A problem's revisions, newest first, and how many attempts a regrade would compare."""

    attempts: int
    revisions: list[RevisionLine]


class RollbackIn(In):
    revision: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    dry_run: bool = True
    base: Annotated[int, Field(ge=0, lt=2**31)] | None = None


class RegradeIn(In):
    dry_run: bool = True
    tolerance: ToleranceChange | None = None
    case_tolerances: CaseTolerances | None = None


class RegradeOut(Out):
    attempts: int
    changed: int
    up: int
    down: int
    skipped: int
    students: list[MovedStudent]
    job: str | None = None
    state: JobState | None = None


class JobOut(RegradeOut):
    """A regrade in the background; `attempts` and what follows it are counts so far."""

    id: str
    kind: Literal["regrade", "publish", "rollback"]
    assignment: str
    problem: str
    revision: int
    actor: str
    total: int
    done: int
    seconds_left: int | None
    error: str
    created_at: UtcText
    finished_at: UtcText | None


class Jobs(Out):
    jobs: list[JobOut]


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
    opens_at: dt.datetime | None = None
    due_at: dt.datetime | None = None
    cutoff_at: dt.datetime | None = None

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
    csv: Annotated[Text, Field(max_length=1_000_000)]
    dry_run: bool = True


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


class CaseStatistic(Out):
    index: int
    label: str
    first_tries: int
    failed_first: int
    attempts: int
    failed: int
    kinds: dict[str, int]


class ProblemStatistics(Out):
    assignment: str
    problem: str
    students: int
    solved: int
    attempts: int
    median_attempts_to_solve: float | None
    cases: list[CaseStatistic]


class Statistics(Out):
    problems: list[ProblemStatistics]


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


# ------------------------------------------------------------------------- project, certificate


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
