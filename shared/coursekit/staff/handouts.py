"""The kept handouts of the full course: shared/handouts, which git ignores.

A students' release carries the handouts as published, beside the folders that students edit. In the
full course the same folder is made here, so that `hw` takes one way in both: it reads. It is made of
the reference and not of git's last commit, for somebody who learns in the full course may well
commit their solutions.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from coursekit.core import problems, syllabus, tree
from coursekit.core.syllabus import Course
from coursekit.staff import render

_STAMP = ".made-of"
_NOT_CODE = ("texts", "figures")
"""Folders of the reference from which no code is rendered."""


def refresh(course: Course) -> None:
    """Render the handouts' code anew if anything that it is made of has changed since."""
    if not course.reference.is_dir():
        return
    kept = course.root / tree.HANDOUTS
    stamp, now = kept / _STAMP, _fingerprint(course)
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == now:
        return
    with tempfile.TemporaryDirectory(prefix=".handouts-", dir=kept.parent) as scratch:
        made = Path(scratch, "made")
        for stage in course.stages:
            files = render.render_code(course, stage, warn=lambda sentence: None)
            (made / stage).mkdir(parents=True)
            tree.write(tree.code_of(files), made / stage)
        (made / ".gitignore").write_text("*\n", encoding="utf-8")
        (made / _STAMP).write_text(now, encoding="utf-8")
        if kept.is_dir():
            os.replace(kept, Path(scratch, "old"))
        with contextlib.suppress(OSError):  # another `hw` has just put the same there
            shutil.move(made, kept)


def _fingerprint(course: Course) -> str:
    digest = hashlib.sha256()
    for path in _sources(course):
        content = path.read_bytes()
        digest.update(f"{path.name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _sources(course: Course) -> Iterator[Path]:
    """Everything that the handouts' code is made of: syllabus, reference, and the renderer itself."""
    yield course.root / syllabus.FILE
    yield from tree.walk(course.root / problems.FOLDER)
    for path in tree.walk(course.reference):
        if path.relative_to(course.reference).parts[0] not in _NOT_CODE:
            yield path
    yield from sorted(Path(__file__).parent.glob("*.py"))
