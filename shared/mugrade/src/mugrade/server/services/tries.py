"""How often somebody may fail to say who they are: counted per account and per network address.

Counted in the database, so that the limits hold over all workers. A try is entered before the
password is compared and struck out when it was right: only failures stay, and tries made at the
same moment cannot slip past. What lies in the future (a clock that was wrong) does not count.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import delete, func, select, text
from sqlalchemy.orm import Session

from mugrade.server.db import Database
from mugrade.server.errors import Refusal, seconds_until
from mugrade.server.models import FailedTry

ACCOUNT_WINDOW = dt.timedelta(minutes=15)
ADDRESS_WINDOW = dt.timedelta(minutes=10)
FAILURES = (401, 404, 409)
"""A refusal with one of these was a wrong guess; a malformed form (400) is none."""


@dataclass(frozen=True)
class Budget:
    """So many failures of one subject are allowed within a window."""

    subject: str
    most: int
    window: dt.timedelta
    sentence: str


def of_address(database: Database, block: str) -> Budget:
    """The failures of everybody behind one address (IPv4) or network (IPv6 /64)."""
    return Budget(
        _digest("address", block),
        database.settings.failures_per_address,
        ADDRESS_WINDOW,
        "Too many failed tries from your network",
    )


def of_account(database: Database, who: str) -> Budget:
    """The failures at one account, whoever makes them; `who` need not exist."""
    return Budget(
        _digest("account", who),
        database.settings.failures_per_account,
        ACCOUNT_WINDOW,
        "Too many failed tries for this account",
    )


def _digest(kind: str, who: str) -> str:
    return hashlib.sha256(f"{kind}/{who}".encode("utf-8", "replace")).hexdigest()


@contextlib.contextmanager
def counted(
    database: Database, clock: Callable[[], dt.datetime], *budgets: Budget
) -> Iterator[None]:
    """Run one try; it stays counted when it ends in a refusal that means a wrong guess.

    Raises:
        Refusal: 429 when a budget is used up; such a try is not counted.
    """
    with database.write() as session:
        taken = _enter(session, clock(), budgets)
    try:
        yield
    except Refusal as error:
        if error.status_code not in FAILURES:
            _strike_out(database, taken)
        raise
    except BaseException:
        _strike_out(database, taken)
        raise
    _strike_out(database, taken)


def spend(database: Database, clock: Callable[[], dt.datetime], *budgets: Budget) -> None:
    """Count one try for good, right or wrong; 429 when a budget is used up."""
    with database.write() as session:
        _enter(session, clock(), budgets)


def _enter(session: Session, now: dt.datetime, budgets: tuple[Budget, ...]) -> list[int]:
    entered = []
    for budget in sorted(budgets, key=lambda b: b.subject):  # in one order: no two wait in a circle
        _take_turn(session, budget.subject)
        since = now - budget.window
        mine = FailedTry.subject == budget.subject
        session.execute(delete(FailedTry).where(mine, FailedTry.at <= since))
        counting = select(func.count(), func.min(FailedTry.at)).where(mine, FailedTry.at <= now)
        count, oldest = session.execute(counting).one()
        if count >= budget.most:
            until = oldest + budget.window
            raise Refusal(
                429,
                "rate_limited",
                f"{budget.sentence}; the next one is possible at {until:%Y-%m-%d %H:%M:%S} UTC.",
                retry_after=seconds_until(until, now),
            )
        row = FailedTry(subject=budget.subject, at=now)
        session.add(row)
        session.flush()
        entered.append(row.pk)
    return entered


def _take_turn(session: Session, subject: str) -> None:
    """SQLite's writers take turns anyway; on PostgreSQL those of one subject do."""
    if session.get_bind().dialect.name == "postgresql":
        number = int(subject[:15], 16)
        session.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})


def _strike_out(database: Database, taken: list[int]) -> None:
    with database.write() as session:
        session.execute(delete(FailedTry).where(FailedTry.pk.in_(taken)))


def forget_old(session: Session, now: dt.datetime) -> int:
    """Delete what no longer counts; returns how many rows that were."""
    oldest = now - max(ACCOUNT_WINDOW, ADDRESS_WINDOW)
    return session.execute(delete(FailedTry).where(FailedTry.at <= oldest)).rowcount  # type: ignore[attr-defined]
