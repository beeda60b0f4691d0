"""The card as text, and as a picture by matplotlib: a square a problem, a curve a training run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from coursekit.core.errors import CourseError
from coursekit.student.card import Card
from coursekit.viz import curve_text, panels

SUFFIXES = (".svg", ".png", ".txt")

INK, FAINT, LINE = "#1f2933", "#7b8794", "#cbd2d9"
FACES = {"signed": "#1b5e9b", "passed": "#5fa8dd", "written": "#f4d58d", "open": "#ffffff"}
WORDS = {"signed": "signed", "passed": "passes its tests", "written": "written", "open": "to write"}
WIDTH, ROW, CURVES, DPI = 8.0, 0.36, 2.1, 150
"""Inches: of the picture, a homework, the row of curves; dots an inch of a PNG."""


def text(card: Card) -> str:
    """The card in plain characters, at most 80 columns; receipts are left to files."""
    marks = {"signed": "#", "passed": "+", "written": "-", "open": "."}
    rows = [card.title, ""]
    for row in card.rows:
        done = "".join(marks[state] for state in row.states)
        rows.append(f"{row.homework.id}  {done:<20} {row.points:>4g} of {row.homework.points}")
    rows += ["", "# signed   + passes its tests   - written   . to write", "", card.numbers]
    for curve in card.curves:
        rows += ["", f"{curve.name}:", curve_text(curve.values, height=8, label=curve.label)]
    return "\n".join([*rows, "", card.signature])


def write(card: Card, path: Path) -> None:
    """The card as an SVG or PNG picture, or as text; receipts go along.

    Raises:
        CourseError: another kind of file, no such folder, or no matplotlib.
    """
    if path.suffix not in SUFFIXES:
        raise CourseError(f"{path} must end in one of {', '.join(SUFFIXES)}")
    try:
        if path.suffix == ".txt":
            path.write_text("\n".join([text(card), *card.receipts, ""]), encoding="utf-8")
        else:
            draw(card, path)
    except OSError as error:
        raise CourseError(f"{path} cannot be written: {error.strerror}") from None


def draw(card: Card, path: Path) -> None:
    """Write the picture; receipts stand in the file's own description.

    Raises:
        CourseError: matplotlib is not installed.
    """
    pyplot = panels.pyplot()

    top = 1.75 + ROW * len(card.rows)
    height = top + (CURVES if card.curves else 0)
    with pyplot.rc_context({"svg.fonttype": "none", "svg.hashsalt": "card", "font.size": 9}):
        figure = pyplot.figure(figsize=(WIDTH, height), facecolor="white")
        squares = figure.add_axes((0, (height - top) / height, 1, top / height))
        _squares(squares, card, top)
        shown = card.curves[-3:]
        for number, curve in enumerate(shown):
            part = 1 / len(shown)
            place = (number * part + 0.07, 0.42 / height, part - 0.1, (CURVES - 0.85) / height)
            axes = figure.add_axes(place)
            axes.plot(range(1, len(curve.values) + 1), curve.values, color=FACES["signed"], lw=1)
            axes.set_title(
                f"{curve.name}: {curve.label} {curve.values[-1]:.3g}",
                fontsize=9,
                color=INK,
                loc="left",
            )
            axes.tick_params(labelsize=7, colors=FAINT)
            axes.spines[["top", "right"]].set_visible(False)
        note = "\n".join([card.title, card.numbers, card.signature, *card.receipts, ""])
        made: dict[str, Any] = {"Title": card.title, "Description": note}
        made |= {"Date": None} if path.suffix == ".svg" else {}
        figure.savefig(path, dpi=DPI, metadata=made)
        pyplot.close(figure)


def _squares(axes: Any, card: Card, height: float) -> None:
    """The upper part, in inches from its lower left corner."""
    from matplotlib.patches import FancyBboxPatch

    axes.set(xlim=(0, WIDTH), ylim=(0, height))
    axes.axis("off")

    def square(x: float, y: float, state: str) -> None:
        style = "round,pad=0,rounding_size=0.04"
        edge = LINE if state == "open" else FACES[state]
        axes.add_patch(
            FancyBboxPatch((x, y), 0.2, 0.2, style, facecolor=FACES[state], edgecolor=edge)
        )
        if state == "signed":  # told without colour, too
            axes.text(x + 0.1, y + 0.09, "\N{CHECK MARK}", color="white", ha="center", va="center")

    axes.text(0.4, height - 0.45, card.title, fontsize=13, weight="bold", color=INK)
    axes.text(0.4, height - 0.72, card.numbers, color=FAINT)
    for number, row in enumerate(card.rows):
        y = height - 1.2 - ROW * number
        axes.text(0.4, y + 0.05, row.homework.id, weight="bold", color=INK)
        for k, state in enumerate(row.states):
            square(0.95 + 0.26 * k, y, state)
        told = f"{row.points:g} of {row.homework.points}"
        axes.text(WIDTH - 0.4, y + 0.05, told, ha="right", color=INK)
    for k, (state, word) in enumerate(WORDS.items()):
        square(0.4 + 1.25 * k, 0.32, state)
        axes.text(0.68 + 1.25 * k, 0.37, word, fontsize=8, color=FAINT)
    axes.text(0.4, 0.08, card.signature, fontsize=8, color=FAINT)
