"""A program that is measured in a process of its own, and answers questions with a line of JSON each."""

import atexit
import contextlib
import json
import signal
import subprocess
import sys

import measure


class Side:
    """The asking side's end of it.

    Args:
        name: what a sentence calls it.
        command: its words; `how` are further arguments of `subprocess.Popen`.
    """

    def __init__(self, name, command, **how):
        self.name = name
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C ends the one that asks, and that one ends its sides
            **how,
        )
        atexit.register(self.process.kill)

    def answer(self, *question):
        """What it says on its next line, after this question to it.

        Raises:
            SystemExit: it has ended. Of a fault it has told itself; what ended it from outside is a
                sentence.
        """
        row = ""
        assert self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            for line in question:
                print(line, file=self.process.stdin, flush=True)
            row = self.process.stdout.readline()
        if row:
            return json.loads(row)
        status = self.process.wait()
        if status >= 0:
            raise SystemExit(status or f"{self.name} ended before it had answered")
        name = signal.Signals(-status).name
        memory = ": did it ask for more memory than there is?" if name == "SIGKILL" else ""
        raise SystemExit(f"{self.name} was ended by {name}{memory}")

    def end(self):
        self.process.communicate()


def listen():
    """Make this process a side: what else it prints, a student's own words too, goes to stderr."""
    measure.speak_plainly()
    sys.stdout = sys.stderr


def reply(value):
    print(json.dumps(value), file=sys.__stdout__, flush=True)
