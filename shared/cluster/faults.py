"""What goes wrong between ranks; each message names ranks, files and lines."""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path
from types import FrameType, TracebackType

_PACKAGE = str(Path(__file__).resolve().parent)


class ClusterError(RuntimeError):
    """The ranks' programs do not fit together."""


class Deadlock(ClusterError):
    """Every rank that has not ended waits for another."""


class LateWrite(ClusterError):
    """An array was changed after its sending had begun and before that was waited for."""


class MismatchedCollective(ClusterError):
    """Ranks entered different collectives, or one with arrays that do not fit."""


class NeverReceived(ClusterError):
    """A message was sent, and its receiver ended without it."""


class NeverWaited(ClusterError):
    """A rank ended without waiting for a request of its own."""


class RankFailed(ClusterError):
    """One rank's program raised an error, which is this one's cause."""


def where() -> str:
    """file:line of the innermost caller outside of this package."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and os.path.dirname(frame.f_code.co_filename) == _PACKAGE:
        frame = frame.f_back
    if frame is None:
        return "?"
    return _place(frame.f_code.co_filename, frame.f_lineno, os.getcwd())


def where_raised(traceback: TracebackType | None) -> str:
    """file:line of the innermost line outside of this package that an error came through."""
    found = "?"
    while traceback is not None:
        name = traceback.tb_frame.f_code.co_filename
        if os.path.dirname(name) != _PACKAGE:
            found = _place(name, traceback.tb_lineno, os.getcwd())
        traceback = traceback.tb_next
    return found


@functools.lru_cache(maxsize=4096)
def _place(name: str, line: int, folder: str) -> str:
    """Relative to the folder where the file lies in it."""
    path = Path(name)
    try:
        return f"{path.relative_to(folder).as_posix()}:{line}"
    except ValueError:
        return f"{path.name}:{line}"
