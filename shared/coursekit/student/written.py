"""The regions of a student's file: which are stubs still, and written ones put over stubs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from coursekit.core.tree import YOURS, Files

_REGION = re.compile(
    rb"^[^\n]*BEGIN YOUR SOLUTION (?P<problem>[\w-]+/\w+)\b(?:(?!BEGIN YOUR SOLUTION).)*?"
    rb"END YOUR SOLUTION[^\n]*$",
    re.M | re.S,
)
Key = tuple[str, int]
"""(problem, number): the number-th region of that problem in a file."""

_STUB = re.compile(
    rb"(?P<problem>[\w-]+/\w+): (?P<name>[^\n]*?) " + YOURS.encode() + rb"(?P<optional> or not)?"
)
_COMMENT = (b"#", b"//", b"/*")
_TAKEN_OUT = re.compile(rb"\s*(#|//)+\s*(raise|throw)\b")
"""A stub that a student has turned into a comment is none any more."""


@dataclass(frozen=True)
class Stub:
    """One that still stands."""

    problem: str
    name: str
    """Of the function."""
    optional: bool
    """Of a helper that nobody must write."""
    place: str
    """file:line."""
    silent: bool
    """Of CUDA's device code, which cannot throw: a comment, and nothing is done."""


def regions(content: bytes) -> Iterator[tuple[Key, re.Match[bytes]]]:
    """Every region that has both its marks, in order."""
    count: dict[str, int] = {}
    for found in _REGION.finditer(content):
        problem = found["problem"].decode()
        yield (problem, count.setdefault(problem, 0)), found
        count[problem] += 1


def bodies(content: bytes) -> dict[Key, bytes]:
    """The same as text, marks included."""
    return {key: found[0] for key, found in regions(content)}


def is_stub(region: bytes, problem: str) -> bool:
    """Does the region hold a stub of the problem, and nothing else that does anything?"""
    found = False
    for row in region.split(b"\n")[1:-1]:
        stub = _STUB.search(row)
        if stub and stub["problem"] == problem.encode():
            found = True
        elif row.strip() and not row.lstrip().startswith(_COMMENT):
            return False
    return found


def stubs(files: Files, folder: str = "") -> list[Stub]:
    """All that stand in the files, in order; what is left of one beside written code is none.

    Args:
        folder: stands before the files' names in the places.
    """
    found = []
    for name, content in sorted(files.items()):
        if YOURS.encode() not in content:  # most files hold none
            continue
        blank = lambda m: (
            m[0] if is_stub(m[0], m["problem"].decode()) else b"\n" * m[0].count(b"\n")
        )
        for number, row in enumerate(_REGION.sub(blank, content).split(b"\n"), 1):
            match = _STUB.search(row)
            if match is None or _TAKEN_OUT.match(row):
                continue
            silent = row.lstrip().startswith(b"// ")
            place = f"{folder}/{name}:{number}".lstrip("/")
            found.append(Stub(*parts_of(match[0].decode()), place, silent))
    return found


def parts_of(words: str) -> tuple[str, str, bool]:
    """(problem, function, whether it is optional) of a stub's own words."""
    match = _STUB.search(words.encode())
    assert match is not None
    problem, name, optional = match.groups()
    return problem.decode(), name.decode(), bool(optional)


def place_of(files: Files, words: str, folder: str) -> str:
    """file:line of a stub by its own words; "" when it stands no more."""
    for name, content in sorted(files.items()):
        for number, row in enumerate(content.split(b"\n") if words.encode() in content else (), 1):
            if words.encode() in row and not _TAKEN_OUT.match(row):
                return f"{folder}/{name}:{number}"
    return ""


def called(files: Files, stub: Stub) -> bool:
    """Does written code of the stub's file name its function?"""
    name = stub.place.rsplit(":", 1)[0]
    content = next((c for n, c in files.items() if name.endswith(n)), b"")
    word = re.compile(rb"\b" + re.escape(stub.name.split(".")[-1]).encode() + rb"\b")
    return any(
        word.search(body) and not is_stub(body, key[0]) for key, body in bodies(content).items()
    )


def written(content: bytes) -> set[Key]:
    """The regions that are not stubs."""
    return {key for key, body in bodies(content).items() if not is_stub(body, key[0])}


def fill_stubs(content: bytes, source: bytes, but: str = "") -> bytes:
    """`content` with each stub replaced by the same region of `source`, where that is written.

    Args:
        but: a homework whose problems stay as they are.
    """
    mine = {
        key: body
        for key, body in bodies(source).items()
        if not is_stub(body, key[0]) and key[0].split("/")[0] != but
    }
    keys = iter([key for key, _ in regions(content)])

    def filled(found: re.Match[bytes]) -> bytes:
        key = next(keys)
        return mine.get(key, found[0]) if is_stub(found[0], key[0]) else found[0]

    return _REGION.sub(filled, content)


def without(content: bytes, handout: bytes, problems: set[str]) -> bytes:
    """`content` with the regions of these problems as the handout has them."""
    given = {key: body for key, body in bodies(handout).items() if key[0] in problems}
    keys = iter([key for key, _ in regions(content)])
    return _REGION.sub(lambda found: given.get(next(keys), found[0]), content)


def outside(content: bytes) -> bytes:
    """`content` with every region emptied: what stands outside of the marks."""
    return _REGION.sub(lambda found: b"### " + found["problem"], content)


def problems_in(files: Files) -> set[str]:
    """The problems that have a region in these files."""
    return {problem for content in files.values() for (problem, _), _ in regions(content)}
