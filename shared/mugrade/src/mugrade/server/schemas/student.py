"""What students send and are told: account, assignments, attempts, leaderboard."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from mugrade.compare import Kind
from mugrade.server.schemas.basis import DecimalText, In, Label, Out, State, Text, UtcText

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
    operations: Annotated[int, Field(ge=1, lt=2**53)] | None = None
    bytes: Annotated[int, Field(ge=1, lt=2**53)] | None = None


class LeaderboardEntry(Out):
    """Counts come first; `size` is that of the source that was sent, the rest as it was reported."""

    name: str
    operations: int | None
    bytes: int | None
    size: int | None
    seconds: float
    device: str
    at: UtcText


class Leaderboard(Out):
    """The least work first; only people who chose a pseudonym are listed."""

    self_reported: Literal[True] = True
    entries: list[LeaderboardEntry]
