"""The pytest plugin that runs submission hooks (`-p mugrade.plugin`).

Inert unless the environment variable MUGRADE_RUN names a plan (see `mugrade.plan`). Then each collected
`submit_<problem>` function runs once per variant of its problem, and one JSON line per run is
appended to the plan's `out` file, at once, so that a crash loses nothing that came before it.
The command that wrote the plan does the rest: no network and no key here.
"""

from __future__ import annotations

import bdb
import dataclasses
import faulthandler
import inspect
import json
import os
import pdb
import traceback
from collections.abc import Generator
from pathlib import Path
from types import FrameType
from typing import Any

import _pytest
import pytest

from mugrade.plan import Plan
from mugrade.recorder import Recording, recording

PREFIX = "submit_"
OWN_CODE = str(Path(__file__).parent)


def pytest_configure(config: pytest.Config) -> None:
    path = os.environ.get("MUGRADE_RUN")
    if path:
        plan = Plan(**json.loads(Path(path).read_text(encoding="utf-8")))
        config.pluginmanager.register(HookRunner(plan), "mugrade-hooks")


class HookRunner:
    """Runs the hooks of one plan and writes what they handed in."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        if plan.seconds:  # open as long as the process lives: it is written when that is ended
            self.stack = open(plan.stack, "w", encoding="utf-8")  # noqa: SIM115
        self.wait_for(plan.reading)

    def wait_for(self, seconds: float) -> None:
        """End the process after so many seconds, unless that is cancelled."""
        if seconds:
            faulthandler.dump_traceback_later(seconds, exit=True, file=self.stack)

    def write(self, **record: Any) -> None:
        with open(self.plan.out, "a", encoding="utf-8") as out:
            out.write(json.dumps(record) + "\n")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list) -> None:
        helpers = [item for item in items if _takes_arguments(item)]
        items[:] = [item for item in items if item not in helpers]
        found = sorted({name for item in items if (name := _problem(item))})
        if self.plan.only is not None:
            wanted = [item for item in items if _problem(item) in self.plan.only]
            config.hook.pytest_deselected(items=[i for i in items if i not in wanted])
            items[:] = wanted
        self.write(event="collected", hooks=found, selected=[_problem(item) for item in items])
        faulthandler.cancel_dump_traceback_later()

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """A module that ends the program when it is imported cannot be loaded, and no more."""
        try:
            return (yield)
        except SystemExit as error:
            place = "".join(
                "E {file}:{line}: {text}\n".format(**f) for f in short_trace(error)[-1:]
            )
            said = f"{place}E {type(error).__name__}: {error}"
            return pytest.CollectReport(collector.nodeid, "failed", said, [])

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.write(event="broken", file=report.nodeid, message=report.longreprtext[-4000:])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Skips by mark and broken fixtures never reach the hook's body."""
        if report.when != "setup" or report.passed:
            return
        problem = report.nodeid.split("::")[-1].split("[")[0].removeprefix(PREFIX)
        outcome = "skipped" if report.skipped else "exception"
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
        self.write(
            event="result",
            problem=problem,
            outcome=outcome,
            message=_skip_reason(reason),
            variant=0,
            seed=0,
            cases=[],
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        problem = _problem(pyfuncitem)
        if problem is None:
            return None
        for variant, seed in self.plan.pairs(problem):
            self.run(problem, variant, seed, pyfuncitem.obj)
        return True

    def run(self, problem: str, variant: int, seed: int, hook: Any) -> None:
        self.write(event="started", problem=problem, variant=variant, seed=seed)
        target = Recording(seed, self.watch if self.plan.case is not None else None)
        result: dict[str, Any] = {"outcome": "ok"}
        self.wait_for(self.plan.seconds)
        try:
            with recording(target):
                if self.plan.debug and self.plan.case == 1:
                    debugger().runcall(hook)
                else:
                    hook()
        except pytest.skip.Exception as skip:
            result = {"outcome": "skipped", "message": str(skip)}
            raise
        except NotImplementedError as error:
            result = {"outcome": "not_written", "message": str(error), "trace": short_trace(error)}
            raise
        except bdb.BdbQuit:
            result = {"outcome": "exception", "message": "left in the debugger"}
            raise
        except BaseException as error:
            text = "".join(traceback.format_exception_only(error)).strip()
            result = {"outcome": "exception", "message": text, "trace": short_trace(error)}
            raise
        finally:
            faulthandler.cancel_dump_traceback_later()
            cases = [dataclasses.asdict(case) for case in target.cases]
            self.write(
                event="result", problem=problem, variant=variant, seed=seed, cases=cases, **result
            )

    def watch(self, index: int, value: Any, label: str, frame: FrameType) -> None:
        """`mugrade run --case N`: show that case; with --pdb, stop where it begins, which is where
        the case before it was handed in, so that its computation can be stepped through."""
        number = index + 1
        if number == self.plan.case:
            place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
            print(f"\ncase {number} ({label}), {place}\n{value!r}")
        elif self.plan.debug and number + 1 == self.plan.case:
            debugger().set_trace(frame)


def debugger() -> pdb.Pdb:
    """A debugger that does not stop inside this package."""
    return pdb.Pdb(skip=["mugrade", "mugrade.*"])


def _problem(item: Any) -> str | None:
    name = getattr(item, "originalname", None) or ""
    return name.removeprefix(PREFIX) if name.startswith(PREFIX) else None


def _takes_arguments(item: Any) -> bool:
    """A hook is called without arguments; what wants some is a helper that hooks share."""
    if _problem(item) is None:
        return False
    parameters = inspect.signature(item.obj).parameters.values()
    return any(parameter.default is parameter.empty for parameter in parameters)


def _skip_reason(text: str) -> str:
    return str(text).removeprefix("Skipped: ").strip()[-4000:]


def short_trace(error: BaseException, limit: int = 6) -> list[dict[str, Any]]:
    """The last frames of the way into the student's code, without Python's, pytest's and our own."""
    hidden = (
        "<frozen",
        OWN_CODE,
        str(Path(pytest.__file__).parent),
        str(Path(_pytest.__file__).parent),
    )
    frames = [
        {"file": f.filename, "line": f.lineno, "function": f.name, "text": f.line or ""}
        for f in traceback.extract_tb(error.__traceback__)
        if not f.filename.startswith(hidden)
    ]
    return frames[-limit:]
