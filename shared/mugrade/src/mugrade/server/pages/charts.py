"""Small pictures as inline SVG. Each stands beside a table with the same numbers."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import segno
from markupsafe import Markup, escape


def bars(
    values: Sequence[tuple[str, int]], title: str, marks: Sequence[tuple[int, str]] = ()
) -> Markup:
    """A bar a value, with a scale; colours come from the style sheet.

    Args:
        values: label and count, left to right.
        title: what a screen reader says.
        marks: places among the values where something is due, and what.
    """
    width, height, left, bottom = 640, 160, 40, 22
    top = max([count for _, count in values] + [1])
    step = (width - left) / max(1, len(values))
    scale = (height - bottom - 10) / top
    out = [
        f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">',
        f'<line x1="{left}" y1="{height - bottom}" x2="{width}" y2="{height - bottom}"/>',
        f'<text x="{left - 6}" y="16" text-anchor="end">{top}</text>',
        f'<text x="{left - 6}" y="{height - bottom}" text-anchor="end">0</text>',
    ]
    for line in (0.5, 1.0):
        y = height - bottom - line * top * scale
        out.append(f'<line class="grid" x1="{left}" y1="{y:.1f}" x2="{width}" y2="{y:.1f}"/>')
    if top > 1:
        y = height - bottom - 0.5 * top * scale + 4
        out.append(f'<text x="{left - 6}" y="{y:.1f}" text-anchor="end">{top / 2:g}</text>')
    every = max(1, -(-len(values) // 7))
    for index, (label, count) in enumerate(values):
        x, tall = left + index * step, count * scale
        out.append(
            f'<rect x="{x + 1:.1f}" y="{height - bottom - tall:.1f}" width="{max(1.0, step - 2):.1f}" '
            f'height="{tall:.1f}"><title>{escape(label)}: {count}</title></rect>'
        )
        if index % every == 0:
            out.append(
                f'<text x="{x + step / 2:.1f}" y="{height - 6}" text-anchor="middle">{escape(label)}</text>'
            )
    for index, label in marks:
        x = left + (index + 1) * step
        end = "end" if x > width / 2 else "start"
        out.append(
            f'<line class="mark" x1="{x:.1f}" y1="4" x2="{x:.1f}" y2="{height - bottom}"/>'
            f'<text class="mark" x="{x + (-4 if end == "end" else 4):.1f}" y="12" '
            f'text-anchor="{end}">{escape(label)}</text>'
        )
    return Markup("".join([*out, "</svg>"]))


def share(part: int, whole: int) -> Markup:
    """A bar in a line of a table, beside the numbers that it repeats."""
    width = 100 * part / whole if whole else 0
    return Markup(
        '<svg class="share" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="rest" width="100" height="10"/><rect width="{width:.1f}" height="10"/></svg>'
    )


def matrix(
    columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[int | None]], title: str
) -> Markup:
    """Rows of heats (`sheet.heat`), the columns parted by homework; equal neighbours are one piece.

    Args:
        columns: group and name of each.
    """
    tall = max(1.2, min(16.0, 360 / max(1, len(rows))))
    starts, groups, width = _columns(columns)
    pieces: dict[int, list[str]] = {}
    for number, row in enumerate(rows):
        index = 0
        while index < len(row):
            end = index + 1
            while (
                end < len(row) and row[end] == row[index] and starts[end] == starts[end - 1] + WIDE
            ):
                end += 1
            if (value := row[index]) is not None:
                length = (end - index) * WIDE - 1
                y, high = TOP + number * tall, 0.85 * tall
                place = f"M{starts[index]} {y:.1f}h{length}v{high:.1f}h-{length}z"
                pieces.setdefault(value, []).append(place)
            index = end
    height = TOP + tall * max(1, len(rows))
    paths = "".join(f'<path class="f{v}" d="{"".join(p)}"/>' for v, p in sorted(pieces.items()))
    return Markup(
        f'<svg class="chart matrix" viewBox="0 0 {width} {height:.0f}" role="img" '
        f'aria-label="{escape(title)}">{groups}{paths}</svg>'
    )


HEATS = ("nothing right", "below 50%", "50% and more", "80% and more", "all")


def strip(columns: Sequence[tuple[str, str]], row: Sequence[int | None], title: str) -> Markup:
    """One row of heats, a piece for each problem with its name to point at, also where neighbours are
    equal."""
    starts, groups, width = _columns(columns)
    pieces = []
    for x, (group, name), value in zip(starts, columns, row):
        word = "nothing handed in" if value is None else HEATS[value]
        kind = "none" if value is None else f"f{value}"
        pieces.append(
            f'<rect class="{kind}" x="{x + 0.5}" y="{TOP + 0.5}" width="{WIDE - 2}" height="{WIDE - 2}">'
            f"<title>{escape(group)}/{escape(name)}: {word}</title></rect>"
        )
    return Markup(
        f'<svg class="chart matrix strip" viewBox="0 0 {width} {TOP + WIDE}" role="img" '
        f'aria-label="{escape(title)}">{groups}{"".join(pieces)}</svg>'
    )


WIDE, GAP, TOP = 16, 8, 14
"""Pixels of a column, between two homeworks, and of the line with the homeworks' names."""


def _columns(columns: Sequence[tuple[str, str]]) -> tuple[list[int], str, int]:
    """Where each column begins, the homeworks' names above, and the whole width."""
    starts: list[int] = []
    names, x = [], 0
    for index, (group, _) in enumerate(columns):
        if index == 0 or group != columns[index - 1][0]:
            x += GAP if index else 0
            names.append(f'<text x="{x}" y="10">{escape(group)}</text>')
        starts.append(x)
        x += WIDE
    return starts, "".join(names), max(x, 60)


def small_bars(values: Sequence[tuple[str, int]], title: str) -> Markup:
    """A bar a value in little room, each with its number above and every second label below."""
    width, height, bottom, top = 320, 110, 18, 16
    most = max([count for _, count in values] + [1])
    step = width / max(1, len(values))
    out = [
        f'<svg class="chart small" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">',
        f'<line x1="0" y1="{height - bottom}" x2="{width}" y2="{height - bottom}"/>',
    ]
    for index, (label, count) in enumerate(values):
        x, tall = index * step, count * (height - bottom - top) / most
        y = height - bottom - tall
        out.append(
            f'<rect x="{x + 2:.1f}" y="{y:.1f}" width="{step - 4:.1f}" height="{tall:.1f}">'
            f"<title>{escape(label)}: {count}</title></rect>"
        )
        if count:
            out.append(
                f'<text x="{x + step / 2:.1f}" y="{y - 3:.1f}" text-anchor="middle">{count}</text>'
            )
        if index % 2 == 0:
            out.append(
                f'<text x="{x + step / 2:.1f}" y="{height - 5}" text-anchor="middle">{escape(label)}</text>'
            )
    return Markup("".join([*out, "</svg>"]))


def qr_code(text: str, title: str) -> Markup:
    """A QR code, dark on light in every colour scheme, so that phones can read it.

    `omitsize` gives it a viewBox instead of a size: the style sheet scales it and cuts nothing off.
    """
    out: Any = io.BytesIO()
    segno.make(text, error="m").save(
        out,
        kind="svg",
        scale=4,
        border=4,
        dark="#000",
        light="#fff",
        xmldecl=False,
        svgns=True,
        title=title,
        svgclass="qr",
        omitsize=True,
        lineclass=None,
        nl=False,
    )
    return Markup(out.getvalue().decode("utf-8"))
