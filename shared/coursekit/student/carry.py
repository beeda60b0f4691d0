"""Bringing a student's work from one homework into the next, and corrected handouts into it.

Carrying is a three-way merge: base is the old handout as published, ours what the student made
of it, theirs the new handout. What was carried is remembered in .hw/carried, so that a second run
brings only what is new since, and a run without news changes nothing. A stub never takes the place
of what is written: a region that was written later stays, and one sentence says so.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from coursekit.core import tree
from coursekit.core.errors import CourseError
from coursekit.core.syllabus import Course
from coursekit.core.tree import Backup, Files
from coursekit.student import progress
from coursekit.student.handouts import pristine
from coursekit.student.merge import conflicts, merge_file, merge_trees
from coursekit.student.written import fill_stubs, problems_in, stubs, without, written


@dataclass
class Outcome:
    """What `start` or `update` did."""

    changed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    conflicts: list[tuple[str, int]] = field(default_factory=list)
    """(path from the course's root, line) of every conflict that stands in the tree."""
    unsolved: list[str] = field(default_factory=list)
    backup: str | None = None


def start(course: Course, stage: str) -> Outcome:
    """Bring the work of the homework before `stage` into hwN; harmless when run again.

    Raises:
        CourseError: the homework before was itself never started. Nothing has changed then.
    """
    before = course.previous(stage)
    theirs = tree.code_of(pristine(course, stage))
    outcome = Outcome()
    ours: Files = {}
    if before is None:
        carried = theirs
    else:
        _check_chain(course, before.id)
        base = tree.code_of(pristine(course, before.id))
        ours = tree.students_code(course, before.id)
        merged = merge_trees(base, ours, theirs, (f"your {before.id}", f"{stage} handout"), stage)
        carried, outcome.notes = merged.files, [f"{stage}/{note}" for note in merged.notes]
    store = _store(course, stage)
    last = tree.read(store) if store.is_dir() else theirs
    labels = (f"your {stage}", f"your {before.id if before else stage}")
    present = tree.students_code(course, stage)
    if before is not None:
        put_back = tree.read(_store(course, before.id))
        lost = {n for n in base if ours.get(n) in (None, base[n], put_back.get(n))}
        carried, kept = _keep_written(carried, last, present, lost, stage)
        outcome.notes += [f"{p} is a stub again; {stage} keeps your solution" for p in kept]
    plan = _plan(present, last, carried, theirs, labels)
    _apply(course, stage, plan, f"start-{stage}", outcome)
    for name in set(last) - set(carried):
        (store / name).unlink(missing_ok=True)
    tree.write(carried, store)
    progress.take_in_hand(course, stage)
    present.update(plan)
    outcome.conflicts = _conflicts(course, stage, present)
    mine = course.homework(stage)
    library = tree.students_code(course, mine.on) if mine.on else present
    needed = [course.homework(other) for other in mine.needs]
    left = stubs(library)
    outcome.unsolved = [
        row.problem.id
        for homework in needed
        for row in progress.standings(course, homework.id)
        if row.tests != "passed" and progress.to_write(left, row.problem.id)
    ]
    return outcome


def start_from(course: Course, stage: str, later: str) -> Outcome:
    """Bring what a later homework has of `stage` back into it: the same merge, the other way.

    Base is what the homework after `stage` last took from it. Where `stage` holds a stub, the later
    homework's solution takes its place.

    Raises:
        CourseError: `later` does not come after `stage`. Nothing has changed then.
    """
    if course.index(later) <= course.index(stage) or course.homework(later).is_lab:
        raise CourseError(
            f"--from takes a homework after {stage}, to bring a solution back, and {later} is none; "
            f"what was done before comes by: hw start {stage}"
        )
    theirs = tree.code_of(pristine(course, stage))
    labels = (f"your {stage}", f"your {later}")
    following = course.following(stage)
    assert following is not None  # `later` comes after it
    follower = following.id
    store = _store(course, follower)
    content, notes = _earlier(course, stage, later, tree.students_code(course, later))
    last = _earlier(course, stage, follower, tree.read(store))[0] if store.is_dir() else theirs
    present = tree.students_code(course, stage)
    solved = {n: fill_stubs(c, content.get(n, b"")) for n, c in present.items()}
    content, _ = _keep_written(content, last, solved, set(), later)
    plan = {n: c for n, c in solved.items() if c != present[n]}
    plan |= _plan(solved, last, content, theirs, labels)
    outcome = Outcome(notes=notes)
    _apply(course, stage, plan, f"start-{stage}-from-{later}", outcome)
    progress.take_in_hand(course, stage)
    outcome.conflicts = _conflicts(course, stage, {**present, **plan})
    return outcome


def _earlier(course: Course, stage: str, later: str, ours: Files) -> tuple[Files, list[str]]:
    """What the student's `later` homework would look like as `stage`; notes about files.

    Files and regions that `stage` does not have are left out.
    """
    theirs, base = (tree.code_of(pristine(course, s)) for s in (stage, later))
    new = problems_in(base) - problems_in(theirs)
    mine = {
        name: without(content, base.get(name, b""), new)
        for name, content in ours.items()
        if name in theirs or name not in base
    }
    theirs = {name: content for name, content in theirs.items() if name in mine}
    merged = merge_trees(base, mine, theirs, (f"your {later}", f"{stage} handout"), stage)
    return merged.files, [f"{stage}/{note}" for note in merged.notes]


def as_earlier(course: Course, stage: str, later: str) -> Files:
    """What the student's `later` homework would look like as `stage`."""
    return _earlier(course, stage, later, tree.students_code(course, later))[0]


def brought_into(course: Course, stage: str) -> Files:
    """What was last carried into the homework; nothing before it was started."""
    return tree.read(_store(course, stage))


def _store(course: Course, stage: str) -> Path:
    """Where what was last carried into the homework is remembered."""
    return course.root / ".hw" / "carried" / stage


def _keep_written(
    carried: Files, last: Files, present: Files, lost: set[str], to: str
) -> tuple[Files, list[str]]:
    """`carried` with what `present` has written in place of stubs; the problems that went back.

    Args:
        lost: files that are gone, or as `hw start` puts them back: nothing of theirs is news.
        to: the homework whose own problems are not carried at all.
    """
    out, kept = dict(carried), []
    for name in carried.keys() & present.keys():
        again = written(present[name]) & (written(last.get(name, b"")) - written(carried[name]))
        if again and name in lost:
            out[name] = last[name]
        else:
            out[name] = fill_stubs(carried[name], present[name], to)
        kept += [problem for problem, _ in again]
    return out, sorted(set(kept))


def _check_chain(course: Course, stage: str) -> None:
    """hw4's work comes through hw3: refuse when hw3 was skipped while hw2 holds work."""
    before = course.previous(stage)
    if before is None or progress.is_started(course, stage):
        return
    if not _is_worked_on(course, stage) and _is_worked_on(course, before.id):
        raise CourseError(
            f"{stage} does not hold your work from {before.id} yet; run first: hw start {stage}"
        )


def _is_worked_on(course: Course, stage: str) -> bool:
    handout = pristine(course, stage)
    return progress.own_files(course, stage, handout) != tree.code_of(handout)


def _plan(present: Files, last: Files, carried: Files, theirs: Files, labels) -> Files:
    """Which files of hwN get which content: carried work merged into what lies there."""
    plan: Files = {}
    for name, content in carried.items():
        old = last.get(name)
        if name not in present:
            if name in theirs or content != old:
                plan[name] = content
        elif old is None:
            plan[name] = content if name not in theirs else present[name]
        else:
            plan[name] = merge_file(present[name], old, content, labels)
    return {name: content for name, content in plan.items() if present.get(name) != content}


def _apply(course: Course, stage: str, plan: Files, verb: str, outcome: Outcome) -> None:
    backup = Backup(course, verb)
    for name, content in plan.items():
        path = course.folder(stage) / name
        backup.keep(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        outcome.changed.append(path.relative_to(course.root).as_posix())
    if backup.used:
        outcome.backup = str(backup)


def _conflicts(course: Course, stage: str, files: Files) -> list[tuple[str, int]]:
    folder = course.homework(stage).folder
    return [(f"{folder}/{name}", line) for name in sorted(files) for line in conflicts(files[name])]


def update(course: Course, release) -> tuple[Outcome, str]:
    """Merge a newer release's handouts into the student's homeworks; returns the changelog's news.

    Args:
        release: the folder of the new release (a Path).

    The handouts are merged file by file; the rest of the release (tool, data, notes) replaces the
    old, with a backup of everything that changes.
    """
    if not (release / "course.toml").is_file() or not (release / tree.HANDOUTS).is_dir():
        raise CourseError(
            f"{release} is not a release of the course (no course.toml and {tree.HANDOUTS}); "
            "give the folder or archive that was published"
        )
    outcome = Outcome()
    plans: dict[str, Files] = {}
    for stage in course.stages:
        base = tree.read(course.root / tree.HANDOUTS / stage)
        theirs = tree.read(release / tree.HANDOUTS / stage)
        present = tree.read(course.folder(stage))
        ours = {name: present[name] for name in present if name in base or name in theirs}
        merged = merge_trees(base, ours, theirs, (f"your {stage}", "corrected handout"), stage)
        plans[stage] = {n: c for n, c in merged.files.items() if present.get(n) != c}
        outcome.notes += [f"{course.homework(stage).folder}/{note}" for note in merged.notes]
    news = _news(course, release)
    for stage, plan in plans.items():
        _apply(course, stage, plan, f"update-{stage}", outcome)
        outcome.conflicts += _conflicts(course, stage, plan)
    _replace_rest(course, release, outcome)
    return outcome, news


def _news(course: Course, release) -> str:
    """What the new changelog says above the old one's first entry."""
    new, old = release / "CHANGELOG.md", course.root / "CHANGELOG.md"
    if not new.is_file():
        return ""
    known = old.read_text(encoding="utf-8") if old.is_file() else ""
    seen = {row for row in known.splitlines() if row.startswith("## ")}
    rows = []
    for row in new.read_text(encoding="utf-8").splitlines():
        if row.startswith("## ") and row in seen:
            break
        rows.append(row)
    return "\n".join(rows).strip() if any(row.startswith("## ") for row in rows) else ""


def _replace_rest(course: Course, release, outcome: Outcome) -> None:
    """Everything of the release outside hwN and the students' project takes the old one's place."""
    backup = Backup(course, "update")
    for path in tree.walk(release):
        inside = path.relative_to(release)
        if inside.parts[0] in (*course.stages, "project"):
            continue
        target = course.root / inside
        if target.is_file() and target.read_bytes() == path.read_bytes():
            continue
        backup.keep(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        outcome.changed.append(inside.as_posix())
    if backup.used:
        outcome.backup = str(backup)


@contextlib.contextmanager
def unpacked(release: Path) -> Iterator[Path]:
    """The folder of a release: itself, or what an archive holds."""
    if release.is_dir():
        yield release
        return
    if not release.is_file():
        raise CourseError(f"there is no {release}; give the folder or archive of the new release")
    with tempfile.TemporaryDirectory(prefix="needle-update-") as folder:
        try:
            if release.suffix == ".zip":
                shutil.unpack_archive(release, folder)
            else:
                shutil.unpack_archive(release, folder, filter="data")
        except Exception as error:  # each format has its own for what is broken or cut short
            raise CourseError(f"{release} cannot be unpacked: {error}") from None
        inner = [path for path in Path(folder).iterdir() if path.is_dir()]
        whole = (Path(folder) / "course.toml").is_file()
        yield Path(folder) if whole or len(inner) != 1 else inner[0]
