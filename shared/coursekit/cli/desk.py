"""The verbs of `hw` for the desk where a student writes: what differs, where a problem stands."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from coursekit.cli import show
from coursekit.cli.words import Target, load
from coursekit.core.errors import CourseError
from coursekit.student import differences, work


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    for verb in (diff, watch):
        app.command()(verb)


def diff(
    target: Target = None,
    other: Annotated[
        str | None, typer.Argument(metavar="[hwM]", help="the homework to compare with")
    ] = None,
) -> None:
    """Where your code differs: in two homeworks, or from the handout.

    `hw diff hw1 hw4` compares your solutions of hw1's problems in both homeworks. `hw diff hw4`
    shows what you wrote since `hw start hw4`.
    """
    course = load()
    chosen = course.select(target or work.current(course))
    stage = chosen[0].homework
    work.folder_of(course, stage)
    other = course.homework(other).id if other else None
    if target and "/" in target.rstrip("/"):
        found = differences.of_problem(course, chosen[0], other)
    else:
        found = differences.compare(course, stage, other)
    show.comparison(found)


def watch(target: Target = None) -> None:
    """Test what you change on every save; keys for hint, diff, reset.

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
    chosen = course.select(target or work.current(course))
    homework = course.homework(chosen[0].homework)
    work.folder_of(course, homework.id)
    watching.run(course, homework, chosen[0] if target and "/" in target.rstrip("/") else None)
