"""Draws the figures made of grids: homework 3's views of a buffer, homework 4's windows of an image.

`python grids.py` writes them beside this file. It needs nothing but Python.
"""

from html import escape
from pathlib import Path

CELL = 30
BLUE, ORANGE, GREEN, WHITE = "#cfe3f7", "#fbdcb0", "#d3ecd0", "white"


def words(x, y, text, *, size=13, anchor="start", weight="normal"):
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}">'
        f"{escape(text)}</text>"
    )


def grid(x, y, rows, colour, outline=None):
    """Cells with a word each, from the corner (x, y); `colour(i, j)` fills them, `outline` is a
    rectangle of cells (row, column, rows, columns) with a thick border."""
    parts = []
    for i, row in enumerate(rows):
        for j, word in enumerate(row):
            left, top = x + j * CELL, y + i * CELL
            parts.append(
                f'<rect x="{left}" y="{top}" width="{CELL}" height="{CELL}" fill="{colour(i, j)}" '
                'stroke="#777"/>'
            )
            parts.append(words(left + CELL / 2, top + 20, str(word), anchor="middle"))
    if outline:
        i, j, height, width = outline
        parts.append(
            f'<rect x="{x + j * CELL}" y="{y + i * CELL}" width="{width * CELL}" '
            f'height="{height * CELL}" fill="none" stroke="#b03030" stroke-width="3"/>'
        )
    return "\n".join(parts)


def document(width, height, title, parts):
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img" aria-label="{escape(title)}" '
            'font-family="sans-serif">',
            f"<title>{escape(title)}</title>",
            f'<rect width="{width}" height="{height}" fill="white"/>',
            *parts,
            "</svg>",
            "",
        ]
    )


def views():
    """Three views of one buffer of 12 numbers."""
    row_colours = [BLUE, ORANGE, GREEN]

    def of(place):
        return row_colours[place // 4]

    parts = [
        words(16, 28, "the buffer", weight="bold"),
        grid(16, 40, [range(12)], lambda i, j: of(j)),
    ]
    x = 16
    for name, shape, strides, offset in (
        ("x", (3, 4), (4, 1), 0),
        ("x.T", (4, 3), (1, 4), 0),
        ("x[1:, ::2]", (2, 2), (4, 2), 4),
    ):
        places = [
            [offset + i * strides[0] + j * strides[1] for j in range(shape[1])]
            for i in range(shape[0])
        ]
        parts += [
            words(x, 112, name, weight="bold"),
            words(x, 130, f"shape {shape}", size=12),
            words(x, 146, f"strides {strides}", size=12),
            words(x, 162, f"offset {offset}", size=12),
            grid(x, 174, places, lambda i, j, places=places: of(places[i][j])),
        ]
        x += 160
    return document(480, 312, "One buffer of 12 numbers and three views of it", parts)


def windows():
    """A 4 x 4 image, a 3 x 3 kernel: each window of the image becomes a row of a matrix."""
    letters = [[chr(ord("a") + 4 * i + j) for j in range(4)] for i in range(4)]
    rows = [
        [letters[y + i][x + j] for i in range(3) for j in range(3)]
        for y in range(2)
        for x in range(2)
    ]

    def only(row):
        return lambda i, j: ORANGE if i == row else WHITE

    def in_window(i, j):
        return ORANGE if i < 3 and j >= 1 else WHITE

    height = 9 * CELL
    parts = [
        words(16, 28, "the image", weight="bold"),
        grid(16, 40, letters, in_window, outline=(0, 1, 3, 3)),
        words(170, 28, "its 4 windows, one a row", weight="bold"),
        grid(170, 40, rows, only(1)),
        words(456, 40 + 2 * CELL + 5, "@", size=20, anchor="middle"),
        words(478, 28, "kernel", weight="bold"),
        grid(484, 40, [[f"w{k}"] for k in range(9)], lambda i, j: BLUE),
        words(536, 40 + 2 * CELL + 5, "=", size=20, anchor="middle"),
        words(552, 28, "result", weight="bold"),
        grid(558, 40, [[f"y{k}"] for k in range(4)], only(1)),
        words(16, 206, "The window at row 0, column 1 is row 1 of the matrix:", size=12),
        words(
            16, 224, "y1 = b w0 + c w1 + d w2 + f w3 + g w4 + h w5 + j w6 + k w7 + l w8", size=12
        ),
    ]
    return document(620, 40 + height + 16, "Convolution as a matrix product", parts)


if __name__ == "__main__":
    for name, draw in (("hw3_views", views), ("hw4_windows", windows)):
        Path(__file__).with_name(f"{name}.svg").write_text(draw(), encoding="utf-8")
