"""Options and small helpers that several commands share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from mugrade.cli.display import Screen
from mugrade.client.errors import UsageFault
from mugrade.client.keys import is_placeholder

Server = Annotated[
    str | None, typer.Option("--server", help="The grader's address (default: the last login's).")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Select = Annotated[
    str | None, typer.Option("-k", metavar="EXPR", help="Choose hooks as pytest -k does.")
]
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}

_HOMEWORK = re.compile(r"^[a-z]{1,12}[-_]?\d{1,3}([-_][a-z0-9]+)*$")


def screen(as_json: bool = False) -> Screen:
    return Screen(as_json)


def split_words(words: list[str]) -> tuple[str | None, str | None, list[str], list[str]]:
    """Tell `KEY hw0 [flags]` from `hw0 [problem...] [flags]`.

    Returns:
        key, assignment, problem names, and what goes to pytest.
    """
    cut = next((i for i, word in enumerate(words) if word.startswith("-")), len(words))
    plain, flags = words[:cut], words[cut:]
    if not plain:
        return None, None, [], flags
    if looks_like_key(plain):
        if len(plain) < 2:
            raise UsageFault(
                "A key was given but no homework; the form is `mugrade submit KEY hw0 -k softmax`, or, after "
                "`mugrade login`, just `mugrade submit hw0`."
            )
        return plain[0], plain[1], [], plain[2:] + flags
    return None, plain[0], plain[1:], flags


def looks_like_key(plain: list[str]) -> bool:
    """The first word is a key when it says so, or when only the second looks like a homework."""
    first = plain[0]
    if first.startswith("mug_") or is_placeholder(first):
        return True
    second = plain[1] if len(plain) > 1 else ""
    return bool(_HOMEWORK.match(second)) and not _HOMEWORK.match(first)


def homework_folder(assignment: str | None, start: Path | None = None) -> tuple[str, Path]:
    """The assignment's name and the folder to run its hooks in.

    `hw0` means the folder `hw0` here or beside, when there is one, else the current folder; without
    a name, the current folder's name is the assignment's.
    """
    here = (start or Path.cwd()).resolve()
    if assignment is None:
        if not (here / "tests").is_dir():
            raise UsageFault(
                f"There is no folder tests in {here}, so this is no homework; name one: `mugrade submit hw0`."
            )
        return here.name, here
    if here.name != assignment:
        for candidate in (here / assignment, here.parent / assignment):
            if candidate.is_dir() and (candidate.parent == here or not (here / "tests").is_dir()):
                return assignment, candidate
    return assignment, here
