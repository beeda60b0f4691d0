"""pytest in processes that are ready before they are asked for, for `hw watch`.

Python's own fork server imports what tests need once, everything but the student's code; each run
is a fork of it and begins at once. Where there is no fork (Windows) a run starts from nothing.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

PRELOADED = (
    "pytest",
    "_pytest.assertion.rewrite",
    "_hypothesis_pytestplugin",
    "hypothesis.extra.numpy",
    "numdifftools",
    "course_testing",
    "coursekit.core.recorder",
    "coursekit.student.guard",
)
"""What tests import besides the student's library; what is not installed is left out."""


class Warm:
    """A `work.Runner` that can be stopped from another thread."""

    def __init__(self) -> None:
        self.context = None
        if "forkserver" in multiprocessing.get_all_start_methods():
            self.context = multiprocessing.get_context("forkserver")
            self.context.set_forkserver_preload(list(PRELOADED))
        self._running: multiprocessing.process.BaseProcess | subprocess.Popen[bytes] | None = None

    def __call__(self, folder: Path, arguments: list[str], env: dict[str, str]) -> int:
        """Run pytest in the folder; returns its status, or -15 when it was stopped."""
        if self.context is None:
            command = [sys.executable, "-m", "pytest", *arguments]
            started = self._running = subprocess.Popen(command, cwd=folder, env=env)
            status = started.wait()
            self._running = None
            return status
        process = self.context.Process(target=session, args=(folder, arguments, env), daemon=True)
        self._running = process
        process.start()
        process.join()
        self._running = None  # another process may get its number
        return process.exitcode or 0

    def apart(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What the function returns; it runs in a process that `stop` ends, with all that it starts.

        None when it was stopped, or where there is no fork.
        """
        if self.context is None:
            return None
        receiver, sender = self.context.Pipe(duplex=False)
        process = self.context.Process(target=_apart, args=(sender, function, *arguments))
        self._running = process
        process.start()
        sender.close()
        try:
            return receiver.recv()
        except EOFError:
            return None
        finally:
            process.join()
            self._running = None

    def stop(self) -> None:
        """End what runs, if anything does."""
        running = self._running
        if running is None or running.pid is None:
            return
        with contextlib.suppress(AttributeError, AssertionError, ProcessLookupError):
            running.terminate()
        with contextlib.suppress(AttributeError, ProcessLookupError, PermissionError):
            os.killpg(running.pid, signal.SIGTERM)  # of those that have a group of their own


def _apart(sender: Connection, function: Callable[..., Any], *arguments: Any) -> None:
    os.setsid()  # a group of its own: compilers end with it
    sender.send(function(*arguments))
    sender.close()


def session(folder: Path, arguments: list[str], env: dict[str, str]) -> None:
    """One session of pytest, as `python -m pytest` runs it in the folder; ends the process."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    sys.path.insert(0, str(folder))
    import pytest

    # Assertions of what was imported before are not rewritten, and need not be.
    status = pytest.main([*arguments, "-W", "ignore::pytest.PytestAssertRewriteWarning"])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(int(status))  # nothing is left to be torn down, and tearing down takes time
