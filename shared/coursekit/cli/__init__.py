"""The `hw` command."""

import sys


def _without_traceback(kind, value, traceback) -> None:
    """Ctrl-C while the rest is imported is no fault of anybody's."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, value, traceback)


sys.excepthook = _without_traceback

from coursekit.cli.app import main  # noqa: E402

__all__ = ["main"]
