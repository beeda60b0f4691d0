"""What every other of these modules is made of."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

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
    AfterValidator(abs),  # -0 is 0
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
