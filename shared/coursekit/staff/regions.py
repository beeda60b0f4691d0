"""The region grammar: which lines of a source file a stage gets, and where its stubs stand.

    ### BEGIN SOLUTION hw1/backward   ...   ### END SOLUTION      a solution, or its stub
    ### BEGIN SOLUTION hw1/backward optional   ...                the same of a helper, yours to
                                                                  write or not
    ### FROM hw4  ...  [### UNTIL hw3 ...]  ### END               lines of some stages only

A guard may hold a whole region. None stands inside one: what a solution is does not depend on the
stage, so that students can carry it from one homework to the next.

The leader is `###` in Python, Makefiles and CMake, `///` in C++ and CUDA, and an HTML comment in
Markdown. Rendering is a pure function of (text, stage, set of solved problems).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NoReturn

from coursekit.core.errors import CourseError
from coursekit.core.tree import OPTIONAL, YOURS
from coursekit.staff import cxxscan, pyscan

_LANGUAGES = {
    ".py": "python",
    ".cpp": "c++",
    ".cc": "c++",
    ".cxx": "c++",
    ".h": "c++",
    ".hpp": "c++",
    ".cu": "c++",
    ".cuh": "c++",
    ".md": "markdown",
    ".ipynb": "notebook",
    ".cmake": "cmake",
    ".toml": "hash",
    ".sh": "hash",
    ".cfg": "hash",
    ".ini": "hash",
    ".txt": "hash",
}
_LEADERS = {"python": "###", "c++": "///", "make": "###", "cmake": "###", "hash": "###"}
_MARKS = r"(BEGIN SOLUTION|END SOLUTION|FROM|UNTIL|END)"
_NEAR_MISS = re.compile(r"\b(BEGIN|END)\s+(YOUR\s+)?SOLUTION\b")


def language_of(path: str) -> str | None:
    """The grammar that a file follows; None for a file that is copied byte for byte."""
    name = PurePosixPath(path).name
    if name in ("Makefile", "makefile", "GNUmakefile"):
        return "make"
    if name == "CMakeLists.txt":
        return "cmake"
    return _LANGUAGES.get(PurePosixPath(path).suffix)


@dataclass(frozen=True)
class Scope:
    """What a file is rendered for: a stage, and the problems whose solution is shown."""

    stages: tuple[str, ...]
    problems: frozenset[str]
    stage: str
    solved: Callable[[str], bool]

    def holds(self, word: str, stage: str) -> bool:
        here, there = self.stages.index(self.stage), self.stages.index(stage)
        return here >= there if word == "FROM" else here <= there


@dataclass(frozen=True)
class Region:
    """A solution region in one stage's text: `start` and `end` are the mark lines' indices."""

    problem: str
    start: int
    end: int
    optional: bool = False


@dataclass(frozen=True)
class Line:
    """A line and where it stood in the source file."""

    text: str
    number: int


def render(text: str, path: str, scope: Scope) -> str:
    """Render one source file for `scope`. `path` names the file in errors.

    Raises:
        CourseError: unknown id or stage, nested, unclosed or misspelled mark, a region outside a
            function, a region that cuts a statement in two.
    """
    language = language_of(path)
    if language is None:
        return text
    if language == "notebook":
        return _render_notebook(text, path, scope)
    return _render_text(text, path, language, scope)


def solution_lines(text: str, path: str, scope: Scope) -> list[tuple[str, Line]]:
    """(problem id, line) for every line inside a solution region of the stage's text."""
    language = language_of(path)
    if language is None or language == "notebook":
        return []
    lines, regions = _parse(text, path, language, scope)
    return [
        (region.problem, line)
        for region in regions
        for line in lines[region.start + 1 : region.end]
    ]


def _render_text(text: str, path: str, language: str, scope: Scope) -> str:
    lines, regions = _parse(text, path, language, scope)
    namer = _namer(lines, path, language, regions)
    out: list[str] = []
    at = 0
    for region in regions:
        out += [line.text for line in lines[at : region.start]]
        begin, end = lines[region.start], lines[region.end]
        body = lines[region.start + 1 : region.end]
        indent = _indent(begin.text)
        out.append(_mark(language, indent, f"BEGIN YOUR SOLUTION {region.problem}"))
        if scope.solved(region.problem):
            out += [line.text for line in body]
        else:
            out += _stub(language, region, body, namer, path)
        out.append(_mark(language, _indent(end.text), "END YOUR SOLUTION"))
        at = region.end + 1
    out += [line.text for line in lines[at:]]
    rendered = "\n".join(out) + ("\n" if text.endswith("\n") and out else "")
    if language == "python" and regions:
        pyscan.check_parses(rendered, path, scope.stage)
    return rendered


def _parse(text: str, path: str, language: str, scope: Scope) -> tuple[list[Line], list[Region]]:
    """Resolve the guards and find the regions of what is left."""
    parser = _Parser(path, scope)
    for number, row in enumerate(text.split("\n")[: -1 if text.endswith("\n") else None], 1):
        mark = _read_mark(row, path, number, language, scope)
        if mark is None:
            parser.plain(Line(row, number))
        else:
            parser.mark(*mark, Line(row, number))
    return parser.end()


@dataclass(frozen=True)
class _Opened:
    """A region that is not closed yet; `start` is the mark's index among the kept lines."""

    problem: str
    start: int
    number: int
    optional: bool


@dataclass(frozen=True)
class _Guard:
    """A FROM or UNTIL that is not ended yet."""

    number: int
    shown: bool


class _Parser:
    """Takes a text line by line; keeps the lines that the stage gets, and their regions."""

    def __init__(self, path: str, scope: Scope):
        self.path, self.scope = path, scope
        self.kept: list[Line] = []
        self.regions: list[Region] = []
        self.opened: _Opened | None = None
        self.guard: _Guard | None = None
        self.swallow = 0  # blank lines to leave out

    @property
    def shown(self) -> bool:
        return self.guard is None or self.guard.shown

    def fail(self, message: str, number: int) -> NoReturn:
        raise CourseError(message, self.path, number)

    def plain(self, line: Line) -> None:
        if self.shown and self.swallow and not line.text.strip():
            self.swallow -= 1
        elif self.shown:
            self.kept.append(line)
            self.swallow = 0

    def mark(self, word: str, argument: str, line: Line) -> None:
        if word in ("FROM", "UNTIL", "END") and self.opened is not None:
            self.fail(
                f"{word} stands inside region {self.opened.problem} of line {self.opened.number}; "
                "a guard goes around a whole region, or not at all",
                line.number,
            )
        if word in ("FROM", "UNTIL"):
            self.guard = _Guard(line.number, self.scope.holds(word, argument))
        elif word == "END":
            if self.guard is None:
                self.fail("END without FROM or UNTIL before it", line.number)
            # Blank lines around a block that is left out: those before it are enough.
            self.swallow = 0 if self.guard.shown else _blank_tail(self.kept)
            self.guard = None
        elif word == "BEGIN SOLUTION":
            self.begin(argument, line)
        else:
            self.close(line)

    def begin(self, argument: str, line: Line) -> None:
        problem, _, optional = argument.partition(" ")
        if self.opened is not None:
            self.fail(
                f"region {problem} begins inside region {self.opened.problem} of line "
                f"{self.opened.number}; regions cannot be nested",
                line.number,
            )
        self.opened = _Opened(problem, len(self.kept), line.number, bool(optional))
        self.kept.append(line)

    def close(self, line: Line) -> None:
        opened = self.opened
        if opened is None:
            self.fail("END SOLUTION without BEGIN SOLUTION before it", line.number)
        self.kept.append(line)
        if self.shown:
            _check_stage(opened.problem, self.path, opened.number, self.scope)
            end = len(self.kept) - 1
            self.regions.append(Region(opened.problem, opened.start, end, opened.optional))
        else:
            del self.kept[opened.start :]
        self.opened = None

    def end(self) -> tuple[list[Line], list[Region]]:
        if self.opened is not None:
            sentence = f"region {self.opened.problem} is never closed (END SOLUTION)"
            self.fail(sentence, self.opened.number)
        if self.guard is not None:
            self.fail("guard is never closed (END)", self.guard.number)
        return self.kept, self.regions


def _blank_tail(lines: list[Line]) -> int:
    """How many blank lines the text ends with."""
    count = 0
    while count < len(lines) and not lines[-1 - count].text.strip():
        count += 1
    return count


def _read_mark(row, path, number, language, scope) -> tuple[str, str] | None:
    """(word, argument) of a mark line; None for any other line."""
    if language == "markdown":
        found = re.match(rf"\s*<!--\s*{_MARKS}\b\s*(.*?)\s*-->\s*$", row)
    else:
        leader = re.escape(_LEADERS[language])
        found = re.match(rf"\s*{leader}\s+{_MARKS}(?:\s+(\S.*?))?\s*$", row)
    if not found:
        if _NEAR_MISS.search(row):
            raise CourseError(
                f"not a mark of the region grammar: {row.strip()!r}; write "
                f"{_mark(language, '', 'BEGIN SOLUTION hwN/problem')!r} or "
                f"{_mark(language, '', 'END SOLUTION')!r} alone on the line",
                path,
                number,
            )
        return None
    word, argument = found[1], found[2] or ""
    if word in ("END SOLUTION", "END"):
        if argument:
            raise CourseError(f"{word} takes no argument, got {argument!r}", path, number)
    elif word == "BEGIN SOLUTION":
        problem, _, more = argument.partition(" ")
        if more not in ("", "optional"):
            raise CourseError(
                f"after {word} {problem} may stand `optional`, not {more!r}", path, number
            )
        if problem not in scope.problems:
            raise CourseError(
                f"unknown problem {problem!r}; ids are written hwN/problem and have a file shared/problems/hwN/problem.toml",
                path,
                number,
            )
    elif argument not in scope.stages:
        raise CourseError(
            f"{word} {argument or '(nothing)'}: expected one of {', '.join(scope.stages)}",
            path,
            number,
        )
    return word, argument


def _check_stage(problem: str, path: str, number: int, scope: Scope) -> None:
    stage = problem.split("/")[0]
    if not scope.holds("FROM", stage):
        raise CourseError(
            f"region {problem} stands in the tree of {scope.stage} already; guard its definition "
            f"with FROM {stage}",
            path,
            number,
        )


def _namer(lines, path, language, regions):
    """A function (region) -> (qualified name, is device code), checked for every region."""
    if not regions:
        return None
    if language == "python":
        spans = [(region.start, region.end) for region in regions]
        names = pyscan.enclosing_functions(
            [line.text for line in lines], spans, path, [line.number for line in lines]
        )
        return {region.start: (name, False) for region, name in zip(regions, names)}
    if language == "c++":
        spans = [(region.start, region.end) for region in regions]
        found = cxxscan.enclosing_functions(
            [line.text for line in lines], spans, path, [line.number for line in lines]
        )
        return {region.start: answer for region, answer in zip(regions, found)}
    return {region.start: (_heading(lines, region, language), False) for region in regions}


def _heading(lines: list[Line], region: Region, language: str) -> str:
    pattern = {"markdown": r"#+\s+(.*)", "make": r"([\w./$()-]+)\s*:", "cmake": r"(\w+\(\w*)"}
    for line in reversed(lines[: region.start]):
        if found := re.match(pattern.get(language, r"\[(.+)\]"), line.text):
            return found[1].strip()
    return "this part"


def _stub(language: str, region: Region, body: list[Line], namer, path: str) -> list[str]:
    name, on_device = namer[region.start]
    indent = _indent(next(line.text for line in body if line.text.strip()))
    message = f"{region.problem}: {name} {OPTIONAL if region.optional else YOURS}"
    if language == "python":
        return [f'{indent}raise NotImplementedError("{message}")']
    if language == "c++":
        # Device code cannot throw; the host function that launches it has a stub that does.
        return [
            f"{indent}// {message}" if on_device else f'{indent}throw NotImplemented("{message}");'
        ]
    if language == "markdown":
        return [f"{indent}*{message}.*"]
    if language == "cmake":
        return [f'{indent}message(FATAL_ERROR "{message}")']
    if language == "make":
        return [f'{indent}@echo "{message}" >&2; exit 1']
    return [f"{indent}# {message}"]


def _indent(row: str) -> str:
    return row[: len(row) - len(row.lstrip())]


def _mark(language: str, indent: str, words: str) -> str:
    if language == "markdown":
        return f"{indent}<!-- {words} -->"
    return f"{indent}{_LEADERS[language]} {words}"


def _render_notebook(text: str, path: str, scope: Scope) -> str:
    """Cells are files of their own: code cells Python, Markdown cells Markdown."""
    try:
        notebook = json.loads(text)
    except json.JSONDecodeError as error:
        raise CourseError(f"not a notebook: {error.msg}", path, error.lineno) from None
    for number, cell in enumerate(notebook.get("cells", []), 1):
        source = cell.get("source", "")
        joined = source if isinstance(source, str) else "".join(source)
        language = {"code": "python", "markdown": "markdown"}.get(cell.get("cell_type"))
        if language is None or not re.search(r"SOLUTION|FROM|UNTIL", joined):
            continue
        done = _render_text(joined, f"{path}[cell {number}]", language, scope)
        cell["source"] = done if isinstance(source, str) else done.splitlines(keepends=True)
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
