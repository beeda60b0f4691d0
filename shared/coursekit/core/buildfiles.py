"""The files of a build: what it reads, what it makes."""

from __future__ import annotations

import os
from pathlib import Path

from coursekit.core.syllabus import Homework

SUFFIXES = (".so", ".pyd", ".dylib")
_NOT_INPUT = {"python", "apps", "tests", "data", "figures", "build", ".hw", "__pycache__"}


def outputs(tree: Path) -> list[Path]:
    """Compiled modules lying in the tree, the build folder left aside."""
    return sorted(
        path
        for path in tree.rglob("*")
        if path.suffix in SUFFIXES
        and path.is_file()
        and not _in_build(path.relative_to(tree))
        and path.relative_to(tree).parts[0] != "data"
    )


def _in_build(path: Path) -> bool:
    return path.parts[0] == "build" or path.parts[0].startswith("build-")


def shared_folder(tree: Path) -> Path:
    """The course's shared/, with what is given, as the tree's CMakeLists.txt finds it."""
    named = os.environ.get("NEEDLE_SHARED")
    for place in (*([Path(named)] if named else []), tree.parent / "shared"):
        if (place / "kernels" / "kernels.cmake").is_file():
            return place
    return Path(__file__).resolve().parents[2]


def given_inputs(tree: Path, homework: Homework) -> list[Path]:
    """The files of shared/ that a build reads."""
    if homework.build != "cmake":
        return []
    shared = shared_folder(tree)
    wanted = {".cc", ".h", ".cmake", ".py"}
    return [
        path
        for package in ("kernels", "cuda_emulator")
        for path in sorted((shared / package).rglob("*"))
        if path.suffix in wanted and "tests" not in path.relative_to(shared).parts
    ]


def build_inputs(tree: Path, homework: Homework) -> list[Path]:
    """The homework's files that a build reads: no texts, tests, data; Python if CMake may run it."""
    left_out = (*SUFFIXES, ".pyc", ".o", *([".py"] if homework.build == "make" else []))
    found = []
    for top in sorted(tree.iterdir()):
        if top.name in _NOT_INPUT or top.name.startswith(".") or _in_build(Path(top.name)):
            continue
        if top.is_dir():
            found += [
                path
                for path in sorted(top.rglob("*"))
                if path.is_file() and path.suffix not in left_out
            ]
        elif (
            top.name == "Makefile"
            or top.suffix in (".cmake", ".toml")
            or top.name == "CMakeLists.txt"
        ):
            found.append(top)
    return found
