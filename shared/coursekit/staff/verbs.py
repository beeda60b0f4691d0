"""The staff's verbs. Left out of a release; the `hw` command then simply lacks them."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from coursekit.cli.app import show
from coursekit.core import syllabus
from coursekit.core.errors import CourseError
from coursekit.staff.verbs import render as rendering

PANEL = "Staff"


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    for verb in (render, check, prove, release, publish, course_file, answers, count, demo):
        app.command(rich_help_panel=PANEL)(verb)


def render(
    solved: Annotated[bool, typer.Option("--solved", help="with the solutions")] = False,
    stage: Annotated[str | None, typer.Option(help="one homework only, such as hw1")] = None,
    out: Annotated[Path | None, typer.Option(help="write complete trees here")] = None,
) -> None:
    """Render the handouts from shared/reference, or solved trees."""
    course = syllabus.load()
    need_reference(course)
    stages = [course.homework(stage).id] if stage else list(course.stages)
    shown = rendering.everything if solved else rendering.nothing
    warned = _Once(show.warn)
    if out is not None:
        for name, count in rendering.render_out(course, out, stages, shown, warned).items():
            typer.echo(f"{out / name}: {count} files")
    elif solved:
        raise CourseError("--solved needs --out DIR; hwN itself only ever holds the handout")
    else:
        for name, count in rendering.render_in_place(course, stages, warned).items():
            typer.echo(f"{name}: {count} files changed" if count else f"{name}: up to date")


def check(
    stage: Annotated[str | None, typer.Argument(help="one homework only")] = None,
) -> None:
    """Is every handout what the reference renders to?

    Shows the difference; writes nothing.
    """
    from coursekit.staff.verbs import check as checking

    course = syllabus.load()
    need_reference(course)
    stages = [course.homework(stage).id] if stage else list(course.stages)
    found = list(checking.faults(course, stages))
    for text in found:
        typer.echo(text)
    if found:
        typer.echo(f"{len(found)} faults; `hw render` writes the handouts anew")
        raise typer.Exit(1)
    typer.echo(f"{', '.join(stages)}: as rendered")


def prove(
    targets: Annotated[
        list[str] | None, typer.Argument(metavar="[hwN[/problem]]...", help="all, unless named")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="for machines")] = False,
    jobs: Annotated[int, typer.Option("-j", "--jobs", min=1, help="runs at a time")] = 2,
    kills: Annotated[bool, typer.Option("--kills", help="show which test kills a mutant")] = False,
) -> None:
    """Prove that the tests tell right from wrong.

    For each problem they must fail on the stub, pass on the solution with nothing solved after it,
    and fail on each of its mutants. A hole in that ends the command with status 1.
    """
    from coursekit.staff.verbs import prove as proving

    course = syllabus.load()
    need_reference(course)
    for target in targets or ():
        course.select(target)  # a wrong name is told before the work begins
    with show.status("proving") as say:
        verdicts = [
            verdict
            for target in targets or [None]
            for verdict in proving.prove(course, target, jobs, say)
        ]
    show.proof(verdicts, as_json, kills)
    if not all(verdict.ok for verdict in verdicts):
        raise typer.Exit(1)


def release(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="a new or empty folder")],
) -> None:
    """Write the students' tree, without any solution.

    No reference, no answers, no staff tools; a solution line in any file is an error.
    """
    from coursekit.staff.verbs import release as releasing

    course = syllabus.load()
    need_reference(course)
    leaks = releasing.release(course, folder)
    for leak in leaks:
        typer.echo(str(leak))
    if leaks:
        typer.echo(f"{len(leaks)} leaks; nothing was written")
        raise typer.Exit(1)
    typer.echo(f"{folder}: the students' tree, no solution line in it")


def publish(
    target: Annotated[str, typer.Argument(metavar="hwN[/problem]", help="what to publish")],
    extra: Annotated[list[str] | None, typer.Argument(help="passed on to mugrade")] = None,
    unchecked: Annotated[
        bool, typer.Option("--unchecked", help="without the empty handout and the mutants")
    ] = False,
) -> None:
    """Publish the values of the solved tree, once stubs and mutants are shown to fail."""
    from coursekit.staff.verbs import grading

    course = syllabus.load()
    need_reference(course)
    problems = course.select(target)
    homework = course.homework(problems[0].homework)
    with show.status(homework.id) as say:
        status = grading.publish(course, homework, problems, extra or [], say, not unchecked)
    raise typer.Exit(status)


def course_file() -> None:
    """Print the file that `mugrade init` reads; due times and people are yours to add."""
    from coursekit.staff.verbs import grading

    typer.echo(grading.course_file(syllabus.load()), nl=False)


def answers() -> None:
    """Seal every answer anew into answers.json.gz, for those who learn alone."""
    from coursekit.staff.verbs import grading

    course = syllabus.load()
    need_reference(course)
    with show.status("answers") as say:
        grading.seal(course, course.root / grading.ANSWERS, say)


@contextlib.contextmanager
def solved_tree(course: syllabus.Course, homework: syllabus.Homework) -> Iterator[Path]:
    """The solved homework, not built, in a folder of its own for the time being."""
    with tempfile.TemporaryDirectory(prefix="needle-solved-") as folder:
        rendering.render_out(course, Path(folder), [homework.id], rendering.everything, show.warn)
        yield Path(folder, homework.id)


def count() -> None:
    """needle's lines of code against the course's budget."""
    from coursekit.staff.verbs import count as counting

    course = syllabus.load()
    need_reference(course)
    lines = counting.counts(course)
    total = sum(lines.values())
    made = show.table("file", ">lines of code")
    for name, number in lines.items():
        made.add_row(name, str(number))
    show.console().print(made)
    word = "within" if total <= counting.BUDGET else "OVER"
    typer.echo(f"needle: {total} lines of code, {word} the budget of {counting.BUDGET}")
    if total > counting.BUDGET:
        raise typer.Exit(1)


def demo(
    short: Annotated[bool, typer.Option("--short", help="about a minute")] = False,
) -> None:
    """Show the course at work: homeworks, training, grader, a table."""
    from coursekit.staff.verbs import demo as demonstration

    course = syllabus.load()
    need_reference(course)
    raise typer.Exit(demonstration.run(course, short))


def need_reference(course: syllabus.Course) -> None:
    if not course.is_staff:
        raise CourseError(f"this is a staff's verb: {course.root} holds no shared/reference")


class _Once:
    """Says each sentence once."""

    def __init__(self, say):
        self.say, self.said = say, set()

    def __call__(self, sentence: str) -> None:
        if sentence not in self.said:
            self.said.add(sentence)
            self.say(sentence)
