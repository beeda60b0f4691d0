"""What staff prepare for the autograder: its course file, published answers, sealed answers.

Everything goes through the `mugrade` command; nothing of the grader is imported.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from coursekit.core import kept_builds, run, terminal
from coursekit.core.errors import CourseError
from coursekit.core.problems import Problem
from coursekit.core.syllabus import Course, Homework
from coursekit.core.tree import Files
from coursekit.staff import mutants, render, sandbox, solved
from coursekit.staff.release import ANSWERS as ANSWERS

POOL = 16
"""Variants of each problem; every hook is cheap enough for that many."""

COMPILING = 50
"""So much longer it takes to prepare a tree that must be compiled than one that need not."""

_STAFF = "staff@localhost"
_PERSON = f'\n[[person]]\nemail = "{_STAFF}"\nname = "Staff"\nrole = "instructor"\n'


def course_file(course: Course) -> str:
    """The course as the file that `mugrade init` reads. Staff add due times, a rubric and people."""
    parts = ["# Made by `hw course-file`; due times, rubric and people are yours to add.\n"]
    parts.append(_table("[course]", {"id": course.id, "title": course.title}))
    parts.append(_table("[certificate]", course.certificate))
    parts.append(_table("[late]", course.late))
    for homework in course.homeworks:
        whole = {"id": homework.id, "title": homework.title}
        parts.append(_table("[[assignment]]", whole | ({"weight": 0} if homework.is_lab else {})))
        for problem in homework.problems:
            facts = {
                "id": problem.hook,
                "title": problem.title,
                "points": problem.points,
                "pool": POOL,
                "tolerance.dtype": True,
            }
            if problem.ascale is not None:
                facts["tolerance.ascale"] = problem.ascale
            parts.append(_table("[[assignment.problem]]", facts))
    return "\n".join(parts)


def _table(head: str, facts: dict[str, object]) -> str:
    """A TOML table; text, numbers and truth values stand in it as in JSON."""
    rows = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in facts.items()]
    return "\n".join([head, *rows, ""])


# -------------------------------------------------------------------------------------- publishing


def publish(
    course: Course,
    homework: Homework,
    problems: list[Problem],
    extra: list[str],
    checked: bool = True,
) -> int:
    """Run the hooks on the solved tree and publish, after the self-check; the client's status.

    The self-check: no case may match on the empty handout, and each mutant must differ, but for
    those that say why they are `unseen`.
    """
    if extras := [problem.id for problem in problems if problem.is_extra]:
        raise CourseError(f"{extras[0]} is an extra: it has no points, so nothing is published")
    hooks = [problem.hook for problem in problems]
    if checked:  # minutes of work, for which grader and key should be there
        words = ["publish", homework.id, *hooks, "--ready", *extra]
        if status := run.mugrade(course, homework, words, course.root):
            return status
    with tempfile.TemporaryDirectory(prefix="needle-publish-") as scratch:
        folder = Path(scratch)
        with terminal.status(homework.id) as say:
            say("preparing the solved tree")
            tree = solved.write(course, folder, [homework.id]) / homework.folder
            homework = solved.with_library(course, homework, folder)
            wrong = wrong_trees(course, homework, problems, folder, say) if checked else []
        if checked and homework.env.get("NEEDLE_BACKEND") == "nd":
            wrong += ["--vary", "NEEDLE_BACKEND=np"]  # the same values on another array library
        words = ["publish", homework.id, *hooks, *wrong, *extra]
        return run.mugrade(course, homework, words, tree)


def wrong_trees(
    course: Course,
    homework: Homework,
    problems: list[Problem],
    folder: Path,
    say: Callable[[str], None],
) -> list[str]:
    """Write the empty handout and the problems' mutants; returns mugrade's options for them.

    Several at a time, each in a place that is used again, so that only what differs is compiled.
    """
    # Of cuda()'s builds the hooks use the emulated one. The proof builds the same trees alike, and
    # keeps them.
    os.environ.setdefault("NEEDLE_CMAKE_ARGS", "-DNEEDLE_CUDA_BUILDS=emulated")
    quick = mutants.unoptimized(course, homework)
    hooks = {problem.id: problem.hook for problem in problems}
    mine = [m for problem in problems for m in mutants.of(course, problem) if not m.unseen]
    right = render.whole_tree(course, homework.id, render.everything, lambda sentence: None)
    trees = {"empty": render.whole_tree(course, homework.id, warn=lambda sentence: None)}
    names = {mutant: f"{mutant.problem.split('/')[1]}-{mutant.name}" for mutant in mine}
    for mutant in sorted(mine, key=lambda m: m.file.endswith(".py")):  # what must be compiled first
        trees[names[mutant]] = mutant.apply(right)
    count = min(os.cpu_count() or 1, len(trees))
    places: queue.SimpleQueue[Path] = queue.SimpleQueue()
    for number in range(count):
        places.put(folder / f"build{number}" / homework.id)

    def prepare(name: str) -> None:
        place = places.get()
        try:
            _prepare(place, trees[name], quick, folder / name)
        finally:
            places.put(place)
        data = folder / homework.folder / "data"
        (folder / name / "data").symlink_to(data, target_is_directory=True)

    copied = {names[mutant] for mutant in mine if mutant.file.endswith(".py")}
    costs = [COMPILING if homework.build and name not in copied else 1 for name in trees]
    pace = terminal.Pace(costs)
    with ThreadPoolExecutor(count) as pool:
        for done, _ in enumerate(pool.map(prepare, trees), 1):
            say(f"preparing wrong trees: {pace(done)}")
    options = ["--empty", str(folder / "empty")]
    for mutant, name in names.items():
        options += ["--must-differ", f"{hooks[mutant.problem]}={folder / name}"]
    return options


def _prepare(place: Path, files: Files, homework: Homework, target: Path) -> None:
    """Build the files in `place` and copy the outcome, without what only building needs."""
    place.mkdir(parents=True, exist_ok=True)
    sandbox.sync(files, place)
    kept_builds.build_tree(place, homework)
    shutil.copytree(place, target, ignore=shutil.ignore_patterns("build", "__pycache__"))


# ---------------------------------------------------------------------------------- sealed answers


def seal(
    course: Course,
    out: Path,
    stages: Collection[str],
    say: Callable[[str], None] = print,
) -> None:
    """Publish the homeworks to a grader of our own and seal their answers into `out`.

    Answers of other homeworks that are in the file stay as they are.

    Raises:
        CourseError: a homework could not be published.
    """
    with tempfile.TemporaryDirectory(prefix="needle-answers-") as scratch:
        folder = Path(scratch)
        (folder / "course.toml").write_text(course_file(course) + _PERSON, encoding="utf-8")
        with _grader(folder):
            for homework in map(course.homework, stages):
                say(f"{homework.id}: running its hooks")
                words = ["--solo", "--unchecked"]
                problems = list(homework.problems)
                if publish(course, homework, problems, words, checked=False):
                    raise CourseError(f"{homework.id} could not be published; see above")
        say("sealing: less than a tenth of a second of a processor a case")
        made = folder / "made.json.gz"
        _mugrade("seal", str(made), "--data", str(folder / "data"))
        _replace_answers(course, made, out, stages)


def _replace_answers(course: Course, made: Path, out: Path, stages: Collection[str]) -> None:
    """Put the answers made for some homeworks in the place of those in `out`."""
    new = json.loads(gzip.decompress(made.read_bytes()))
    old = json.loads(gzip.decompress(out.read_bytes()))["problems"] if out.is_file() else []
    kept = {(p.homework, p.hook) for p in course.problems if p.homework not in stages}
    others = [entry for entry in old if (entry["assignment"], entry["problem"]) in kept]
    order = {(p.homework, p.hook): number for number, p in enumerate(course.problems)}
    place = lambda entry: order[entry["assignment"], entry["problem"]]
    new["problems"] = sorted([*others, *new["problems"]], key=place)
    out.write_bytes(gzip.compress(json.dumps(new, sort_keys=True).encode(), mtime=0))


@contextlib.contextmanager
def _grader(folder: Path) -> Iterator[None]:
    """`mugrade serve` on a free port, with address and staff key in the environment."""
    data = str(folder / "data")
    made = json.loads(
        _mugrade("init", str(folder / "course.toml"), "--data", data, "--token", _STAFF, "--json")
    )
    before = dict(os.environ)
    command = [sys.executable, "-m", "mugrade", "serve", "--data", data, "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        assert server.stdout is not None
        try:
            line = server.stdout.readline()
            if not line:
                raise CourseError("the grader did not start; `mugrade serve` tells why")
            threading.Thread(target=server.stdout.read, daemon=True).start()
            os.environ |= {
                "MUGRADE_SERVER": json.loads(line)["address"],
                "MUGRADE_KEY": made["key"],
                "MUGRADE_HOME": str(folder / "home"),
            }
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)
            server.terminate()


def _mugrade(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "mugrade", *words], stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        raise CourseError(f"`mugrade {words[0]}` failed; the reason stands above")
    return done.stdout
