"""What staff type into forms, as values; a mistake is a sentence."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal, InvalidOperation

from mugrade.server.errors import invalid


def local(moment: dt.datetime | None) -> str:
    """As `<input type="datetime-local">` takes it."""
    return moment.strftime("%Y-%m-%dT%H:%M") if moment else ""


def whole_number(text: str, name: str, largest: int) -> int:
    if not (text.strip().isascii() and text.strip().isdigit()) or int(text) > largest:
        raise invalid(f"{name} is {text!r:.40}; expected a whole number up to {largest}.")
    return int(text)


def decimal(text: str, name: str) -> Decimal:
    try:
        value = Decimal(text.strip().replace(",", "."))
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or not 0 <= value <= 10000:
        raise invalid(f"{name} is {text!r:.40}; expected a number from 0 to 10000.")
    return abs(value.quantize(Decimal("0.01")))  # -0 is 0
