"""A pytest plugin for `hw test`: a test that takes the process down, or never ends, costs itself only.

A session runs as always and keeps a journal of the tests that are done. If it dies, the session
after it takes up what is left, each test in a process of its own (a fork, where there is one).
What it shall do comes among the recorder's wishes.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import multiprocessing
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import pytest
from _pytest.runner import runtestprotocol

from coursekit.core.recorder import Recorder
from coursekit.core.report import asked
from coursekit.student import checked
from coursekit.student.deaths import advised, caller, patience, place_in, reading, sentence_of


class Guard:
    """Watches the tests of one session; see the module's words."""

    def __init__(self, recorder: Recorder, wish: dict[str, Any]):
        self.recorder, self.tree = recorder, Path(wish["root"])
        self.done, self.only = set(wish.get("done", ())), wish.get("only")
        self.advise = bool(wish.get("advise"))
        self.apart = bool(wish.get("apart")) and hasattr(os, "fork")
        self.patience = patience()
        self.place = ""  # file:line of the last test whose process died
        self.late = {name_of(test) for test in wish.get("late", ())}
        self.journal = Path(wish["journal"])
        checked.keep_reports(self.tree)
        # Open as long as the process lives: faulthandler writes to it when that ends.
        self.stack: TextIO = open(wish["stack"], "w", encoding="utf-8")  # noqa: SIM115
        faulthandler.enable(self.stack)
        if self.patience:
            faulthandler.dump_traceback_later(reading(), exit=True, file=self.stack)

    @pytest.hookimpl(trylast=True)  # after the recorder's choice
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        faulthandler.cancel_dump_traceback_later()
        items[:] = [
            item
            for item in items
            if item.nodeid not in self.done and (self.only is None or item.nodeid in self.only)
        ]

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        mine = self.recorder.by_node.get(nodeid)
        self.note({"begun": nodeid, "problems": mine.problems if mine else []})
        if self.patience and not self.apart:
            faulthandler.dump_traceback_later(self.patience, exit=True, file=self.stack)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        faulthandler.cancel_dump_traceback_later()
        if mine := self.recorder.by_node.get(nodeid):
            self.note(asdict(mine))

    def note(self, facts: dict[str, Any]) -> None:
        with self.journal.open("a", encoding="utf-8") as file:
            file.write(json.dumps(facts) + "\n")

    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """Run the test in a child of this process, which may die."""
        if not self.apart:
            return None
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in self.in_a_child(item):
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def limit_of(self, item: pytest.Item) -> float:
        """Seconds that this test may take: the next endless loop is most often the same one."""
        if not self.late:
            return self.patience
        share = 60 if name_of(item.nodeid) in self.late else 10
        return max(min(self.patience, 2.0), self.patience / share)

    def in_a_child(self, item: pytest.Item) -> list[pytest.TestReport]:
        limit = self.limit_of(item)
        context = multiprocessing.get_context("fork")
        receiver, sender = context.Pipe(duplex=False)
        child = context.Process(target=self.child, args=(item, sender, limit))
        child.start()
        sender.close()
        # What it does when its time is over, it writes down by itself.
        in_time, answer = receiver.poll(limit + 0.3 if limit else None), None
        with contextlib.suppress(EOFError):
            answer = receiver.recv() if in_time else None
        if not in_time:
            child.kill()
            self.late.add(name_of(item.nodeid))
        child.join()
        if answer is None:
            return [self.failure(item, self.fault(item, child.exitcode, in_time, limit))]
        mine = self.recorder.by_node.get(item.nodeid)
        if mine is not None:
            vars(mine).update(answer["outcome"])
        self.recorder.stubs = answer["stubs"] | self.recorder.stubs
        self.recorder.places = answer["places"] | self.recorder.places
        self.recorder.faults = answer["faults"] | self.recorder.faults
        reports = [pytest.TestReport._from_json(row) for row in answer["reports"]]
        for report in reports:
            if hasattr(report, "unwritten"):
                self.recorder.unwritten[report.unwritten] += 1
        return reports

    def child(self, item: pytest.Item, sender: Any, limit: float) -> None:
        if limit:
            faulthandler.dump_traceback_later(limit, file=self.stack)
        reports = runtestprotocol(item, nextitem=None, log=False)
        mine = self.recorder.by_node.get(item.nodeid)
        answer = {
            "reports": [report._to_json() for report in reports],
            "outcome": asdict(mine) if mine is not None else {},
            "stubs": self.recorder.stubs,
            "places": self.recorder.places,
            "faults": self.recorder.faults,
        }
        sender.send(answer)
        sender.close()
        sys.stdout.flush()
        os._exit(0)

    def fault(self, item: pytest.Item, status: int | None, in_time: bool, limit: float) -> str:
        """One sentence: what became of the test's process."""
        if sentence := checked.sentence(checked.take_report(self.tree), self.tree):
            return f"{item.name}: {sentence}"
        stack = Path(self.stack.name).read_text(encoding="utf-8", errors="replace")
        self.stack.seek(0)
        self.stack.truncate()
        where = caller(stack, self.tree)
        self.place = place_in(stack, self.tree, self.recorder.name)
        mine = self.recorder.by_node.get(item.nodeid)
        advice = advised(mine.problems) if mine and self.advise else ""
        return sentence_of(item.name, status, in_time, limit, where, advice)

    def failure(self, item: pytest.Item, fault: str) -> pytest.TestReport:
        if mine := self.recorder.by_node.get(item.nodeid):
            mine.outcome, mine.error = "failed", f"Crash: {fault}"
            for problem in mine.problems:
                if problem not in self.recorder.faults:
                    self.recorder.faults[problem] = fault.splitlines()[0]
                    self.recorder.places[problem] = self.place or problem
        return pytest.TestReport(
            nodeid=item.nodeid,
            location=item.location,
            keywords={},
            outcome="failed",
            longrepr=fault,
            when="call",
        )


def name_of(test: str) -> str:
    """The test's function: what its cases share."""
    return test.split("[")[0]


@pytest.hookimpl(trylast=True)  # after the recorder's
def pytest_configure(config: pytest.Config) -> None:
    wish = asked()
    recorder = config.pluginmanager.get_plugin("coursekit-recorder-object")
    if recorder is None or "journal" not in wish:
        return
    if wish.get("only") is not None:
        _calm_hypothesis()
    config.pluginmanager.register(Guard(recorder, wish), "coursekit-guard-object")


def _calm_hypothesis() -> None:
    """A failure that is known is only looked at again: nobody needs the smallest one."""
    try:
        from hypothesis import Phase, settings
    except ImportError:
        return
    settings.register_profile("again", phases=[Phase.explicit, Phase.generate])
    settings.load_profile("again")
