"""The tree a student should get, and the proof that no solution line stands anywhere in it."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from pathlib import Path

from coursekit.core import problems, tree
from coursekit.core.errors import CourseError
from coursekit.core.syllabus import Course
from coursekit.staff import regions, render

ANSWERS = "answers.json.gz"
"""The sealed answers in the course's folder, which `hw answers` makes and a release carries along."""
ROOT_FILES = (
    "README.md",
    "LICENSE",
    "LICENSE-TEXTS",
    "CHANGELOG.md",
    "Makefile",
    "course.toml",
    "course.py",
    "pyproject.toml",
    ".gitignore",
    ANSWERS,
)
COPIED = ("project", "shared/data", "shared/notes")
"""Folders that go to students as they are."""
BENCHMARKS = ("hw*.py", "measure.py", "ladder.cc")
"""What `hw bench` runs, of shared/bench."""

MIN_LENGTH = 20
"""A solution line with fewer characters than this, blanks not counted, is trivial."""
_WINDOW = 12


def release(course: Course, folder: Path, for_class: bool = False) -> list[CourseError]:
    """Write the students' tree to a new or empty folder; returns the leaks.

    With a leak nothing is written.

    Args:
        for_class: without the sealed answers.

    Raises:
        CourseError: the folder is not empty or lies inside the course.
    """
    folder = Path(folder).resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CourseError(f"{folder} is not an empty folder; give a new one")
    if folder == course.root or course.root in folder.parents:
        raise CourseError(f"{folder} lies inside the course; give a folder outside of it")
    with tempfile.TemporaryDirectory(prefix="needle-release-") as scratch:
        staged = Path(scratch) / "tree"
        _assemble(course, staged)
        if for_class:
            (staged / ANSWERS).unlink(missing_ok=True)
        leaks = find_leaks(course, staged)
        if not leaks:
            shutil.copytree(staged, folder, dirs_exist_ok=True)
    return leaks


def _assemble(course: Course, folder: Path) -> None:
    for name in ROOT_FILES:
        _copy(course.root / name, folder / name)
    for stage in course.stages:
        files = render.whole_tree(course, stage)
        tree.write(files, folder / stage)
        tree.write(files, folder / tree.HANDOUTS / stage)
    tree.write(tree.given(course), folder)
    for name in COPIED:
        for path in tree.walk(course.root / name):
            if _is_shipped(path.relative_to(course.root)):
                _copy(path, folder / path.relative_to(course.root))
    for pattern in BENCHMARKS:
        for path in sorted((course.root / "shared" / "bench").glob(pattern)):
            _copy(path, folder / path.relative_to(course.root))
    for path in tree.walk(course.root / "shared" / "coursekit"):
        inside = path.relative_to(course.root / "shared" / "coursekit")
        if inside.parts[0] not in ("staff", "tests"):
            _copy(path, folder / "shared" / "coursekit" / inside)
    for path in tree.walk(course.root / "shared" / "mugrade"):
        inside = path.relative_to(course.root / "shared" / "mugrade")
        if inside.parts[0] not in ("tests", "build") and "egg-info" not in str(inside):
            _copy(path, folder / "shared" / "mugrade" / inside)
    for problem in course.problems:  # its wrong solutions tell too much of the right one
        text = problems.head((course.root / problem.source).read_text(encoding="utf-8"))
        tree.write({problem.source: text.encode("utf-8")}, folder)


def _is_shipped(path: Path) -> bool:
    """Not what a run leaves behind, nor downloaded data."""
    leavings = {"build", "runs", "checkpoints"}
    in_project_data = path.parts[0] == "project" and "data" in path.parts[1:-1]
    return not leavings & set(path.parts[:-1]) and not in_project_data


def _copy(source: Path, target: Path) -> None:
    if source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


# --------------------------------------------------------------------------------- the leak check


def secrets(course: Course) -> dict[str, str]:
    """Normalized solution line -> problem, over every stage, without what says nothing.

    Trivial lines are left out, and lines that the published library says anyway, outside of all
    regions, or that stand in what is given.
    """
    found: dict[str, str] = {}
    given: set[str] = set()
    for stage in course.stages:
        here = render.scope(course, stage)
        for name in course.files(stage):
            source = course.reference / name
            if not source.is_file() or regions.language_of(name) is None:
                continue
            text, label = source.read_text(encoding="utf-8"), f"shared/reference/{name}"
            for problem, line in regions.solution_lines(text, label, here):
                if not is_trivial(plain := normal(line.text)):
                    found.setdefault(plain, problem)
            given.update(normal(row) for row in regions.render(text, label, here).splitlines())
    for content in tree.given(course).values():
        given.update(map(normal, content.decode("utf-8", "ignore").splitlines()))
    index = _index(found)
    known = {line for row in given for line in _held(row, index)}
    return {line: problem for line, problem in found.items() if line not in known}


def is_trivial(line: str) -> bool:
    """Too short to give anything away, the opening of a call, or the head of a plain block."""
    length = len(line.replace(" ", ""))
    head = re.match(r"(for|while|if|elif|else|with|try|except)\b.*[:{]$", line)
    return length < MIN_LENGTH or line.endswith(("(", "[", "{")) or bool(head and length < 40)


def normal(row: str) -> str:
    """Blanks collapsed, a comment at the end of a line of code left aside."""
    row = re.sub(r"\s+", " ", row).strip()
    if not row.startswith(("#", "//")):
        row = re.sub(r"\s*(#|//) .*$", "", row)
    return row


def find_leaks(course: Course, folder: Path) -> list[CourseError]:
    """Every line of the tree that holds a solution line or a mark of the reference."""
    hidden = secrets(course)
    index = _index(hidden)
    leaks = []
    for path in tree.walk(folder):
        name = path.relative_to(folder).as_posix()
        for number, row in _rows(path):
            found = next(_held(re.sub(r"\s+", " ", row), index), None)
            if found:
                leaks.append(
                    CourseError(
                        f"a line of {hidden[found]}'s solution: {found!r}",
                        name,
                        number,
                    )
                )
            elif re.search(r"(###|///|<!--)\s*BEGIN SOLUTION \w+/\w+", row):
                leaks.append(CourseError("a solution region of the reference", name, number))
    return leaks


def _index(lines) -> dict[str, list[str]]:
    """Lines by their first characters, all of which a search can look up at once."""
    index: dict[str, list[str]] = {}
    for line in lines:
        index.setdefault(line[:_WINDOW], []).append(line)
    return index


def _held(row: str, index: dict[str, list[str]]):
    """The indexed lines that stand in the row."""
    for at in range(len(row) - _WINDOW + 1):
        for line in index.get(row[at : at + _WINDOW], ()):
            if row.startswith(line, at):
                yield line


def _rows(path: Path):
    """(line number, text) of a text file; of a notebook each line of its cells."""
    try:
        text = path.read_text(encoding="utf-8")
    except (UnicodeDecodeError, OSError):
        return
    if path.suffix == ".ipynb":
        for number, row in enumerate(text.splitlines(), 1):
            stripped = row.strip().rstrip(",")
            if stripped.startswith('"'):
                try:
                    yield number, str(json.loads(stripped))
                    continue
                except ValueError:
                    pass
            yield number, row
        return
    yield from enumerate(text.splitlines(), 1)
