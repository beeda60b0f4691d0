"""The course's people: listing, roles, sections, and import from CSV with a preview."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from mugrade.server.errors import Refusal, invalid
from mugrade.server.models import Account, Course
from mugrade.server.services import accounts, audit, email_addresses, lms, sessions, tokens

MAX_LINES = 20_000
MAX_EXTRA_DAYS = 365
COLUMNS = ("role", "section", "extra_days")
"""Of a roster file, after e-mail and name; each may be left out."""


def people(session: Session, course_pk: int) -> list[Account]:
    """Everybody in the course, staff first, then by name."""
    found = session.scalars(
        select(Account).where(Account.course_pk == course_pk).order_by(Account.name, Account.pk)
    )
    order = {"instructor": 0, "grader": 1, "student": 2}
    return sorted(found, key=lambda account: order[account.role])


@dataclass(frozen=True)
class Filter:
    """Which people are listed; what is empty asks for nothing.

    Attributes:
        text: in name or address.
        show: one of `SHOW`.
    """

    text: str = ""
    section: str = ""
    role: str = ""
    show: str = ""

    def lists(self, account: Account, waiting: set[int]) -> bool:
        """Whether this account is among them; `waiting` are those who have not come in yet."""
        return (
            self.text.casefold() in f"{account.name} {account.email}".casefold()
            and (not self.section or account.section == self.section)
            and (not self.role or account.role == self.role)
            and {
                "active": account.active,
                "inactive": not account.active,
                "waiting": account.pk in waiting,
                "extra": bool(account.extra_days),
            }.get(self.show, True)
        )


SHOW = {
    "": "everybody",
    "active": "active",
    "inactive": "deactivated",
    "waiting": "not come in yet",
    "extra": "with standing extra time",
}


def set_role(
    session: Session,
    now: dt.datetime,
    actor: accounts.Actor,
    account: Account,
    *,
    role: str | None = None,
    active: bool | None = None,
    reason: str = "",
) -> None:
    """Change an account's role, or whether it is active; what is None stays.

    Who is deactivated is signed out everywhere and their keys are revoked; their attempts stay.
    """
    if account.pk == actor.pk:
        raise invalid("You cannot change your own role or deactivate yourself.")
    before = {"role": account.role, "active": account.active}
    after = {
        "role": account.role if role is None else role,
        "active": account.active if active is None else active,
    }
    if after["role"] not in accounts.ROLE_SCOPES:
        raise invalid(f"{role!r:.40} is no role; expected {', '.join(accounts.ROLE_SCOPES)}.")
    account.role, account.active = str(after["role"]), bool(after["active"])
    if not account.active:
        sessions.end_all(session, now, account)
        tokens.revoke_all(session, now, account)
    if after != before:
        audit.record(
            session,
            now,
            actor=actor.email,
            action="role",
            object=account.email,
            course_pk=account.course_pk,
            before=before,
            after=after,
            reason=reason,
        )


def arrange(
    session: Session,
    now: dt.datetime,
    actor: accounts.Actor,
    people: Sequence[Account],
    *,
    section: str | None = None,
    extra_days: int | None = None,
    reason: str = "",
) -> None:
    """Put people into a section, or give students so many days more for every homework; what is None
    stays."""
    for account in people:
        if extra_days is not None:
            accounts.students_only(account)
            account.extra_days = extra_days
        if section is not None:
            account.section = _section(section)
    session.flush()
    given = {"section": section, "extra_days": extra_days}
    audit.record(
        session,
        now,
        actor=actor.email,
        action="standing",
        object=accounts.named(people),
        course_pk=actor.course_pk,
        **{name: value for name, value in given.items() if value is not None},
        **({"people": [account.email for account in people]} if len(people) > 1 else {}),
        reason=reason,
    )


def _section(name: str) -> str:
    name = " ".join(name.split())
    if len(name) > 80 or not name.isprintable():
        raise invalid("A section has up to 80 printable characters.")
    return name


# ---------------------------------------------------------------------------------------- import


@dataclass
class Change:
    """What an import does; `lines` has (line, email, `added|changed|unchanged`) for a preview."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    errors: list[tuple[int, str]] = field(default_factory=list)
    lines: list[tuple[int, str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Entry:
    """One line of a file; what is None is not in it, and stays."""

    line: int
    email: str
    name: str
    role: str | None = None
    section: str | None = None
    extra_days: int | None = None

    def facts(self) -> dict[str, Any]:
        given = {name: getattr(self, name) for name in ("name", *COLUMNS)}
        return {name: value for name, value in given.items() if value is not None}


def import_csv(
    session: Session,
    now: dt.datetime,
    actor: accounts.Actor,
    text: str,
    *,
    dry_run: bool,
    domain: str = "",
) -> Change:
    """Add and change people from `email,name,role` lines, or from an export of Canvas or Moodle; nobody
    is removed.

    With any faulty line nothing is written, so that a file is imported whole or not at all.

    Args:
        domain: what follows the @ where an export has only logins.
    """
    change = Change()
    known = {account.email: account for account in people(session, actor.course_pk)}
    wanted = list(_read(text, domain, change))
    for entry in wanted:
        account = known.get(entry.email)
        facts = entry.facts()
        mine = account is not None and account.pk == actor.pk
        if mine and facts.get("role", actor.role) != actor.role:
            change.errors.append((entry.line, "You cannot change your own role."))
        same = account is not None and all(getattr(account, n) == v for n, v in facts.items())
        word = "added" if account is None else "unchanged" if same else "changed"
        setattr(change, word, getattr(change, word) + 1)
        change.lines.append((entry.line, entry.email, word))
    if dry_run or change.errors:
        return change
    course = session.get_one(Course, actor.course_pk)
    for entry in wanted:
        account = known.get(entry.email)
        if account is None:
            role = entry.role or "student"
            account = accounts.add_account(
                session, now, course, email=entry.email, name=entry.name, role=role
            )
        for name, value in entry.facts().items():
            setattr(account, name, value)
    audit.record(
        session,
        now,
        actor=actor.email,
        action="roster",
        object=course.id,
        course_pk=course.pk,
        added=change.added,
        changed=change.changed,
    )
    return change


def _read(text: str, domain: str, change: Change) -> Iterator[Entry]:
    """The file's entries; faults are noted in `change`."""
    seen: set[str] = set()
    for entry in _entries(text, domain, change):
        if len(seen) >= MAX_LINES:
            change.errors.append((entry.line, f"More than {MAX_LINES} lines; split the file."))
            return
        if entry.email in seen:
            change.errors.append((entry.line, f"{entry.email} stands here twice."))
            continue
        seen.add(entry.email)
        yield entry


def _entries(text: str, domain: str, change: Change) -> Iterator[Entry]:
    rows = csv.reader(io.StringIO(text.lstrip("\ufeff")), strict=True)
    try:
        header = [cell.strip().lower() for cell in next(rows, [])]
        if header[:2] != ["email", "name"] or not set(header[2:]) <= set(COLUMNS):
            yield from _exported(text, domain, change)
            return
        for row in rows:
            if any(cell.strip() for cell in row):
                cells = dict(zip(header, [cell.strip() for cell in row] + [""] * len(header)))
                given = Entry(rows.line_num, cells["email"], cells["name"])
                yield from _checked(given, cells, change)
    except csv.Error as error:
        change.errors.append((rows.line_num, f"This is no CSV: {error}."))


def _exported(text: str, domain: str, change: Change) -> Iterator[Entry]:
    """From Canvas or Moodle, which know no roles here: whoever is known keeps theirs."""
    try:
        found = lms.people(text, domain)
    except Refusal as refusal:
        own = "The first line must be: email,name,role (section and extra_days may follow)"
        change.errors.append(
            (1, f"{own}, or it is an export of Canvas or Moodle. {refusal.detail}")
        )
        return
    for one in found:
        cells = {"section": one.section} if one.section else {}
        yield from _checked(Entry(one.line, one.email, one.name), cells, change)


def _checked(entry: Entry, cells: dict[str, str], change: Change) -> Iterator[Entry]:
    """The entry with its further columns, all as they are stored; or none, and why in `change`."""
    try:
        yield _whole(entry, cells)
    except Refusal as refusal:
        change.errors.append((entry.line, str(refusal.detail)))


def _whole(entry: Entry, cells: dict[str, str]) -> Entry:
    role = (cells["role"] or "student") if "role" in cells else entry.role
    if role is not None and role not in accounts.ROLE_SCOPES:
        raise invalid(f"{role!r:.40} is no role.")
    days = cells.get("extra_days")
    if days and not (days.isascii() and days.isdigit() and int(days) <= MAX_EXTRA_DAYS):
        raise invalid(
            f"extra_days is {days!r:.40}; expected a whole number up to {MAX_EXTRA_DAYS}."
        )
    return replace(
        entry,
        email=email_addresses.normal(entry.email),
        name=accounts.clean_name(entry.name),
        role=role,
        section=_section(cells["section"]) if "section" in cells else None,
        extra_days=None if days is None else int(days or 0),
    )
