"""Wrong solutions: the tables [[mutant]] in a problem's file, shared/problems/hwN/PROBLEM.toml."""

from __future__ import annotations

import ast
import os
from dataclasses import dataclass, replace

from coursekit.core.errors import CourseError
from coursekit.core.problems import Problem
from coursekit.core.syllabus import Course, Homework
from coursekit.core.tables import TomlFile
from coursekit.core.tree import Files

REQUIRED = ("name", "file", "find", "replace", "why")
OPTIONAL = ("named", "unseen")
KEYS = dict.fromkeys((*REQUIRED, *OPTIONAL), str)


@dataclass(frozen=True)
class Mutant:
    """One fault: in `file`, `find` (exactly once in the solved tree) becomes `replace`.

    `named` are words of the first failing test's message that tell a student which mistake it is;
    empty where no message does. `unseen` is the reason why only the local tests see it, and not the
    values of the submission hook; empty for all that values can see.
    """

    problem: str
    name: str
    file: str
    find: str
    replace: str
    why: str
    line: int
    source: str
    named: str = ""
    unseen: str = ""

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


def of(course: Course, problem: Problem) -> list[Mutant]:
    """The problem's mutants, in the order of its file.

    Raises:
        CourseError: naming file and line of the first fault.
    """
    file = TomlFile(problem.source, (course.root / problem.source).read_text(encoding="utf-8"))
    found: list[Mutant] = []
    for number, row in enumerate(file.data.get("mutant", [])):
        where = ("mutant", number)
        file.check(row, KEYS, where, f"mutant {row.get('name', '?')!r}", REQUIRED)
        if any(mutant.name == row["name"] for mutant in found):
            file.fail(f"mutant {row['name']!r} stands twice", where, "name")
        line = file.line(where)
        found.append(Mutant(problem=problem.id, **row, line=line, source=problem.source))
    return found


def unoptimized(course: Course, homework: Homework) -> Homework:
    """A homework whose mutants are C++ or CUDA: each is compiled for a few small tests, so that to
    compile it takes longer than to run it. Any other homework comes back as it is."""
    mutated = (mutant.file for problem in homework.everything for mutant in of(course, problem))
    if not homework.build or not any(name.endswith((".cc", ".cpp", ".cu")) for name in mutated):
        return homework
    cmake = homework.build == "cmake"
    name, flag = ("NEEDLE_CMAKE_ARGS", "-DNEEDLE_OPTIMIZE=-O0") if cmake else ("CXXFLAGS", "-O0")
    settings = {name: f"{os.environ.get(name, '')} {flag}".strip()}
    return replace(homework, env={**homework.env, **settings})
