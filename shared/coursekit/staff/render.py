"""From the solved library to every homework's tree. Pure up to the last step, which writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from coursekit.core.errors import CourseError
from coursekit.core.syllabus import Course
from coursekit.core.tree import Files, given, walk, write
from coursekit.datasets import data
from coursekit.staff import regions, texts

SUPPORT = "tests"
"""The folder beside a homework's sources whose files go into its tests/."""


def everything(_: str) -> bool:
    return True


def nothing(_: str) -> bool:
    return False


def scope(course: Course, stage: str, solved: Callable[[str], bool] = nothing) -> regions.Scope:
    ids = frozenset(p.id for p in course.everything)
    return regions.Scope(course.stages, ids, course.homework(stage).id, solved)


def render_code(
    course: Course,
    stage: str,
    solved: Callable[[str], bool] = nothing,
    warn: Callable[[str], None] | None = None,
) -> Files:
    """The stage's library and the tests' support files.

    Args:
        solved: says of a problem's id whether its solution is shown.
        warn: called with a sentence for each file of course.toml that does not exist; without it
            such a file is an error.
    """
    here = scope(course, stage, solved)
    tree: Files = {}
    for name in course.files(stage):
        source = course.source(stage, name)
        if not source.is_file():
            sentence = f"{stage}: file {name!r} of course.toml does not exist in shared/reference"
            if warn is None:
                raise CourseError(sentence)
            warn(sentence)
            continue
        tree[name] = render_file(source, course, here)
    support = course.source(stage, SUPPORT)
    for source in walk(support):
        name = f"{SUPPORT}/{source.relative_to(support).as_posix()}"
        tree[name] = render_file(source, course, here)
    return tree


def render_file(source: Path, course: Course, here: regions.Scope) -> bytes:
    """One file of shared/reference for one stage; files without a grammar are copied."""
    content = source.read_bytes()
    label = source.relative_to(course.root).as_posix()
    if regions.language_of(label) is None:
        return content
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CourseError(f"not UTF-8 at byte {error.start}", label) from None
    return regions.render(text.replace("\r\n", "\n"), label, here).encode("utf-8")


def render_stage(
    course: Course,
    stage: str,
    solved: Callable[[str], bool] = nothing,
    warn: Callable[[str], None] | None = None,
) -> Files:
    """Everything of hwN that is rendered: library, test support, text, notebook, figures."""
    tree = render_code(course, stage, solved, warn)
    tree.update(texts.render(course, stage, scope(course, stage, nothing), warn))
    return tree


def handwritten_tests(course: Course, stage: str) -> Files:
    """The homework's own tests, which stand in hwN/tests and are written by hand."""
    folder, given_ones = course.folder(stage) / "tests", course.source(stage, SUPPORT)
    support = {path.relative_to(given_ones).as_posix() for path in walk(given_ones)}
    return {
        f"tests/{name}": path.read_bytes()
        for path in walk(folder)
        if (name := path.relative_to(folder).as_posix()) not in support and path.name != ".gitkeep"
    }


def whole_tree(course: Course, stage: str, solved=nothing, warn=None) -> Files:
    """Rendered files and hand-written tests: a folder that can be run by itself."""
    return {**render_stage(course, stage, solved, warn), **handwritten_tests(course, stage)}


def render_out(
    course: Course, out: Path, stages: Iterable[str], solved=nothing, warn=None
) -> dict[str, int]:
    """Write complete trees to OUT/hwN (a lab: OUT/project/labs/...) with data samples; returns files per homework.

    What they are built and tested with goes to OUT/shared. Everything is rendered before the first
    byte is written.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise CourseError(f"--out {out} is a file; give a folder")
    trees = {stage: whole_tree(course, stage, solved, warn) for stage in stages}
    write(given(course), out)
    for stage, tree in trees.items():
        folder = out / course.homework(stage).folder
        write(tree, folder)
        data.fill_homework(course.root, folder)
    return {stage: len(tree) for stage, tree in trees.items()}


def render_in_place(course: Course, stages: Iterable[str], warn=None) -> dict[str, int]:
    """Bring the committed handouts up to date; returns the number of files written for each."""
    trees = {stage: render_stage(course, stage, nothing, warn) for stage in stages}
    return {stage: write(tree, course.folder(stage)) for stage, tree in trees.items()}
