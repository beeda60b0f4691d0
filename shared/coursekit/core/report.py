"""What became of tests, and what a session is asked to do: what `hw` knows of pytest without importing it."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coursekit.core.tree import YOURS

VARIABLE = "COURSEKIT_RUN"
STUB = re.compile(rf"([\w-]+/\w+): (.*) {YOURS}( or not)?")
"""What a stub says: the problem, the words about it, and whether somebody must write it."""


@dataclass
class Outcome:
    """What became of one test; `error` is `ExceptionType: message` of its first failure."""

    test: str
    problems: list[str]
    outcome: str = "not run"
    error: str = ""
    seconds: float = 0.0


@dataclass
class Report:
    """What a run of pytest found."""

    status: int | None = None
    tests: list[Outcome] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    """Files that could not be collected, with the reason."""
    timed_out: bool = False
    crashed: str = ""
    values: dict[str, list[Any]] = field(default_factory=dict)
    """Problem -> what its submission hook handed in; only where that was asked for."""
    unread: dict[str, str] = field(default_factory=dict)
    """file:line that keeps files of tests from being read -> what is wrong there."""
    said: list[str] = field(default_factory=list)
    """What a checked build says of the tests that failed, each fault once."""

    def of(self, problem: str) -> list[Outcome]:
        return [test for test in self.tests if problem in test.problems]

    def stopped(self, problem: str) -> tuple[str, int]:
        """At which stub the problem's tests stop, in the stub's own words, and how many fail
        otherwise; of several stubs one of its own, "" for none."""
        failed = [test.error for test in self.of(problem) if test.outcome == "failed"]
        found = [STUB.match(error.removeprefix("NotImplementedError: ")) for error in failed]
        stubs = [match[0] for match in found if match]
        own = [words for words in stubs if words.startswith(f"{problem}: ")]
        return next(iter(own or stubs), ""), len(failed) - len(stubs)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Report:
        return cls(**{**data, "tests": [Outcome(**row) for row in data["tests"]]})


def tell(wishes: dict[str, Any], folder: Path) -> dict[str, str]:
    """The variable by which a session finds its wishes, which are kept in a file of the folder."""
    file = folder / "wishes.json"  # a variable has room for 128 KiB only
    file.write_text(json.dumps(wishes), encoding="utf-8")
    return {VARIABLE: str(file)}


def asked() -> dict[str, Any]:
    """The wishes; {} where there are none."""
    file = os.environ.get(VARIABLE)
    return json.loads(Path(file).read_text(encoding="utf-8")) if file else {}
