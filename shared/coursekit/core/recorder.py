"""A pytest plugin: runs the tests of given problems and remembers what became of each.

Used in two ways: as an object inside the proof's worker processes, and as a module
by `hw test`, which names a file of its wishes in the environment variable COURSEKIT_RUN.
"""

from __future__ import annotations

import functools
import json
import re
from collections import Counter
from collections.abc import Generator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from _pytest.mark import KeywordMatcher
from _pytest.mark.expression import Expression

from coursekit.core.report import STUB, Outcome, Report, asked

TOLD = 2
"""So many tests that fail in the same way are shown in full."""
_COMPILED = re.compile(r"([\w.-]+\.(?:cu|cc|cpp)):(\d+)")


class Recorder:
    """Selects by a problem's `tests` and `select`, exactly as `pytest -k` would.

    Args:
        problems: (id, test file, -k expression) of each problem wanted.
        root: the homework's folder.
        name: how that is told, from the course's root.
    """

    def __init__(self, problems: list[tuple[str, str, str]], root: Path, name: str = ""):
        self.wanted = [
            (name, Path(root, tests).resolve(), Expression.compile(select))
            for name, tests, select in problems
        ]
        self.report = Report()
        self.by_node: dict[str, Outcome] = {}
        self.root = root.resolve()
        self.name = name or self.root.name
        self.unwritten: Counter[str] = Counter()
        """Problem, or helper of one that nobody must write -> how many tests came upon its stub."""
        self.stubs: dict[str, str] = {}
        """The same -> file:line, from the course's root, of the stub that they came upon first."""
        self.places: dict[str, str] = {}
        """Problem -> file:line of the first fault."""
        self.faults: dict[str, str] = {}
        """Problem that fails -> what was wrong first."""
        self.repeated: Counter[tuple[str, str]] = Counter()
        """(file:line, exception in its own words) -> how many tests failed so."""

    @pytest.hookimpl(tryfirst=True)  # what the caller's own -k leaves out was not run, but is there
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        kept: list[pytest.Item] = []
        dropped: list[pytest.Item] = []
        for item in items:
            matcher = KeywordMatcher.from_item(item)
            mine = [
                name
                for name, tests, expression in self.wanted
                if _resolved(item.path) == tests and expression.evaluate(matcher)
            ]
            (kept if mine else dropped).append(item)
            if mine:
                self.by_node[item.nodeid] = Outcome(item.nodeid, mine)
        self.report.tests = list(self.by_node.values())
        if dropped:
            config.hook.pytest_deselected(items=dropped)
        items[:] = kept

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.report.broken.append(f"{report.nodeid}: {_last_line(str(report.longrepr))}")

    def pytest_exception_interact(self, call: pytest.CallInfo[None], report: Any) -> None:
        """What a test file cannot be read for is most often a fault where it imports from."""
        if isinstance(report, pytest.CollectReport) and call.excinfo:
            self._cannot_be_read(call.excinfo)

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """A module that ends the program when it is imported ends no more than its tests."""
        try:
            return (yield)
        except SystemExit as error:
            said = self._cannot_be_read(pytest.ExceptionInfo.from_exception(error))
            return pytest.CollectReport(collector.nodeid, "failed", said, [])

    def _cannot_be_read(self, info: pytest.ExceptionInfo[BaseException]) -> str:
        said = _told(info.value.__cause__ or info.value)
        self.report.unread.setdefault(self._place(info), said)
        return said

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, Any, None]:
        result = yield
        report, mine = result.get_result(), self.by_node.get(item.nodeid)
        if mine is None:
            return
        mine.seconds += report.duration
        if report.failed:
            if mine.outcome != "failed":
                self._failed(mine, report, call.excinfo)
            mine.outcome = "failed"
        elif report.skipped and mine.outcome == "not run":
            mine.outcome = "xfailed" if hasattr(report, "wasxfail") else "skipped"
        elif report.when == "call" and mine.outcome == "not run":
            mine.outcome = "passed"

    def _failed(
        self, mine: Outcome, report: Any, info: pytest.ExceptionInfo[BaseException] | None
    ) -> None:
        """Remember why, and where first: at a stub, or else what is wrong with the problem."""
        mine.error = f"{info.typename}: {info.value}" if info else "failed"
        if info is None:
            return
        stub = STUB.match(str(info.value)) if info.errisinstance(NotImplementedError) else None
        if stub:
            what = f"{stub[1]} ({stub[2]})" if stub[3] else stub[1]
            report.unwritten = what
            self.unwritten[what] += 1
            self.stubs.setdefault(what, self._place(info))
            return
        place = self._place(info)
        for problem in mine.problems:
            if problem not in self.faults:
                self.places[problem], self.faults[problem] = place, _sentence(info.value, problem)
        same = place, _told(info.value)
        self.repeated[same] += 1
        if self.repeated[same] > TOLD:
            report.longrepr = f"the same again, at {place}: {same[1]}"

    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, str] | None:
        """A test that comes upon a stub fails, and is told in one line at the end."""
        return ("to write", "w", "TO WRITE") if hasattr(report, "unwritten") else None

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)  # after pytest's own list of what failed
    def pytest_terminal_summary(self, terminalreporter: Any) -> Generator[None, Any, None]:
        """One line a problem, which an editor's problem matcher reads too: file:line first."""
        yield
        for place, said in self.report.unread.items():
            terminalreporter.write_line(f"{place}: {self.name} cannot be imported: {said}")
        for what, count in self.unwritten.items():
            tests = "1 test stops" if count == 1 else f"{count} tests stop"
            place = self.stubs.get(what, what)
            terminalreporter.write_line(f"{place}: {what} is not written yet: {tests} there")
        for problem, sentence in self.faults.items():
            mine = self.report.of(problem)
            failed = sum(test.outcome == "failed" for test in mine)
            counted = f"({failed} of {len(mine)} tests fail)"
            place = self.places.get(problem, problem)
            terminalreporter.write_line(f"{place}: {problem} fails: {sentence} {counted}")

    def _place(self, info: pytest.ExceptionInfo[BaseException]) -> str:
        """Where it went wrong: the line of C++ or CUDA that the words name, else the deepest of the
        student's own Python, else of the test."""
        if named := _COMPILED.search(str(info.value)):
            source = self.root / "src" / named[1]
            if source.is_file():
                return f"{self.name}/src/{named[1]}:{named[2]}"
        cause = info.value.__cause__  # where a test says in its own words what was raised
        causes = list(pytest.ExceptionInfo.from_exception(cause).traceback) if cause else []
        inside = [
            (path.relative_to(self.root), entry.lineno + 1)
            for entry in [*info.traceback, *causes]
            if isinstance(entry.path, Path)
            and (path := _resolved(entry.path)).is_relative_to(self.root)
        ]
        own = [found for found in inside if found[0].parts[0] != "tests"] or inside
        return f"{self.name}/{own[-1][0].as_posix()}:{own[-1][1]}" if own else self.name

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        self.report.status = int(exitstatus)


@functools.cache
def _resolved(path: Path) -> Path:
    return path.resolve()


def _told(fault: BaseException) -> str:
    """An exception's name and first words."""
    rows = [row.strip() for row in str(fault).splitlines() if row.strip()] or [""]
    return f"{type(fault).__name__}: {rows[0]}".rstrip(": ")


def _sentence(fault: BaseException, problem: str) -> str:
    """The first line of what a test says, without the problem's name, and the mistake that it names;
    or the exception's own words."""
    rows = [row.strip() for row in str(fault).splitlines() if row.strip()] or [""]
    told = rows[0].removeprefix(f"{problem}: ")
    own_words = isinstance(fault, (AssertionError, pytest.fail.Exception)) and told
    if not own_words:
        return _told(fault)
    hint = next((row.removeprefix("hint: ") for row in rows if row.startswith("hint: ")), "")
    return f"{told}; {hint}" if hint else told


def _last_line(text: str) -> str:
    rows = [row.strip() for row in text.splitlines() if row.strip()]
    marked = [row[1:].strip() for row in rows if row.startswith("E ")]
    return (marked or rows or ["no reason given"])[-1]


def pytest_configure(config: pytest.Config) -> None:
    """As a plugin module: record to the file that the wishes name."""
    data = asked()
    if not data:
        return
    problems = [tuple(row) for row in data["problems"]]
    recorder = Recorder(problems, Path(data["root"]), data["name"])
    config.pluginmanager.register(recorder, "coursekit-recorder-object")

    def write() -> None:
        Path(data["out"]).write_text(json.dumps(asdict(recorder.report)), encoding="utf-8")

    config.add_cleanup(write)
