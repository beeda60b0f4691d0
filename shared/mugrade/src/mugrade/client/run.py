"""Running submission hooks: pytest in a process of its own, results read from a file.

The hooks run student code, which may print, crash the interpreter or change the directory; a
separate process keeps all that away from the key and the network, and a crash in compiled code
becomes a result like any other.
"""

from __future__ import annotations

import dataclasses
import json
import linecache
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mugrade.client.errors import UsageFault
from mugrade.plan import Plan

PACKAGE_PARENT = str(Path(__file__).parent.parent)
HOOK_FLAGS = [
    "-p",
    "mugrade.plugin",
    "-o",
    "python_functions=submit_*",
    "-o",
    "python_classes=",
    "-p",
    "no:randomly",
    "-p",
    "no:xdist",
    "-p",
    "no:cacheprovider",
]
PYTEST_USAGE_ERROR = 4
PATIENCE = "MUGRADE_HOOK_SECONDS"
"""The environment variable that says how long one hook may take; 0: as long as it likes."""
LEAST = 10.0
"""Seconds that reading the tests, and a hook after an endless one, may take where a hook may."""
QUIET_FLAGS = ["-q", "--no-header", "--no-summary", "--tb=no"]
DEBUGGED = {"--pdb", "--trace"}
SHOWN = ("-s", "-v", "-vv", "--pdb", "--capture=no", "--trace")


@dataclass
class HookResult:
    """What one hook handed in for one variant.

    `outcome` is ok, not_written, exception, crash or skipped; `cases` holds the encoded cases up to
    where it stopped, as `recorder.Case` fields.
    """

    problem: str
    variant: int
    seed: int
    outcome: str
    cases: list[dict[str, Any]]
    message: str = ""
    trace: list[dict[str, Any]] = field(default_factory=list)

    @property
    def error(self) -> dict[str, str] | None:
        """The attempt's `error` field."""
        if self.outcome == "ok":
            return None
        return {"kind": self.outcome, "message": self.message[:2000]}


def patience() -> float:
    """Seconds that one hook may take."""
    text = os.environ.get(PATIENCE, "120")
    try:
        return max(0.0, float(text))
    except ValueError:
        raise UsageFault(f"{PATIENCE} is {text!r}; expected a number of seconds.") from None


def run_hooks(
    plan: Plan,
    folder: Path,
    *,
    select: str | None = None,
    flags: Sequence[str] = (),
    environment: dict[str, str] | None = None,
    seconds: float | None = None,
) -> list[HookResult]:
    """Run the hooks that `plan` and the `-k` expression `select` choose, in `folder`.

    A hook that takes the process down, or does not end, costs itself: the others run in a new one,
    after an endless one with a quarter of its time, for the next endless loop is most often the same.

    Args:
        seconds: how long one hook may take, unless a person debugs it; None: see PATIENCE.

    Raises:
        UsageFault: no hook matches, or (code `broken`) the tests could not be collected.
    """
    if not folder.is_dir():
        raise UsageFault(f"There is no folder {folder}; name a homework's tree.")
    limit = patience() if seconds is None else seconds
    if limit and not DEBUGGED & set(flags):  # a person takes longer
        plan = dataclasses.replace(plan, seconds=limit, reading=max(LEAST, limit))
    results: list[HookResult] = []
    while True:
        found, left, late = _run_once(plan, folder, select, flags, environment)
        results += found
        if not left:
            return results
        seconds = max(min(LEAST, limit), limit / 4) if late else plan.seconds
        plan = dataclasses.replace(plan, only=left, seconds=seconds)


def _run_once(
    plan: Plan,
    folder: Path,
    select: str | None,
    flags: Sequence[str],
    environment: dict[str, str] | None,
) -> tuple[list[HookResult], list[str], bool]:
    """One process: what its hooks handed in, which it did not come to, for it died before, and
    whether it died of taking too long."""
    with tempfile.TemporaryDirectory(prefix="mugrade-") as scratch:
        plan = dataclasses.replace(plan, out=str(Path(scratch, "results.jsonl")))
        plan_file = Path(scratch, "plan.json")
        plan.save(plan_file)
        command = _command(select, flags)
        settings = _environment(plan_file, environment, plugins=False)
        outcome = _start(command, folder, settings)
        if outcome[0] == PYTEST_USAGE_ERROR and not Path(plan.out).exists():
            # An option in the homework's own pytest settings may belong to a plugin.
            settings = _environment(plan_file, environment, plugins=True)
            outcome = _start(command, folder, settings)
        return _read_results(plan, *outcome, folder, select)


def _command(select: str | None, flags: Sequence[str]) -> list[str]:
    quiet = [] if any(flag in SHOWN for flag in flags) else QUIET_FLAGS
    chosen = ["-k", select] if select else []
    return [sys.executable, "-m", "pytest", *HOOK_FLAGS, *quiet, *chosen, *flags]


def _start(command: list[str], folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    """Run to the end; the output is kept unless it is meant for the person at the terminal."""
    kept = None if any(flag in SHOWN for flag in command) else subprocess.PIPE
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        check=False,
        stdout=kept,
        stderr=subprocess.STDOUT if kept else None,
    )
    return done.returncode, (done.stdout or b"").decode("utf-8", "replace")


def _environment(plan_file: Path, extra: dict[str, str] | None, plugins: bool) -> dict[str, str]:
    """The caller's environment without the key, with the plan, and able to import this package.

    Other pytest plugins stay out unless asked for: hooks need none, and some shuffle or reseed.
    """
    out = {name: value for name, value in os.environ.items() if name != "MUGRADE_KEY"}
    paths = [path for path in out.get("PYTHONPATH", "").split(os.pathsep) if path]
    if PACKAGE_PARENT not in paths and not PACKAGE_PARENT.endswith("site-packages"):
        paths.append(PACKAGE_PARENT)
    out |= {"PYTHONPATH": os.pathsep.join(paths)} if paths else {}
    out |= {} if plugins else {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return {**out, **(extra or {}), "MUGRADE_RUN": str(plan_file)}


def _read_results(
    plan: Plan, status: int, output: str, folder: Path, select: str | None
) -> tuple[list[HookResult], list[str], bool]:
    out, events = Path(plan.out), []
    if out.exists():
        lines = out.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        events = [json.loads(line) for line in lines if line.endswith("\n")]  # the last may be cut
    by_event: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        by_event.setdefault(event.pop("event"), []).append(event)
    if "broken" in by_event:
        raise UsageFault(_broken_sentence(by_event["broken"][0]), code="broken")
    late, trace = _where_it_was(plan.stack, folder)
    results = [HookResult(**event) for event in by_event.get("result", [])]
    crashed = by_event.get("started", [])[-1:]
    if crashed and not any(_same_run(result, crashed[0]) for result in results):
        said = _too_long("the hook", plan.seconds) if late else _crash_sentence(status)
        results.append(
            HookResult(**crashed[0], outcome="crash", cases=[], message=said, trace=trace)
        )
        done = {result.problem for result in results}
        left = [name for name in by_event["collected"][-1]["selected"] if name not in done]
        return results, left, late
    if not results and late and not by_event:
        place = "".join("\n  {file}:{line}: {text}".format(**frame) for frame in trace[-1:])
        raise UsageFault(f"{_too_long('reading the tests', plan.reading)}{place}", code="broken")
    if not results:
        raise UsageFault(_nothing_ran(by_event, status, output, folder, select))
    return results, [], False


def _where_it_was(stack: Path, folder: Path) -> tuple[bool, list[dict[str, Any]]]:
    """Was the process ended for taking too long, and the innermost line of the homework's own code
    that it was at."""
    text = stack.read_text(encoding="utf-8", errors="replace") if stack.is_file() else ""
    for file, line, function in re.findall(r'File "(.*?)", line (\d+) in (\S+)', text):
        path, number = Path(file), int(line)
        if path.is_relative_to(folder.resolve()) and "tests" not in path.parts:
            row = linecache.getline(file, number).strip()
            return True, [{"file": str(path), "line": number, "function": function, "text": row}]
    return bool(text), []


def _too_long(what: str, seconds: float) -> str:
    return f"{what} did not end within {seconds:g} s ({PATIENCE}): does a loop never end?"


def _same_run(result: HookResult, started: dict[str, Any]) -> bool:
    return (result.problem, result.variant) == (started["problem"], started["variant"])


def _crash_sentence(status: int) -> str:
    if status < 0:
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        return f"Python was killed by {name} while the hook ran: an error in compiled code, or too little memory"
    return f"Python left with status {status} while the hook ran"


def _broken_sentence(report: dict[str, Any]) -> str:
    lines = [line for line in report["message"].splitlines() if line.startswith("E ")] or report[
        "message"
    ].splitlines()
    shown = "\n".join("  " + line.removeprefix("E ").strip() for line in lines[-6:])
    return f"{report['file'] or 'The tests'} could not be loaded, so nothing was submitted. Mend this first:\n{shown}"


def _nothing_ran(
    by_event: dict[str, list[dict[str, Any]]],
    status: int,
    output: str,
    folder: Path,
    select: str | None,
) -> str:
    collected = by_event.get("collected", [])
    hooks = collected[-1]["hooks"] if collected else []
    if collected and hooks:
        wanted = f"matches -k {select!r}" if select else "has that name"
        return f"No submission hook {wanted}; the hooks here are: {', '.join(hooks)}."
    if collected or status == 5:
        return (
            f"There is no submission hook (a function submit_... in a test file) under {folder}; run this inside "
            "the homework's folder, or name the homework: `mugrade submit hw0`."
        )
    tail = "\n".join("  " + line for line in output.strip().splitlines()[-8:])
    return f"pytest stopped before any hook ran (status {status}):\n{tail}"
