"""Wrong solutions, kept beside the right ones: shared/reference/mutants/hwN.toml."""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from coursekit.errors import CourseError
from coursekit.syllabus import Course
from coursekit.tree import Files

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover
    import tomli as tomllib

KEYS = ("problem", "name", "file", "find", "replace", "why")


@dataclass(frozen=True)
class Mutant:
    """One fault: in `file`, `find` (exactly once in the solved tree) becomes `replace`.

    `hook` is False where only the local tests see it, and not the values of the submission hook.
    """

    problem: str
    name: str
    file: str
    find: str
    replace: str
    why: str
    line: int
    source: str
    hook: bool = True

    def apply(self, tree: Files) -> Files:
        """The tree with the fault in it.

        Raises:
            CourseError: `find` stands not at all or more than once, or Python no longer parses.
        """
        if self.file not in tree:
            self._fail(f"file {self.file!r} is not in the tree of {self.problem.split('/')[0]}")
        text = tree[self.file].decode("utf-8")
        count = text.count(self.find)
        if count != 1:
            self._fail(f"`find` stands {count} times in {self.file}, expected exactly once")
        if self.find == self.replace:
            self._fail("`replace` is the same as `find`")
        changed = text.replace(self.find, self.replace)
        if self.file.endswith(".py"):
            try:
                ast.parse(changed)
            except SyntaxError as error:
                self._fail(f"{self.file} is no valid Python with it: {error.msg}")
        return {**tree, self.file: changed.encode("utf-8")}

    def _fail(self, reason: str):
        raise CourseError(f"mutant {self.problem} {self.name}: {reason}", self.source, self.line)


def load(course: Course, stage: str) -> list[Mutant]:
    """The homework's mutants, from mutants/hwN.toml and mutants/hwN_*.toml, in order."""
    folder = course.reference / "mutants"
    found: list[Mutant] = []
    for path in [folder / f"{stage}.toml", *sorted(folder.glob(f"{stage}_*.toml"))]:
        if path.is_file():
            _read(path, course, stage, found)
    return found


def _read(path: Path, course: Course, stage: str, found: list[Mutant]) -> None:
    """Append the file's mutants to `found`."""
    label = f"shared/reference/mutants/{path.name}"
    text = path.read_text(encoding="utf-8")
    try:
        rows = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CourseError(f"not valid TOML: {error}", label) from None
    lines = [n for n, row in enumerate(text.splitlines(), 1) if re.match(r"\s*\[\[mutant\]\]", row)]
    if set(rows) - {"mutant"}:
        raise CourseError(f"unknown table {min(set(rows) - {'mutant'})!r}", label, 1)
    known = {p.id for p in course.homework(stage).problems}
    for row, line in zip(rows.get("mutant", []), lines):
        extra, lacking = set(row) - {*KEYS, "hook"}, [key for key in KEYS if key not in row]
        if extra or lacking:
            wrong = f"unknown key {min(extra)!r}" if extra else f"lacks {lacking[0]!r}"
            raise CourseError(f"mutant {row.get('name', '?')!r}: {wrong}", label, line)
        if row["problem"] not in known:
            raise CourseError(f"unknown problem {row['problem']!r} in {stage}", label, line)
        if any(m.problem == row["problem"] and m.name == row["name"] for m in found):
            raise CourseError(f"mutant {row['name']!r} stands twice", label, line)
        found.append(Mutant(**row, line=line, source=label))
