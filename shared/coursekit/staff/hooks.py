"""A pytest plugin: what submission hooks hand in, in the session that has run the problems' tests.

A session of their own would collect the same files once more, which takes longer than most hooks.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from mugrade.plan import Plan
from mugrade.plugin import PREFIX, HookRunner

from coursekit.core.problems import Problem

FLAGS = ["-o", f"python_functions=test {PREFIX}"]
"""With these a session collects hooks beside its tests."""


class Hooks:
    """Takes the problems' hooks out of a session's tests and runs them behind these, one variant of each,
    however the tests ended. Where a file of tests cannot be read, none is run.

    Args:
        out: an empty file's name.
    """

    def __init__(self, homework: str, problems: list[Problem], out: Path):
        self.problems = {problem.hook: problem.id for problem in problems}
        self.out = out
        self.runner = HookRunner(Plan(homework, str(out), list(self.problems)))
        self.items: list[pytest.Item] = []

    @pytest.hookimpl(wrapper=True)  # before any other plugin selects
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> Generator[None, None, None]:
        self.items = [item for item in items if item.name.startswith(PREFIX)]
        items[:] = [item for item in items if not item.name.startswith(PREFIX)]
        self.runner.pytest_collection_modifyitems(config, self.items)
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, bool, bool]:
        unread = session.testsfailed
        try:
            return (yield)
        finally:
            if not unread:
                self._run(session)

    def _run(self, session: pytest.Session) -> None:
        with contextlib.suppress(Exception):  # it was told as the failure of a test
            session._setupstate.teardown_exact(None)
        session.config.pluginmanager.register(self.runner)
        for item in self.items:
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)

    def values(self) -> dict[str, list[Any]]:
        """{problem's id: encoded values of its hook's cases}; of a hook that raised, those before."""
        lines = self.out.read_text(encoding="utf-8").splitlines() if self.out.is_file() else []
        results = [row for row in map(json.loads, lines) if row["event"] == "result"]
        return {
            self.problems[row["problem"]]: [case["value"] for case in row["cases"]]
            for row in results
        }
