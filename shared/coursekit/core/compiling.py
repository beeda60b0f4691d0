"""Running a compiler, and what it says: its errors and warnings, with the student's own lines."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from coursekit.core.errors import CourseError

Echo = Callable[[str], None] | None
"""Called with each line that a build prints as it comes; None keeps it quiet."""


class BuildError(CourseError):
    """The compiler refused the sources; `log` holds everything it said."""

    def __init__(self, message: str, log: str):
        super().__init__(message)
        self.log = log


def run(command: list[str], tree: Path, echo: Echo, settings: Mapping[str, str]) -> None:
    """Run a build step, pass its lines on, and turn a failure into a readable error.

    Args:
        settings: the environment of the program that runs.
    """
    rows: list[str] = []
    shared = {"CCACHE_BASEDIR": str(tree.resolve().parent), "CCACHE_NOHASHDIR": "1"}
    env = {**shared, **settings, "LC_ALL": "C"}
    with subprocess.Popen(
        command,
        cwd=tree,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        for row in process.stdout or ():
            rows.append(row.rstrip())
            if echo is not None:
                echo(rows[-1])
    if process.returncode:
        log = "\n".join([" ".join(command), *rows])
        raise BuildError(
            f"{tree.name} does not compile:\n"
            f"{summary([from_root(row, tree) for row in rows], tree.parent)}",
            log,
        )


def warnings(tree: Path, rows: list[str]) -> list[str]:
    """The compiler's warnings about the homework's own sources, each once, as FILE:LINE: ..."""
    own = re.compile(rf"(?:{re.escape(str(tree))}/|\.\./)?(src/\S+:\d+(?::\d+)?: warning: .*)")
    return list(dict.fromkeys(match[1] for row in rows if (match := own.match(row.strip()))))


def from_root(row: str, tree: Path) -> str:
    """The row with the homework's files named from the course's root, as an editor finds them."""
    row = row.replace(f"{tree.resolve()}{os.sep}", f"{tree.name}/")
    return re.sub(r"^(\s*)(?:\.\./)?(src/[^\s:]+:\d+:)", rf"\1{tree.name}/\2", row)


_OF_WHAT_IS_GIVEN = re.compile(r"[^\s:]*\bshared/[^\s:]+:\d+")
_PLACE = re.compile(r"([^\s:()]+)[:(](\d+)")


def summary(rows: list[str], root: Path | None = None) -> str:
    """The compiler's errors, each with its place, without the templates it walked through.

    Args:
        root: where the places begin; then each error shows the line that it is about.
    """
    errors = [row.strip() for row in rows if re.search(r"\berror\b[ :]", row, re.I)]
    # What the headers that are given say besides follows from what stands in the student's files.
    errors = [row for row in errors if not _OF_WHAT_IS_GIVEN.match(row)] or errors
    chosen = list(dict.fromkeys(errors))[:5] or [row for row in rows if row.strip()][-8:]
    left = len(errors) - len(chosen)
    more = [f"  ... and {left} more; mend the first one first"] if left > 0 else []
    told = [f"  {_without_column(row)}{_line_of(row, root)}" for row in chosen]
    return "\n".join(told + more)


def _without_column(row: str) -> str:
    """Of CUDA the column is one of the rewritten text, which nobody sees."""
    return re.sub(r"(\.cu:\d+):\d+", r"\1", row)


def _line_of(row: str, root: Path | None) -> str:
    """The line of the file that an error is about, to stand under it; "" where there is none."""
    place = _PLACE.match(row)
    if root is None or place is None or not (root / place[1]).is_file():
        return ""
    lines = (root / place[1]).read_text(encoding="utf-8", errors="replace").splitlines()
    number = int(place[2])
    return f"\n      {number} | {lines[number - 1].strip()}" if 0 < number <= len(lines) else ""
