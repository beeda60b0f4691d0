"""What any room may say to a terminal: tables and live progress, plain ASCII on a pipe."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from rich import box
from rich.console import Console
from rich.table import Table


def console(stderr: bool = False) -> Console:
    """A console that never wraps a pipe's lines and obeys NO_COLOR."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else 200
    return Console(
        stderr=stderr,
        width=width,
        highlight=False,
        soft_wrap=False,
        no_color=True if os.environ.get("NO_COLOR") else None,
    )


def table(*columns: str, title: str | None = None) -> Table:
    """An ASCII table; a column that begins with '>' is set to the right, one with '!' never broken."""
    made = Table(
        title=title, box=box.ASCII2 if sys.stdout.isatty() else box.ASCII, title_justify="left"
    )
    for column in columns:
        right = column.startswith(">")
        made.add_column(
            column.lstrip(">!"),
            justify="right" if right else "left",
            no_wrap=column[0] in ">!",
            overflow="fold",
        )
    return made


@contextlib.contextmanager
def status(label: str) -> Iterator[Callable[[str], None]]:
    """Live progress on a terminal; on a pipe one line on stderr every ten seconds."""
    out = console(stderr=True)
    if is_live(out):
        with out.status(label, spinner="line") as live:
            yield lambda sentence: live.update(f"{label}: {sentence}", spinner="line")
        return
    last = time.monotonic()

    def say(sentence: str) -> None:
        nonlocal last
        if time.monotonic() - last > 10:
            last = time.monotonic()
            print(f"{label}: {sentence}", file=sys.stderr, flush=True)

    yield say


class Pace:
    """Says how far a work is, and how long the rest of it will take at this pace.

    Args:
        costs: of each part, in the order in which they are done; what one cost is does not matter.
    """

    def __init__(self, costs: Sequence[float]):
        self.costs, self.began = costs, time.monotonic()

    def __call__(self, done: int) -> str:
        words = f"{done} of {len(self.costs)}"
        share = sum(self.costs[:done]) / sum(self.costs)
        if not 0.1 <= share < 1:
            return words  # the first parts say little
        left = (time.monotonic() - self.began) * (1 - share) / share
        return f"{words}, about {f'{left:.0f} s' if left < 90 else f'{left / 60:.0f} min'} left"


def is_live(out: Console) -> bool:
    """Can what stands on this console be redrawn?"""
    return out.is_terminal and os.environ.get("TERM") != "dumb"


def warn(sentence: str) -> None:
    print(f"warning: {sentence}", file=sys.stderr)
