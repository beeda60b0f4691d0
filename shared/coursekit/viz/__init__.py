"""Seeing what one built: computational graphs as SVG and text, training curves as PNG and text.

Works on anything with `op`, `inputs`, `shape` and `grad`, so it knows nothing of needle. In Python:
`viz.text(y)`, `viz.values(y)`, `viz.svg(y)`, `viz.show(y)` (in a notebook), `viz.curve_text(losses)`,
`viz.curve_png(losses, path)`. In a terminal: `hw viz graph FILE:NAME`, `hw viz curve FILE`, and the
pictures of coursekit.viz.panels.
"""

from __future__ import annotations

import argparse
import inspect
import json
import math
import os
import runpy
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from html import escape
from itertools import chain, pairwise
from pathlib import Path

import numpy as np

from coursekit.viz import panels
from coursekit.core.errors import CourseError

BOX_WIDTH, BOX_HEIGHT, GAP_X, GAP_Y, MARGIN = 150, 46, 26, 84, 14
LABEL = 34  # height of the label where the edges of a box begin
COLOURS = {"leaf": "#e8f1fb", "constant": "#f2f2f2", "op": "#fdf3e0"}


@dataclass
class Box:
    """One node of the drawing."""

    title: str
    detail: str
    gradient: str
    kind: str
    inputs: list[int] = field(default_factory=list)
    layer: int = 0
    x: float = 0.0
    entries: str = ""
    """Its value and its gradient, entry by entry."""


def boxes(output, names=None) -> list[Box]:
    """The nodes that `output` was computed from, inputs before what uses them.

    Args:
        output: a Tensor.
        names: dict from a name to a Tensor, for the titles of leaves.
    """
    titles = {id(tensor): name for name, tensor in (names or {}).items()}
    # An id is only good while its object lives, so the objects are kept.
    found = {id(output): (output, tuple(output.inputs))}
    waiting = [found[id(output)]]
    for _, inputs in waiting:
        for value in inputs:
            if id(value) not in found:
                found[id(value)] = value, tuple(value.inputs)
                waiting.append(found[id(value)])
    before = {key: [id(value) for value in inputs] for key, (_, inputs) in found.items()}
    number: dict[int, int] = {}
    result: list[Box] = []
    for key in TopologicalSorter(before).static_order():
        box = _box(found[key][0], titles.get(key))
        box.inputs = [number[k] for k in before[key]]
        box.layer = 1 + max((result[k].layer for k in box.inputs), default=-1)
        number[key] = len(result)
        result.append(box)
    return result


def _box(node, name) -> Box:
    kind = "op" if node.op is not None else "leaf" if node.requires_grad else "constant"
    title = repr(node.op) if kind == "op" else kind
    gradient = "" if node.grad is None else f"grad {_summary(node.grad)}"
    title = f"{name} = {title}" if name else title
    return Box(title, _summary(node), gradient, kind, entries=_entries(node))


def _entries(node) -> str:
    """The value and the gradient in rows; large arrays with their corners only."""
    rows = []
    for name, value in (("value", node), ("grad", node.grad)):
        if hasattr(value, "numpy"):
            array = np.array2string(value.numpy(), precision=4, threshold=40, edgeitems=2)
            rows.append(f"{name:5} " + array.replace("\n", "\n" + " " * 6))
    return "\n".join(rows)


def _summary(value) -> str:
    """The shape, and the value itself when it is one number."""
    try:
        shape = tuple(value.shape)
    except AttributeError:
        return "tuple"
    return str(shape) + (f" = {value.numpy().item():.4g}" if math.prod(shape) == 1 else "")


def text(output, names=None) -> str:
    """The graph as lines: number, operator, numbers of its inputs, shape, gradient."""
    rows = []
    for k, box in enumerate(boxes(output, names)):
        source = f" <- {', '.join(f'#{i}' for i in box.inputs)}" if box.inputs else ""
        rows.append((f"#{k}", box.title + source, box.detail, box.gradient))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = ("  ".join(cell.ljust(w) for cell, w in zip(row, [*widths, 0])) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def values(output, names=None) -> str:
    """The graph node by node, inputs before what uses them, with all values and gradients."""
    parts = []
    for k, box in enumerate(boxes(output, names)):
        source = f" <- {', '.join(f'#{i}' for i in box.inputs)}" if box.inputs else ""
        rows = box.entries.replace("\n", "\n    ")
        parts.append(f"#{k}  {box.title}{source}  {box.detail}\n    {rows}")
    return "\n\n".join(part.rstrip() for part in parts)


def svg(output, names=None) -> str:
    """The graph as an SVG document: data flows down; an edge shows the shape that flows along it,
    and, after a backward pass, the gradient that came back. A box under the mouse shows its entries.
    """
    nodes = boxes(output, names)
    bends = _bends(nodes)
    _place(nodes, bends)
    width = max(box.x for box in [*nodes, *chain(*bends.values())]) + BOX_WIDTH + MARGIN
    height = _top(max(box.layer for box in nodes)) + BOX_HEIGHT + MARGIN
    title = escape(f"computational graph of {len(nodes)} nodes; the result is {nodes[-1].title}")
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img" aria-label="{title}" '
        f'font-family="sans-serif" font-size="12">',
        f"<title>{title}</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#555"/></marker></defs>',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="white"/>',
    ]
    for box in nodes:
        for n, k in enumerate(box.inputs):
            share = (n + 1) / (len(box.inputs) + 1)
            first = bends.get((id(box), n), [])
            parts.append(_edge(nodes[k], first, box, share))
    used = {k for box in nodes for k in box.inputs}
    parts += [_edge_label(nodes[k]) for k in sorted(used)]
    parts += [_rectangle(box) for box in nodes]
    return "\n".join([*parts, "</svg>", ""])


def _bends(nodes: list[Box]) -> dict[tuple[int, int], list[Box]]:
    """For every edge that passes rows by, an empty place in each of them, so that it meets no box.

    The key is (id of the box at its end, number of the input).
    """
    return {
        (id(box), n): [
            Box("", "", "", "bend", [k], layer) for layer in range(nodes[k].layer + 1, box.layer)
        ]
        for box in nodes
        for n, k in enumerate(box.inputs)
        if box.layer > nodes[k].layer + 1
    }


def _place(nodes: list[Box], bends: dict[tuple[int, int], list[Box]]) -> None:
    """Rows by layer; in a row, boxes stand near the middle of what they were computed from."""
    rows: dict[int, list[Box]] = {}
    for box in [*nodes, *chain(*bends.values())]:
        rows.setdefault(box.layer, []).append(box)
    widest = max(len(row) for row in rows.values())
    for layer in sorted(rows):
        row = rows[layer]
        middle = {
            id(box): sum(nodes[k].x for k in box.inputs) / max(len(box.inputs), 1) for box in row
        }
        row.sort(key=lambda box: middle[id(box)])
        start = MARGIN + (widest - len(row)) * (BOX_WIDTH + GAP_X) / 2
        for k, box in enumerate(row):
            box.x = start + k * (BOX_WIDTH + GAP_X)


def _top(layer: int) -> float:
    return MARGIN + layer * (BOX_HEIGHT + GAP_Y)


def _rectangle(box: Box) -> str:
    x, y, middle = box.x, _top(box.layer), box.x + BOX_WIDTH / 2
    return (
        f"<g><title>{escape(box.title)}\n{escape(box.entries)}</title>"
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6" '
        f'fill="{COLOURS[box.kind]}" stroke="#888"/>'
        f'<text x="{middle:.0f}" y="{y + 19:.0f}" text-anchor="middle" font-weight="bold">'
        f"{escape(box.title)}</text>"
        f'<text x="{middle:.0f}" y="{y + 36:.0f}" text-anchor="middle">{escape(box.detail)}</text></g>'
    )


def _edge(source: Box, bends: list[Box], target: Box, share: float) -> str:
    """A curve from label to box, straight down through the places kept free for it."""
    x1, y1 = source.x + BOX_WIDTH / 2, _top(source.layer) + BOX_HEIGHT + LABEL
    path = f"M{x1:.0f} {y1:.0f}"
    for stop in [*bends, target]:
        x2 = stop.x + BOX_WIDTH * (share if stop is target else 0.5)
        y2 = _top(stop.layer) - (2 if stop is target else 0)
        half = (y2 - y1) / 2
        path += f"C{x1:.0f} {y1 + half:.0f} {x2:.0f} {y2 - half:.0f} {x2:.0f} {y2:.0f}"
        if stop is not target:
            y2 += BOX_HEIGHT + LABEL
            path += f"L{x2:.0f} {y2:.0f}"
        x1, y1 = x2, y2
    return f'<path d="{path}" fill="none" stroke="#555" marker-end="url(#tip)"/>'


def _edge_label(source: Box) -> str:
    """Where the edges of a box begin: what flows down them, and in red what came back."""
    x, y = source.x + BOX_WIDTH / 2, _top(source.layer) + BOX_HEIGHT
    lines = [(source.detail, "black"), (source.gradient, "#a02020")]
    return "".join(
        f'<text x="{x:.0f}" y="{y + 15 + 14 * k:.0f}" text-anchor="middle" fill="{colour}">'
        f"{escape(words)}</text>"
        for k, (words, colour) in enumerate(lines)
        if words
    )


def show(output, names=None):
    """The graph as a picture in a notebook."""
    from IPython.display import SVG

    return SVG(data=svg(output, names))


# ----------------------------------------------------------------------------------------- curves


def curve_text(values, width=60, height=12, label="loss") -> str:
    """A curve in plain characters: the mean of each stretch of `values`, one column a stretch."""
    values = [float(value) for value in values]
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        raise CourseError("there is nothing to draw: no finite number in the curve")
    columns = min(width, len(values))
    cuts = [len(values) * k // columns for k in range(columns + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in pairwise(cuts)]
    low, high = min(finite), max(finite)
    span = (high - low) or 1.0
    grid = [[" "] * columns for _ in range(height)]
    for k, mean in enumerate(means):
        if math.isfinite(mean):
            grid[round((high - mean) / span * (height - 1))][k] = "*"
    margin = max(len(f"{high:.4g}"), len(f"{low:.4g}"))
    marks = {0: f"{high:.4g}", height - 1: f"{low:.4g}"}
    lines = [f"{marks.get(r, ''):>{margin}} |{''.join(row).rstrip()}" for r, row in enumerate(grid)]
    return "\n".join(
        [
            *lines,
            f"{'':>{margin}} +{'-' * columns}",
            f"{'':>{margin}}  {label}, {len(values)} steps",
        ]
    )


def curve_png(values, path, label="loss") -> None:
    """A curve as a PNG file.

    Raises:
        CourseError: matplotlib is not installed.
    """
    panels.curves_png([("", values)], path, label)


# ---------------------------------------------------------------------------------------- command


def main(arguments: list[str]) -> int:
    """`hw viz KIND ...`: what is printed, and with -o drawn."""
    options = _parser().parse_args(arguments)
    if options.kind == "curve":
        draw = _curves(options)
    elif options.kind == "graph":
        draw = _graph(options)
    elif options.kind == "filters":
        name, weight = panels.first_weight(options.file)
        print(panels.filters_text(name, weight))
        draw = lambda: panels.filters_png(weight, options.out)
    else:
        facts = panels.check(options.kind, run_file(options.target)[0])
        print(panels.text(options.kind, facts))
        draw = lambda: panels.png(options.kind, facts, options.out)
    if options.out:
        try:
            draw()
        except (OSError, ValueError) as error:  # no folder, no such format
            raise CourseError(f"{options.out} cannot be drawn: {error}") from None
        print(f"written: {options.out}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hw viz", description="Draw what you have built.")
    kinds = parser.add_subparsers(dest="kind", required=True)

    def kind(name: str, about: str, file: str) -> argparse.ArgumentParser:
        made = kinds.add_parser(name, help=about)
        made.add_argument("-o", "--out", help=f"{file} file to write")
        return made

    graph = kind("graph", "the computational graph of a Tensor", "SVG")
    graph.add_argument("target", help="FILE.py:NAME, a Python file and the Tensor's name in it")
    graph.add_argument("--values", action="store_true", help="node by node, with all entries")
    kind("curve", "training curves, several in one picture", "PNG").add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        help='JSON: a list of numbers, or {"loss": [...]}, as apps/train.py leaves it',
    )
    kind("filters", "the first layer's weight as images", "PNG").add_argument(
        "file",
        metavar="FILE",
        help="a model or a checkpoint, as nn.save and apps/train.py leave it",
    )
    for name, about in panels.ABOUT.items():
        kind(name, about, "PNG").add_argument(
            "target",
            help="FILE.py:NAME, a Python file and a dict in it, or a function that makes it",
        )
    return parser


def _curves(options) -> Callable[[], object]:
    """Print the curves -> what draws them."""
    curves = [(Path(file).stem, *read_curve(file)) for file in options.files]
    for name, values, label in curves:
        if len(curves) > 1:
            print(f"{name}:")
        print(curve_text(values, label=label))
    named = [(name, values) for name, values, _ in curves]
    return lambda: panels.curves_png(named, options.out, curves[0][2])


def _graph(options) -> Callable[[], object]:
    """Print the graph -> what draws it."""
    output, names = run_file(options.target)
    if not hasattr(output, "inputs"):
        path, _, name = options.target.rpartition(":")
        raise CourseError(f"{path} makes no Tensor named {name!r}")
    print((values if options.values else text)(output, names))
    return lambda: Path(options.out).write_text(svg(output, names), encoding="utf-8")


def read_curve(path) -> tuple[list[float], str]:
    """The numbers of a JSON file, and what they are called there."""
    expected = 'expected a list of numbers, or {"loss": [...]}'
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        label, values = (
            next(iter(content.items())) if isinstance(content, dict) else ("loss", content)
        )
        return [float(value) for value in values], str(label)
    except OSError as error:
        raise CourseError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, StopIteration):
        raise CourseError(f"{path} holds no training curve; {expected}") from None


def run_file(target: str):
    """Run a Python file, with needle of the current homework, and take what has this name in it.

    Returns:
        (what it is, or what it returns if it is a function; the file's Tensors by name).
    """
    path, colon, name = target.rpartition(":")
    if not colon or not Path(path).is_file():
        raise CourseError(f"{target!r} is no FILE.py:NAME with an existing file")
    sys.path += [os.path.abspath(folder) for folder in ("python", "apps", ".")]
    try:
        found = runpy.run_path(path)
        if name not in found:
            raise CourseError(f"{path} makes nothing named {name!r}")
        wanted = found[name]() if inspect.isfunction(found[name]) else found[name]
    except CourseError:
        raise
    except Exception as error:
        raise CourseError(f"{path} ends with {type(error).__name__}: {error}") from error
    names = {key: value for key, value in found.items() if hasattr(value, "inputs")}
    return wanted, names
