"""The verbs of `hw` for the desk where a student writes: what differs, where a problem stands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from coursekit.cli import show
from coursekit.cli.words import Device, ProblemId, Target, load
from coursekit.core.errors import CourseError
from coursekit.student import differences, editor, work


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    for verb in (diff, watch, card):
        app.command()(verb)
    app.command("open")(open_)


def diff(
    target: Target = None,
    other: Annotated[
        str | None, typer.Argument(metavar="[hwM]", help="the homework to compare with")
    ] = None,
) -> None:
    """Where your code differs in two homeworks, or from a handout.

    `hw diff hw1 hw4` compares your solutions of hw1's problems in both homeworks. `hw diff hw4`
    shows what you wrote since `hw start hw4`.
    """
    course = load()
    chosen = work.chosen(course, target)
    stage = chosen[0].homework
    work.folder_of(course, stage)
    other = course.homework(other).id if other else None
    if work.names_problem(course, target):
        found = differences.of_problem(course, chosen[0], other)
    else:
        found = differences.compare(course, stage, other)
    show.comparison(found)


def watch(target: Target = None, device: Device = None) -> None:
    """Test what you change on every save; keys for hint and diff.

    Runs until q is pressed, or Ctrl-C. Given a homework, the tests follow your edits; given a
    problem, that one is tested whatever you change.
    """
    try:
        from coursekit.cli import watching
    except ModuleNotFoundError as error:
        raise CourseError(
            f"watching needs a package that is missing ({error.name}); install it with: "
            f"{sys.executable} -m pip install watchfiles"
        ) from None
    course = load()
    chosen = work.chosen(course, target)
    homework = course.homework(chosen[0].homework)
    work.folder_of(course, homework.id)
    work.check_device(homework, device)
    only = chosen[0] if work.names_problem(course, target) else None
    watching.run(course, homework, only, device)


def open_(
    problem: ProblemId,
    only_print: Annotated[
        bool, typer.Option("--print", help="print file:line, and open nothing")
    ] = False,
) -> None:
    """Open your editor where a problem stands, at its first stub.

    The editor is $VISUAL, else $EDITOR, else VS Code where it is installed. On a pipe, without an
    editor or with --print the place is only printed, as file:line.
    """
    course = load()
    file, line = editor.place_of(course, work.one(course, problem, "open"))
    typer.echo(f"{file.relative_to(course.root).as_posix()}:{line}")
    words = [] if only_print or not sys.stdout.isatty() else editor.command(file, line)
    if words:
        try:
            raise typer.Exit(subprocess.run(words, cwd=course.root).returncode)
        except OSError as error:
            raise CourseError(
                f"{words[0]} cannot be run ({error.strerror}); set EDITOR to your editor's command"
            ) from None


def card(
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="write a picture: FILE.svg, .png or .txt")
    ] = None,
    made: Annotated[
        Path | None, typer.Option("--check", metavar="FILE", help="check a card's signatures")
    ] = None,
) -> None:
    """A picture of what you have built: problems, points, curves.

    A picture carries the autograder's receipts of your points, which name your account by its
    number. Training curves come from the files that apps/train.py leaves beside its checkpoints.
    """
    from coursekit.student import card as cards  # NumPy comes with it
    from coursekit.student import picture

    if made is not None:
        answers = list(cards.check(made))
        for good, sentence in answers:
            typer.echo(f"{'genuine' if good else 'NOT GENUINE'}: {sentence}")
        raise typer.Exit(0 if all(good for good, _ in answers) else 1)
    found = cards.collect(load())
    typer.echo(picture.text(found))
    if out is not None:
        picture.write(found, out)
        typer.echo(f"written: {out}")
