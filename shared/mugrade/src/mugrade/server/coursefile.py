"""mugrade's own course file: `mugrade init COURSE.toml` reads it (docs/course-file.md)."""

from __future__ import annotations

import datetime as dt
import sys
import zoneinfo
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import tomli_w
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from mugrade.server.errors import invalid
from mugrade.server.services import policies

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Slug = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$")]
Amount = Annotated[Decimal, Field(ge=0, le=10000, max_digits=8, decimal_places=2)]


def _of_this_age(moment: dt.datetime) -> dt.datetime:
    if not 1970 <= moment.year <= 9000:
        raise ValueError(f"the year {moment.year} is too far away; expected 1970 to 9000")
    return moment


Moment = Annotated[dt.datetime, AfterValidator(_of_this_age)]
"""A time that can be told in every time zone and moved by days."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ToleranceIn(_Part):
    rtol: float = Field(1e-5, ge=0, le=1)
    ascale: float = Field(1e-6, ge=0, le=1)
    atol: float = Field(0.0, ge=0, le=1e300)
    dtype: bool = False


class ProblemIn(_Part):
    id: Slug
    title: str = Field("", max_length=200)
    points: Amount = Decimal(1)
    pool: int = Field(1, ge=1, le=64)
    requires: str | None = Field(None, max_length=80)
    speed: bool = False
    tolerance: ToleranceIn = ToleranceIn()


class AssignmentIn(_Part):
    id: Slug
    title: str = Field("", max_length=200)
    opens_at: Moment | None = None
    due_at: Moment | None = None
    cutoff_at: Moment | None = None
    weight: Annotated[Decimal, Field(ge=0, le=100, max_digits=6, decimal_places=2)] = Decimal(1)
    problem: list[ProblemIn] = []

    @model_validator(mode="after")
    def _ordered_and_unique(self) -> AssignmentIn:
        names = [problem.id for problem in self.problem]
        if len(set(names)) < len(names):
            raise ValueError(f"assignment {self.id} names a problem twice")
        times = [t for t in (self.opens_at, self.due_at, self.cutoff_at) if t is not None]
        aware = [t if t.tzinfo else t.replace(tzinfo=dt.timezone.utc) for t in times]
        if aware != sorted(aware):
            raise ValueError(f"assignment {self.id} must open before it is due and close after it")
        return self


class LateIn(_Part):
    percent_per_day: Annotated[Decimal, Field(ge=0, le=100)] = Decimal(0)
    pooled_days: int = Field(0, ge=0, le=365)
    cutoff_days: int | None = Field(None, ge=0, le=365)
    grace_minutes: int = Field(0, ge=0, le=24 * 60)


class AverageIn(_Part):
    drop_lowest: int = Field(0, ge=0, le=10)


class CertificateIn(_Part):
    average: Annotated[Decimal, Field(ge=0, le=100)] = Decimal(80)
    project: bool = True
    min_grade: Annotated[Decimal, Field(ge=0, le=100)] = Decimal(50)


class CourseIn(_Part):
    id: Slug
    title: str = Field(min_length=1, max_length=200)
    code: str | None = Field(None, min_length=6, max_length=64)
    timezone: str = "UTC"

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(
                f"{name!r} is no time zone; expected a name such as Europe/Berlin"
            ) from None
        return name


class CriterionIn(_Part):
    id: Slug
    title: str = Field(max_length=200)
    points: Amount


class PersonIn(_Part):
    email: str
    name: str
    role: str = Field("student", pattern="^(student|grader|instructor)$")


class CourseFile(_Part):
    """The whole file; times without a zone are in the course's time zone."""

    course: CourseIn
    certificate: CertificateIn = CertificateIn()
    late: LateIn = LateIn()
    average: AverageIn = AverageIn()
    assignment: list[AssignmentIn] = []
    rubric: list[CriterionIn] = []
    person: list[PersonIn] = []

    @model_validator(mode="after")
    def _unique(self) -> CourseFile:
        names = [assignment.id for assignment in self.assignment]
        if len(set(names)) < len(names):
            raise ValueError("an assignment is named twice")
        return self

    def policy(self) -> dict[str, Any]:
        return {
            "late": self.late.model_dump(mode="json"),
            "certificate": self.certificate.model_dump(mode="json"),
            "average": self.average.model_dump(mode="json"),
        }

    def moment(self, value: dt.datetime | None) -> dt.datetime | None:
        if value is None or value.tzinfo is not None:
            return value
        return policies.at_clock(value, policies.zone(self.course.timezone))


def for_one(given: CourseFile) -> CourseFile:
    """The course for somebody alone: never late, no people, and nobody to accept a project."""
    never = {"opens_at": None, "due_at": None, "cutoff_at": None}
    return given.model_copy(
        update={
            "assignment": [a.model_copy(update=never) for a in given.assignment],
            "late": LateIn(),
            "certificate": given.certificate.model_copy(update={"project": False}),
            "person": [],
        }
    )


def parse(text: str, name: str = "COURSE.toml") -> CourseFile:
    """Read a course file; every fault is told with its place in the file."""
    try:
        return checked(tomllib.loads(text), f"{name} is no course file")
    except tomllib.TOMLDecodeError as error:
        raise invalid(f"{name} is no TOML: {error}.") from None


def checked(data: dict[str, Any], fault: str) -> CourseFile:
    """A course file out of plain data; `fault` begins the sentence that tells what is wrong with it."""
    try:
        return CourseFile.model_validate(data)
    except ValidationError as error:
        reasons = [f"{_place(data, item['loc'])}: {item['msg']}" for item in error.errors()]
        raise invalid(f"{fault}: {'; '.join(reasons[:5])}.", errors=reasons) from None


def _place(data: Any, where: tuple[int | str, ...]) -> str:
    """`assignment.hw0.due_at`: what has an id by it instead of by its number."""
    names = []
    for part in where:
        try:
            data = data[part]
        except (LookupError, TypeError):
            data = None
        named = isinstance(part, int) and isinstance(data, dict)
        names.append(str(data.get("id", part) if named else part))
    return ".".join(names)


def written(file: CourseFile) -> str:
    """The file as TOML; what is as it would be without saying so is left out."""
    data = _plain(file.model_dump(exclude_defaults=True, exclude_none=True))
    return tomli_w.dumps(data, indent=WIDEST)


WIDEST = 101
"""An indent with which no table fits into one line, so that each is written under a [[heading]]."""


def _plain(value: Any) -> Any:
    """Whole decimals as integers: `points = 20`."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return int(value) if isinstance(value, Decimal) and value == int(value) else value


def read(path: Path) -> CourseFile:
    """As `parse`, from a file; one that cannot be read is told in a sentence too."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise invalid(f"{path} cannot be read ({reason}); name a course file.") from None
    return parse(text, path.name)
