"""What the terminal sees: tables and progress, plain ASCII where the terminal is plain."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from coursekit.prove import Verdict


def console(stderr: bool = False) -> Console:
    """A console that never wraps a pipe's lines and obeys NO_COLOR."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else 200
    return Console(stderr=stderr, width=width, highlight=False, soft_wrap=False,
                   no_color=True if os.environ.get("NO_COLOR") else None)  # fmt: skip


def table(*columns: str, title: str | None = None) -> Table:
    """An ASCII table; a column that begins with '>' is set to the right."""
    made = Table(
        title=title, box=box.ASCII2 if sys.stdout.isatty() else box.ASCII, title_justify="left"
    )
    for column in columns:
        right = column.startswith(">")
        made.add_column(column.lstrip(">"), justify="right" if right else "left", no_wrap=right,
                        overflow="fold")  # fmt: skip
    return made


@contextlib.contextmanager
def status(label: str) -> Iterator[Callable[[str], None]]:
    """Live progress on a terminal; on a pipe one line on stderr every ten seconds."""
    out = console(stderr=True)
    if out.is_terminal and os.environ.get("TERM") != "dumb":
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


def proof(verdicts: list[Verdict], as_json: bool = False, kills: bool = False) -> None:
    """The proof's table, the holes under it, and a closing line."""
    if as_json:
        rows = [{**asdict(verdict), "ok": verdict.ok} for verdict in verdicts]
        print(json.dumps({"ok": all(v.ok for v in verdicts), "problems": rows}, indent=1))
        return
    out = console()
    made = table("problem", "empty", "solved", "prefix", ">mutants killed", ">skipped", "verdict")
    for v in verdicts:
        made.add_row(v.problem, v.empty, v.solved, v.prefix, f"{v.killed}/{v.mutants}",
                     str(v.skipped or ""), "ok" if v.ok else "HOLE")  # fmt: skip
    out.print(made)
    for v in verdicts:
        for hole in v.holes:
            out.print(f"HOLE {v.problem}: {hole}", markup=False, soft_wrap=True)
        if kills:
            for name, test in v.kills.items():
                out.print(f"{v.problem}: {name} killed by {test}", markup=False, soft_wrap=True)
    holes = sum(not v.ok for v in verdicts)
    killed, total = sum(v.killed for v in verdicts), sum(v.mutants for v in verdicts)
    out.print(f"{len(verdicts)} problems, {holes} with holes, {killed} of {total} mutants killed")
