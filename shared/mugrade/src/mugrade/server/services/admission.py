"""What is taken: the checks that an attempt passes before it is stored, each refused with a sentence.

Limits are counted over the attempt table itself, so they are exact with any number of workers.
"""

from __future__ import annotations

import datetime as dt

from sqlalchemy.orm import Session

from mugrade.server.errors import Refusal, seconds_until
from mugrade.server.schemas import AttemptIn
from mugrade.server.services import answers, limits, standing
from mugrade.server.services.courses import ProblemView
from mugrade.server.settings import Settings


def check_inputs(
    problem: ProblemView, expected: answers.Answers, labels: tuple[str, ...], given: AttemptIn
) -> None:
    """A hook that drew other inputs computed other values: refused, which costs no try."""
    own = [case.inputs for case in given.cases]
    for index in range(len(own)):
        if answers.other_inputs(expected, index, own):
            raise Refusal(
                409,
                "other_inputs",
                f"Case {index} ({labels[index]}) was computed from other inputs than "
                f"the published answer of {problem.id}; take the homework's tests as the "
                "course handed them out, or tell its staff.",
            )


def check_values_size(settings: Settings, expected: answers.Answers, size: int) -> None:
    """What is stored of an attempt stays near the size of the answers."""
    limit = max(settings.min_values_bytes, settings.values_factor * expected.size)
    if size > limit and not settings.solo:
        raise Refusal(
            413,
            "too_large",
            f"The values have {size} bytes; the published ones have {expected.size}, and at most "
            f"{limit} are taken. Is a result of another shape than it should be?",
        )


def check_source_size(settings: Settings, given: AttemptIn) -> None:
    size, limit = (sum(len(f.text.encode()) for f in given.source or ()), settings.max_source_bytes)
    if size > limit:
        raise Refusal(
            413, "too_large", f"The source files have {size} bytes; at most {limit} are taken."
        )


def check_window(
    state: standing.AccountStanding, name: str, now: dt.datetime, *, accept_late: bool
) -> None:
    window = state.tasks[name].window
    current = window.state(now)
    if current == "not_open":
        raise Refusal(403, "not_open", f"{name} opens at {_clock(window.opens_at)}.")
    if current == "closed":
        raise Refusal(
            403, "closed", f"{name} closed at {_clock(window.cutoff_at)}; ask for an extension."
        )
    if current == "late" and not accept_late:
        lost = state.penalty_now(name, now)
        raise Refusal(
            403,
            "late",
            f"{name} was due at {_clock(window.due_at)}; an attempt now would lose {lost:f}%. "
            "Send it with --late if you want it to count.",
        )


def _clock(moment: dt.datetime | None) -> str:
    return (
        moment.astimezone(dt.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
        if moment
        else "a time unknown"
    )


def check_limits(
    session: Session, rows: list[standing.AttemptRow], problem: ProblemView, now: dt.datetime
) -> limits.Allowance:
    """How many tries are left in this hour, or 429."""
    allowed = allowance(session, rows, problem, now)
    if allowed.code is not None and allowed.next_at is not None:
        per_hour = session.info["settings"].attempts_per_hour
        reason = (
            f"{per_hour} attempts an hour are allowed for {problem.id}"
            if allowed.code == "rate_limited"
            else f"Many attempts at {problem.id} in a row missed"
        )
        detail = f"{reason}; the next one is possible at {allowed.next_at:%Y-%m-%d %H:%M:%S} UTC."
        raise Refusal(429, allowed.code, detail, retry_after=seconds_until(allowed.next_at, now))
    return allowed


def check_quota(
    session: Session, rows: list[standing.AttemptRow], more: int, now: dt.datetime
) -> None:
    """429 when an account would store more in a day than a student's work can need."""
    settings = session.info["settings"]
    since = now - dt.timedelta(days=1)
    recent = [row for row in rows if row.created_at > since]
    stored = sum(row.stored_bytes for row in recent)
    if settings.solo or stored + more <= settings.max_bytes_per_day:
        return
    next_at = min((row.created_at for row in recent), default=now) + dt.timedelta(days=1)
    raise Refusal(
        429,
        "rate_limited",
        f"Your attempts of the last 24 hours hold {stored} bytes, and {settings.max_bytes_per_day} "
        f"are taken a day; the next one is possible at {next_at:%Y-%m-%d %H:%M} UTC.",
        retry_after=seconds_until(next_at, now),
    )


def allowance(
    session: Session, rows: list[standing.AttemptRow], problem: ProblemView, now: dt.datetime
) -> limits.Allowance:
    settings = session.info["settings"]
    if settings.solo:
        return limits.Allowance(None)
    recent = [
        (r.created_at, r.correct == r.total) for r in reversed(rows) if r.problem_pk == problem.pk
    ]
    return limits.allowance(
        recent,
        now,
        per_hour=settings.attempts_per_hour,
        free_misses=settings.misses_before_cooldown,
        first_cooldown=settings.cooldown_seconds,
        cooldown_limit=settings.cooldown_limit_seconds,
    )
