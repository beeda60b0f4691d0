"""The staff's verbs of `hw`: reads arguments, calls the module that does the work, prints.

This is the staff's room as the cli sees it: `add_to`, `holds_reference`, `prepare`, `solved_tree`.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from coursekit.core import syllabus, terminal
from coursekit.core.errors import CourseError
from coursekit.core.syllabus import Course, Homework
from coursekit.staff import handouts, solved
from coursekit.staff import render as rendering

if TYPE_CHECKING:
    from coursekit.staff.prove import Verdict

PANEL = "Staff"


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    for verb in (new, render, check, prove, release, publish, course_file, answers, count, demo):
        app.command(rich_help_panel=PANEL)(verb)


def holds_reference(course: Course) -> bool:
    """Is this a course with its solved library, and not a students' tree?"""
    return course.reference.is_dir()


def prepare(course: Course) -> None:
    """Before a student's verb: let the kept handouts be what the reference renders to."""
    handouts.refresh(course)


@contextlib.contextmanager
def solved_tree(course: Course, homework: Homework) -> Iterator[Path]:
    """The solved homework, not built, in a folder of its own for the time being; a lab's library
    stands beside."""
    with tempfile.TemporaryDirectory(prefix="needle-solved-") as folder:
        stages = [homework.id, *filter(None, [homework.on])]
        yield solved.write(course, Path(folder), stages, built=False) / homework.folder


def _load() -> Course:
    course = syllabus.load()
    if not holds_reference(course):
        raise CourseError(f"this is a staff's verb: {course.root} holds no shared/reference")
    return course


def render(
    with_solutions: Annotated[bool, typer.Option("--solved", help="with the solutions")] = False,
    built: Annotated[bool, typer.Option("--build", help="compile what is solved")] = False,
    stage: Annotated[str | None, typer.Option(help="one homework only, such as hw1")] = None,
    out: Annotated[Path | None, typer.Option(help="write complete trees here")] = None,
) -> None:
    """Render the handouts from shared/reference, or solved trees."""
    course = _load()
    stages = [course.homework(stage).id] if stage else list(course.stages)
    if built and not (with_solutions and out):
        raise CourseError("--build compiles solved trees; give --solved and --out DIR too")
    shown = rendering.everything if with_solutions else rendering.nothing
    warned = _Once(terminal.warn)
    if out is not None:
        for name, count in rendering.render_out(course, out, stages, shown, warned).items():
            typer.echo(f"{out / name}: {count} files")
        if built:
            solved.write(course, out, stages, say=typer.echo)
    elif with_solutions:
        raise CourseError("--solved needs --out DIR; hwN itself only ever holds the handout")
    else:
        for name, count in rendering.render_in_place(course, stages, warned).items():
            typer.echo(f"{name}: {count} files changed" if count else f"{name}: up to date")


def new(
    problem: Annotated[str, typer.Argument(metavar="hwN/problem", help="the new problem's id")],
) -> None:
    """Begin a new problem: write its skeletons, tell its four places."""
    from coursekit.staff import new as beginning

    places = beginning.write(_load(), problem)
    typer.echo(f"1. the solution, in a function of shared/reference:\n{places.region}")
    typer.echo(f"2. its tests and submission hook: {places.tests}")
    typer.echo(f"3. its own file, with points, hints and mutants: {places.problem}")
    typer.echo(f"4. its part of the text: {places.text}")
    typer.echo(f"then: hw render, hw check, hw prove {problem}")


def check(
    stage: Annotated[str | None, typer.Argument(help="one homework only")] = None,
) -> None:
    """Is every handout what the reference renders to?

    Shows the difference; writes nothing.
    """
    from coursekit.staff import check as checking

    course = _load()
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
    kills: Annotated[
        bool, typer.Option("--kills", help="show which test kills a mutant, and what it says")
    ] = False,
) -> None:
    """Prove that the tests tell right from wrong.

    For each problem they must fail on the stub, pass on the solution with nothing solved after it,
    and fail on each of its mutants. A hole in that ends the command with status 1.
    """
    from coursekit.staff import prove as proving

    course = _load()
    for target in targets or ():
        course.select(target)  # a wrong name is told before the work begins
    with terminal.status("proving") as say:
        verdicts = [
            verdict
            for target in targets or (None,)
            for verdict in proving.prove(course, target, jobs, say)
        ]
    _show_proof(verdicts, as_json, kills)
    if not all(verdict.ok for verdict in verdicts):
        raise typer.Exit(1)


def _show_proof(verdicts: list[Verdict], as_json: bool, kills: bool) -> None:
    """The proof's table, the holes under it, and a closing line."""
    if as_json:
        rows = [{**asdict(verdict), "ok": verdict.ok} for verdict in verdicts]
        print(json.dumps({"ok": all(v.ok for v in verdicts), "problems": rows}, indent=1))
        return
    out = terminal.console()
    made = terminal.table(
        "!problem",
        "empty",
        "solved",
        "prefix",
        ">mutants killed",
        ">by values",
        ">named",
        ">skipped",
        "verdict",
    )
    for v in verdicts:
        made.add_row(
            v.problem,
            v.empty,
            v.solved,
            v.prefix,
            f"{v.killed}/{v.mutants}",
            f"{v.seen}/{v.mutants}",
            f"{v.named}/{v.mutants}",
            str(v.skipped or ""),
            "ok" if v.ok else "HOLE",
        )
    out.print(made)
    for v in verdicts:
        for hole in v.holes:
            out.print(f"HOLE {v.problem}: {hole}", markup=False, soft_wrap=True)
        if kills:
            for name, test in v.kills.items():
                said = v.words[name].replace("\n", "\n    ")
                out.print(
                    f"{v.problem}: {name} killed by {test}\n    {said}",
                    markup=False,
                    soft_wrap=True,
                )
    holes = sum(not v.ok for v in verdicts)
    total = sum(v.mutants for v in verdicts)
    killed, seen, named = (
        sum(getattr(v, k) for v in verdicts) for k in ("killed", "seen", "named")
    )
    out.print(
        f"{len(verdicts)} problems, {holes} with holes; of {total} mutants {killed} killed by tests, "
        f"{seen} by submitted values, {named} named at the first failing test"
    )


def release(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="a new or empty folder")],
    for_class: Annotated[
        bool, typer.Option("--class", help="leave the sealed answers out")
    ] = False,
) -> None:
    """Write the students' tree, without any solution.

    No reference, no readable answers, no staff tools; a solution line in any file is an error. The
    sealed answers go along unless --class is given: they let somebody alone check their values, and
    are of other inputs than any class's, so that they are worth no point there. A class that has a
    grader needs none.
    """
    from coursekit.staff import release as releasing

    course = _load()
    leaks = releasing.release(course, folder, for_class)
    for leak in leaks:
        typer.echo(str(leak))
    if leaks:
        typer.echo(f"{len(leaks)} leaks or dead ends; nothing was written")
        raise typer.Exit(1)
    typer.echo(f"{folder}: the students' tree, no solution line in it, no dead link")
    sealed = "sealed answers" if (folder / releasing.ANSWERS).is_file() else "no answers"
    typer.echo(f"with {sealed}; next: pack it for students, and `hw publish hw0` for the grader")


def publish(
    target: Annotated[str, typer.Argument(metavar="hwN[/problem]", help="what to publish")],
    extra: Annotated[list[str] | None, typer.Argument(help="passed on to mugrade")] = None,
    unchecked: Annotated[
        bool, typer.Option("--unchecked", help="without the empty handout and the mutants")
    ] = False,
) -> None:
    """Publish the values of the solved tree, once stubs and mutants are shown to fail."""
    from coursekit.staff import grading

    course = _load()
    problems = course.select(target)
    homework = course.homework(problems[0].homework)
    status = grading.publish(course, homework, problems, extra or [], not unchecked)
    if not status and target == homework.id:
        later = course.stages[course.stages.index(homework.id) + 1 :]
        step = f"`hw publish {later[0]}`" if later else "`mugrade roster FILE.csv` brings people in"
        typer.echo(f"next: {step}")
    raise typer.Exit(status)


def course_file() -> None:
    """Print the file that `mugrade init` reads; due times and people are yours to add."""
    from coursekit.staff import grading

    typer.echo(grading.course_file(syllabus.load()), nl=False)


def answers(
    stages: Annotated[
        list[str] | None, typer.Argument(metavar="[hwN]...", help="these homeworks only")
    ] = None,
) -> None:
    """Seal answers anew into answers.json.gz, for those who learn alone."""
    from coursekit.staff import grading

    course = _load()
    chosen = [course.homework(stage).id for stage in stages or course.stages]
    grading.seal(course, course.root / grading.ANSWERS, chosen)


def count() -> None:
    """needle's lines of code, and tokens a line, against the course's limits."""
    from coursekit.staff import count as counting

    sizes = counting.sizes(_load())
    made = terminal.table("file", ">lines of code", ">tokens a line")
    for name, (lines, tokens) in sizes.items():
        made.add_row(name, str(lines), f"{tokens / max(lines, 1):.1f}")
    terminal.console().print(made)
    total = sum(size.lines for size in sizes.values())
    density = sum(size.tokens for size in sizes.values()) / max(total, 1)
    limits = counting.BUDGET, counting.DENSITY
    word = "within" if total <= limits[0] and density <= limits[1] else "OVER"
    typer.echo(
        f"needle: {total} lines of code, {density:.2f} tokens a line; "
        f"{word} the limits of {limits[0]} and {limits[1]:g}"
    )
    if word == "OVER":
        raise typer.Exit(1)


def demo(
    short: Annotated[bool, typer.Option("--short", help="about a minute")] = False,
) -> None:
    """Show the course at work: homeworks, training, grader, a table."""
    from coursekit.staff import demo as demonstration

    course = _load()
    raise typer.Exit(demonstration.run(course, short))


class _Once:
    """Says each sentence once."""

    def __init__(self, say: Callable[[str], None]):
        self.say = say
        self.said: set[str] = set()

    def __call__(self, sentence: str) -> None:
        if sentence not in self.said:
            self.said.add(sentence)
            self.say(sentence)
