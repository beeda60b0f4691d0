"""The `hw` command: reads arguments, calls the module that does the work, prints."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from coursekit import render as rendering
from coursekit import syllabus
from coursekit.errors import CourseError

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=False,
    rich_markup_mode=None,
)


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


@app.command(rich_help_panel="Staff")
def check(
    stage: Annotated[str | None, typer.Argument(help="one homework only")] = None,
) -> None:
    """Is every committed handout what the reference renders to? Shows the difference."""
    from coursekit import check as checking

    course = syllabus.load()
    stages = [course.homework(stage).id] if stage else list(course.stages)
    found = list(checking.faults(course, stages))
    for text in found:
        typer.echo(text)
    if found:
        typer.echo(f"{len(found)} faults; `hw render` writes the handouts anew")
        raise typer.Exit(1)
    typer.echo(f"{', '.join(stages)}: as rendered")


@app.command(rich_help_panel="Staff")
def prove(
    target: Annotated[str | None, typer.Argument(help="hwN or hwN/problem")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="for machines")] = False,
    jobs: Annotated[int, typer.Option("-j", "--jobs", min=1, help="runs at a time")] = 2,
    kills: Annotated[bool, typer.Option("--kills", help="show which test kills a mutant")] = False,
) -> None:
    """Prove that tests fail on stubs, pass on the solution and fail on wrong solutions."""
    from coursekit import prove as proving
    from coursekit import show

    course = syllabus.load()
    with show.status("proving") as say:
        verdicts = proving.prove(course, target, jobs, say)
    show.proof(verdicts, as_json, kills)
    if not all(verdict.ok for verdict in verdicts):
        raise typer.Exit(1)


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
