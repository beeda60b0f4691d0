"""The same words for the terminal and the pages: kinds of difference, numbers, distances in time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

KINDS = {
    "ok": "right",
    "missing": "no value was handed in for this case",
    "type": "another kind of value is expected",
    "length": "a list or dict of another length is expected",
    "shape": "another shape is expected",
    "dtype": "another dtype is expected",
    "non-finite": "NaN or infinity in other places than expected",
    "values": "the numbers differ",
    "different": "not equal to what is expected",
}


def difference(
    kind: str, submitted: Sequence[int] | None = None, expected: Sequence[int] | None = None
) -> str:
    """The kind of difference in words; for shapes, both shapes."""
    if kind == "shape" and expected is not None:
        return f"shape {shape(submitted)} where {shape(expected)} is expected"
    return KINDS.get(kind, kind)


def shape(sizes: Sequence[int] | None) -> str:
    """A shape as Python writes it."""
    return str(tuple(sizes or ()))


def number(value: Any) -> str:
    """`"12.50"` as `12.5`, `None` as `-`."""
    if value is None:
        return "-"
    plain = format(value, "f") if hasattr(value, "as_tuple") else str(value)
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def count(many: int, thing: str) -> str:
    """`1 case`, `2 cases`."""
    return f"{many} {thing}{'' if many == 1 else 's'}"


def seconds_in_words(seconds: float) -> str:
    """`about 40 seconds`, `about 3 minutes`."""
    whole = max(1, round(seconds))
    return f"about {count(whole, 'second') if whole < 90 else count(round(whole / 60), 'minute')}"


def distance(moment: dt.datetime, now: dt.datetime) -> str:
    """`in 3 days`, `20 minutes ago`."""
    seconds = (moment - now).total_seconds()
    size = abs(seconds)
    if size < 5400:
        words = count(max(1, round(size / 60)), "minute")
    elif size < 2 * 86400:
        words = count(round(size / 3600), "hour")
    else:
        words = count(round(size / 86400), "day")
    return f"in {words}" if seconds > 0 else f"{words} ago"
