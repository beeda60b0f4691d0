"""Three-way merging of a file by `git merge-file`, and of whole trees by it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from coursekit.core.errors import CourseError
from coursekit.core.tree import Files

MARKER = b"<<<<<<< "


@dataclass
class Merged:
    """The outcome of merging two trees over their common base."""

    files: Files = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """Sentences about files that could not simply be merged."""


def merge_file(ours: bytes, base: bytes, theirs: bytes, labels: tuple[str, str]) -> bytes:
    """Merge one file; a conflict keeps both sides between the usual markers.

    Args:
        labels: what to call our side and theirs in the markers.

    Raises:
        CourseError: git is missing.
    """
    if ours == theirs or theirs == base:
        return ours
    if ours == base:
        return theirs
    if b"\0" in ours + base + theirs:
        return ours  # a binary file that both changed: the student's stays
    if shutil.which("git") is None:
        raise CourseError(
            "git is missing, which merges your work into the next homework; "
            "install it from https://git-scm.com and run this again"
        )
    with tempfile.TemporaryDirectory(prefix="needle-merge-") as folder:
        names = []
        for name, content in (("ours", ours), ("base", base), ("theirs", theirs)):
            Path(folder, name).write_bytes(content.replace(b"\r\n", b"\n"))
            names.append(name)
        done = subprocess.run(
            ["git", "merge-file", "-p", "-L", labels[0], "-L", "base", "-L", labels[1], *names],
            cwd=folder,
            capture_output=True,
        )
    if done.returncode > 127 or done.returncode < 0:
        raise CourseError(f"git merge-file failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def merge_trees(
    base: Files, ours: Files, theirs: Files, labels: tuple[str, str], handout: str
) -> Merged:
    """What the new handout looks like with the student's work in it.

    Args:
        base: the old handout, as published.
        ours: the student's files that grew from it.
        theirs: the new handout, as published.
        handout: what to call the new handout in notes.
    """
    out = Merged()
    for name, given in theirs.items():
        if name not in ours:
            out.files[name] = given
            if name in base:
                out.notes.append(f"{name}: you deleted it in {labels[0]}; {handout} has it again")
        elif name not in base:
            out.files[name] = given
            if ours[name] != given:
                out.notes.append(
                    f"{name}: {handout} brings a file of this name; yours stays in {labels[0]}"
                )
        else:
            out.files[name] = merge_file(ours[name], base[name], given, labels)
    for name, content in ours.items():
        if name not in theirs and (name not in base or content != base[name]):
            out.files[name] = content
    return out


def conflicts(content: bytes) -> list[int]:
    """The lines on which conflicts begin."""
    return [n for n, row in enumerate(content.split(b"\n"), 1) if row.startswith(MARKER)]
