"""How often somebody may try a problem: so many attempts an hour, and a wait after misses. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

CLOCK_SKEW = dt.timedelta(minutes=1)


def cooldown_seconds(misses_in_a_row: int, free: int, first: int, limit: int) -> int:
    """How long to wait after the last of so many misses: first, 2*first, 4*first ... up to limit."""
    if misses_in_a_row < free:
        return 0
    return min(limit, first << min(misses_in_a_row - free, 30))


@dataclass(frozen=True)
class Allowance:
    """Whether another attempt may be made now.

    Attributes:
        tries_left: in this hour; None where they are not counted.
        code: `rate_limited`, `cool_down` or None.
        next_at: when the next one is possible.
    """

    tries_left: int | None
    code: str | None = None
    next_at: dt.datetime | None = None


def allowance(
    recent: Sequence[tuple[dt.datetime, bool]],
    now: dt.datetime,
    *,
    per_hour: int,
    free_misses: int,
    first_cooldown: int,
    cooldown_limit: int,
) -> Allowance:
    """Judge by the attempts themselves.

    Args:
        recent: (time, whether every case was right), newest first, at least as many as matter. What
            lies in the future was stamped by a clock that was wrong, and counts for nothing; but
            a little of it is another machine's clock, and counts.
    """
    recent = [(at, right) for at, right in recent if at <= now + CLOCK_SKEW]
    hour = [at for at, _ in recent if at > now - dt.timedelta(hours=1)]
    left = max(0, per_hour - len(hour))
    if left == 0:
        return Allowance(0, "rate_limited", hour[per_hour - 1] + dt.timedelta(hours=1))
    misses = 0
    for _, right in recent:
        if right:
            break
        misses += 1
    wait = cooldown_seconds(misses, free_misses, first_cooldown, cooldown_limit)
    if wait and recent and recent[0][0] + dt.timedelta(seconds=wait) > now:
        return Allowance(left, "cool_down", recent[0][0] + dt.timedelta(seconds=wait))
    return Allowance(left)
