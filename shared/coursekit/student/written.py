"""The regions of a student's file: which are stubs still, and written ones put over stubs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from coursekit.core.tree import YOURS, Files

_REGION = re.compile(
    rb"^[^\n]*BEGIN YOUR SOLUTION (?P<problem>[\w-]+/\w+)\b(?:(?!BEGIN YOUR SOLUTION).)*?"
    rb"END YOUR SOLUTION[^\n]*$",
    re.M | re.S,
)
Key = tuple[str, int]
"""(problem, number): the number-th region of that problem in a file."""


def regions(content: bytes) -> Iterator[tuple[Key, re.Match[bytes]]]:
    """Every region that has both its marks, in order."""
    count: dict[str, int] = {}
    for found in _REGION.finditer(content):
        problem = found["problem"].decode()
        yield (problem, count.setdefault(problem, 0)), found
        count[problem] += 1


def is_stub(region: bytes, problem: str) -> bool:
    return re.search(rf"\b{re.escape(problem)}: .*{YOURS}".encode(), region) is not None


def written(content: bytes) -> set[Key]:
    """The regions that are not stubs."""
    return {key for key, found in regions(content) if not is_stub(found[0], key[0])}


def fill_stubs(content: bytes, source: bytes, but: str = "") -> bytes:
    """`content` with each stub replaced by the same region of `source`, where that is written.

    Args:
        but: a homework whose problems stay as they are.
    """
    mine = {
        key: found[0]
        for key, found in regions(source)
        if not is_stub(found[0], key[0]) and key[0].split("/")[0] != but
    }
    keys = iter([key for key, _ in regions(content)])

    def filled(found: re.Match[bytes]) -> bytes:
        key = next(keys)
        return mine.get(key, found[0]) if is_stub(found[0], key[0]) else found[0]

    return _REGION.sub(filled, content)


def without(content: bytes, handout: bytes, problems: set[str]) -> bytes:
    """`content` with the regions of these problems as the handout has them."""
    given = {key: found[0] for key, found in regions(handout) if key[0] in problems}
    keys = iter([key for key, _ in regions(content)])
    return _REGION.sub(lambda found: given.get(next(keys), found[0]), content)


def outside(content: bytes) -> bytes:
    """`content` with every region emptied: what stands outside of the marks."""
    return _REGION.sub(lambda found: b"### " + found["problem"], content)


def problems_in(files: Files) -> set[str]:
    """The problems that have a region in these files."""
    return {problem for content in files.values() for (problem, _), _ in regions(content)}
