"""A test whose process died, or that did not end: how long one may take, and the sentence about it."""

from __future__ import annotations

import linecache
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

from coursekit.core.errors import CourseError
from coursekit.core.run import PATIENCE

_SIGNALS = {
    "SIGSEGV": "it touched memory that is not its own",
    "SIGBUS": "it touched memory that is not its own",
    "SIGABRT": "something gave up, most often memory that was damaged by a write past an array's end",
    "SIGFPE": "it divided an integer by zero",
    "SIGILL": "it came to no instruction: does every path of the function end in a return?",
    "SIGKILL": "the system ended it: did it ask for more memory than there is?",
}


def patience() -> float:
    """Seconds that one test may take.

    Raises:
        CourseError: the variable holds no number.
    """
    text = os.environ.get(PATIENCE, "120")
    try:
        return max(0.0, float(text))
    except ValueError:
        raise CourseError(f"{PATIENCE} is {text!r}; expected a number of seconds") from None


def reading() -> float:
    """Seconds that reading the tests may take."""
    return max(10.0, patience())


def death(status: int) -> str:
    """How a process of this exit status died."""
    if status >= 0:
        return f"it ended Python with status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"{name}: {_SIGNALS[name]}" if name in _SIGNALS else name


def caller(stack: str, tree: Path) -> str:
    """The innermost line of the homework's own Python in what faulthandler wrote; "" if none."""
    for path, line in _own_lines(stack, tree):
        text = linecache.getline(str(path), line).strip()
        return f", called by `{text}` ({path.name}:{line})"
    return ""


def place_in(stack: str, tree: Path, name: str) -> str:
    """The same as file:line; the tree is told by its name."""
    for path, line in _own_lines(stack, tree):
        return f"{name}/{path.relative_to(tree).as_posix()}:{line}"
    return ""


def _own_lines(stack: str, tree: Path) -> Iterator[tuple[Path, int]]:
    for file, line in re.findall(r'File "(.*?)", line (\d+) in', stack):
        path = Path(file)
        if tree in path.parents and "tests" not in path.relative_to(tree).parts:
            yield path, int(line)


def advised(problems: list[str]) -> str:
    """The command that says more of a crash in C++."""
    return f"; hw test --checked {problems[0]} names the line" if problems else ""


def sentence_of(
    test: str, status: int | None, in_time: bool, limit: float, where: str, advice: str
) -> str:
    """What is said of a test whose process died, or that did not end."""
    if not in_time:
        return f"{test} did not end within {limit:g} s ({PATIENCE}){where}: does a loop never end?"
    return f"the code under test crashed in {test}{where}: {death(status or 0)}{advice}"
