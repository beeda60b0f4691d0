"""The `hw` command."""

from coursekit.cli.app import main

__all__ = ["main"]
