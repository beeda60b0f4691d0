"""The `hw` command: reads arguments, calls the module that does the work, prints."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from coursekit import render as rendering
from coursekit import syllabus
from coursekit.errors import CourseError

app = typer.Typer(add_completion=False, no_args_is_help=False, rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def dashboard(context: typer.Context) -> None:
    """The course's own command; alone it shows where you stand."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def warn(sentence: str) -> None:
    typer.echo(f"warning: {sentence}", err=True)


@app.command(rich_help_panel="Staff")
def render(
    solved: Annotated[bool, typer.Option("--solved", help="with the solutions")] = False,
    stage: Annotated[str | None, typer.Option(help="one homework only, such as hw1")] = None,
    out: Annotated[Path | None, typer.Option(help="write complete trees here")] = None,
) -> None:
    """Render the handouts from shared/reference, in place or to --out."""
    course = syllabus.load()
    stages = [course.homework(stage).id] if stage else list(course.stages)
    show = rendering.everything if solved else rendering.nothing
    warned = _Once(warn)
    if out is not None:
        for name, count in rendering.render_out(course, out, stages, show, warned).items():
            typer.echo(f"{out / name}: {count} files")
    elif solved:
        raise CourseError("--solved needs --out DIR; hwN itself only ever holds the handout")
    else:
        for name, count in rendering.render_in_place(course, stages, warned).items():
            typer.echo(f"{name}: {count} files changed" if count else f"{name}: up to date")


class _Once:
    """Says each sentence once."""

    def __init__(self, say):
        self.say, self.said = say, set()

    def __call__(self, sentence: str) -> None:
        if sentence not in self.said:
            self.said.add(sentence)
            self.say(sentence)


def main() -> None:
    """Run the command; a CourseError is one sentence and status 2."""
    try:
        app()
    except CourseError as error:
        typer.echo(f"hw: {error}", err=True)
        sys.exit(2)
