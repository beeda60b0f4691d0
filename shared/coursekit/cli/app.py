"""The `hw` command: reads arguments, calls the module that does the work, prints."""

from __future__ import annotations

import errno
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from coursekit.cli import desk, lab, measuring, show
from coursekit.cli.words import (
    MORE,
    STAFF,
    Device,
    ProblemId,
    Stage,
    Target,
    compile_and_tell,
    load,
    staff_of,
)
from coursekit.core import build as building
from coursekit.core import compiling, terminal
from coursekit.core.errors import CourseError
from coursekit.datasets import data as datasets
from coursekit.student import carry, progress, work
from coursekit.student import doctor as examination
from coursekit.student import reset as resetting

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

UsageError: type[Any] = typer.BadParameter.__bases__[
    0
]  # click's own, or the copy that Typer brings
ForPytest = Annotated[list[str] | None, typer.Argument(metavar=MORE, help="passed on to pytest")]
ForMugrade = Annotated[
    list[str] | None, typer.Argument(metavar=MORE, help="passed on to mugrade submit")
]


@app.callback(invoke_without_command=True)
def dashboard(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="every homework's problems")] = False,
) -> None:
    """The course's own command; alone it shows where you stand and what is next."""
    if context.invoked_subcommand is None:
        show.dashboard(load(), everything)


@app.command()
def doctor() -> None:
    """Check the machine; print the command that mends each fault.

    Looks at Python, its packages and headers, the compiler, cmake, git, CUDA and the data.
    """
    findings = list(examination.examine(load()))
    show.findings(findings)
    if examination.faults(findings):
        raise typer.Exit(1)
    typer.echo("everything is here; next: hw")


@app.command()
def start(
    stage: Stage,
    later: Annotated[
        str | None, typer.Option("--from", metavar="hwM", help="bring solutions back from it")
    ] = None,
) -> None:
    """Begin a homework: carry your work over, and build it.

    Merges what you wrote in the homework before into hwN, puts the offline data in place and
    compiles what must be compiled. Running it again is harmless: it brings what is new since. Files
    that change are kept under .hw/backups. A stub never replaces what you wrote.

    `hw start hw2 --from hw3` goes the other way: what hw3 has of hw2 comes back into hw2.
    """
    course = load()
    homework = course.homework(stage)
    work.folder_of(course, stage)
    outcome = carry.start_from(course, stage, later) if later else carry.start(course, stage)
    show.outcome(outcome, f"{stage}: nothing new to carry over")
    if outcome.unsolved:
        first, more = outcome.unsolved[:2], len(outcome.unsolved) - 2
        names = ", ".join(first) + (f" and {more} more" if more > 0 else "")
        one = len(outcome.unsolved) == 1
        typer.echo(
            f"note: {names} {'is' if one else 'are'} not written yet; {stage}'s tests may stumble "
            f"over {'its stub' if one else 'their stubs'}"
        )
    datasets.fill_homework(course.root, course.folder(stage))
    if outcome.conflicts:
        typer.echo(f"settle the conflicts in your editor, then: hw start {stage}")
        raise typer.Exit(1)
    if building.is_stale(course.folder(stage), homework, building.CPU):
        compile_and_tell(course, homework, building.CPU)
        if building.is_stale(course.folder(stage), homework):
            typer.echo(
                "you can work; cuda() is compiled when a test first needs it, or now by: "
                f"hw build {stage}"
            )
    if (course.folder(stage) / "README.md").is_file():
        typer.echo(f"the text is {homework.folder}/README.md")
    typer.echo(f"next: {progress.next_step(course)}")


@app.command()
def test(
    target: Target = None,
    extra: ForPytest = None,
    device: Device = None,
    checked: Annotated[
        bool, typer.Option("--checked", help="watch every memory access of C++ and CUDA")
    ] = False,
    threads: Annotated[
        bool, typer.Option("--threads", help="watch for two threads at one place in memory")
    ] = False,
) -> None:
    """Run the local tests on your own files.

    A test that crashes, or takes longer than HW_TEST_SECONDS (120), costs itself only. Tests that
    fail on cuda run again in the checked build, which names the line. --checked runs all tests so:
    C++ in a copy compiled with AddressSanitizer and UndefinedBehaviorSanitizer (with --threads:
    ThreadSanitizer), CUDA in the emulator's checked build.
    """
    course = load()
    work.check_one_target(course, extra or [])
    problems = work.chosen(course, target)
    homework = course.homework(problems[0].homework)
    work.check_device(homework, device)
    work.folder_of(course, homework.id)
    work.check_files(course, homework.id)
    parts = work.parts_for(homework, problems, device)
    if work.needs_build(course, problems, parts):
        try:
            compile_and_tell(course, homework, parts)
        except compiling.BuildError as error:
            work.remember(course, problems, error)
            raise
        except CourseError as error:  # no compiler: the Python problems can still be tested
            if all(problem.build for problem in problems):
                raise
            terminal.warn(str(error))
    sessions = None
    if checked or threads:
        kind = "thread" if threads else "memory"
        with terminal.status(f"building {homework.id} with checks") as say:
            sessions = work.checked_sessions(course, problems, extra or [], device, kind, say)
    status, report = work.run_tests(course, problems, extra or [], device, sessions)
    if report.crashed:
        raise CourseError(report.crashed)
    if not report.tests and status not in (1, 5):  # pytest has said what is wrong
        raise typer.Exit(2)
    show.said(report)
    show.verdicts(course, problems, report)
    typer.echo(f"next: {progress.next_step(course)}")
    if status:
        raise typer.Exit(1)


@app.command()
def build(
    target: Annotated[str | None, typer.Argument(metavar="hwN", help="the homework")] = None,
    nvcc: Annotated[
        bool, typer.Option("--nvcc", help="compile CUDA for a GPU, without one here too")
    ] = False,
) -> None:
    """Compile the homework's C++ and CUDA.

    CUDA is compiled to run on the CPU; where there is a GPU, and nvcc, for that as well.
    """
    course = load()
    homework = course.homework(target or work.current(course))
    work.folder_of(course, homework.id)
    if homework.build is None:
        typer.echo(f"{homework.id} has nothing to compile")
        return
    if nvcc and not shutil.which("nvcc"):
        raise CourseError(
            "--nvcc: there is no nvcc on this machine; `hw doctor` says how to get one"
        )
    compile_and_tell(course, homework, nvcc=nvcc)
    typer.echo(f"next: hw test {homework.id}")


@app.command()
def submit(target: Target = None, extra: ForMugrade = None) -> None:
    """Send your values to the autograder.

    A problem that crashes, or takes longer than HW_TEST_SECONDS (120), costs itself only.
    """
    course = load()
    work.check_one_target(course, extra or [])
    problems = work.chosen(course, target)
    homework = course.homework(problems[0].homework)
    work.check_files(course, homework.id)
    parts = work.parts_for(homework, problems, None)
    if work.needs_build(course, problems, parts):
        compile_and_tell(course, homework, parts)
    status, rows = work.submit(course, homework, problems, extra or [])
    if status in (0, 1):
        typer.echo(f"next: {work.mending(course, homework, rows) or progress.next_step(course)}")
    elif status in (3, 4):  # mugrade found no key, or no server
        typer.echo("next: with a course, mugrade login; learning alone, see README.md for a server")
    raise typer.Exit(status)


@app.command()
def data(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="mnist, cifar10, ptb; without it all")
    ] = None,
    samples: Annotated[bool, typer.Option("--samples", help="back to the offline digits")] = False,
    look: Annotated[bool, typer.Option("--show", help="only say what lies there")] = False,
) -> None:
    """Download the full MNIST, CIFAR-10 and Penn Treebank.

    A download that breaks off is continued by the next call; a set counts only with the published
    SHA-256. The homeworks work offline with the samples; this is for full-size results.
    """
    course = load()
    if samples:
        datasets.install_samples(course.root)
    elif not look:
        chosen = datasets.choose(names or [], datasets.catalog(course.root))
        for entry in chosen.values():
            typer.echo(f"{entry['title']}: licence {entry['licence']}")
        with show.downloads() as arrived:
            datasets.download(list(chosen), course.root, chosen, arrived)
    for stage, source in datasets.in_use(course.root):
        typer.echo(f"{stage}: {source.use}: {source.name}, {source.size}")


@app.command()
def reset(problem: ProblemId) -> None:
    """Put a problem's stub back; yours is kept in .hw/backups."""
    course = load()
    meant = work.one(course, problem, "reset")
    show.put_back(meant, *resetting.reset(course, meant))
    typer.echo(f"next: {progress.next_step(course)}")


@app.command()
def hint(
    problem: ProblemId,
    level: Annotated[
        int | None, typer.Option(min=1, max=3, help="1 nudge, 2 idea, 3 outline")
    ] = None,
) -> None:
    """The next of three hints: a nudge, the idea, an outline."""
    course = load()
    meant = work.one(course, problem, "hint")
    number, text = work.next_hint(course, meant, level)
    problem = meant.id
    typer.echo(f"{problem}, hint {number} of 3 ({('nudge', 'idea', 'outline')[number - 1]}):\n")
    typer.echo(text)
    plainer = f"hw hint {problem} says more, " if number < 3 else "that was the last hint; "
    typer.echo(f"\nnext: {plainer}hw test {problem} tries what you have")


@app.command()
def update(
    release: Annotated[
        Path, typer.Argument(metavar="RELEASE", help="folder or archive of the new release")
    ],
) -> None:
    """Bring corrected handouts in; your work stays, with backups."""
    course = load()
    if staff_of(course):
        raise CourseError("this tree holds the reference; update it with: git pull")
    with carry.unpacked(release) as folder:
        outcome, news = carry.update(course, folder)
    if news:
        typer.echo(news + "\n")
    show.outcome(outcome, "nothing new in this release")
    if outcome.conflicts:
        raise typer.Exit(1)
    typer.echo(f"next: {progress.next_step(course)}")


@app.command(
    add_help_option=False,  # its own parser answers --help
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def viz(context: typer.Context) -> None:
    """Draw graphs, training curves, filters, attention."""
    try:
        from coursekit import viz as drawing
    except ImportError as error:
        raise CourseError(
            f"drawing needs a package that is missing ({error.name}); install it with: "
            f"{sys.executable} -m pip install matplotlib"
        ) from None
    raise typer.Exit(drawing.main(context.args) or 0)


measuring.add_to(app)
desk.add_to(app)
app.command()(lab.lab)
if STAFF is not None:
    STAFF.add_to(app)


def main() -> None:
    """Run the command; bad input is one sentence and status 2."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    terminal.settle()
    try:
        sys.exit(app(prog_name="hw", standalone_mode=False))
    except CourseError as error:
        sentence = str(error)
    except UsageError as error:
        sentence = f"{error.format_message().rstrip('.')}; see: {_path(error)} --help"
    except typer.Abort:  # Ctrl-C
        sys.exit(130)
    except OSError as error:
        if error.filename is None:
            raise
        advice = f"; {_REFUSED[error.errno]}" if error.errno in _REFUSED else ""
        sentence = f"{error.filename}: {error.strerror}{advice}"
    typer.echo(f"hw: {sentence}", err=True)
    sys.exit(2)


_REFUSED = {
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM),
        "the course's folder and what lies in it must be yours to read and to write",
    ),
    errno.EROFS: "copy the course to a place where you may write",
    errno.ENOSPC: "free some space, then run the command again",
}
"""What to do where the system refuses a file."""


def _path(error) -> str:
    return error.ctx.command_path if error.ctx else "hw"
