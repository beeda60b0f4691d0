"""From hook results to verdicts: what is sent, what is kept for later, and what the command returns."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mugrade
from mugrade.client.errors import (
    AuthFault,
    ClientError,
    ClosedFault,
    Exit,
    NetworkFault,
    RateFault,
    UsageFault,
)
from mugrade.client.grader import in_words
from mugrade.client.outbox import Entry
from mugrade.client.run import HookResult, run_hooks
from mugrade.client.session import Session
from mugrade.client.settings import write_private
from mugrade.plan import Plan


@dataclass
class Failure:
    """One case that is not right: `kind` is the wire format's word."""

    label: str
    kind: str
    place: str = ""
    submitted_shape: list[int] | None = None
    expected_shape: list[int] | None = None
    case: int = 0
    """Counted from 1, as `mugrade run --case` does."""


@dataclass
class ProblemLine:
    """One problem of a submission, as the table and `--json` show it.

    `word` is ok, FAIL, ERR (the hook did not finish), SKIP, LIMIT, LATE or KEPT (in the outbox).
    """

    problem: str
    word: str
    correct: int = 0
    cases: int = 0
    score: str | None = None
    points: str | None = None
    best: str | None = None
    tries_left: int | None = None
    message: str = ""
    trace: list[dict[str, Any]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    attempt: str | None = None
    receipt: str | None = None
    exit: Exit = Exit.OK
    retry_after: float | None = None
    totals: tuple[str, str | None, str | None] | None = None


@dataclass
class Results:
    """A whole submission."""

    assignment: str
    rows: list[ProblemLine] = field(default_factory=list)
    score: str | None = None
    points: str | None = None
    due_at: str | None = None
    now: str | None = None
    state: str | None = None
    offline: bool = False

    @property
    def exit(self) -> Exit:
        """The most urgent status of all rows; skipped problems count only when nothing else ran."""
        found = {row.exit for row in self.rows if row.word != "SKIP"}
        found = found or {row.exit for row in self.rows}
        for status in (Exit.CLOSED, Exit.NETWORK, Exit.RATE, Exit.USAGE, Exit.WRONG):
            if status in found:
                return status
        return Exit.HARDWARE if Exit.HARDWARE in found else Exit.OK


@dataclass
class Request:
    """What the person asked for."""

    assignment: str
    folder: Path
    problems: list[str] = field(default_factory=list)
    select: str | None = None
    accept_late: bool = False
    flags: list[str] = field(default_factory=list)
    source: list[dict[str, str]] = field(default_factory=list)


class Submission:
    """Runs one `mugrade submit`.

    Args:
        session: the open session.
        request: what to submit.
        tell: called with one line of progress at a time.
    """

    def __init__(
        self, session: Session, request: Request, tell: Callable[[str], None] = lambda line: None
    ) -> None:
        self.session = session
        self.request = request
        self.tell = tell
        self.down: NetworkFault | None = None

    def run(self) -> Results:
        plan, fresh = self.session.plan(self.request.assignment)
        report = Results(
            self.request.assignment,
            points=plan.get("points"),
            score=plan.get("score"),
            due_at=plan.get("due_at"),
            now=plan.get("now"),
            state=plan.get("state"),
            offline=not fresh,
        )
        if fresh:
            self.refuse_early(plan)
        else:
            self.down = NetworkFault("The grader cannot be reached.")
        results = self.run_hooks(plan, self.request.problems or None)
        known = _problems(plan)
        for result in results:
            row = self.handle(result, known, plan)
            if row.exit is Exit.USAGE and row.message == "stale":
                plan, _ = self.session.plan(self.request.assignment)
                known = _problems(plan)
                again = self.run_hooks(plan, [result.problem])[0]
                row = self.handle(again, known, plan)
            self.keep_totals(report, row)
            report.rows.append(row)
        return report

    def run_hooks(self, plan: dict[str, Any], only: list[str] | None) -> list[HookResult]:
        self.tell(f"Running the submission hooks of {self.request.assignment} ...")
        variants = {
            name: [[problem["variant"], problem["seed"]]]
            for name, problem in _problems(plan).items()
            if problem.get("variant") is not None
        }
        hooks = Plan(self.request.assignment, out="", only=only, variants=variants)
        return run_hooks(
            hooks, self.request.folder, select=self.request.select, flags=self.request.flags
        )

    def refuse_early(self, plan: dict[str, Any]) -> None:
        """Say at once what the grader would say after the hooks have run for minutes."""
        name, state = self.request.assignment, plan.get("state")
        if state == "closed":
            raise ClosedFault(
                f"{name} is closed since {plan.get('cutoff_at')}; `mugrade status` shows what is open."
            )
        if state == "not_open":
            raise ClosedFault(
                f"{name} opens at {plan.get('opens_at')}; `mugrade status` shows what is open."
            )
        if state == "late" and not self.request.accept_late:
            lost = plan.get("late_penalty_percent")
            cost = (
                f"an attempt now loses {lost}% of its points" if lost else "it may cost late days"
            )
            raise ClosedFault(
                f"{name} was due at {plan.get('due_at')}, and {cost}; to hand it in anyway, run the same "
                "command with --late."
            )
        for name in self.request.problems:
            problem = _problems(plan).get(name) or {}
            if problem.get("tries_left") == 0 and problem.get("retry_after"):
                minutes = max(1, round(problem["retry_after"] / 60))
                raise RateFault(
                    f"There is no try left for {name} now; the next one is possible in {minutes} minutes. Test "
                    f"locally meanwhile: `mugrade run {self.request.assignment} {name}`."
                )

    def handle(
        self, result: HookResult, known: dict[str, dict], plan: dict[str, Any]
    ) -> ProblemLine:
        """One hook's result: not sent, sent, or kept."""
        problem = known.get(result.problem, {})
        row = ProblemLine(
            result.problem,
            "ok",
            points=problem.get("points"),
            best=(problem.get("best") or {}).get("score"),
            tries_left=problem.get("tries_left"),
        )
        if result.outcome == "skipped":
            row.word, row.exit, row.message = "SKIP", Exit.HARDWARE, result.message
            return row
        if plan.get("problems") is not None and not problem.get("published"):
            row.word, row.exit = "SKIP", Exit.USAGE
            row.message = "the course has not published answers for this problem yet"
            return row
        if result.outcome != "ok":
            row.message, row.trace = result.message, result.trace
            row.word, row.exit = "ERR", Exit.WRONG
        if not result.cases:
            if result.outcome == "ok":
                row.word, row.exit, row.message = (
                    "ERR",
                    Exit.WRONG,
                    "the hook never called mugrade.submit",
                )
            return row
        self.tell(f"Sending {result.problem}: {len(result.cases)} cases ...")
        return self.send(self.entry(result, problem, plan), row)

    def entry(self, result: HookResult, problem: dict[str, Any], plan: dict[str, Any]) -> Entry:
        body = {
            "revision": problem.get("revision"),
            "variant": result.variant,
            "accept_late": self.request.accept_late,
            "cases": [
                {name: c[name] for name in ("label", "value", "inputs")} for c in result.cases
            ],
            "error": result.error,
            "client": {"name": "mugrade", "version": mugrade.__version__},
            "environment": environment(),
            "source": self.request.source,
        }
        places = [[_relative(c["file"], self.request.folder), c["line"]] for c in result.cases]
        account = plan.get("account") or self.session.fingerprint()
        return Entry(
            self.session.server, account, self.request.assignment, result.problem, body, places
        )

    def send(self, entry: Entry, row: ProblemLine) -> ProblemLine:
        if self.down is not None:
            return _kept(self.session, entry, row, self.down)
        try:
            self.session.outbox.put(entry)
        except UsageFault as fault:
            self.tell(f"{fault} It is sent without a copy here.")
        row = deliver(self.session, entry, row, on_down=self.note_down)
        if row.word == "LIMIT":  # whoever sits here tries again, with better values maybe
            self.session.outbox.remove(entry)
        return row

    def note_down(self, fault: NetworkFault) -> None:
        self.down = fault

    def keep_totals(self, report: Results, row: ProblemLine) -> None:
        totals = row.totals
        if totals:
            report.score, report.points, report.due_at = totals


def deliver(
    session: Session,
    entry: Entry,
    row: ProblemLine,
    on_down: Callable[[NetworkFault], None] | None = None,
) -> ProblemLine:
    """Send one entry of the outbox and fill in `row`; the entry is removed unless it can be sent again."""
    outbox = session.outbox
    try:
        answer = session.grader.attempt(entry.assignment, entry.problem, entry.body, entry.key)
    except NetworkFault as fault:
        if on_down is not None:
            on_down(fault)
        return _kept(session, entry, row, fault)
    except AuthFault:
        with contextlib.suppress(UsageFault):
            outbox.put(entry)
        raise
    except RateFault as fault:
        row.word, row.message, row.exit = "LIMIT", str(fault), fault.status
        row.retry_after = fault.retry_after
        return row
    except ClosedFault as fault:
        outbox.remove(entry)
        row.word, row.message, row.exit = "LATE", str(fault), fault.status
        return row
    except ClientError as fault:
        outbox.remove(entry)
        stale = fault.code == "stale_revision"
        row.word, row.message, row.exit = "ERR", "stale" if stale else str(fault), Exit.USAGE
        return row
    outbox.remove(entry)
    fill(row, answer, entry)
    if row.receipt:
        path = session.folders.receipts / entry.assignment / f"{entry.problem}-{row.attempt}.txt"
        try:
            write_private(path, row.receipt + "\n")
        except UsageFault as fault:
            row.message = row.message or f"The attempt counts, but its receipt: {fault}"
    return row


def fill(row: ProblemLine, answer: dict[str, Any], entry: Entry) -> None:
    """Put the grader's verdict into `row`."""
    row.correct, row.cases = int(answer.get("correct", 0)), int(answer.get("total", 0))
    row.score, row.points = answer.get("score"), answer.get("points", row.points)
    row.best = (answer.get("best") or {}).get("score", row.best)
    row.tries_left = answer.get("tries_left", row.tries_left)
    row.attempt, row.receipt = answer.get("id"), answer.get("receipt")
    if answer.get("assignment_score") is not None:
        row.totals = (
            answer["assignment_score"],
            answer.get("assignment_points"),
            answer.get("due_at"),
        )
    for case in answer.get("cases") or []:
        if case.get("correct"):
            continue
        index = case.get("index", 0)
        place = entry.places[index] if index < len(entry.places) else None
        # The hook's own words where it spoke: published labels are those of variant 0.
        own = entry.body["cases"][index]["label"] if index < len(entry.body["cases"]) else None
        row.failures.append(
            Failure(
                own or case.get("label") or f"case {index + 1}",
                case.get("kind") or "different",
                f"{place[0]}:{place[1]}" if place else "",
                case.get("submitted_shape"),
                case.get("expected_shape"),
                index + 1,
            )
        )
    if row.word != "ERR":
        right = row.cases > 0 and row.correct == row.cases
        row.word, row.exit = ("ok", Exit.OK) if right else ("FAIL", Exit.WRONG)


def sync(session: Session) -> list[tuple[Entry, ProblemLine]]:
    """Send what the outbox holds for this grader and account, oldest first; stop at a dead line."""
    done: list[tuple[Entry, ProblemLine]] = []
    waiting = session.outbox.entries(session.server)
    account = session.account() if waiting else ""
    for entry in waiting:
        if entry.account != account:
            continue
        row = deliver(session, entry, ProblemLine(entry.problem, "ok"))
        if row.message == "stale":
            row.message = (
                "the course has published a new version since; run "
                f"`mugrade submit {entry.assignment} {entry.problem}` again"
            )
        if row.word == "LIMIT":
            when = "later" if row.retry_after is None else f"in {in_words(row.retry_after)}"
            row.message = (
                f"There is no try left for now. It stays kept; run `mugrade sync` again {when}."
            )
        done.append((entry, row))
        if row.exit is Exit.NETWORK:
            break
    return done


def environment() -> dict[str, str]:
    """What the values were computed with; sent with an attempt, so that staff can explain differences."""
    import numpy

    return {
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "platform": f"{platform.system()}-{platform.machine()}",
    }


def _kept(session: Session, entry: Entry, row: ProblemLine, fault: NetworkFault) -> ProblemLine:
    """Into the outbox; where that cannot be written the attempt is lost, and the row says so."""
    row.word, row.exit, row.message = "KEPT", Exit.NETWORK, str(fault)
    entry.reason = str(fault)
    try:
        session.outbox.put(entry)
    except UsageFault as full:
        row.word, row.message = "ERR", f"Not sent and not kept: {full} Then submit again. {fault}"
    return row


def _problems(plan: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {problem["id"]: problem for problem in plan.get("problems") or []}


def _relative(file: str, folder: Path) -> str:
    try:
        return str(Path(file).resolve().relative_to(folder.resolve()))
    except ValueError:
        return file
