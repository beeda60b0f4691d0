"""What the student's verbs show: the dashboard, verdicts, findings, downloads."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from rich import progress as bars

from coursekit.core.problems import Problem
from coursekit.core.recorder import Report
from coursekit.core.syllabus import Course
from coursekit.core.terminal import console, is_live, status, table
from coursekit.student import progress
from coursekit.student.carry import Outcome
from coursekit.student.doctor import Finding


@contextlib.contextmanager
def downloads() -> Iterator[Callable[[str, int, int | None], None]]:
    """A bar for each file that arrives; on a pipe as `status`. Told (file, bytes, of how many)."""
    out = console(stderr=True)
    if not is_live(out):
        with status("downloading") as say:
            of = lambda total: f" of {total / 1e6:.1f}" if total else ""
            yield lambda title, have, total: say(f"{title}, {have / 1e6:.1f}{of(total)} MB")
        return
    columns = (
        "{task.description}",
        bars.BarColumn(bar_width=20),
        bars.DownloadColumn(),
        bars.TransferSpeedColumn(),
        bars.TimeRemainingColumn(),
    )
    with bars.Progress(*columns, console=out) as live:
        tasks: dict[str, bars.TaskID] = {}

        def arrived(title: str, have: int, total: int | None) -> None:
            if title not in tasks:
                tasks[title] = live.add_task(title)
            live.update(tasks[title], completed=have, total=total)

        yield arrived


def dashboard(course: Course, everything: bool = False) -> None:
    """Where the student stands: problems of the homeworks begun, a line for each other one."""
    out = console()
    rows = {stage: progress.standings(course, stage) for stage in course.stages}
    detailed = course.stages if everything else [progress.in_hand(course)]
    made = table("homework", "written", "tests passed", "submitted", ">points")
    for homework in course.homeworks:
        mine, total = rows[homework.id], len(homework.problems)
        good = [row for row in mine if row.tests == "passed"]
        cells = (
            sum(row.stub == "written" for row in mine),
            len(good),
            sum(row.submitted == "yes" for row in mine),
        )
        points = sum(row.problem.points for row in good)
        made.add_row(
            f"{homework.id}  {homework.title}",
            *(f"{n} of {total}" for n in cells),
            f"{points} of {homework.points}",
        )
    out.print(f"{course.title}\n", markup=False)
    out.print(made)
    for stage in detailed:
        made = table("!problem", "yours", "tests", ">points", "submitted")
        for row in rows[stage]:
            tests = f"{row.tests} ({row.detail})" if row.detail else row.tests
            made.add_row(
                row.problem.id,
                row.stub,
                tests,
                str(row.problem.points),
                row.points or row.submitted,
            )
        out.print()
        out.print(made)
    out.print(
        f"\nnext: {progress.next_step(course, tell_unsent=True)}", markup=False, soft_wrap=True
    )


def findings(found: list[Finding]) -> None:
    """The doctor's list, with the mending command under each fault."""
    out = console()
    made = table("what", "state", "detail")
    for finding in found:
        made.add_row(finding.what, finding.word, finding.detail)
    out.print(made)
    for finding in found:
        if finding.word == "MISSING":
            out.print(
                f"{finding.what}: {finding.mend or finding.detail}", markup=False, soft_wrap=True
            )


def outcome(done: Outcome, idle: str) -> None:
    """What a merge changed, what it could not, and where the old files lie."""
    for name in done.changed:
        print(f"changed {name}")
    for note in done.notes:
        print(f"note: {note}")
    for name, line in done.conflicts:
        print(f"CONFLICT {name}:{line}: both sides are kept between <<<<<<< and >>>>>>>")
    if done.backup:
        print(f"the files as they were are in {done.backup}")
    if not done.changed and not done.conflicts:
        print(idle)


def said(report: Report) -> None:
    """What a checked build says of the tests that failed, before the verdicts."""
    for number, sentence in enumerate(report.said):
        print(f"{'the checked build says: ' if number == 0 else ''}{sentence}")


def verdicts(problems: list[Problem], report: Report) -> None:
    """One line a problem after a test run."""
    made = table("!problem", ">passed", ">failed", ">skipped", "verdict")
    for problem in problems:
        tests = report.of(problem.id)
        counts = [sum(t.outcome == word for t in tests) for word in ("passed", "failed", "skipped")]
        stub = any(f"{problem.id}:" in t.error and t.error.startswith("NotImpl") for t in tests)
        word = "ok" if counts[0] and not counts[1] else "to write" if stub else "FAIL"
        word = "skipped" if counts[2] and not counts[0] + counts[1] else word
        made.add_row(problem.id, *(str(n) for n in counts), word if tests else "no tests ran")
    console().print(made)
