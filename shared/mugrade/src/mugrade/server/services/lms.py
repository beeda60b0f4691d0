"""The CSV of a learning-management system. Grades: the file that Canvas or Moodle has exported comes
back with its grade columns filled and nothing else changed. People: who stands in it. Pure.

Canvas imports the file again under Grades, Import; Moodle under Grades, Import, CSV file.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from mugrade.server.errors import invalid

FORMS = {"Canvas": ("SIS Login ID", "Login ID", "Email"), "Moodle": ("Email address",)}
"""By system, the columns that name a student: an e-mail address, or what stands before its @."""
_GRADE = {
    "Canvas": re.compile(r"^(?P<name>.*?)(?: \(\d+\))?$"),
    "Moodle": re.compile(r"^(?:[^:]+: ?)?(?P<name>.*?)(?: \(Real\))?$"),
}
EXCUSED = ("EX", "EXCUSED")
ABOVE = re.compile(r"^\s*(Points Possible|Manual Posting|Student, Test)", re.IGNORECASE)


@dataclass(frozen=True)
class Graded:
    """A student as far as the file cares; homeworks without points are left out of `scores`."""

    email: str
    scores: Mapping[str, Decimal]
    excused: frozenset[str] = frozenset()


@dataclass
class Filled:
    """The file with grades, and what staff should know about it.

    Attributes:
        columns: header and homework of each column that was filled.
        absent: students of the course who are not in the file.
        unknown: lines of the file that name nobody of the course.
    """

    system: str
    text: str
    columns: list[tuple[str, str]]
    cells: int = 0
    excused: int = 0
    absent: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def fill(text: str, names: Mapping[str, str], people: Sequence[Graded]) -> Filled:
    """Write the scores into the columns whose names fit.

    Args:
        text: the file, with or without a byte-order mark.
        names: id and title of each homework.
        people: the course's students.

    Raises:
        Refusal: this is no such file, or none of its columns is a homework.
    """
    mark, text = ("\ufeff", text[1:]) if text.startswith("\ufeff") else ("", text)
    first = text.split("\n", 1)[0]
    delimiter = _delimiter(text)
    end = "\r\n" if first.endswith("\r") else "\n"
    rows = list(_reader(text, delimiter))
    system, key = _system(rows[0] if rows else [])
    columns = _columns(system, rows[0], names)
    out = Filled(system, "", [(rows[0][i], homework) for i, homework in columns.items()])
    known = _by_name(people)
    seen: set[str] = set()
    for row in rows[1:]:
        if not row or ABOVE.match(row[0]) or len(row) <= max(key, *columns):
            continue
        person = known.get(row[key].strip().lower())
        if person is None:
            out.unknown.append(row[key].strip() or row[0])
            continue
        seen.add(person.email)
        for index, homework in columns.items():
            if row[index].strip().upper() in EXCUSED:
                out.excused += 1
            elif homework in person.excused:
                if system == "Canvas":  # Moodle's import knows no such mark
                    row[index] = EXCUSED[0]
                out.excused += 1
            elif homework in person.scores:
                row[index] = f"{person.scores[homework]:f}"
                out.cells += 1
    out.absent = sorted(person.email for person in people if person.email not in seen)
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter, lineterminator=end).writerows(rows)
    out.text = mark + written.getvalue()
    return out


@dataclass(frozen=True)
class Listed:
    """Somebody of the file, and the line that names them."""

    line: int
    email: str
    name: str
    section: str


def people(text: str, domain: str = "") -> list[Listed]:
    """The students of an exported gradebook, or of Moodle's list of participants.

    Args:
        domain: what follows the @ where the file has only logins.

    Raises:
        Refusal: this is no such file, or of somebody only the login is known.
    """
    rows = _reader(text.removeprefix("\ufeff"), _delimiter(text))
    header = [cell.strip() for cell in next(rows, [])]
    system, key = _system(header)
    found = []
    for row in rows:
        if not any(row) or ABOVE.match(row[0]):
            continue
        cells = dict(zip(header, (cell.strip() for cell in row)))
        login = row[key].strip() if len(row) > key else ""
        if "@" not in login and not domain:
            raise invalid(
                f"Line {rows.line_num} names {login!r:.80}, which is a login; say what follows the @ "
                "in the addresses here, such as example.org."
            )
        email = login if "@" in login else f"{login}@{domain.removeprefix('@')}"
        section = next((cells[name] for name in SECTIONS if cells.get(name)), "")
        found.append(Listed(rows.line_num, email, _name(system, cells), section))
    return found


SECTIONS = ("Section", "Groups", "Group")


def _name(system: str, cells: Mapping[str, str]) -> str:
    """Canvas writes `Lovelace, Ada`; Moodle has a column for each part."""
    if system == "Canvas":
        last, comma, first = cells["Student"].partition(",")
        return f"{first.strip()} {last.strip()}" if comma else last
    last = cells.get("Last name") or cells.get("Surname") or ""
    return f"{cells.get('First name', '')} {last}".strip()


def _delimiter(text: str) -> str:
    return max(",;\t", key=text.split("\n", 1)[0].count)


def _reader(text: str, delimiter: str) -> Any:
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)


def _system(header: list[str]) -> tuple[str, int]:
    for system, keys in FORMS.items():
        if system == "Canvas" and "Student" not in header:
            continue
        for key in keys:
            if key in header:
                return system, header.index(key)
    raise invalid(
        "This is no gradebook of Canvas or Moodle: Canvas writes the columns Student and SIS Login "
        "ID, Moodle the column Email address. Export the grades there as CSV and paste all of it."
    )


def _columns(system: str, header: list[str], names: Mapping[str, str]) -> dict[int, str]:
    """Place and homework of each column whose name is a homework's id, title, or both."""
    spelled: dict[str, str] = {}
    for homework, title in names.items():
        for name in (homework, title, f"{homework} {title}", f"{homework}: {title}"):
            spelled.setdefault(name.casefold().strip(), homework)
    found = {}
    for index, cell in enumerate(header):
        match = _GRADE[system].match(cell.strip())
        for name in (cell, match["name"] if match else ""):
            if name.casefold().strip() in spelled:
                found[index] = spelled[name.casefold().strip()]
    if not found:
        raise invalid(
            f"None of the {len(header)} columns is named as a homework; make assignments named "
            f"{', '.join(names)} there and export again."
        )
    return found


def _by_name(people: Sequence[Graded]) -> dict[str, Graded]:
    """By address, and by what stands before the @ where only one has it."""
    short: dict[str, list[Graded]] = {}
    for person in people:
        short.setdefault(person.email.lower().partition("@")[0], []).append(person)
    found = {name: one[0] for name, one in short.items() if len(one) == 1}
    return {**found, **{person.email.lower(): person for person in people}}
