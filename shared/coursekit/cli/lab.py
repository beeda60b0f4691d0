"""`hw lab`: a lab's program on ranks, as threads of one process or as processes under MPI."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path
from typing import Annotated

import typer

from coursekit.cli.words import load, staff_of
from coursekit.core.errors import CourseError
from coursekit.core.syllabus import Course, Homework
from coursekit.student import work

LabId = Annotated[str, typer.Argument(metavar="LAB", help="the lab, such as train-big")]
Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="[FILE.py] [-- MORE]", help="the program, and words for it"),
]


def lab(
    stage: LabId,
    words: Words = None,
    ranks: Annotated[int, typer.Option(min=1, help="how many, on the virtual cluster")] = 4,
    mpi: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="N real processes under mpiexec instead")
    ] = None,
) -> None:
    """Run a lab's program on many ranks, virtual or real ones.

    The ranks are threads of a virtual cluster, or with --mpi processes under MPI. The program gets
    their number as its first word. Both ways give the same results, to the last bit; time is virtual
    on the one and this machine's on the other. In the course's own repository the solved lab runs.
    """
    import cluster
    from cluster import ClusterError, processes

    course = load()
    homework = course.homework(stage)
    if homework.program is None:
        labs = ", ".join(h.id for h in course.homeworks if h.program) or "none here"
        raise CourseError(f"{stage} is no lab with programs for ranks; there are: {labs}")
    with contextlib.ExitStack() as stack:
        folder = work.folder_of(course, stage)
        if staff := staff_of(course):
            folder = stack.enter_context(staff.solved_tree(course, homework))
        else:
            work.check_files(course, stage)
        chosen, *more = words or [homework.program]
        if not (folder / chosen).is_file():
            known = ", ".join(f"apps/{path.name}" for path in sorted(folder.glob("apps/*.py")))
            raise CourseError(f"there is no {chosen} in {homework.folder}; there are: {known}")
        try:
            command = processes.command(mpi, [chosen, str(mpi or ranks), *more])
        except ClusterError as error:
            raise CourseError(str(error)) from None
        env = processes.environment(mpi) | homework.env
        home = Path(cluster.__file__).resolve().parents[1]  # where cluster is not installed
        env["PYTHONPATH"] = os.pathsep.join(map(str, [*_folders(course, homework, folder), home]))
        status = subprocess.run(command, cwd=folder, env=env).returncode
    raise typer.Exit(status)


def _folders(course: Course, homework: Homework, folder: Path) -> list[Path]:
    """Where the lab's modules are, and those of the library that it runs on."""
    found = [folder / path for path in homework.path]
    if homework.on is not None:
        below = course.homework(homework.on)
        beside = folder.parents[len(Path(homework.folder).parts) - 1] / below.folder
        library = Path(os.environ.get("NEEDLE_HOME") or beside)
        found += [library / path for path in below.path]
    return found
