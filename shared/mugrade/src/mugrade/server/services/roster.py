"""The course's people: listing, roles, and import from CSV with a preview."""

from __future__ import annotations

import csv
import datetime as dt
import io
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from mugrade.server.errors import Refusal, invalid
from mugrade.server.models import Account, Course
from mugrade.server.services import accounts, audit, email_addresses, sessions, tokens

MAX_LINES = 20_000


@dataclass
class Change:
    """What an import does; `lines` has (line, email, `added|changed|unchanged`) for a preview."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    errors: list[tuple[int, str]] = field(default_factory=list)
    lines: list[tuple[int, str, str]] = field(default_factory=list)


def people(session: Session, course_pk: int) -> list[Account]:
    """Everybody in the course, staff first, then by name."""
    found = session.scalars(
        select(Account).where(Account.course_pk == course_pk).order_by(Account.name, Account.pk)
    )
    order = {"instructor": 0, "grader": 1, "student": 2}
    return sorted(found, key=lambda account: order[account.role])


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


def import_csv(
    session: Session, now: dt.datetime, actor: accounts.Actor, text: str, *, dry_run: bool
) -> Change:
    """Add and change people from `email,name,role` lines; nobody is removed.

    With any faulty line nothing is written, so that a file is imported whole or not at all.
    """
    change = Change()
    known = {account.email: account for account in people(session, actor.course_pk)}
    wanted = _read(text, change)
    for line, email, name, role in wanted:
        account = known.get(email)
        if account is not None and account.pk == actor.pk and role != account.role:
            change.errors.append((line, "You cannot change your own role."))
        same = account is not None and (account.name, account.role) == (name, role)
        word = "added" if account is None else "unchanged" if same else "changed"
        setattr(change, word, getattr(change, word) + 1)
        change.lines.append((line, email, word))
    if dry_run or change.errors:
        return change
    course = session.get_one(Course, actor.course_pk)
    for _, email, name, role in wanted:
        account = known.get(email)
        if account is None:
            accounts.add_account(session, now, course, email=email, name=name, role=role)
        else:
            account.name, account.role = name, role
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


def _read(text: str, change: Change) -> list[tuple[int, str, str, str]]:
    rows = csv.reader(io.StringIO(text.lstrip("\ufeff")), strict=True)
    wanted: list[tuple[int, str, str, str]] = []
    seen: set[str] = set()
    try:
        header = [cell.strip().lower() for cell in next(rows, [])]
        if header[:2] != ["email", "name"] or header[2:] not in ([], ["role"]):
            change.errors.append((1, "The first line must be: email,name,role"))
            return []
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            if len(wanted) >= MAX_LINES:
                change.errors.append(
                    (rows.line_num, f"More than {MAX_LINES} lines; split the file.")
                )
                break
            entry = _read_line(row, rows.line_num, change)
            if entry is not None and entry[1] in seen:
                change.errors.append((rows.line_num, f"{entry[1]} stands here twice."))
            elif entry is not None:
                seen.add(entry[1])
                wanted.append(entry)
    except csv.Error as error:
        change.errors.append((rows.line_num, f"This is no CSV: {error}."))
    return wanted


def _read_line(row: list[str], line: int, change: Change) -> tuple[int, str, str, str] | None:
    cells = [cell.strip() for cell in row] + ["", ""]
    role = cells[2] or "student"
    try:
        if role not in accounts.ROLE_SCOPES:
            raise Refusal(400, "invalid", f"{role!r:.40} is no role.")
        return line, email_addresses.normal(cells[0]), accounts.clean_name(cells[1]), role
    except Refusal as error:
        change.errors.append((line, str(error.detail)))
        return None
