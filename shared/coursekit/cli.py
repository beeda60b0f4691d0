"""The `hw` command: reads arguments, calls the module that does the work, prints."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from coursekit import build as building
from coursekit import carry, progress, show, student, syllabus, tree
from coursekit import doctor as examination
from coursekit.errors import CourseError

app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip

Target = Annotated[str | None, typer.Argument(metavar="[hwN[/problem]]")]
Extra = Annotated[list[str] | None, typer.Argument(metavar="[-- MORE]", help="passed on")]


@app.callback(invoke_without_command=True)
def dashboard(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="every homework's problems")] = False,
) -> None:
    """The course's own command; alone it shows where you stand and what is next."""
    if context.invoked_subcommand is None:
        show.dashboard(syllabus.load(), everything)


@app.command()
def doctor() -> None:
    """Check Python, compiler, headers, packages, CUDA, data; say how to mend each fault."""
    findings = list(examination.examine(syllabus.load()))
    show.findings(findings)
    if examination.faults(findings):
        raise typer.Exit(1)
    typer.echo("everything is here; next: hw")


@app.command()
def start(stage: Annotated[str, typer.Argument(metavar="hwN")]) -> None:
    """Begin a homework: carry your work over, put the data in place, build what must be built."""
    course = syllabus.load()
    homework = course.homework(stage)
    student.folder_of(course, stage)
    outcome = carry.start(course, stage)
    show.outcome(outcome, f"{stage}: nothing new to carry over")
    for problem in outcome.unsolved:
        typer.echo(f"note: {problem} is not written yet; {stage}'s tests may stumble over its stub")
    tree.fill_data(course, course.root / stage)
    if outcome.conflicts:
        typer.echo(f"settle the conflicts in your editor, then: hw start {stage}")
        raise typer.Exit(1)
    if building.is_stale(course.root / stage, homework):
        _build(course, homework)
    if (course.root / stage / "README.md").is_file():
        typer.echo(f"the text is {stage}/README.md")
    typer.echo(f"next: {progress.next_step(course)}")


@app.command()
def test(target: Target = None, extra: Extra = None) -> None:
    """Run the local tests on your own files; a homework, a problem, or where you are."""
    course = syllabus.load()
    problems = course.select(target or student.current(course))
    homework = course.homework(problems[0].homework)
    student.folder_of(course, homework.id)
    if student.needs_build(course, problems):
        try:
            _build(course, homework)
        except building.BuildError:
            raise
        except CourseError as error:  # no compiler: the Python problems can still be tested
            if all(problem.build for problem in problems):
                raise
            show.warn(str(error))
    status, report = student.run_tests(course, problems, extra or [])
    if report.crashed:
        raise CourseError(report.crashed)
    show.verdicts(problems, report)
    typer.echo(f"next: {progress.next_step(course)}")
    if status:
        raise typer.Exit(1)


@app.command()
def build(target: Annotated[str | None, typer.Argument(metavar="[hwN]")] = None) -> None:
    """Compile the homework's C++ (and CUDA)."""
    course = syllabus.load()
    homework = course.homework(target or student.current(course))
    student.folder_of(course, homework.id)
    if homework.build is None:
        typer.echo(f"{homework.id} has nothing to compile")
        return
    _build(course, homework)
    typer.echo(f"next: hw test {homework.id}")


def _build(course: syllabus.Course, homework: syllabus.Homework) -> None:
    with show.status(f"building {homework.id}") as say:
        built = building.build(course.root / homework.id, homework, say)
    for path in built:
        typer.echo(f"built {path.relative_to(course.root).as_posix()}")


@app.command()
def submit(target: Target = None, extra: Extra = None) -> None:
    """Send your values to the autograder."""
    course = syllabus.load()
    problems = course.select(target or student.current(course))
    homework = course.homework(problems[0].homework)
    if student.needs_build(course, problems):
        _build(course, homework)
    status = student.submit(course, homework, problems, extra or [])
    if status == 0:
        typer.echo(f"next: {progress.next_step(course)}")
    raise typer.Exit(status)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def data(context: typer.Context) -> None:
    """Download the full data sets: MNIST, CIFAR-10, Penn Treebank (`hw data --help`)."""
    from coursekit import data as datasets

    if not hasattr(datasets, "main"):
        raise CourseError("downloading is not at hand here; the offline samples work without it")
    raise typer.Exit(datasets.main(syllabus.load(), context.args) or 0)


@app.command()
def reset(problem: Annotated[str, typer.Argument(metavar="hwN/problem")]) -> None:
    """Put a problem's stub back; your version is kept under .hw/backups."""
    course = syllabus.load()
    changed, backup = student.reset(course, course.problem(problem))
    for name in changed:
        typer.echo(f"{name}: stub of {problem} put back")
    typer.echo(f"your version is in {backup}" if backup else f"{problem} is a stub already")
    typer.echo(f"next: {progress.next_step(course)}")


@app.command()
def hint(
    problem: Annotated[str, typer.Argument(metavar="hwN/problem")],
    level: Annotated[
        int | None, typer.Option(min=1, max=3, help="1 nudge, 2 idea, 3 outline")
    ] = None,
) -> None:
    """The next of three hints: a nudge, the idea, an outline."""
    course = syllabus.load()
    number, text = student.next_hint(course, course.problem(problem), level)
    typer.echo(f"{problem}, hint {number} of 3 ({('nudge', 'idea', 'outline')[number - 1]}):\n")
    typer.echo(text)
    plainer = f"hw hint {problem} says more, " if number < 3 else ""
    typer.echo(f"\nnext: {plainer}hw test {problem} tries what you have")


@app.command()
def update(
    release: Annotated[Path, typer.Argument(help="folder or archive of the new release")],
) -> None:
    """Bring corrected handouts into your homeworks; your work stays, with backups."""
    course = syllabus.load()
    with show.unpacked(release) as folder:
        outcome, news = carry.update(course, folder)
    if news:
        typer.echo(news + "\n")
    show.outcome(outcome, "nothing new in this release")
    if outcome.conflicts:
        raise typer.Exit(1)
    typer.echo(f"next: {progress.next_step(course)}")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def viz(context: typer.Context) -> None:
    """Draw a computational graph or a training curve (`hw viz --help`)."""
    try:
        from coursekit import viz as drawing
    except ImportError as error:
        raise CourseError(
            f"drawing needs a package that is missing ({error.name}); install it with: "
            f"{sys.executable} -m pip install matplotlib"
        ) from None
    raise typer.Exit(drawing.main(context.args) or 0)


if (Path(__file__).parent / "staff.py").is_file():  # not in a students' release
    from coursekit import staff

    staff.add_to(app)


def main() -> None:
    """Run the command; a CourseError is one sentence and status 2."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        app(prog_name="hw")
    except CourseError as error:
        typer.echo(f"hw: {error}", err=True)
        sys.exit(2)
