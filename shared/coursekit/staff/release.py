"""The tree a student should get, and the proof that no solution line stands anywhere in it."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
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
    *(f".vscode/{name}.json" for name in ("tasks", "launch", "settings", "extensions")),
    ANSWERS,
)
ONLY_RELEASED = {"AGENTS.md": ("AGENTS.md", "CLAUDE.md")}
"""Files of shared/release, and under which names a release holds each: assistants look for either."""
FRONT = ("README.md", "Makefile", "AGENTS.md", "CLAUDE.md")
"""What a student meets first: no word of it may be for the staff alone."""
COPIED = ("project", "shared/data", "shared/notes")
"""Folders that go to students as they are."""
BENCHMARKS = ("hw*.py", "cuda_product.py", "forms.py", "measure.py", "peak.cc")
"""What `hw bench` runs, of shared/bench."""

MIN_LENGTH = 20
"""A solution line with fewer characters than this, blanks not counted, is trivial."""
_WINDOW = 12
STAFFS_VERBS = (
    "new",
    "render",
    "check",
    "prove",
    "release",
    "publish",
    "course-file",
    "answers",
    "count",
    "demo",
)
"""What `hw` knows in the course's own repository only."""


def release(course: Course, folder: Path, for_class: bool = False) -> list[CourseError]:
    """Write the students' tree to a new or empty folder; returns the leaks and what leads nowhere.

    With one of them nothing is written.

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
        leaks = find_leaks(course, staged) + find_dead_ends(staged)
        if not leaks:
            shutil.copytree(staged, folder, dirs_exist_ok=True)
    return leaks


def _assemble(course: Course, folder: Path) -> None:
    for name in ROOT_FILES:
        _copy(course.root / name, folder / name)
    for name in FRONT:
        if (path := folder / name).is_file():
            path.write_text(without_staff(path.read_text(encoding="utf-8")), encoding="utf-8")
    for name, targets in ONLY_RELEASED.items():
        for target in targets:
            _copy(course.root / "shared" / "release" / name, folder / target)
    for stage in course.stages:
        files = render.whole_tree(course, stage)
        tree.write(files, folder / course.homework(stage).folder)
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
    for problem in course.everything:  # its wrong solutions tell too much of the right one
        text = problems.head((course.root / problem.source).read_text(encoding="utf-8"))
        tree.write({problem.source: text.encode("utf-8")}, folder)


def without_staff(text: str) -> str:
    """The text without what stands between BEGIN STAFF and END STAFF, the marks included."""
    block = r"^(<!--|#) BEGIN STAFF( -->)?\n.*?^(<!--|#) END STAFF( -->)?\n"
    return re.sub(r"\n{3,}", "\n\n", re.sub(block, "", text, flags=re.M | re.S)).lstrip("\n")


def _is_shipped(path: Path) -> bool:
    """Not what a run leaves behind, nor downloaded data."""
    leavings = {"build", "runs", "checkpoints"}
    in_project_data = path.parts[0] == "project" and "data" in path.parts[1:-1]
    return not leavings & set(path.parts[:-1]) and not in_project_data


def _copy(source: Path, target: Path) -> None:
    if source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


# ------------------------------------------------------------------------------------- dead ends


def find_dead_ends(folder: Path) -> list[CourseError]:
    """Relative links of the texts that lead nowhere; what the front pages ask for and is not there."""
    found = []
    for path in tree.walk(folder):
        if path.suffix != ".md" or (folder / tree.HANDOUTS) in path.parents:
            continue  # a kept handout is read in its homework's folder
        for number, row in enumerate(_prose(path.read_text(encoding="utf-8")), 1):
            for target in re.findall(r"\]\(<?([^)#>\s]+)[^)]*\)", row):
                if "://" not in target and not (path.parent / target).exists():
                    name = path.relative_to(folder).as_posix()
                    found.append(
                        CourseError(f"a link to {target}, which is not here", name, number)
                    )
    return found + _staffs_words(folder)


def _prose(text: str) -> Iterator[str]:
    """The lines of a Markdown text; those of its code are empty."""
    code = False
    for row in text.splitlines():
        code ^= row.lstrip().startswith("```")
        yield "" if code else re.sub(r"`[^`]*`(?!\])", "", row)


def _staffs_words(folder: Path) -> list[CourseError]:
    """Staff's verbs, make targets that are not there and marks left over, in FRONT."""
    makefile = folder / "Makefile"
    rules = makefile.read_text(encoding="utf-8") if makefile.is_file() else ""
    targets = set(re.findall(r"^([a-z][\w-]*):", rules, re.M))
    found = []
    for name in FRONT:
        text = (folder / name).read_text(encoding="utf-8") if (folder / name).is_file() else ""
        for number, row in enumerate(text.splitlines(), 1):
            words = [f"hw {verb}" for verb in re.findall(r"\bhw ([a-z][a-z-]*)", row)]
            words = [word for word in words if word[3:] in STAFFS_VERBS]
            asked = re.findall(r"(?:^|[`\"]|&& )make ([a-z][a-z-]*)", row)
            words += [f"make {target}" for target in asked if target not in targets]
            words += re.findall(r"\b(?:BEGIN|END) STAFF\b|shared/reference", row)
            words += ["the staff"] if re.search(r"\b[Ss]taff\b", row) else []
            found += [CourseError(f"for the staff only: {word}", name, number) for word in words]
    return found


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
            source = course.source(stage, name)
            if not source.is_file() or regions.language_of(name) is None:
                continue
            text = source.read_text(encoding="utf-8")
            label = source.relative_to(course.root).as_posix()
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
            elif re.search(r"(###|///|<!--)\s*BEGIN SOLUTION [\w-]+/\w+", row):
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
