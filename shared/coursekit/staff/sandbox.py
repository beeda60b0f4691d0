"""Running a homework's tests in a forked child, in a folder that is reused from run to run.

Importing NumPy, SciPy and pytest costs more than most of a problem's tests. The parent imports
them once; each run is a fork of it (on systems without fork, a fresh process). A folder (`Slot`)
keeps its compiled objects, so that a run recompiles only what its sources changed.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import multiprocessing
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from coursekit.core import kept_builds
from coursekit.core.problems import Problem
from coursekit.core.recorder import Recorder
from coursekit.core.report import Report
from coursekit.core.syllabus import Homework
from coursekit.core.tree import Files

PRELOADED = (
    "hypothesis.extra.numpy",
    "numdifftools",
    "scipy.stats",
    "course_testing.slips",
    "course_testing.diagnoses",
    "mugrade.draws",
    "coursekit.staff.hooks",
    "xml.etree.ElementTree",
)
"""What tests import besides pytest and the library under test; what is not installed is left out."""
_UNUSED = "cacheprovider randomly doctest junitxml legacypath logging pastebin setuponly setupplan stepwise"
"""Plugins that no problem's test asks for; every session would look for fixtures in each of them."""
_QUIET = ["-q", "--no-header", "--tb=no", *(f"-pno:{name}" for name in _UNUSED.split())]


@dataclass
class Run:
    """One tree to build and the problems whose tests run in it."""

    label: str
    homework: Homework
    tree: Files
    problems: list[Problem]
    timeout: float
    stop_at_first: bool = False
    values: bool = False
    """Run the problems' submission hooks too."""


def warm_up() -> None:
    """Import what every test session imports, once, before the forks."""
    # Of cuda()'s three builds the proof runs one; nvcc and the checked build take most of the time.
    os.environ.setdefault("NEEDLE_CMAKE_ARGS", "-DNEEDLE_CUDA_BUILDS=emulated")
    # The working folders lie elsewhere; what is given is this course's, not another that is installed.
    os.environ.setdefault("NEEDLE_SHARED", str(Path(__file__).resolve().parents[2]))
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # the runs themselves are what goes in parallel
    from _pytest.config import default_plugins

    for name in (*PRELOADED, *(f"_pytest.{plugin}" for plugin in default_plugins)):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def run_all(
    runs: Iterable[Run], folder: Path, data: Callable[[Path], None], jobs: int
) -> Iterator[tuple[Run, Report]]:
    """Do the runs, `jobs` at a time, and yield each with its report as it ends.

    Args:
        folder: an empty or reused working folder.
        data: called with each new tree, puts data/ into it.
    """
    forks = "fork" in multiprocessing.get_all_start_methods()
    context: Any = multiprocessing.get_context("fork" if forks else "spawn")
    queue = list(runs)[::-1]
    _parse_tests(queue)
    gc.freeze()  # pytest collects garbage many times as it ends; what is shared is none
    free = list(range(jobs))
    active: dict[Any, tuple] = {}
    try:
        while queue or active:
            while queue and free:
                run, slot = queue.pop(), free.pop()
                place = folder / f"slot{slot}" / run.homework.id
                if not place.is_dir():
                    place.mkdir(parents=True)
                    data(place)
                receiver, sender = context.Pipe(duplex=False)
                child = context.Process(target=_child, args=(run, place, sender), daemon=True)
                child.start()
                sender.close()
                active[receiver] = (run, slot, child, time.monotonic() + run.timeout)
            patience = max(0.0, min(entry[3] for entry in active.values()) - time.monotonic())
            ready = wait(list(active), timeout=patience)
            late = [c for c in active if c not in ready and active[c][3] <= time.monotonic()]
            for receiver in [*ready, *late]:
                run, slot, child, _ = active.pop(receiver)
                yield run, _collect(receiver, child, receiver in late)
                free.append(slot)
    finally:
        for _, _, child, _ in active.values():
            _kill(child)


def _parse_tests(runs: list[Run]) -> None:
    """Once, before the forks: each session asks which names its tests take from the library."""
    from course_testing.names import parsed  # NumPy comes with it, which `hw` itself does without

    trees = [run.tree.items() for run in runs]
    tests = {text for files in trees for name, text in files if re.match(r"tests/.*\.py$", name)}
    for text in tests:
        with contextlib.suppress(SyntaxError, ValueError):  # the session says it better
            parsed(text.decode("utf-8"))


def _collect(receiver, child, is_late: bool) -> Report:
    if is_late:
        _kill(child)
        return Report(timed_out=True)
    try:
        answer = receiver.recv()
        report = Report.from_dict(answer)
    except EOFError:
        child.join(5)
        code = child.exitcode
        reason = f"signal {-code}" if code is not None and code < 0 else f"status {code}"
        report = Report(crashed=f"the test process died ({reason})")
    child.join(5)
    _kill(child)
    return report


def _kill(child) -> None:
    """End the run with everything it started."""
    if hasattr(os, "killpg") and child.pid is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getpgid(child.pid) != os.getpgid(0):
                os.killpg(child.pid, signal.SIGKILL)
    if child.is_alive():
        child.kill()
    child.join()


def _child(run: Run, place: Path, sender) -> None:
    if hasattr(os, "setsid"):
        os.setsid()
    with open(place.parent / f"{run.homework.id}.log", "w", encoding="utf-8") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        try:
            sync(run.tree, place)
            os.environ.update(run.homework.env)
            if any(problem.build for problem in run.problems):
                kept_builds.build_tree(place, run.homework)
            report = asdict(run_tests(run, place))
        except Exception as error:
            report = asdict(Report(crashed=f"{type(error).__name__}: {error}"))
        sender.send(report)
        sender.close()
    os._exit(0)


def run_tests(run: Run, place: Path) -> Report:
    """pytest in this process, from inside the tree, on the problems' tests only."""
    import pytest

    from coursekit.staff import hooks

    os.chdir(place)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os.environ.pop("PYTHONPATH", None)  # subprocesses of tests shall see the tree and no more
    sys.path[:] = [str(place), *(p for p in sys.path if p not in ("", os.getcwd()))]
    _calm_hypothesis()
    recorder = Recorder([(p.id, p.tests, p.select) for p in run.problems], place)
    files = sorted({p.tests for p in run.problems if (place / p.tests).is_file()})
    flags = ["-x"] if run.stop_at_first else []
    words = [*_QUIET, *flags, "--rootdir", str(place), *files]
    if not run.values:
        recorder.report.status = int(pytest.main(words, plugins=[recorder]))
        return recorder.report
    with tempfile.TemporaryDirectory(prefix="needle-values-") as folder:
        handed = hooks.Hooks(run.homework.id, run.problems, Path(folder, "out"))
        status = pytest.main([*hooks.FLAGS, *words], plugins=[recorder, handed])
        return replace(recorder.report, status=int(status), values=handed.values())


def _calm_hypothesis() -> None:
    """The same examples every time, and no search for the smallest: any failure will do."""
    try:
        from hypothesis import HealthCheck, Phase, settings
    except ImportError:
        return
    settings.register_profile(
        "prove",
        derandomize=True,
        database=None,
        deadline=None,
        print_blob=False,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    settings.load_profile("prove")


def sync(tree: Files, place: Path) -> None:
    """Make the folder hold exactly the tree; data, compiled files and unchanged files stay."""
    keep = {"data", "build"}
    for path in sorted(place.rglob("*"), reverse=True):
        inside = path.relative_to(place)
        if inside.parts[0] in keep or "__pycache__" in inside.parts or path.is_dir():
            continue
        if inside.as_posix() not in tree and path.suffix not in (".so", ".pyd", ".dylib"):
            _forget(path)
            path.unlink()
    for name, content in tree.items():
        path = place / name
        if path.is_file() and path.read_bytes() == content:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        _forget(path)


def _forget(path: Path) -> None:
    """Delete a module's bytecode: two versions of one second and size would look the same."""
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        compiled.unlink()
