"""Is every committed handout what the reference renders to? Pure comparison, writes nothing."""

from __future__ import annotations

import difflib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from coursekit.core import problems
from coursekit.core.errors import CourseError
from coursekit.core.syllabus import FILE, FULL, Course
from coursekit.staff import mutants, render

_IGNORED = {"data", "build", ".hw", "__pycache__", ".pytest_cache", ".hypothesis"}
_BINARY = {".so", ".pyd", ".dylib", ".o", ".pyc"}


def faults(course: Course, stages: list[str]) -> Iterator[str]:
    """One text for each fault: a missing fact, a differing file (with its diff), a stale file."""
    for fault in missing_facts(course):
        yield str(fault)
    yield from _stale_mutants(course)
    for stage in stages:
        tree = render.render_stage(course, stage, warn=lambda sentence: None)
        folder, label = course.folder(stage), course.homework(stage).folder
        for name, content in sorted(tree.items()):
            path = folder / name
            if not path.is_file():
                yield f"{label}/{name}: missing; `hw render` writes it"
            elif path.read_bytes() != content:
                yield _diff(f"{label}/{name}", path.read_bytes(), content)
        own = render.handwritten_tests(course, stage)
        for name in tracked(course.root, label):
            if name not in tree and name not in own and not name.endswith(".gitkeep"):
                yield f"{label}/{name}: the reference does not render this file; delete it"


def _stale_mutants(course: Course) -> Iterator[str]:
    """Mutants that no longer fit the solution which they are a fault of."""
    for homework in course.homeworks:
        solved = render.render_code(
            course, homework.id, render.everything, warn=lambda sentence: None
        )
        for problem in homework.everything:
            for mutant in mutants.of(course, problem):
                try:
                    mutant.apply(solved)
                except CourseError as fault:
                    yield str(fault)


def missing_facts(course: Course) -> list[CourseError]:
    """What the syllabus says and the tree does not hold, or what does not add up."""
    faults = []
    text = (course.root / FILE).read_text(encoding="utf-8").splitlines()
    for homework in course.homeworks:
        for name in homework.files:
            if not course.source(homework.id, name).is_file():
                line = next((n for n, row in enumerate(text, 1) if f'"{name}"' in row), None)
                sentence = (
                    f"{homework.id}: file {name!r} does not exist in shared/reference; write it "
                    "or take it off the list"
                )
                faults.append(CourseError(sentence, FILE, line))
        if homework.problems and homework.points != FULL:
            sentence = (
                f"the points of {homework.id} add up to {homework.points}, expected {FULL}; "
                "change those of one of its problems"
            )
            faults.append(CourseError(sentence, f"{problems.FOLDER}/{homework.id}"))
        for problem in homework.everything:
            tests = course.folder(homework.id) / problem.tests
            hook = rf"^def submit_{problem.hook}\("
            if not tests.is_file():
                sentence = f"its test file {homework.folder}/{problem.tests} does not exist"
                faults.append(CourseError(sentence, problem.source, problem.line))
            elif not problem.is_extra and not re.search(
                hook, tests.read_text(encoding="utf-8"), re.M
            ):
                sentence = f"{homework.folder}/{problem.tests} has no submission hook submit_{problem.hook}()"
                faults.append(CourseError(sentence, problem.source, problem.line))
    known = {f"{homework.id}" for homework in course.homeworks}
    for folder in sorted((course.root / problems.FOLDER).iterdir()):
        if folder.is_dir() and folder.name not in known:
            sentence = f"no homework of {FILE} has this id; there are {', '.join(course.stages)}"
            faults.append(CourseError(sentence, f"{problems.FOLDER}/{folder.name}"))
    return faults


def _diff(label: str, have: bytes, want: bytes) -> str:
    try:
        old, new = have.decode("utf-8"), want.decode("utf-8")
    except UnicodeDecodeError:
        return f"{label}: differs from its rendering (binary)"
    rows = difflib.unified_diff(
        old.splitlines(),
        new.splitlines(),
        f"{label} (committed)",
        f"{label} (rendered)",
        lineterm="",
    )
    return "\n".join(rows) or f"{label}: differs in line ends only"


def tracked(root: Path, stage: str) -> list[str]:
    """Files of a homework's folder that belong to the project: what git does not ignore, else a plain walk."""
    try:
        done = subprocess.run(
            ["git", "ls-files", "-z", "-co", "--exclude-standard", "--", stage],
            cwd=root,
            capture_output=True,
            check=True,
        )
        names = [name for name in done.stdout.decode().split("\0") if name]
        names = [name for name in names if (root / name).is_file()]
        return sorted(name[len(stage) + 1 :] for name in names)
    except (OSError, subprocess.CalledProcessError):
        folder = root / stage
        paths = [p.relative_to(folder) for p in folder.rglob("*") if p.is_file()]
        return sorted(
            p.as_posix()
            for p in paths
            if p.parts[0] not in _IGNORED
            and "__pycache__" not in p.parts
            and p.suffix not in _BINARY
        )
