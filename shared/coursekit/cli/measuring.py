"""The verbs of `hw` that measure: a homework against other libraries, a program operator by operator."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from coursekit.cli import show
from coursekit.cli.words import MORE, Stage, compile_and_tell, load, staff_of
from coursekit.core import build as building
from coursekit.core import kept_builds, terminal
from coursekit.core.errors import CourseError
from coursekit.core.syllabus import Course, Homework
from coursekit.datasets import data as datasets
from coursekit.student import profiling, progress, work

ForBenchmark = Annotated[
    list[str] | None, typer.Argument(metavar=MORE, help="passed on to the benchmark")
]


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    for verb in (bench, profile):
        app.command()(verb)


def bench(stage: Stage, extra: ForBenchmark = None) -> None:
    """Measure your homework against NumPy (and PyTorch).

    PyTorch takes part where it is installed. `hw bench hw3 -- matmul` measures one part alone; what
    is not written yet is said to be so. In the course's own repository the solved homework is
    measured.
    """
    course = load()
    homework = course.homework(stage)
    scripts, words = work.benchmarks(course, homework, extra or [])
    with tree_to_measure(course, homework, work.is_in_parts(scripts)) as place:
        with terminal.status(f"building {homework.id}") as say:
            kept_builds.build_tree(place, homework, say)
        status = work.bench(course, homework, scripts, place, words)
    raise typer.Exit(status)


@contextlib.contextmanager
def tree_to_measure(course: Course, homework: Homework, in_parts: bool) -> Iterator[Path]:
    """The student's own homework, written unless it is measured in parts; for staff the solved."""
    if staff := staff_of(course):
        with staff.solved_tree(course, homework) as place:
            yield place
        return
    work.check_files(course, homework.id)
    for row in progress.standings(course, homework.id):
        if row.stub in ("stub", "begun") and not in_parts:
            raise CourseError(
                f"{row.problem.id} is not written yet; a benchmark measures a finished homework"
            )
    datasets.fill_homework(course.root, course.folder(homework.id))
    yield course.folder(homework.id)


def profile(
    stage: Stage,
    command: Annotated[
        list[str] | None, typer.Argument(metavar="-- FILE.py ...", help="what to run in hwN")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="the picture; else .hw/profile-hwN.svg")
    ] = None,
) -> None:
    """Show where a step's time goes, by operator and by kernel.

    Runs the program inside hwN with the clock in your needle: forward and backward apart, as a
    table, as bars and as a picture, and one sentence on what dominates.
    """
    course = load()
    homework = course.homework(stage)
    with contextlib.ExitStack() as stack:
        place = work.folder_of(course, stage)
        if staff := staff_of(course):
            place = stack.enter_context(staff.solved_tree(course, homework))
            kept_builds.build_tree(place, homework)
        else:
            work.check_files(course, stage)
            if building.is_stale(place, homework, building.CPU):
                compile_and_tell(course, homework, building.CPU)
        try:
            measured = profiling.measure(course, homework, place, command or [])
        except KeyboardInterrupt:
            typer.echo("hw: stopped before the program's end: nothing to show", err=True)
            raise typer.Exit(130) from None
    show.profile(measured)
    picture = out or course.root / ".hw" / f"profile-{stage}.svg"
    profiling.picture(measured, picture)
    typer.echo(f"picture: {picture}\n{profiling.advice(measured)}")
    if measured.status:
        typer.echo(
            f"note: the program ended with status {measured.status}; this is what ran before"
        )
        raise typer.Exit(1)
