"""What the terminal sees: tables and progress, plain ASCII where the terminal is plain."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from coursekit.core.errors import CourseError
from coursekit.student.work import progress
from rich import box
from rich import progress as bars
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from coursekit.core.recorder import Report
    from coursekit.core.syllabus import Course, Problem
    from coursekit.staff.prove import Verdict
    from coursekit.student.carry import Outcome
    from coursekit.student.doctor import Finding


def console(stderr: bool = False) -> Console:
    """A console that never wraps a pipe's lines and obeys NO_COLOR."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else 200
    return Console(
        stderr=stderr,
        width=width,
        highlight=False,
        soft_wrap=False,
        no_color=True if os.environ.get("NO_COLOR") else None,
    )


def table(*columns: str, title: str | None = None) -> Table:
    """An ASCII table; a column that begins with '>' is set to the right, one with '!' never broken."""
    made = Table(
        title=title, box=box.ASCII2 if sys.stdout.isatty() else box.ASCII, title_justify="left"
    )
    for column in columns:
        right = column.startswith(">")
        made.add_column(
            column.lstrip(">!"),
            justify="right" if right else "left",
            no_wrap=column[0] in ">!",
            overflow="fold",
        )
    return made


@contextlib.contextmanager
def status(label: str) -> Iterator[Callable[[str], None]]:
    """Live progress on a terminal; on a pipe one line on stderr every ten seconds."""
    out = console(stderr=True)
    if is_live(out):
        with out.status(label, spinner="line") as live:
            yield lambda sentence: live.update(f"{label}: {sentence}", spinner="line")
        return
    last = time.monotonic()

    def say(sentence: str) -> None:
        nonlocal last
        if time.monotonic() - last > 10:
            last = time.monotonic()
            print(f"{label}: {sentence}", file=sys.stderr, flush=True)

    yield say


def is_live(out: Console) -> bool:
    """Can what stands on this console be redrawn?"""
    return out.is_terminal and os.environ.get("TERM") != "dumb"


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


def proof(verdicts: list[Verdict], as_json: bool = False, kills: bool = False) -> None:
    """The proof's table, the holes under it, and a closing line."""
    if as_json:
        rows = [{**asdict(verdict), "ok": verdict.ok} for verdict in verdicts]
        print(json.dumps({"ok": all(v.ok for v in verdicts), "problems": rows}, indent=1))
        return
    out = console()
    made = table("!problem", "empty", "solved", "prefix", ">mutants killed", ">skipped", "verdict")
    for v in verdicts:
        made.add_row(
            v.problem,
            v.empty,
            v.solved,
            v.prefix,
            f"{v.killed}/{v.mutants}",
            str(v.skipped or ""),
            "ok" if v.ok else "HOLE",
        )
    out.print(made)
    for v in verdicts:
        for hole in v.holes:
            out.print(f"HOLE {v.problem}: {hole}", markup=False, soft_wrap=True)
        if kills:
            for name, test in v.kills.items():
                out.print(f"{v.problem}: {name} killed by {test}", markup=False, soft_wrap=True)
    holes = sum(not v.ok for v in verdicts)
    killed, total = sum(v.killed for v in verdicts), sum(v.mutants for v in verdicts)
    out.print(f"{len(verdicts)} problems, {holes} with holes, {killed} of {total} mutants killed")


def warn(sentence: str) -> None:
    print(f"warning: {sentence}", file=sys.stderr)


def dashboard(course: Course, everything: bool = False) -> None:
    """Where the student stands: problems of the homeworks begun, a line for each other one."""
    out = console()
    rows = {stage: progress.standings(course, stage) for stage in course.stages}
    begun = [stage for stage in course.stages if progress.is_started(course, stage)]
    detailed = course.stages if everything else begun[-1:] or course.stages[:1]
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
        titles = ["title"] if out.width >= 110 else []
        made = table("!problem", *titles, "yours", "tests", ">points", "submitted")
        for row in rows[stage]:
            tests = f"{row.tests} ({row.detail})" if row.detail else row.tests
            made.add_row(
                row.problem.id,
                *[row.problem.title for _ in titles],
                row.stub,
                tests,
                str(row.problem.points),
                row.submitted,
            )
        out.print()
        out.print(made)
    out.print(f"\nnext: {progress.next_step(course)}", markup=False, soft_wrap=True)


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


def verdicts(problems: list[Problem], report: Report) -> None:
    """One line a problem after a test run."""
    made = table("!problem", ">passed", ">failed", ">skipped", "verdict")
    for problem in problems:
        tests = report.of(problem.id)
        counts = [sum(t.outcome == word for t in tests) for word in ("passed", "failed", "skipped")]
        stub = any(f"{problem.id}:" in t.error and t.error.startswith("NotImpl") for t in tests)
        word = "ok" if counts[0] and not counts[1] else "to write" if stub else "FAIL"
        made.add_row(problem.id, *(str(n) for n in counts), word if tests else "no tests ran")
    console().print(made)


@contextlib.contextmanager
def unpacked(release: Path) -> Iterator[Path]:
    """The folder of a release: itself, or what an archive holds."""
    if release.is_dir():
        yield release
        return
    if not release.is_file():
        raise CourseError(f"there is no {release}; give the folder or archive of the new release")
    with tempfile.TemporaryDirectory(prefix="needle-update-") as folder:
        try:
            if release.suffix == ".zip":
                shutil.unpack_archive(release, folder)
            else:
                shutil.unpack_archive(release, folder, filter="data")
        except (ValueError, OSError, shutil.ReadError) as error:
            raise CourseError(f"{release} cannot be unpacked: {error}") from None
        inner = [path for path in Path(folder).iterdir() if path.is_dir()]
        whole = (Path(folder) / "course.toml").is_file()
        yield Path(folder) if whole or len(inner) != 1 else inner[0]
