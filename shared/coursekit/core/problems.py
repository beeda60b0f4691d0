"""One file a problem, shared/problems/hwN/PROBLEM.toml: all facts, the order, hints and mutants.

A problem of 0 points is an extra: it has tests and mutants, but no hook; nobody waits for it, and
no count of a homework holds it.

A problem's tests are `pytest <tests> -k "<select>"`, run from inside its homework's folder; its
submission hook is the function `submit_<hook>` in the same file. It may only need problems that
stand before it: `after` names the one just before, and the homework's first has none.

Mutants, the wrong solutions of `hw prove`, stand at the end of the file, for in TOML a file's own
keys come before its tables. So the part above the first of them is what students may read; it is
all that is read here (coursekit.mutants reads the rest).
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from coursekit.core.errors import CourseError
from coursekit.core.tables import TomlFile

FOLDER = "shared/problems"
HINTS = 3

_KEYS = {
    "title": str,
    "points": int,
    "after": str,
    "tests": str,
    "select": str,
    "hook": str,
    "build": bool,
    "reopens": list,
    "mutants": int,
    "ascale": float,
    "hints": list,
}
_REQUIRED = ("title", "points", "tests", "select")


@dataclass(frozen=True)
class Problem:
    """One problem, graded or extra; `id` is the full one, `hw1/backward`."""

    id: str
    title: str
    points: int
    tests: str
    select: str
    hook: str
    """Name of the submission hook; the problem's own name unless the file says otherwise."""
    build: bool = False
    """Do its tests need the compiled modules?"""
    reopens: tuple[str, ...] = ()
    """Earlier homeworks' problems whose regions it asks for again."""
    mutants: int = 4
    """How many wrong solutions the proof must hold ready, at least."""
    ascale: float | None = None
    """How far submitted numbers may be off, relative to the largest; None: as the grader says."""
    hints: tuple[str, ...] = ()
    """A nudge, the idea, an outline; or none at all."""
    line: int = 0
    """Where its file names the tests."""

    @property
    def is_extra(self) -> bool:
        return self.points == 0

    @property
    def homework(self) -> str:
        return self.id.split("/")[0]

    @property
    def name(self) -> str:
        return self.id.split("/")[1]

    @property
    def source(self) -> str:
        """Its file, from the course's root."""
        return f"{FOLDER}/{self.id}.toml"


def head(text: str) -> str:
    """A problem's file without its mutants: what students may read."""
    return re.split(r"^\s*\[\[\s*mutant\s*\]\]", text, maxsplit=1, flags=re.M)[0].rstrip() + "\n"


def read(root: Path, stage: str, earlier: set[str]) -> tuple[Problem, ...]:
    """The homework's problems in order.

    Args:
        root: the course's folder.
        earlier: ids of all problems of the homeworks before.

    Raises:
        CourseError: naming file and line of the first fault.
    """
    files: dict[str, TomlFile] = {}
    for path in sorted((root / FOLDER / stage).glob("*.toml")):
        label = f"{FOLDER}/{stage}/{path.name}"
        if not re.fullmatch(r"[a-z][a-z0-9_]*", path.stem):
            raise CourseError("a problem's id is lower-case letters, digits and _", label)
        file = TomlFile(label, head(path.read_text(encoding="utf-8")))
        file.check(file.data, _KEYS, (), f"problem {stage}/{path.stem}", _REQUIRED)
        files[path.stem] = file
    found: list[Problem] = []
    for name in _in_order(files):
        problem = _problem(f"{stage}/{name}", files[name], earlier)
        for other in found:
            if other.hook == problem.hook:
                message = f"problem {problem.id}: hook {problem.hook!r} belongs to {other.id}"
                files[name].fail(message, (), "hook")
        if found and found[-1].is_extra and not problem.is_extra:
            message = (
                f"{problem.id} has points and stands after {found[-1].id}, which has none; extras "
                "stand behind all others"
            )
            files[name].fail(message, (), "points")
        found.append(problem)
    return tuple(found)


def _in_order(files: dict[str, TomlFile]) -> list[str]:
    """The problems' names in the one order that `after` says."""
    follower: dict[str | None, str] = {}
    for name, file in files.items():
        before = file.data.get("after")
        if before is not None and before not in files:
            near = difflib.get_close_matches(before, files, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(files)}"
            file.fail(f"after = {before!r} is no problem of this homework; {hint}", (), "after")
        if before in follower:
            place = f"after {before!r}" if before else "first, without `after`"
            file.fail(
                f"{name} stands {place}, and so does {follower[before]}; let one of the two "
                "stand after the other",
                (),
                "after",
            )
        follower[before] = name
    order: list[str] = []
    while (last := order[-1] if order else None) in follower:
        order.append(follower[last])
    for name, file in files.items():
        if name not in order:
            circle = _circle(name, files)
            file.fail(
                f"`after` goes in a circle: {', '.join(circle)}; one must follow a problem outside",
                (),
                "after",
            )
    return order


def _circle(name: str, files: dict[str, TomlFile]) -> list[str]:
    """From the problem back through `after` until a name comes again."""
    seen = [name]
    while (before := files[seen[-1]].data["after"]) not in seen:
        seen.append(before)
    return [*seen, before]


def _problem(full: str, file: TomlFile, earlier: set[str]) -> Problem:
    table, label = file.data, f"problem {full}"
    hook, hints = table.get("hook", full.split("/")[1]), table.get("hints", [])
    if table["points"] < 0:
        said = f"{label}: points are {table['points']}, expected above 0, or 0 for an extra"
        file.fail(said, (), "points")
    if not re.fullmatch(r"\w+", hook):
        file.fail(f"{label}: hook {hook!r} is no Python name", (), "hook")
    for key in ("reopens", "hints"):
        file.check_strings(table, key, (), label)
    if hints and len(hints) != HINTS:
        file.fail(f"{label}: {len(hints)} hints, expected {HINTS}", (), "hints")
    for other in table.get("reopens", []):
        if other not in earlier:
            message = f"{label} reopens {other!r}, which is no problem of an earlier homework"
            file.fail(message, (), "reopens", other)
    return Problem(
        id=full,
        title=table["title"],
        points=table["points"],
        tests=table["tests"],
        select=table["select"],
        hook=hook,
        build=table.get("build", False),
        reopens=tuple(table.get("reopens", [])),
        mutants=table.get("mutants", 4),
        ascale=table.get("ascale"),
        hints=tuple(text.strip() for text in hints),
        line=file.line((), "tests"),
    )
