"""A homework's folder as plain data: reading, writing, comparing, backing up."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from coursekit.core.syllabus import Course

Files = dict[str, bytes]
"""A tree: path inside hwN, with slashes -> content."""

YOURS = "is yours to write"
"""Stands in every stub, so that an untouched one can be recognized in any language."""

OPTIONAL = f"{YOURS} or not"
"""Ends the stub of a helper that nobody must write."""

HANDOUTS = "shared/handouts"
"""Where a course's tree keeps the handouts as they were published, whoever edits hwN."""

GIVEN = ("shared/kernels", "shared/cuda_emulator", "shared/course_testing", "shared/cluster")
"""What every homework is built and tested with: packages that lie beside the homeworks."""

_NOT_WORK = {"data", "build", "tests", "figures"}
"""Folders of a homework that are no part of its library; deeper ones of these names are."""
_COMPILED = {".so", ".pyd", ".dylib", ".o", ".obj", ".pyc"}


def walk(folder: Path) -> list[Path]:
    """The folder's files in order, without bytecode and hidden ones."""
    if not folder.is_dir():
        return []
    found = []
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).parts
        hidden = any(part.startswith(".") or part == "__pycache__" for part in inside)
        if path.is_file() and not hidden and path.suffix != ".pyc":
            found.append(path)
    return found


def read(folder: Path) -> Files:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in walk(folder)}


def write(tree: Files, folder: Path) -> int:
    """Write a tree; files that already hold their content keep their time. Returns how many."""
    written = 0
    for name, content in tree.items():
        path = folder / name
        if path.is_file() and path.read_bytes() == content:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        written += 1
    return written


def is_code(name: str) -> bool:
    """Does the path belong to the library a student carries along: no texts, tests, data, builds?"""
    parts = name.split("/")
    if parts[0] in _NOT_WORK or parts[0].startswith("build-"):
        return False
    if any(part.startswith(".") or part == "__pycache__" for part in parts):
        return False
    if len(parts) == 1 and name.endswith((".md", ".ipynb")):
        return False
    return Path(name).suffix not in _COMPILED


def as_handed_out(content: bytes) -> bytes:
    """The text with the line ends and the beginning that handouts have, whatever an editor made of
    them: LF, and no byte order mark."""
    if b"\0" in content:
        return content
    return content.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")


def code_of(tree: Files) -> Files:
    return {name: content for name, content in tree.items() if is_code(name)}


def students_code(course: Course, stage: str) -> Files:
    """The student's own library as it lies in hwN."""
    folder = course.folder(stage)
    found = {}
    for path in walk(folder):
        name = path.relative_to(folder).as_posix()
        if is_code(name):
            found[name] = as_handed_out(path.read_bytes())
    return found


def given(course: Course) -> Files:
    """The packages of GIVEN, as `shared/...`, without tests of their own and what a run leaves."""
    return {
        path.relative_to(course.root).as_posix(): path.read_bytes()
        for package in GIVEN
        for path in walk(course.root / package)
        if not {"tests", "build"} & set(path.relative_to(course.root / package).parts[:-1])
    }


class Backup:
    """Keeps what is about to be overwritten under .hw/backups/TIME-VERB, made when needed."""

    def __init__(self, course: Course, verb: str):
        base = course.root / ".hw" / "backups"
        stamp = time.strftime("%Y%m%d-%H%M%S")
        self.root = course.root
        self.folder = base / f"{stamp}-{verb}"
        number = 1
        while self.folder.exists():
            number += 1
            self.folder = base / f"{stamp}-{verb}-{number}"
        self.used = False

    def keep(self, path: Path) -> None:
        if path.is_file():
            target = self.folder / path.relative_to(self.root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
            self.used = True

    def __str__(self) -> str:
        return self.folder.relative_to(self.root).as_posix()
