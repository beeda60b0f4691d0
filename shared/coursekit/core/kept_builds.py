"""Built modules that are kept on this machine: the same sources are compiled once, for staff and CI."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from coursekit.core.build import build
from coursekit.core.buildfiles import build_inputs, given_inputs, outputs, shared_folder
from coursekit.core.compiling import Echo
from coursekit.core.syllabus import Homework
from coursekit.core.toolchain import compiler


def cache_folder() -> Path:
    """Where built modules are kept on this machine: $NEEDLE_CACHE or the user's cache folder."""
    base = os.environ.get("NEEDLE_CACHE")
    if base:
        return Path(base)
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "needle-course"


def build_key(tree: Path, homework: Homework, nvcc: bool = False) -> str:
    """A hash of all that decides what a build yields."""
    digest = hashlib.sha256()
    facts = [
        (homework.build or "") + ", nvcc" * nvcc,
        platform.platform(),
        sys.version,
        compiler(),
        os.environ.get("NEEDLE_CMAKE_ARGS", ""),
        os.environ.get("CXXFLAGS", ""),
    ]
    for fact in facts:
        digest.update(fact.encode() + b"\0")
    places = [(tree, build_inputs), (shared_folder(tree), given_inputs)]
    for folder, inputs in places:
        for path in inputs(tree, homework):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode())
            digest.update(content)
    return digest.hexdigest()[:32]


def build_tree(tree: Path, homework: Homework, echo: Echo = None, nvcc: bool = False) -> bool:
    """Like `build`, but takes the modules from this machine's cache when the same sources were
    built before. Returns True when the cache had them. For staff: proofs, solved trees, CI.
    """
    if homework.build is None:
        return True
    key = build_key(tree, homework, nvcc)
    store = cache_folder() / "builds" / key
    with locked(cache_folder() / "locks" / key):
        if store.is_dir():
            for path in outputs(tree):
                path.unlink()
            for source in store.rglob("*"):
                if source.is_file():
                    target = tree / source.relative_to(store)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(source, target)
            os.utime(store)
            return True
        for path in outputs(tree):
            path.unlink()
        build(tree, homework, echo, nvcc=nvcc)
        partial = store.with_name(f"{key}.part{os.getpid()}")
        for path in outputs(tree):
            target = partial / path.relative_to(tree)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        if partial.is_dir():
            os.replace(partial, store)
    return False


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time; without fcntl (Windows) two may do the same work."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as handle:
        with contextlib.suppress(ImportError):
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
