"""The verbs of `hw` for the desk where a student writes: what differs, where a problem stands."""

from __future__ import annotations

from typing import Annotated

import typer

from coursekit.cli import show
from coursekit.cli.words import Target, load
from coursekit.core.errors import CourseError
from coursekit.student import differences, work


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    for verb in (diff,):
        app.command()(verb)


def diff(
    target: Target = None,
    other: Annotated[
        str | None, typer.Argument(metavar="[hwM]", help="the homework to compare with")
    ] = None,
) -> None:
    """Where your code differs: between two homeworks, or from what you were given.

    `hw diff hw1 hw4` compares your solutions of hw1's problems in both homeworks. `hw diff hw4`
    shows what you wrote since `hw start hw4`.
    """
    course = load()
    target = (target or work.current(course)).rstrip("/")
    stage, _, problem = target.partition("/")
    if problem:
        course.problem(target)
    other = course.homework(other).id if other else None
    work.folder_of(course, course.homework(stage).id)
    found = differences.compare(course, stage, other)
    if problem:
        found.places[:] = [place for place in found.places if place.problem == target]
    if not found.places and problem:
        raise CourseError(f"{found.there} has no code of {target} to compare with")
    show.comparison(found)
