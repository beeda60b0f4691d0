"""The `hw` command."""

import sys


def main() -> None:
    """Load the command and run it; Ctrl-C, while it loads too, is no fault of anybody's."""
    try:
        from coursekit.cli import app  # slow to load

        app.main()
    except KeyboardInterrupt:
        sys.exit(130)


__all__ = ["main"]
