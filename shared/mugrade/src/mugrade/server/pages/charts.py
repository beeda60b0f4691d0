"""Small pictures as inline SVG. Each stands beside a table with the same numbers."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import segno
from markupsafe import Markup, escape


def bars(values: Sequence[tuple[str, int]], title: str) -> Markup:
    """A bar a value, with a scale; colours come from the style sheet.

    Args:
        values: label and count, left to right.
        title: what a screen reader says.
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
    return Markup("".join([*out, "</svg>"]))


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
