"""Processes for hooks that need not import pytest and NumPy: forks of one that has.

To import takes several times what the tests' small hooks do, and the client starts hundreds of them.
A fork gets the arguments, folder, environment, import path and random state that a new process
would have. test_hooks.py starts new ones.
"""

from __future__ import annotations

import json
import os
import random
import runpy
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

READ_AT_START = ("PYTHON", "OMP_", "OPENBLAS_", "MKL_", "LD_")
"""Beginnings of the variables that are read before or during an import."""


class Nursery:
    """The process that has imported, and what it is asked."""

    def __init__(self) -> None:
        command = [sys.executable, __file__]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        env = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # a fork would have no others
        self.process = subprocess.Popen(command, text=True, env=env, **pipes)
        self.turn = threading.Lock()

    def start(self, command: list[str], folder: Path, environment: dict[str, str]) -> Any:
        """In place of `mugrade.client.run._start`, for commands whose output is kept."""
        with tempfile.TemporaryFile() as out:
            words = {
                "argv": command[command.index("-m") + 1 :],
                "folder": str(folder),
                "environment": environment,
                "out": f"/proc/{os.getpid()}/fd/{out.fileno()}",
            }
            with self.turn:
                print(json.dumps(words), file=self.process.stdin, flush=True)
                status = int(self.process.stdout.readline())
            out.seek(0)
            return status, out.read().decode("utf-8", "replace")

    def close(self) -> None:
        self.process.communicate()


def can_be_forked(environment: dict[str, str]) -> bool:
    """Would a new process begin as this one did, but for PYTHONPATH, which a fork gets too?"""
    early = lambda env: {
        name: value
        for name, value in env.items()
        if name.startswith(READ_AT_START) and name != "PYTHONPATH"
    }
    return sys.platform == "linux" and early(environment) == early(os.environ)


def become(words: dict[str, Any], path: list[str]) -> None:
    """What the fork does: to run as `python -m argv[0] ...` would in a new process."""
    import numpy as np

    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    out = os.open(words["out"], os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(out, stream)
    os.close(out)
    os.chdir(words["folder"])
    os.environ.clear()
    os.environ.update(words["environment"])
    given = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    sys.path[:] = [os.getcwd(), *given, *path]
    random.seed()
    np.random.seed()
    sys.argv = words["argv"]
    runpy.run_module(words["argv"][0], run_name="__main__", alter_sys=True)


def main() -> None:
    import mugrade.recorder  # noqa: F401
    import pytest  # noqa: F401

    ours = {str(Path(__file__).parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)}
    path = [part for part in sys.path if part not in ours]
    for line in sys.stdin:
        child = os.fork()
        if not child:
            return become(json.loads(line), path)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
