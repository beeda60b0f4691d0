"""Assignment texts: shared/reference/texts/hwN.md becomes README.md, hwN.ipynb and figures/.

`<!-- problems -->` and `<!-- messages -->` become tables, of the syllabus and of messages.toml. A
notebook begins with texts/notebook.md, in which STAGE stands for the homework's id and FOLDER for
its folder.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from coursekit.core.errors import CourseError
from coursekit.core.syllabus import Course
from coursekit.core.tables import TomlFile
from coursekit.staff import regions

PLACEHOLDER, MESSAGES = "<!-- problems -->", "<!-- messages -->"
MESSAGES_FILE = "shared/reference/texts/messages.toml"
_FIGURE = re.compile(r"(?<!/)figures/([\w./-]+\.(?:svg|png|gif|jpg))")


def render(course: Course, stage: str, scope: regions.Scope, warn=None) -> dict[str, bytes]:
    """README.md, the notebook and the figures that the text shows; {} when there is no text."""
    source = course.reference / "texts" / f"{stage}.md"
    if not source.is_file():
        if warn is not None:
            warn(f"{stage}: shared/reference/texts/{stage}.md does not exist")
        return {}
    label = f"shared/reference/texts/{stage}.md"
    text = regions.render(source.read_text(encoding="utf-8"), label, scope)
    text = re.sub(
        rf"^{re.escape(PLACEHOLDER)}$", lambda _: problem_table(course, stage), text, flags=re.M
    )
    text = re.sub(
        rf"^{re.escape(MESSAGES)}$", lambda _: message_table(course, stage), text, flags=re.M
    )
    files = {"README.md": text.encode("utf-8")}
    files.update(_figures(course, text, label))
    opening = source.with_name("notebook.md")
    if opening.is_file():
        first = opening.read_text(encoding="utf-8")
        folder = course.homework(stage).folder
        text = first.replace("STAGE", stage).replace("FOLDER", folder) + text
    notebook = to_notebook(text, course, stage)
    if notebook is None:
        if warn is None:
            raise CourseError(
                "jupytext is missing, which turns the texts into notebooks; "
                "install it with: pip install jupytext nbformat"
            )
        warn("jupytext is missing: no notebooks; install it with: pip install jupytext nbformat")
    else:
        files[f"{stage}.ipynb"] = notebook.encode("utf-8")
    return files


def problem_table(course: Course, stage: str) -> str:
    """The homework's problems as a Markdown table, straight from the syllabus."""
    homework = course.homework(stage)
    rows = ["| problem | title | points | test it |", "|---|---|---:|---|"]
    rows += [f"| `{p.id}` | {p.title} | {p.points} | `hw test {p.id}` |" for p in homework.problems]
    rows.append(f"| | together | {homework.points} | `hw test {stage}` |")
    rows += [f"| `{p.id}` | {p.title} | extra | `hw test {p.id}` |" for p in homework.extras]
    return "\n".join(rows)


@dataclass(frozen=True)
class Message:
    """What the code of a homework says when something is wrong."""

    homework: str
    says: str
    """Its words; "..." for what differs from case to case."""
    reason: str
    program: str
    """Brings it about inside the solved homework, or inside the handout."""
    stub: bool = False


def messages(course: Course) -> list[Message]:
    """What stands in MESSAGES_FILE; nothing without that file."""
    source = course.root / MESSAGES_FILE
    if not source.is_file():
        return []
    file = TomlFile(MESSAGES_FILE, source.read_text(encoding="utf-8"))
    return [Message(**{**row, "program": row["program"].strip()}) for row in file.data["message"]]


def message_table(course: Course, stage: str) -> str:
    """The homework's messages and what they usually mean, as a Markdown table."""
    mine = [message for message in messages(course) if message.homework == stage]
    rows = ["| message | usual reason |", "|---|---|"]
    return "\n".join(rows + [f"| `{message.says}` | {message.reason} |" for message in mine])


def to_notebook(text: str, course: Course, stage: str) -> str | None:
    """The text as a notebook, the same bytes on every machine; None without jupytext."""
    try:
        import jupytext
    except ImportError:
        return None
    book = jupytext.reads(text, fmt="md")
    cells = []
    for number, cell in enumerate(book.cells):
        clean = {
            "cell_type": cell.cell_type,
            "id": f"{stage}-{number:03d}",
            "metadata": {},
            "source": cell.source.splitlines(keepends=True),
        }
        if cell.cell_type == "code":
            clean.update(execution_count=None, outputs=[])
        cells.append(clean)
    minimum = course.python.lstrip(">= ")
    notebook = {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python", "version": minimum},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _figures(course: Course, text: str, label: str) -> dict[str, bytes]:
    files = {}
    for number, row in enumerate(text.splitlines(), 1):
        for found in _FIGURE.finditer(row):
            source: Path = course.reference / "figures" / found[1]
            if not source.is_file():
                raise CourseError(
                    f"figure {found[1]!r} does not exist in shared/reference/figures", label, number
                )
            files[f"figures/{found[1]}"] = source.read_bytes()
    return files
