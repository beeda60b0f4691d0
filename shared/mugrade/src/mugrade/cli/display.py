"""What the terminal shows: 80 columns, words rather than colours, plain text when it is no terminal."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mugrade.client.submit import ProblemLine, Results
from mugrade.words import difference, distance, number, seconds_in_words

WIDTH = 80
QUIET_SECONDS = 10
STYLES = {
    "ok": "green",
    "FAIL": "red",
    "ERR": "red",
    "LATE": "red",
    "LIMIT": "yellow",
    "SKIP": "yellow",
    "KEPT": "yellow",
}


class Screen:
    """Standard output for results, standard error for progress and faults."""

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        self.out = _console(sys.stdout)
        self.err = _console(sys.stderr)

    def tell(self, line: str) -> None:
        """A line of progress; not for machines."""
        if not self.as_json:
            self.err.print(Text(line), style="dim")

    @contextlib.contextmanager
    def progress(self) -> Iterator[Callable[[str, int, int], None]]:
        """Yields `step(what, done, total)`, which tells how far a long work is and how long the rest
        will take: redrawn on a terminal, else one line every ten seconds."""
        began: dict[str, float] = {}
        live = self.err.is_terminal and not self.as_json and os.environ.get("TERM") != "dumb"
        status = self.err.status("", spinner="line") if live else None
        told = time.monotonic()

        def step(what: str, done: int, total: int) -> None:
            nonlocal told
            now = time.monotonic()
            line = f"{what}: {done} of {total}"
            passed = now - began.setdefault(what, now)
            if total / 10 <= done < total:  # the first parts say little
                line += f", {seconds_in_words(passed / done * (total - done))} left"
            if status is not None:
                status.update(Text(line), spinner="line")
            elif now - told >= QUIET_SECONDS:
                told = now
                self.tell(line)

        with status or contextlib.nullcontext():
            yield step

    def say(self, line: str = "") -> None:
        self.out.print(Text(line))

    def fault(self, message: str, status: int) -> None:
        if self.as_json:
            self.json({"error": message, "exit": status})
        else:
            self.err.print(Text(f"mugrade: {message}"))

    def json(self, data: Any) -> None:
        print(json.dumps(data, indent=1, default=str))

    def table(
        self, heads: Sequence[str], rows: Iterable[Sequence[Any]], right: Sequence[int] = ()
    ) -> None:
        """A plain table: heads, a rule, rows; columns in `right` are aligned to the right."""
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for index, head in enumerate(heads):
            table.add_column(head, justify="right" if index in right else "left", overflow="fold")
        for row in rows:
            table.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
        if self.out.is_terminal:
            self.out.print(table)
            return
        with self.out.capture() as text:
            self.out.print(table)
        for line in text.get().splitlines():
            self.out.file.write(line.rstrip() + "\n")

    # ------------------------------------------------------------------------------- submissions

    def report(self, report: Results) -> None:
        if self.as_json:
            self.json(as_data(report))
            return
        self.table(
            ["problem", "", "cases", "points", "best", "tries left"],
            [_cells(row) for row in report.rows],
            right=[2, 3, 4, 5],
        )
        for row in report.rows:
            self._details(row)
        self.say()
        if report.score is not None:
            self.say(
                f"{report.assignment}: {number(report.score)} of {number(report.points)} points"
            )
        if report.due_at:
            self.say(f"due {when(report.due_at, report.now)}")
        for row in report.rows:
            if row.receipt:
                self.say(f"receipt {row.problem}: {row.attempt}")
        if any(row.word == "KEPT" for row in report.rows):
            self.say(
                "Kept on this machine, nothing is lost: run `mugrade sync` when the grader is back."
            )

    def _details(self, row: ProblemLine) -> None:
        if not (row.message or row.failures):
            return
        self.say()
        self.out.print(Text(f"{row.problem}: {_headline(row)}", style="bold"))
        for frame in row.trace:
            self.say(f"  {_short(frame['file'])}:{frame['line']} in {frame['function']}")
            if frame["text"]:
                self.say(f"    {frame['text']}")
        for failure in row.failures:
            self.say(
                f"  {failure.label}: {difference(failure.kind, failure.submitted_shape, failure.expected_shape)}"
            )
            if failure.place:
                self.say(f"    {failure.place}")

    def status(self, plan: dict[str, Any]) -> None:
        """One assignment with its problems."""
        self.out.print(Text(f"{plan['id']}  {plan.get('title') or ''}", style="bold"))
        self.say(
            f"{number(plan.get('score'))} of {number(plan.get('points'))} points; {due_line(plan)}"
        )
        if not plan.get("problems"):
            self.say("No problem is published yet; `mugrade status` will show them when they are.")
            return
        self.table(
            ["problem", "", "best", "points", "attempts", "tries left"],
            [_status_cells(problem) for problem in plan["problems"]],
            right=[2, 3, 4, 5],
        )


def as_data(report: Results) -> dict[str, Any]:
    """A submission as `--json` prints it."""
    return {**dataclasses.asdict(report), "exit": int(report.exit)}


def _status_cells(problem: dict[str, Any]) -> list[Any]:
    best = problem.get("best")
    if not problem.get("published"):
        word = "not yet published"
    elif not best:
        word = "not submitted"
    else:
        word = (
            "ok"
            if best["correct"] == best["cases"]
            else f"{best['correct']} of {best['cases']} cases"
        )
    return [
        problem["id"],
        word,
        number(best["score"]) if best else "-",
        number(problem.get("points")),
        problem.get("attempts", 0),
        number(problem.get("tries_left")),
    ]


def _cells(row: ProblemLine) -> list[Any]:
    word = Text(row.word, style=STYLES.get(row.word, ""))
    cases = f"{row.correct}/{row.cases}" if row.cases else "-"
    points = f"{number(row.score)}/{number(row.points)}" if row.score is not None else "-"
    best = number(row.best) if row.best is not None else "-"
    return [
        row.problem,
        word,
        cases,
        points,
        best,
        number(row.tries_left),
    ]


def _headline(row: ProblemLine) -> str:
    if row.word == "ERR" and row.message and row.trace and "yours to write" in row.message:
        return f"not yet written ({row.message})"
    return row.message or f"{len(row.failures)} of {row.cases} cases are not right"


def _short(file: str) -> str:
    try:
        return str(Path(file).resolve().relative_to(Path.cwd()))
    except ValueError:
        return file


def due_line(plan: dict[str, Any]) -> str:
    if not plan.get("due_at"):
        return "no due time"
    state = {"late": "late; ", "closed": "closed; ", "not_open": "not open yet; "}.get(
        plan.get("state", ""), ""
    )
    return f"{state}due {when(plan['due_at'], plan.get('now'))}"


def when(iso: str, now: str | None = None) -> str:
    """A UTC time in this machine's zone and in words; `now` is the grader's clock, not ours."""
    moment = parse_time(iso)
    here = moment.astimezone()
    reference = parse_time(now) if now else dt.datetime.now(dt.timezone.utc)
    return f"{here:%a %d %b %Y %H:%M} {here.tzname()} ({distance(moment, reference)})"


def parse_time(iso: str) -> dt.datetime:
    moment = dt.datetime.fromisoformat(iso.replace("Z", "+00:00"))
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.timezone.utc)


def _console(stream: Any) -> Console:
    """80 columns; colour only on a terminal that wants it; no markup in what users wrote."""
    plain = (
        not stream.isatty() or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    )
    width = None if stream.isatty() else WIDTH
    console = Console(
        file=stream,
        width=width,
        no_color=plain,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=False,
        force_terminal=None if not plain else False,
    )
    if console.width > WIDTH:
        console.width = WIDTH
    return console
