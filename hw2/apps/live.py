"""One line of a terminal that is written over while a program works."""

import os
import sys
import time


class Line:
    """`show` writes over what it showed before, `say` stays.

    What is no terminal, and a screen reader (HW_PLAIN=1), gets only what stays.

    Args:
        quiet: show nothing.
        seconds: between two texts that are shown; those that come sooner are left out.
    """

    def __init__(self, quiet=False, seconds=0.2):
        plain = os.environ.get("HW_PLAIN") or os.environ.get("TERM") == "dumb"
        self.live = sys.stdout.isatty() and not plain and not quiet
        self.seconds, self.shown, self.width = seconds, 0.0, 0

    def show(self, text):
        now = time.monotonic()
        if self.live and now - self.shown >= self.seconds:
            print(f"\r{text:<{self.width}}", end="", flush=True)
            self.shown, self.width = now, len(text)

    def say(self, text):
        clear = f"\r{'':<{self.width}}\r" if self.width else ""
        print(f"{clear}{text}", flush=True)
        self.width = 0
