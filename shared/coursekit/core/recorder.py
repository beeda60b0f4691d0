"""A pytest plugin: runs the tests of given problems and remembers what became of each.

Used in two ways: as an object inside the proof's worker processes, and as a module
by `hw test`, which passes its wishes in the environment variable COURSEKIT_RUN.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Generator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest
from _pytest.mark import KeywordMatcher
from _pytest.mark.expression import Expression

from coursekit.core.tree import YOURS

VARIABLE = "COURSEKIT_RUN"
_STUB = re.compile(rf"(\w+/\w+): .* {YOURS}")


@dataclass
class Outcome:
    """What became of one test; `error` is `ExceptionType: message` of its first failure."""

    test: str
    problems: list[str]
    outcome: str = "not run"
    error: str = ""
    seconds: float = 0.0


@dataclass
class Report:
    """What a run of pytest found."""

    status: int | None = None
    tests: list[Outcome] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    """Files that could not be collected, with the reason."""
    timed_out: bool = False
    crashed: str = ""
    values: dict[str, list[Any]] = field(default_factory=dict)
    """Problem -> what its submission hook handed in; only where that was asked for."""

    def of(self, problem: str) -> list[Outcome]:
        return [test for test in self.tests if problem in test.problems]

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Report:
        return cls(**{**data, "tests": [Outcome(**row) for row in data["tests"]]})


class Recorder:
    """Selects by a problem's `tests` and `select`, exactly as `pytest -k` would.

    Args:
        problems: (id, test file, -k expression) of each problem wanted.
        root: the homework's folder.
    """

    def __init__(self, problems: list[tuple[str, str, str]], root: Path):
        self.wanted = [
            (name, Path(root, tests).resolve(), Expression.compile(select))
            for name, tests, select in problems
        ]
        self.report = Report()
        self.by_node: dict[str, Outcome] = {}
        self.unwritten: Counter[str] = Counter()
        """Problem -> how many tests came upon its stub."""

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
                if item.path.resolve() == tests and expression.evaluate(matcher)
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
                info = call.excinfo
                mine.error = f"{info.typename}: {info.value}" if info else "failed"
                fault = info.value if info else None
                stub = _STUB.match(str(fault)) if isinstance(fault, NotImplementedError) else None
                if stub:
                    report.unwritten = stub[1]
                    self.unwritten[stub[1]] += 1
            mine.outcome = "failed"
        elif report.skipped and mine.outcome == "not run":
            mine.outcome = "xfailed" if hasattr(report, "wasxfail") else "skipped"
        elif report.when == "call" and mine.outcome == "not run":
            mine.outcome = "passed"

    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, str] | None:
        """A test that comes upon a stub fails, and is told in one line at the end."""
        return ("to write", "w", "TO WRITE") if hasattr(report, "unwritten") else None

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for problem, count in self.unwritten.items():
            tests = "1 test stops" if count == 1 else f"{count} tests stop"
            terminalreporter.write_line(f"{problem} is not written yet: {tests} there")

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        self.report.status = int(exitstatus)


def _last_line(text: str) -> str:
    rows = [row.strip() for row in text.splitlines() if row.strip()]
    marked = [row[1:].strip() for row in rows if row.startswith("E ")]
    return (marked or rows or ["no reason given"])[-1]


def pytest_configure(config: pytest.Config) -> None:
    """As a plugin module: record to the file that the environment names."""
    wish = os.environ.get(VARIABLE)
    if not wish:
        return
    data = json.loads(wish)
    recorder = Recorder([tuple(row) for row in data["problems"]], Path(data["root"]))
    config.pluginmanager.register(recorder, "coursekit-recorder-object")

    def write() -> None:
        Path(data["out"]).write_text(json.dumps(asdict(recorder.report)), encoding="utf-8")

    config.add_cleanup(write)
