"""Draws homework 3's figures of work cut to pieces: a matrix product's panels, a reduction's parts.

`python hw3_blocks.py` writes them beside this file. It needs nothing but Python.
"""

from pathlib import Path

from grids import BLUE, GREEN, ORANGE, document, words

GREY, RED = "#eeeeee", "#b03030"


def box(x, y, width, height, colour="none", line="#777", thick=1):
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="{colour}" stroke="{line}" '
        f'stroke-width="{thick}"/>'
    )


def arrow(x1, y1, x2, y2):
    return (
        f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="#555"/>'
        f'<circle cx="{x2}" cy="{y2}" r="3" fill="#555"/>'
    )


def panels():
    """C = A B: a block of C in registers, a panel of B, a piece of A, a slice of the sum."""
    left, top, tall, wide = 190, 40, 132, 220  # corner of B; rows of A; columns of B
    under = top + 132  # C and A begin here
    parts = [
        words(left, top - 12, "B, n x p", weight="bold"),
        words(24, under - 12, "A, m x n", weight="bold"),
        box(left, top, wide, 120, GREY),
        box(left, top + 40, wide, 40, "#fdf1dc"),
        *[box(left + 40 * i, top, 40, 120) for i in range(5)],
        box(left + 80, top + 40, 40, 40, ORANGE, RED, 2),
        box(24, under, 150, tall, GREY),
        box(74, under, 50, tall, "#e6f1fb"),
        box(74, under + 22, 50, 88, BLUE, RED, 2),
        *[box(74, under + 22 * i, 50, 22) for i in range(1, 5)],
        box(left, under, wide, tall, GREY),
        *[box(left, under + 22 * i, wide, 22) for i in range(6)],
        *[box(left + 40 * i, under, 40, tall) for i in range(5)],
        box(left + 80, under + 44, 40, 22, GREEN, RED, 2),
        words(left, under + tall + 16, "C, m x p"),
    ]
    notes = (
        ("block", GREEN, "6 rows x 16 columns of C, in registers (rung 4)"),
        ("panel", ORANGE, "16 columns of B, packed (rung 5);"),
        ("", None, "256 deep it stays in the L1 cache (rung 6)"),
        ("slice", "#fdf1dc", "256 terms of every sum: the first writes C,"),
        ("", None, "the others add to it (rung 6)"),
        ("piece", BLUE, "192 rows of A, packed, in the L2 cache (rung 7)"),
        ("threads", None, "each takes pieces of A: rows of C (rung 8)"),
    )
    for i, (name, colour, text) in enumerate(notes):
        y = top + 14 + 30 * i
        if colour:
            parts.append(box(432, y - 11, 14, 14, colour))
        parts += [words(454, y, name, size=12, weight="bold"), words(510, y, text, size=12)]
    return document(800, 330, "Block, panel, slice and piece of a matrix product", parts)


def reduction():
    """3 rows of 40,000 numbers: 9 parts by 9 blocks, then 3 rows of 3 by one block."""
    chunks, scale = (16384, 16384, 7232), 160 / 16384
    parts = [words(16, 24, "level 1: reduce_size 40,000, chunk 16,384, splits 3", weight="bold")]
    for row, colour in enumerate((BLUE, ORANGE, GREEN)):
        y, x = 40 + 62 * row, 70.0
        parts.append(words(16, y + 20, f"row {row}"))
        for split, length in enumerate(chunks):
            width = round(length * scale, 1)
            number = 3 * row + split
            parts += [
                box(x, y, width, 30, colour),
                words(x + width / 2, y + 13, f"part {number}", size=11, anchor="middle"),
                words(x + width / 2, y + 26, f"{length:,}", size=10, anchor="middle"),
                arrow(x + width / 2, y + 30, x + width / 2, y + 44),
                words(x + width / 2 + 6, y + 46, f"block {number}", size=10),
            ]
            x = round(x + width, 1)
    parts += [
        words(480, 56, "9 parts, 9 blocks of 256 x 1 threads:", size=12),
        words(480, 74, "threadIdx.x = 0..255 share one part,", size=12),
        words(480, 92, "thread t takes t, t + 256, t + 512, ...", size=12),
        words(16, 242, "level 2: reduce_size 3, chunk 3, splits 1", weight="bold"),
    ]
    for row, colour in enumerate((BLUE, ORANGE, GREEN)):
        for split in range(3):
            x = 70 + 132 * row + 34 * split
            parts += [
                box(x, 258, 34, 28, colour),
                words(x + 17, 277, str(3 * row + split), size=12, anchor="middle"),
            ]
        parts.append(words(70 + 132 * row, 304, f"part {row}: threadIdx.y = {row}", size=10))
    parts += [
        box(60, 252, 396, 60, line=RED, thick=2),
        words(490, 262, "3 parts, 1 block of 4 x 64 threads:", size=12),
        words(490, 280, "4 threads share a part (3 have a number),", size=12),
        words(490, 298, "61 of the 64 places along y have no part", size=12),
    ]
    return document(740, 326, "Three rows of 40,000 numbers, reduced at two levels", parts)


if __name__ == "__main__":
    for name, draw in (("hw3_panels", panels), ("hw3_reduction", reduction)):
        Path(__file__).with_name(f"{name}.svg").write_text(draw(), encoding="utf-8")
