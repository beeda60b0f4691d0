"""What `hw watch` does on a save: which problem is meant, what must be built, how its tests went.

Knows nothing of keys and terminals; the cli does.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from coursekit.core import build, tree
from coursekit.core.compiling import BuildError
from coursekit.core.problems import Problem
from coursekit.core.report import Report
from coursekit.core.syllabus import Course, Homework
from coursekit.student import checked, progress, work
from coursekit.student.handouts import pristine
from coursekit.student.session import Session
from coursekit.student.warm import Warm
from coursekit.student.written import bodies

_CODE = {".py", ".cc", ".cpp", ".cu", ".h"}

QUICK = ["-q", "--no-header", "--maxfail=3"]
"""How pytest runs while a student writes: the first faults are enough."""


@dataclass
class Verdict:
    """What a save led to."""

    problem: Problem
    word: str
    """"ok", "FAIL", "to write", "skipped", or "stopped" by a newer save."""
    counts: str
    seconds: float
    report: Report = field(default_factory=Report)

    @property
    def is_open(self) -> bool:
        """Can the checked build of cuda() say more of what failed?"""
        return bool(checked.worth_a_look(self.report))


@dataclass
class Watch:
    """The files of one homework as they were last seen, and the problem in hand."""

    course: Course
    homework: Homework
    only: Problem | None = None
    """Test this one, whatever was changed."""
    device: str | None = None
    """The only one that is tested; None: all."""
    at: Problem = field(init=False)
    seen: tree.Files = field(init=False)
    warm: Warm = field(default_factory=Warm)
    turn: int = 0

    def __post_init__(self) -> None:
        self.at = self.only or self._in_hand()
        self.seen = self._files()

    def _in_hand(self) -> Problem:
        """The first problem that is not done; the homework's first when all are."""
        rows = progress.standings(self.course, self.homework.id)
        return next((row.problem for row in rows if row.tests != "passed"), rows[0].problem)

    def _files(self) -> tree.Files:
        stage = self.homework.id
        return progress.own_files(self.course, stage, pristine(self.course, stage))

    def concerns(self, path: str) -> bool:
        """Is it code of the student's, scratch modules included?"""
        folder = self.course.folder(self.homework.id).resolve()
        try:
            name = Path(path).resolve().relative_to(folder).as_posix()
        except ValueError:
            return False
        return tree.is_code(name) and Path(name).suffix in _CODE

    def saved(self) -> list[str]:
        """The handout's files that changed since the last call; the problem in hand follows them."""
        before, self.seen = self.seen, self._files()
        changed = [name for name in self.seen if self.seen[name] != before.get(name)]
        for name in changed:
            touched = _touched(before.get(name, b""), self.seen[name])
            mine = [p for p in self.homework.everything if touched & {p.id, *p.reopens}]
            if mine and self.at not in mine and not self.only:
                self.at = mine[0]
        return changed

    def step(self) -> bool:
        """Take the next problem in hand that has not passed; False when there is none."""
        rows = progress.standings(self.course, self.homework.id, extras=True)
        here = next(n for n, row in enumerate(rows) if row.problem == self.at)
        others = [row for row in rows[here + 1 :] + rows[:here] if not row.problem.is_extra]
        left = [row.problem for row in others if row.tests != "passed"]
        if left and not self.only:
            self.at = left[0]
        return bool(left) and not self.only

    def newer(self) -> int:
        """Stop what is being tested; returns the turn of the test that takes its place."""
        self.turn += 1
        self.warm.stop()
        return self.turn

    def test(self, turn: int) -> Verdict:
        """Build what must be built and test the problem in hand, unless its turn is over.

        Raises:
            CourseError: a file that cannot be run, or that does not compile.
        """
        began, problem = time.monotonic(), self.at
        work.check_files(self.course, self.homework.id)
        parts = work.parts_for(self.homework, [problem], self.device)
        if work.needs_build(self.course, [problem], parts):
            try:
                build.build(self.course.folder(self.homework.id), self.homework, parts=parts)
            except BuildError as error:
                work.remember(self.course, [problem], error)
                raise
        if turn == self.turn:
            _, report = work.run_tests(self.course, [problem], QUICK, self.device, runner=self.warm)
        if turn != self.turn:
            return Verdict(problem, "stopped", "", time.monotonic() - began)
        word, counts = work.verdict(self.course, problem, report)
        told = ", ".join(f"{n} {what}" for what, n in counts.items() if n) or report.crashed
        return Verdict(problem, word, told, time.monotonic() - began, report)

    def look_again(self, turn: int, verdict: Verdict) -> Report:
        """The verdict's report with what the checked build says of it, unless a newer test began."""
        place = self.course.folder(self.homework.id)
        if turn == self.turn:
            session = Session(self.homework, [verdict.problem], place, [])
            said = self.warm.apart(session.look_again, verdict.report)
            verdict.report.said = said if said and turn == self.turn else []
        return verdict.report


def _touched(before: bytes, after: bytes) -> set[str]:
    """The problems whose regions differ."""
    old, new = bodies(before), bodies(after)
    return {key[0] for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
