"""A wrong program fails the same tests in order, alone, and in random orders.

Usage: python shared/checks/runners/orders.py [--every N] [--mutant NAME] [hw3[/problem] ...]

Takes every Nth mutant (1) of the problems, all of homework 3's unless told otherwise, and runs the
problem's own tests on it: in order, each in a process of its own, and in three random orders. Ends with
status 1 if one of them fails other tests than the others.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from coursekit.core import kept_builds, recorder, syllabus
from coursekit.core.problems import Problem
from coursekit.core.report import Report, tell
from coursekit.core.syllabus import Course
from coursekit.core.tree import Files
from coursekit.staff import mutants, render, sandbox
from coursekit.student import guard, session

ROOT = Path(__file__).resolve().parents[3]
SEEDS = (1, 2, 3)
SHUFFLE = "COURSE_SHUFFLE"


def pytest_collection_modifyitems(items: list) -> None:
    """As a plugin of the sessions below: another order, where one is wished for."""
    if seed := os.environ.get(SHUFFLE):
        random.Random(int(seed)).shuffle(items)


def failing(
    place: Path,
    course: Course,
    problem: Problem,
    seed: int = 0,
    apart: bool = False,
    done: tuple[str, ...] = (),
) -> set[str]:
    """The names of the tests that fail, those that are done left out.

    After a session that dies those that have not passed run each in a process of its own, as `hw test`
    has them.
    """
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch, "report.json")
        wish = {
            "problems": [(problem.id, problem.tests, problem.select)],
            "root": str(place),
            "name": problem.homework,
            "out": str(out),
            "journal": str(Path(scratch, "journal")),
            "stack": str(Path(scratch, "stack")),
            "apart": apart,
            "done": list(done),
        }
        told = tell(wish, Path(scratch))
        env = {**os.environ, **course.homework(problem.homework).env, **told}
        shared = ROOT / "shared"
        paths = (Path(__file__).parent, shared / "course_testing" / "src", shared)
        env["PYTHONPATH"] = os.pathsep.join(map(str, paths))
        env["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        env |= {SHUFFLE: str(seed)} if seed else {}
        plugins = [recorder.__name__, guard.__name__, Path(__file__).stem]
        words = [word for name in plugins for word in ("-p", name)]
        command = [sys.executable, "-m", "pytest", *words, "-p", "no:faulthandler", "-q", "--tb=no"]
        command += ["-p", "no:cacheprovider", "--rootdir", str(place), problem.tests]
        ended = subprocess.run(command, cwd=place, env=env, capture_output=True, text=True)
        if not out.is_file() and not apart:
            _, _, rows = session.read_journal(Path(scratch, "journal"))
            kept = tuple(test for test, row in rows.items() if row["outcome"] == "passed")
            return failing(place, course, problem, seed, apart=True, done=kept)
        if not out.is_file():
            raise SystemExit(f"the session died with status {ended.returncode}:\n{ended.stderr}")
        report = Report.from_dict(json.loads(out.read_text(encoding="utf-8")))
        if report.broken:
            raise SystemExit(f"{problem.tests} cannot be read: {report.broken[0]}")
    return {test.test for test in report.tests if test.outcome == "failed"}


def verdicts(place: Path, course: Course, problem: Problem) -> dict[str, set[str]]:
    """Way of running -> the tests that fail."""
    found = {"in order": failing(place, course, problem)}
    found["alone"] = failing(place, course, problem, apart=True)
    return found | {f"seed {n}": failing(place, course, problem, seed=n) for n in SEEDS}


def differences(found: dict[str, set[str]]) -> Iterator[str]:
    """One line for each way that fails other tests than `in order`."""
    first = found["in order"]
    for way, tests in found.items():
        if tests != first:
            yield f"{way}: also {sorted(tests - first)[:3]}, not {sorted(first - tests)[:3]}"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", type=int, default=1, metavar="N")
    parser.add_argument("--mutant", metavar="NAME", help="this one only")
    parser.add_argument("targets", nargs="*", default=["hw3"])
    chosen = parser.parse_args(arguments)
    sandbox.warm_up()
    course = syllabus.load(ROOT)
    problems = [problem for target in chosen.targets for problem in course.select(target)]
    faults = [(p, m) for p in problems for m in mutants.of(course, p)][:: chosen.every]
    faults = [(p, m) for p, m in faults if chosen.mutant in (None, m.name)]
    status = 0
    with tempfile.TemporaryDirectory() as folder:
        for problem, mutant in faults:
            solved: Files = render.whole_tree(course, problem.homework, render.everything)
            place = Path(folder, problem.homework)
            sandbox.sync(mutant.apply(solved), place)
            if problem.build:
                kept_builds.build_tree(place, course.homework(problem.homework))
            found = verdicts(place, course, problem)
            faulty = list(differences(found))
            count = len(found["in order"])
            told = "; ".join(faulty) or "the same in every order"
            print(f"{problem.id} {mutant.name}: {count} fail, {told}", flush=True)
            status |= bool(faulty) or not count  # a mutant that nothing fails on proves nothing
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
