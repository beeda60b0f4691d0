"""The one exception that reaches the user as a sentence instead of a traceback."""

from __future__ import annotations

from pathlib import Path


class CourseError(Exception):
    """Bad input: shown as one sentence, ends the command with status 2.

    Args:
        message: what was given, what was expected, what to do.
        path: the file at fault, relative to the course's root where possible.
        line: its line, counted from 1.
    """

    def __init__(self, message: str, path: Path | str | None = None, line: int | None = None):
        self.message, self.path, self.line = message, path, line
        place = "" if path is None else f"{path}:{line}: " if line is not None else f"{path}: "
        super().__init__(place + message)
