"""TOML files as checked tables. Remembers on which line what stands, which TOML parsers forget."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from coursekit.core.errors import CourseError

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover
    import tomli as tomllib

Where = tuple[Any, ...]
"""A table of a file: () its own keys, ("late",) for [late], ("homework", 2) for the third one."""

_KINDS: dict[type, str] = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
}


class TomlFile:
    """A parsed file whose faults are told with file and line.

    Args:
        label: the file's name in errors, relative to the course's root.

    Raises:
        CourseError: the text is not TOML.
    """

    def __init__(self, label: str, text: str):
        self.label, self.rows = label, text.splitlines()
        try:
            self.data: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            found = re.search(r"\(at line (\d+)", str(error))
            message = re.sub(r" \(at .*\)$", "", str(error))
            line = int(found[1]) if found else None
            raise CourseError(f"not valid TOML: {message}", label, line) from None
        self.lines = _index_lines(self.rows)

    def line(self, where: Where = (), key: str | None = None) -> int:
        """The line of a key, else of its table, else the first."""
        return self.lines.get((where, key)) or self.lines.get((where, None)) or 1

    def fail(
        self, message: str, where: Where = (), key: str | None = None, item: str | None = None
    ) -> NoReturn:
        """Raise the error at the key, or at the first line from there on that holds `item`."""
        line = self.line(where, key)
        if item is not None:
            quoted = re.compile("[\"']" + re.escape(item) + "[\"']")
            later = range(line, len(self.rows) + 1)
            line = next((n for n in later if quoted.search(self.rows[n - 1])), line)
        raise CourseError(message, self.label, line)

    def check(
        self,
        table: Mapping[str, Any],
        keys: Mapping[str, type],
        where: Where,
        name: str,
        required: Iterable[str] = (),
    ) -> None:
        """Refuse a table with an unknown key, a value of the wrong kind, or a key missing."""
        for key, value in table.items():
            if key not in keys:
                near = difflib.get_close_matches(key, keys, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(keys)}"
                self.fail(f"unknown key {key!r} in {name}; {hint}", where, key)
            kind = keys[key]
            if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
                said = f"{type(value).__name__} {value!r}"
                self.fail(f"{name}: {key} must be {_KINDS[kind]}, not {said}", where, key)
        for key in required:
            if key not in table:
                self.fail(f"{name} lacks {key!r}", where)

    def check_strings(self, table: Mapping[str, Any], key: str, where: Where, name: str) -> None:
        """Refuse a list that holds anything but strings."""
        for item in table.get(key, []):
            if not isinstance(item, str):
                self.fail(f"{name}: {key} holds {item!r}, expected strings", where, key)


def _index_lines(rows: list[str]) -> dict[tuple[Where, str | None], int]:
    """(table, key) -> line; (table, None) -> the line of its head."""
    lines: dict[tuple[Where, str | None], int] = {}
    seen: dict[str, int] = {}
    where: Where = ()
    for number, row in enumerate(rows, start=1):
        if head := re.match(r"\s*(\[\[?)\s*([\w.]+)\s*\]", row):
            name = head[2]
            where = (name,)
            if head[1] == "[[":
                where = (name, seen.setdefault(name, 0))
                seen[name] += 1
            lines.setdefault((where, None), number)
            lines.setdefault(((), name), number)
        elif key := re.match(r"\s*([\w-]+)\s*=", row):
            lines.setdefault((where, key[1]), number)
    return lines
