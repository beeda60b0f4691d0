"""The command `mugrade`; `app.py` is its entry, `staff.py` and `submit.py` hold the commands."""

from mugrade.cli.app import main, run

__all__ = ["main", "run"]
