"""The three-way proof: tests fail on the stub, pass on the solution, and fail on wrong solutions.

For every problem k of a homework, in their order:

- **empty**: on the handout as published its tests fail. At least one fails; each failure is a
  NotImplementedError that names this problem or one it stands on (a re-opened one, or one before
  it); none has another reason. A test that passes on the stub (of a given function, of an error
  message) is allowed as long as others fail.
- **solved**: on the solved tree at least one passes and none fails.
- **prefix**: with 1..k solved they pass; with 1..k-1 solved they fail, and every failure names
  problem k or one it re-opens. So k needs nothing after it, and its tests do test it.
- **mutants**: each wrong solution makes at least one of the problem's own tests fail (or hang, or
  kill the process). A mutant that does not compile proves nothing and counts as a hole.
- **values**: each mutant's submission hook hands in something else than the solved tree's, unless the
  mutant says why values cannot see it.
- **named**: the first failing test of a mutant says the words by which the mutant's table tells that
  a student learns which mistake it is. How many do is counted, that these still do is proven.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from coursekit.core import tree
from coursekit.core.errors import CourseError
from coursekit.core.problems import Problem
from coursekit.core.report import Report
from coursekit.core.syllabus import Course, Homework
from coursekit.datasets import data
from coursekit.staff import mutants as mutation
from coursekit.staff import render, sandbox, solved, values
from coursekit.staff.mutants import Mutant

TIMEOUT = 600.0
"""Seconds for a whole homework's tests with a build; a mutant gets less (see `_patience`)."""


@dataclass
class Verdict:
    """What the proof found for one problem; `holes` is empty when it holds."""

    problem: str
    empty: str = "-"
    solved: str = "-"
    prefix: str = "-"
    killed: int = 0
    mutants: int = 0
    seen: int = 0
    """Mutants whose submitted values differ."""
    named: int = 0
    """Mutants that the first failing test names."""
    skipped: int = 0
    holes: list[str] = field(default_factory=list)
    kills: dict[str, str] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    """Mutant -> what the first failing test said."""

    @property
    def ok(self) -> bool:
        return not self.holes


def prove(
    course: Course,
    target: str | None = None,
    jobs: int = 2,
    progress: Callable[[str], None] = lambda sentence: None,
) -> list[Verdict]:
    """Run the proof for all problems, a homework's, or one; see the module's text."""
    wanted = _wanted(course, target)
    sandbox.warm_up()
    verdicts = {p.id: Verdict(p.id) for p in wanted}
    with tempfile.TemporaryDirectory(prefix="needle-prove-") as folder:
        for homework in course.homeworks:
            mine = [p for p in wanted if p.homework == homework.id]
            if mine:
                prover = _Prover(course, homework, mine, verdicts, Path(folder), jobs, progress)
                prover.run()
    return list(verdicts.values())


def _wanted(course: Course, target: str | None) -> list[Problem]:
    """As `course.select`, with the extras."""
    if target is None:
        return list(course.everything)
    stage = target.rstrip("/")
    return list(course.homework(stage).everything) if "/" not in stage else [course.problem(stage)]


class _Prover:
    """The proof of one homework's problems."""

    def __init__(self, course, homework: Homework, problems, verdicts, folder, jobs, progress):
        self.course, self.problems = course, problems
        self.homework = mutation.unoptimized(course, solved.with_library(course, homework, folder))
        self.verdicts: dict[str, Verdict] = verdicts
        self.folder, self.jobs, self.progress = folder, jobs, progress
        self.all = list(homework.everything)
        self.known = [p.id for p in course.everything]
        self.tests = render.handwritten_tests(course, homework.id)
        self.seconds: dict[str, float] = {}
        self.right: dict[str, list] = {}

    def run(self) -> None:
        handout = self.tree_with(render.nothing)
        right = self.tree_with(render.everything)
        runs = [
            (self.make("solved", right, self.problems, values=True), self.judge_solved),
            (self.make("empty", handout, self.problems), self.judge_empty),
        ]
        runs += self.prefixes()
        self.go(runs)
        self.go(self.mutations(right))

    def tree_with(self, solved: Callable[[str], bool]) -> tree.Files:
        return {**render.render_code(self.course, self.homework.id, solved), **self.tests}

    def make(
        self, label, files, problems, timeout=TIMEOUT, stop=False, values=False
    ) -> sandbox.Run:
        label = f"{self.homework.id} {label}"
        return sandbox.Run(label, self.homework, files, list(problems), timeout, stop, values)

    def go(self, runs) -> None:
        judges = {id(run): judge for run, judge in runs}
        fill = self.fill_data
        done = sandbox.run_all([run for run, _ in runs], self.folder, fill, self.jobs)
        for number, (run, report) in enumerate(done, 1):
            self.progress(f"{run.label} ({number} of {len(runs)})")
            judges[id(run)](report)

    def fill_data(self, place: Path) -> None:
        """One copy of the samples for all trees, reached through links where links exist."""
        store = self.folder / "data-of" / self.homework.id
        if not store.is_dir():
            store.mkdir(parents=True)
            data.fill_homework(self.course.root, store)
        if (store / "data").is_dir():
            (place / "data").symlink_to(store / "data", target_is_directory=True)

    # ------------------------------------------------------------------------ solved and empty

    def judge_solved(self, report: Report) -> None:
        self.right = report.values
        for problem in self.problems:
            verdict, tests = self.verdicts[problem.id], report.of(problem.id)
            self.seconds[problem.id] = sum(test.seconds for test in tests)
            passed = sum(test.outcome == "passed" for test in tests)
            verdict.skipped = sum(test.outcome == "skipped" for test in tests)
            fault = _fault(report) or (
                "" if tests else f"no test of {problem.tests} is selected by {problem.select!r}"
            )
            failed = [test for test in tests if test.outcome == "failed"]
            if not fault and failed:
                fault = f"{_short(failed[0].test)} fails: {_first_row(failed[0].error)}"
            if not fault and not passed:
                fault = "no test passes (all are skipped)"
            verdict.solved = "NO" if fault else f"{passed} pass"
            if fault:
                verdict.holes.append(f"solved: {fault}")

    def judge_empty(self, report: Report) -> None:
        for problem in self.problems:
            upto = self.known[: self.known.index(problem.id) + 1]
            self.judge_stub(problem, report, upto, "empty")

    def judge_stub(self, problem: Problem, report: Report, names, state: str) -> None:
        """On an unsolved problem: at least one failure, each by a stub of `names`."""
        verdict, tests = self.verdicts[problem.id], report.of(problem.id)
        failed = [test for test in tests if test.outcome == "failed"]
        fault = _fault(report)
        if not fault and not failed:
            fault = f"none of its {len(tests)} tests fails on the stub"
        strangers = [test for test in failed if _stub_named(test.error) not in names]
        if not fault and strangers:
            fault = (
                f"{_short(strangers[0].test)} fails by {_first_row(strangers[0].error)!r}, expected "
                f"NotImplementedError naming {problem.id}"
            )
        if fault:
            verdict.holes.append(f"{state}: {fault}")
        if state == "empty":
            verdict.empty = "NO" if fault else f"{len(failed)}/{len(tests)} fail"
        elif fault:
            verdict.prefix = "NO"

    # ------------------------------------------------------------------------------- prefixes

    def prefixes(self):
        """Trees with 1..j solved, j < n: problem j passes there and problem j+1 fails."""
        runs = []
        for j in range(len(self.all)):
            before = self.all[j - 1] if j else None
            after = self.all[j]
            chosen = [p for p in (before, after) if p is not None and p in self.problems]
            if chosen:
                files = self.tree_with(self.solved_upto(j))
                run = self.make(f"with {j} solved", files, chosen)
                runs.append((run, self.judge_prefix(before, after)))
        for problem in self.problems:
            self.verdicts[problem.id].prefix = "ok"
        return runs

    def solved_upto(self, j: int) -> Callable[[str], bool]:
        """Earlier homeworks and the first j problems solved, what later ones re-open taken out."""
        shut = {p.id for p in self.all[j:]}
        shut |= {other for p in self.all[j:] for other in p.reopens}
        return lambda problem: problem not in shut

    def judge_prefix(self, before: Problem | None, after: Problem):
        def judge(report: Report) -> None:
            if before is not None and before in self.problems:
                failed = [t for t in report.of(before.id) if t.outcome == "failed"]
                fault = _fault(report)
                if not fault and failed:
                    fault = f"{_short(failed[0].test)}: {_first_row(failed[0].error)}"
                if fault:
                    self.verdicts[before.id].prefix = "NO"
                    self.verdicts[before.id].holes.append(
                        f"prefix: fails though it and all before it are solved: {fault}"
                    )
            if after in self.problems:
                self.judge_stub(after, report, {after.id, *after.reopens}, "prefix")

        return judge

    # ------------------------------------------------------------------------------- mutants

    def mutations(self, right: tree.Files):
        runs = []
        for problem in self.problems:
            verdict = self.verdicts[problem.id]
            mine = mutation.of(self.course, problem)
            verdict.mutants = len(mine)
            if len(mine) < problem.mutants:
                verdict.holes.append(f"mutants: {len(mine)}, expected at least {problem.mutants}")
            for mutant in mine:
                try:
                    files = mutant.apply(right)
                except CourseError as error:
                    verdict.holes.append(f"mutants: {error}")
                    continue
                wait = self.patience(problem)
                run = self.make(
                    f"{problem.name} mutant {mutant.name}", files, [problem], wait, True, True
                )
                runs.append((run, self.judge_mutant(problem, mutant)))
        # Mutants of one file follow one another, so that the fewest objects are compiled anew.
        return sorted(runs, key=lambda pair: not pair[0].homework.build)

    def patience(self, problem: Problem) -> float:
        """Seconds after which a mutant counts as hanging: far more than its tests need."""
        build = 240.0 if self.homework.build else 0.0
        return build + 20.0 + 10.0 * self.seconds.get(problem.id, 10.0)

    def judge_mutant(self, problem: Problem, mutant: Mutant):
        def judge(report: Report) -> None:
            verdict = self.verdicts[problem.id]
            killer = next((t for t in report.tests if t.outcome == "failed"), None)
            if report.crashed.startswith("BuildError"):
                verdict.holes.append(f"mutants: {mutant.name} does not compile: {report.crashed}")
                return
            if killer or report.timed_out or report.crashed or report.broken:
                how = _short(killer.test) if killer else ""
                how = how or ("hangs" if report.timed_out else report.crashed or report.broken[0])
                verdict.killed += 1
                verdict.kills[mutant.name] = how
                verdict.words[mutant.name] = killer.error if killer else how
                self.judge_words(verdict, mutant)
            else:
                ran = sum(test.outcome == "passed" for test in report.tests)
                verdict.holes.append(
                    f"mutants: {mutant.name} survives all {ran} tests ({mutant.why})"
                )

            if not problem.is_extra:
                self.judge_values(verdict, problem, mutant, report)

        return judge

    def judge_words(self, verdict: Verdict, mutant: Mutant) -> None:
        """Does the first failing test say what the mutant's table promises?"""
        said = verdict.words[mutant.name]
        if mutant.named and mutant.named in said:
            verdict.named += 1
        elif mutant.named:
            verdict.holes.append(
                f"named: {mutant.name} is not named: {mutant.named!r} is not in {said!r}"
            )

    def judge_values(self, verdict, problem: Problem, mutant: Mutant, report: Report) -> None:
        """What hangs or dies hands nothing in; all else must differ where it is not `unseen`."""
        found = report.values.get(problem.id, [])
        same = values.match(problem, self.right.get(problem.id, []), found)
        verdict.seen += not same
        if same and not mutant.unseen:
            verdict.holes.append(
                f"values: {mutant.name} hands in the right values: add one that tells, or say why "
                f"none can (unseen = ...)"
            )
        elif mutant.unseen and not same:
            verdict.holes.append(f"values: {mutant.name} is seen: take its `unseen` out")


def _fault(report: Report) -> str:
    """Why a run says nothing about its tests; '' for a run that worked."""
    if report.timed_out:
        return "the run took too long and was ended"
    if report.crashed:
        return report.crashed
    if report.broken:
        return f"a test file cannot be collected: {report.broken[0]}"
    if not report.tests and report.status not in (0, 1, 5):
        return f"pytest ended with status {report.status} before any test"
    return ""


def _stub_named(error: str) -> str | None:
    """The problem that a stub's NotImplementedError names."""
    found = re.match(r"NotImplementedError: ([\w-]+/\w+):", error)
    return found[1] if found else None


def _short(test: str) -> str:
    return test.split("::", 1)[-1]


def _first_row(text: str) -> str:
    row = text.strip().splitlines()[0] if text.strip() else "no message"
    return row if len(row) <= 160 else row[:157] + "..."
