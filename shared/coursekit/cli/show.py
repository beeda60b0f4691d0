"""What the student's verbs show: the dashboard, verdicts, findings, downloads."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain

from rich.text import Text

from coursekit.core.problems import Problem
from coursekit.core.report import Report
from coursekit.core.syllabus import Course
from coursekit.core.terminal import console, is_live, status, table
from coursekit.student import profiled, profiling, progress, work
from coursekit.student.carry import Outcome
from coursekit.student.differences import Comparison, Place
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
    from rich import progress as bars

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
    """Where the student stands: problems of the homeworks begun, a line for each other one.

    A lab that was not begun is left out, unless everything is asked for.

    At most 80 columns wide, unless the names are longer than ours.
    """
    out = console()
    shown = [
        h
        for h in course.homeworks
        if everything or not h.is_lab or progress.is_started(course, h.id)
    ]
    rows = {homework.id: progress.standings(course, homework.id) for homework in shown}
    detailed = course.stages if everything else [progress.in_hand(course)]
    made = table("homework", "written", "passed", "sent", ">points")
    for homework in shown:
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
            *(Text(f"{n}/{total}", _WORDS["passed"] if n == total else "") for n in cells),
            f"{points}/{homework.points}",
        )
    out.print(f"{course.title}\n", markup=False, style="bold")
    out.print(made)
    for stage in detailed:
        made = table("!problem", "yours", "tests", ">pts", "sent")
        for row in progress.standings(course, stage, extras=True):
            sent = Text(row.points or row.submitted, _WORDS.get(row.submitted, ""))
            graded = (str(row.problem.points), sent)
            made.add_row(
                row.problem.id,
                row.stub,
                Text(_tests(row), _WORDS.get(row.tests, "")),
                *(("extra", "-") if row.problem.is_extra else graded),
            )
        out.print()
        out.print(made)
    out.print(
        Text.assemble(("\nnext: ", "bold"), progress.next_step(course, tell_unsent=True)),
        soft_wrap=True,
    )


_WORDS = {"passed": "green", "yes": "green", "ok": "green", "failed": "red", "FAIL": "red"}
"""Colours repeat what a word says; both are read on a dark and on a light ground."""


def _tests(row: progress.Standing) -> str:
    """Numbers only where they tell more than the word."""
    if row.unread:
        return "unreadable"
    if row.tests == "passed" and row.detail.startswith("on "):
        device = row.detail.removeprefix("on ").split(",")[0]
        return f"passed ({device})"
    return f"failed {row.detail.replace(' of ', '/')}" if row.tests == "failed" else row.tests


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


def put_back(problem: Problem, changed: list[str], backup: str) -> None:
    """What a reset did."""
    for name in changed:
        print(f"{name}: stub of {problem.id} put back")
    print(f"your version is in {backup}" if backup else f"{problem.id} is a stub already")


def said(report: Report) -> None:
    """What a checked build says of the tests that failed, before the verdicts."""
    for number, sentence in enumerate(report.said):
        print(f"{'the checked build says: ' if number == 0 else ''}{sentence}")


def verdicts(course: Course, problems: list[Problem], report: Report) -> None:
    """One line a problem after a test run."""
    made = table("!problem", ">passed", ">failed", ">skipped", "verdict")
    for problem in problems:
        word, counts = work.verdict(course, problem, report)
        told = Text(word, _WORDS.get(word, ""))
        made.add_row(problem.id, *map(str, counts.values()), told)
    console().print(made)


def comparison(found: Comparison) -> None:
    """A line for each problem that differs, then each place as a unified diff."""
    out = console()
    say = lambda text, style="": out.print(Text(text, style), soft_wrap=True)
    differing = {
        problem: rest
        for problem, places in found.problems().items()
        if (rest := [place for place in places if place.word != "same"])
    }
    if not differing:
        say(f"no difference between your {found.here} and {found.there}")
        return
    for problem, places in differing.items():
        say(f"{problem}: {_differences(places, found)}")
    for place in chain(*differing.values()):
        name = f" {place.name}" if place.name else ""
        say(f"\n{place.problem}{name} in {found.here}/{place.file}:{place.line}", "bold")
        say(f"--- {found.there}", "red")
        say(f"+++ your {found.here}", "green")
        for row in place.rows():
            say(row, _DIFF.get(row[:1], ""))
    words = {place.word for place in chain(*differing.values())}
    if found.back and words & {"differs", "stub here"}:  # a stub is never brought over a solution
        say(f"\nto bring {found.there}'s version here: {found.back}")


_DIFF = {"-": "red", "+": "green", "@": "cyan"}


def _differences(places: list[Place], found: Comparison) -> str:
    """Such as "differs in 2 functions (EWiseDiv.gradient, Negate.gradient), a stub in hw1"."""
    words = Counter(place.word for place in places)
    told = []
    if words["differs"]:
        names = [place.name or place.file for place in places if place.word == "differs"]
        listed = ", ".join(dict.fromkeys(names[:3])) + (", ..." if len(names) > 3 else "")
        told.append(f"differs in {listed}")
    told += [f"{words['stub here']} still to write in {found.here}"] if words["stub here"] else []
    told += [f"{words['stub there']} not written in {found.there}"] if words["stub there"] else []
    return "; ".join(told)


def profile(measured: profiling.Profile, most: int = 16) -> None:
    """Where the time goes: operators, kernels, bars."""
    steps = max(measured.steps, 1)
    of_step = lambda seconds: f"{1000 * seconds / steps:.2f}" if seconds else ""
    out, whole = console(), max(measured.seconds, 1e-9)
    title = f"{steps} step{'s' * (steps != 1)}, {1000 * whole / steps:.1f} ms each"
    made = table("!operator", ">a step", ">forward, ms", ">backward, ms", ">share", title=title)
    for row in measured.operators[:most]:
        there = row.seconds[profiled.FORWARD] + row.seconds[profiled.STEP]
        back = row.seconds[profiled.BACKWARD]
        share = f"{row.total / whole:.0%}"
        made.add_row(row.name, f"{row.calls / steps:.0f}", of_step(there), of_step(back), share)
    made.add_row("the rest", "", of_step(measured.rest), "", f"{measured.rest / whole:.0%}")
    out.print(made)
    if measured.kernels:
        made = table("!kernel", ">a step", ">ms", ">share", ">GFLOP/s")
        for kernel in measured.kernels[:most]:
            speed = f"{kernel.speed:.1f}" if kernel.work else ""
            share = f"{kernel.seconds / whole:.0%}"
            number = f"{kernel.calls / steps:.0f}"
            made.add_row(kernel.name, number, of_step(kernel.seconds), share, speed)
        out.print(made)
    out.print(profiling.bars(measured), markup=False)
    out.print("# forward, = backward, + optimizer", markup=False)
