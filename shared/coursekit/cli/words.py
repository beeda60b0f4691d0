"""What every verb of `hw` shares: its arguments' meaning, the course that it loads, the staff's room,
building."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

import coursekit
from coursekit.core import build as building
from coursekit.core import compiling, syllabus, terminal
from coursekit.core.syllabus import Course, Homework

Stage = Annotated[str, typer.Argument(metavar="hwN", help="the homework, such as hw1")]
ProblemId = Annotated[
    str,
    typer.Argument(metavar="hwN/problem", help="the problem, such as hw0/add, or FILE:LINE in it"),
]
Target = Annotated[
    str | None,
    typer.Argument(
        metavar="hwN[/problem]",
        help="a homework, a problem, or FILE:LINE inside of one; without it the homework of this "
        "folder, or the last begun",
    ),
]

MORE = "-- MORE"
"""How arguments after `--`, which another program reads, are called."""

Device = Annotated[str | None, typer.Option(metavar="DEVICE", help="cpu, cuda or cpu_numpy alone")]


def staff_room() -> ModuleType | None:
    """The staff's verbs; None in a release, which does not carry the staff's folder."""
    if "staff" not in {room.name for room in pkgutil.iter_modules(coursekit.__path__)}:
        return None
    return importlib.import_module("coursekit.staff.verbs")


STAFF = staff_room()


def staff_of(course: Course) -> ModuleType | None:
    """The staff's room, where there is one and the course holds its reference."""
    return STAFF if STAFF is not None and STAFF.holds_reference(course) else None


def load(root: Path | None = None) -> Course:
    """The course around the current folder, with its kept handouts up to date."""
    course = syllabus.load(root)
    if staff := staff_of(course):
        staff.prepare(course)
    return course


def compile_and_tell(
    course: Course, homework: Homework, parts: str = building.DEVICES, nvcc: bool = False
) -> None:
    """Compile, and say what was made and what the compiler warns of in the homework's sources."""
    place, rows = course.folder(homework.id), list[str]()
    what = f"building {homework.id}" + ", the CPU's part" * (parts == building.CPU)
    with terminal.status(what) as say:

        def heard(row: str) -> None:
            rows.append(row)
            say(row)

        built = building.build(place, homework, heard, parts, nvcc)
    for path in built:
        typer.echo(f"built {path.relative_to(course.root).as_posix()}")
    for warning in compiling.warnings(place, rows):
        typer.echo(f"{homework.folder}/{warning}")
