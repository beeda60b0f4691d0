"""Publishing, regrading, and statistics of what was handed in."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from mugrade.server.coursefile import ToleranceIn
from mugrade.server.schemas.basis import (
    DecimalText,
    In,
    JobState,
    Label,
    Out,
    PointsIn,
    Text,
    UtcText,
)
from mugrade.server.schemas.student import Inputs


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
