"""One run of a homework's tests: pytest, what follows a crash, and a look with the checked build."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coursekit.core import build, terminal
from coursekit.core.problems import Problem
from coursekit.core.report import Outcome, Report, tell
from coursekit.core.run import PATIENCE
from coursekit.core.syllabus import Homework
from coursekit.student import checked, deaths

AGAIN = 60
"""Seconds that failed tests of cuda() may take in the checked build."""


Runner = Callable[[Path, list[str], dict[str, str]], int]
"""Runs pytest in a folder, with arguments and environment; returns its status."""


def in_a_process(folder: Path, arguments: list[str], env: dict[str, str]) -> int:
    """The `Runner` that starts from nothing."""
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.run(command, cwd=folder, env=env).returncode


def quietly(folder: Path, arguments: list[str], env: dict[str, str]) -> int:
    """The same unseen, for a time."""
    command = [sys.executable, "-m", "pytest", *arguments]
    try:
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, timeout=AGAIN)
    except subprocess.TimeoutExpired:
        return -signal.SIGTERM
    return done.returncode


@dataclass
class Session:
    """The tests of some problems of one homework, on the files of one folder.

    Args:
        folder: the homework; the student's own, or a copy that was compiled with checks.
        extra: further words for pytest.
        env: variables beside those of the homework.
        runner: what runs pytest; after one that is in a hurry nobody looks twice by himself.
        watched: the folder's C++ was compiled with checks, or its cuda() is the checked build.
    """

    homework: Homework
    problems: list[Problem]
    folder: Path
    extra: list[str]
    env: dict[str, str] = field(default_factory=dict)
    watched: bool = False
    runner: Runner = in_a_process

    def run(self) -> tuple[int, Report]:
        """Returns pytest's status, and what became of each test."""
        deaths.patience()  # complains before pytest begins
        with tempfile.TemporaryDirectory(prefix="needle-test-") as scratch:
            place = Path(scratch)
            status, report = self.once(place)
            if report is None or status < 0:  # a report, and then Python's own end failed
                status, report = self.after_a_death(place, status)
            if not self.watched and self.runner is in_a_process:
                report.said = self.look_again(report)
            return status, report

    def once(self, place: Path, quiet: bool = False, **wish: Any) -> tuple[int, Report | None]:
        """One session; no report when it died."""
        out = place / "report.json"
        for left in (out, place / "journal"):
            left.unlink(missing_ok=True)
        wishes = {
            "problems": [(p.id, p.tests, p.select) for p in self.problems],
            "root": str(self.folder),
            "name": self.homework.folder,
            "out": str(out),
            "journal": str(place / "journal"),
            "stack": str(place / "stack"),
            "advise": self.homework.build is not None and not self.watched,
            **wish,
        }
        arguments = [
            *["-p", "coursekit.core.recorder", "-p", "coursekit.student.guard"],
            *["-p", "no:randomly", "-p", "no:faulthandler"],
            *(["-q"] if terminal.is_plain() else []),
            *["--tb=short", "--continue-on-collection-errors", "--rootdir", str(self.folder)],
            *sorted({p.tests for p in self.problems}),
            *self.extra,
        ]
        told = tell(wishes, place)
        env = {**os.environ, **self.homework.env, **self.env, **told}
        if {"--pdb", "--trace"} & set(self.extra):  # a person takes longer
            env[PATIENCE] = "0"
        runner = quietly if quiet else in_a_process if wish else self.runner
        return runner(self.folder, arguments, env), checked.read_report(out)

    def after_a_death(self, place: Path, status: int) -> tuple[int, Report]:
        """Go on after a session that died, each test in a process of its own."""
        begun, mine, done = read_journal(place / "journal")
        stopped = status == -signal.SIGTERM  # somebody wanted it to end
        if stopped:
            return status, Report(crashed=f"the test session ended with status {status}")
        if not begun and done:
            return 1, self.died_at_the_end(status, done)
        stack = (place / "stack").read_text(errors="replace") if (place / "stack").is_file() else ""
        if not begun:
            return status, Report(crashed=self.never_began(status, stack))
        late, name = "Timeout (" in stack, begun.split("::")[-1]
        where = deaths.caller(stack, self.folder)
        advice = "" if self.watched else deaths.advised(mine)
        fault = deaths.sentence_of(name, status, not late, deaths.patience(), where, advice)
        fault = checked.sentence(checked.take_report(self.folder), self.folder) or fault
        lost = Outcome(begun, mine, "failed", f"Crash: {fault}")
        at = deaths.place_in(stack, self.folder, self.homework.folder)
        print(f"\n{at}: {mine[0]} fails: {fault}" if at and mine else f"\n{fault}", flush=True)
        kept = {test: row for test, row in done.items() if row["outcome"] == "passed"}
        if not hasattr(os, "fork"):
            return 1, Report(status=1, tests=[*(Outcome(**row) for row in done.values()), lost])
        sooner = " and with less time" if late else ""
        print(f"What is left runs now, each test in a process of its own{sooner}:", flush=True)
        gone = {begun} if late else set()  # to wait for it once was enough
        done_with = sorted(kept.keys() | gone)
        again, report = self.once(place, apart=True, done=done_with, late=sorted(gone))
        if report is None:
            return again, Report(crashed=f"the test session ended with status {again}")
        found = {test.test: test for test in report.tests}
        found |= {test: Outcome(**row) for test, row in kept.items()}
        # Damage may show in a later test than did it; which one, the order says. If the culprit fails
        # by itself, the other is none.
        fails = any(test.outcome == "failed" for test in found.values())
        if late or begun not in found or (found[begun].outcome != "failed" and not fails):
            found[begun] = lost
        report.tests = list(found.values())
        return again or 1, report

    def never_began(self, status: int, stack: str) -> str:
        """The sentence for a session that ended before its first test."""
        if "Timeout (" in stack:
            where = deaths.caller(stack, self.folder)
            return deaths.sentence_of(
                "reading the tests", status, False, deaths.reading(), where, ""
            )
        said = f"the test session ended with status {status} before its first test"
        if self.homework.build is None or status != 1:
            return f"{said}; the lines above say why"
        anew = f"hw build {self.homework.id} makes it anew"
        return f"{said}; if a module was compiled in another way (with a sanitizer, say), {anew}"

    def died_at_the_end(self, status: int, done: dict[str, dict[str, Any]]) -> Report:
        """What a test has damaged may show only when Python gives everything back."""
        tests = [Outcome(**row) for row in done.values()]
        last = tests[-1]
        advice = "" if self.watched else deaths.advised(last.problems)
        fault = f"Python crashed after the last test: {deaths.death(status)}{advice}"
        said = checked.sentence(checked.take_report(self.folder), self.folder)
        last.outcome, last.error = "failed", f"Crash: {said or fault}"
        print(f"\n{said or fault}", flush=True)
        return Report(status=1, tests=tests)

    def look_again(self, report: Report) -> list[str]:
        """What the checked build of cuda() says of those tests that failed there."""
        with tempfile.TemporaryDirectory(prefix="needle-test-") as scratch:
            return self._look_again(Path(scratch), report)

    def _look_again(self, place: Path, report: Report) -> list[str]:
        failed = checked.worth_a_look(report)
        if not failed or os.environ.get("NEEDLE_CUDA", "") not in ("", "emulated", "hardware"):
            return []
        open_ones = [test.test for test in failed if checked.knows_more(test)]
        if not open_ones:
            return checked.explain(failed, Report(tests=failed), self.folder)
        if not build.checked_cuda(self.folder):
            return []
        there = Session(
            self.homework, self.problems, self.folder, [], {**self.env, "NEEDLE_CUDA": "checked"}
        )
        _, again = there.once(place, quiet=True, only=open_ones)
        if again is None:  # too slow, or it died: what the journal holds
            _, _, done = read_journal(place / "journal")
            again = Report(tests=[Outcome(**row) for row in done.values()])
        again.tests += [test for test in failed if test.test not in open_ones]
        return checked.explain(failed, again, self.folder)


def read_journal(path: Path) -> tuple[str, list[str], dict[str, dict[str, Any]]]:
    """The test that was begun and never done, its problems, and the outcomes of the others."""
    begun, mine, done = "", [], {}
    for row in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        facts = json.loads(row)
        if "begun" in facts:
            begun, mine = facts["begun"], facts["problems"]
        else:
            done[facts["test"]] = facts
            begun = ""
    return begun, mine, done
