"""What the student's verbs do: test, build, submit, measure, hint. Printing is the caller's."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from coursekit.core import build, buildfiles, run, tree
from coursekit.core.compiling import BuildError, Echo
from coursekit.core.errors import CourseError
from coursekit.core.problems import Problem
from coursekit.core.report import Report
from coursekit.core.syllabus import Course, Homework
from coursekit.core.tree import YOURS
from coursekit.datasets import data
from coursekit.student import checked, deaths, editor, progress
from coursekit.student.handouts import pristine
from coursekit.student.obstacles import obstacles
from coursekit.student.session import Runner, Session, in_a_process
from coursekit.student.written import parts_of, stubs

DEVICES = ("cpu", "cuda", "cpu_numpy")
"""What the tests of a homework with arrays of its own can be restricted to."""


def current(course: Course) -> str:
    """The homework of the current folder, else the one in hand."""
    here = Path.cwd().resolve()
    for stage in course.stages:
        folder = course.folder(stage).resolve()
        if here == folder or folder in here.parents:
            return stage
    return progress.in_hand(course)


def chosen(course: Course, target: str | None) -> list[Problem]:
    """The problems that are meant.

    Args:
        target: a homework, a problem, or FILE:LINE inside of a problem's marks, as an editor or a
            compiler (FILE:LINE:COLUMN) tells it; None: the homework of the current folder, else the one in hand.
    """
    if target and (place := re.fullmatch(r"(.+\.\w+)(?::(\d+)(?::\d+)?)?", target)):
        return [editor.at_line(course, Path(place[1]), int(place[2] or 1))]
    return course.select(target or current(course))


def one(course: Course, target: str, verb: str) -> Problem:
    """The one problem that is meant, by its id or as FILE:LINE."""
    if not names_problem(course, target):
        first = course.homework(target.rstrip("/")).problems[0].id
        raise CourseError(f"{verb} takes one problem, such as {first}, not a whole homework")
    return chosen(course, target)[0]


def names_problem(course: Course, target: str | None) -> bool:
    """Does it name one problem, and not a whole homework?"""
    return bool(target) and str(target).rstrip("/") not in course.stages


def folder_of(course: Course, stage: str) -> Path:
    folder = course.folder(stage)
    if not folder.is_dir():
        name = course.homework(stage).folder
        raise CourseError(f"the folder {name} is missing; take it from the course's repository")
    return folder


def check_files(course: Course, stage: str) -> None:
    """Raises: CourseError: a file is missing, holds a conflict, or is no Python; says every one."""
    folder_of(course, stage)
    if faults := obstacles(course, stage):
        raise CourseError("\n".join(map(str, faults)))


def devices(homework: Homework) -> tuple[str, ...]:
    """The devices among which its tests may choose."""
    return DEVICES if homework.env.get("NEEDLE_BACKEND") == "nd" else ()


def check_device(homework: Homework, device: str | None) -> None:
    """Raises: CourseError: the homework's tests cannot be restricted to this device."""
    if device is not None and device not in (known := devices(homework)):
        expected = f"expected {', '.join(known)}" if known else "its tests know of no devices"
        raise CourseError(f"--device {device}: {expected}; without it every device is tested")


def check_one_target(course: Course, extra: list[str]) -> None:
    """Raises: CourseError: what would be passed on is a second homework or problem."""
    for word in extra:
        if word.rstrip("/") in course.stages or word in {p.id for p in course.everything}:
            raise CourseError(
                f"one homework or problem at a time; {word} is a second one: give it a call of its own"
            )


def run_tests(
    course: Course,
    problems: list[Problem],
    extra: list[str],
    device: str | None = None,
    sessions: list[Session] | None = None,
    runner: Runner = in_a_process,
) -> tuple[int, Report]:
    """The problems' tests of one homework on the student's own files, live on the terminal.

    Args:
        device: the only one of `devices` to test; None: all.
        sessions: run these instead, and keep no verdict; see `checked_sessions`.
        runner: what runs pytest.

    Returns:
        pytest's status and what became of each test.
    """
    homework = course.homework(problems[0].homework)
    folder = folder_of(course, homework.id)
    data.fill_homework(course.root, folder)
    files = sorted({p.tests for p in problems})
    for name in files:
        if not (folder / name).is_file():
            raise CourseError(
                f"{homework.folder}/{name} is missing; take it from the course's repository"
            )
    mine = Session(homework, problems, folder, extra, devices_env(device), runner=runner)
    status, report = run_in_turn(sessions or [mine])
    if (report.tests or report.unread) and not sessions:
        progress.record(course, problems, report, device)
    return status, report


def devices_env(*names: str | None) -> dict[str, str]:
    """The variable that has the tests run on these devices only; none for all."""
    return {"NEEDLE_DEVICES": ",".join(filter(None, names))} if any(names) else {}


def checked_sessions(
    course: Course,
    problems: list[Problem],
    extra: list[str],
    device: str | None,
    check: str,
    say: Echo,
) -> list[Session]:
    """C++ with the compiler's checks, in a copy of the homework; CUDA with the emulator's.

    Args:
        check: what the compiler's checks look at, "memory" or "thread".
    """
    homework = course.homework(problems[0].homework)
    if homework.build is None:
        raise CourseError(f"{homework.id} has no C++: --checked has nothing to watch")
    known, sessions = devices(homework), []
    cuda = {"NEEDLE_CUDA": "checked", **devices_env("cuda" if known else None)}
    if device != "cuda" and any("cuda" not in p.select for p in problems):
        place = checked.build_tree(course.root, homework, check, say)
        env = checked.environment(place, check) | devices_env(device or ("cpu" if known else None))
        env["NEEDLE_SHARED"] = str(buildfiles.shared_folder(course.folder(homework.id)))
        mine = [p for p in problems if p.select != "cuda"]
        sessions.append(Session(homework, mine, place, extra, env, watched=True))
    if known and device in (None, "cuda") and build.checked_cuda(course.folder(homework.id)):
        mine = [p for p in problems if p.select != "cpu"]
        if mine:
            folder = course.folder(homework.id)
            sessions.append(Session(homework, mine, folder, extra, cuda, watched=True))
    if not sessions:
        raise CourseError("--checked finds no build of these tests; hw build, then try again")
    return sessions


def run_in_turn(sessions: list[Session]) -> tuple[int, Report]:
    """The sessions' tests as one report, each test once; the first status that is not 0."""
    status, whole = 0, Report()
    for session in sessions:
        code, report = session.run()
        status = status or code
        known = {test.test for test in whole.tests}
        whole.tests += [test for test in report.tests if test.test not in known]
        whole.said += report.said
        whole.crashed = whole.crashed or report.crashed
        whole.broken += report.broken
        whole.unread |= report.unread
    return status, whole


def verdict(course: Course, problem: Problem, report: Report) -> tuple[str, dict[str, int]]:
    """One word on a problem, and how many tests passed, failed and were skipped.

    The word is "ok", "FAIL", "to write", "needs hwN/other" (whose stub stops the tests), "skipped",
    "cannot be read" (its tests, or what they import) or "no tests ran".
    """
    tests = report.of(problem.id)
    counts = {w: sum(t.outcome == w for t in tests) for w in ("passed", "failed", "skipped")}
    if not any(counts.values()):
        return ("cannot be read" if report.unread and not tests else "no tests ran"), counts
    if counts["failed"]:
        return _why_it_fails(course, problem, report), counts
    return ("ok" if counts["passed"] else "skipped"), counts


def _why_it_fails(course: Course, problem: Problem, report: Report) -> str:
    words, wrong = report.stopped(problem.id)
    handout = pristine(course, problem.homework)
    files = progress.own_files(course, problem.homework, handout)
    here, given = stubs(files), stubs(tree.code_of(handout))
    if progress.stub_state(problem, here, given) == "stub":
        return "to write"  # whatever else it stumbles over
    if words and not wrong:
        owner = parts_of(words)[0]
        return "to write" if owner == problem.id else f"needs {owner}"
    waits = progress.waits_for(course, problem, words, wrong, files)
    return "to write" if waits is not None else "FAIL"


def remember(course: Course, problems: list[Problem], error: BuildError) -> None:
    """That these problems could not be tested, for their code does not compile, and where."""
    place = r"^\s*([^\s:]+:\d+)(?::\d+)?: (?:fatal )?error: (.*)$"
    if found := re.search(place, str(error), re.M):
        progress.record(course, problems, Report(unread={found[1]: found[2]}))


def parts_for(homework: Homework, problems: list[Problem], device: str | None) -> str:
    """What these problems' tests need compiled: cuda() if one is about it, if it is the device that
    is asked for, or if the homework is beyond it and tests everything on every device."""
    if device is not None:
        return build.DEVICES if device == "cuda" else build.CPU
    about = {problem.select for problem in homework.problems}
    mine = {problem.select for problem in problems}
    return build.DEVICES if "cuda" in mine or "cuda" not in about else build.CPU


def needs_build(course: Course, problems: list[Problem], parts: str = build.DEVICES) -> bool:
    homework = course.homework(problems[0].homework)
    wanted = any(problem.build for problem in problems)
    return wanted and build.is_stale(course.folder(homework.id), homework, parts)


def submit(
    course: Course, homework: Homework, problems: list[Problem], extra: list[str]
) -> tuple[int, list[dict[str, Any]]]:
    """Send the problems' values; returns the client's exit status, and its row on each problem."""
    for problem in problems:
        if problem.is_extra:
            raise CourseError(
                f"{problem.id} is an extra: it has tests and no points, so there is nothing to "
                f"submit; hw test {problem.id} tells whether it is right"
            )
    folder = folder_of(course, homework.id)
    hooks = [] if len(problems) == len(homework.problems) else [p.hook for p in problems]
    data.fill_homework(course.root, folder)
    with tempfile.TemporaryDirectory(prefix="needle-submit-") as scratch:
        out = Path(scratch) / "report.json"
        words = ["submit", homework.id, *hooks, "--report", str(out), *extra]
        status = run.mugrade(course, homework, words, folder)
        rows = json.loads(out.read_text(encoding="utf-8"))["rows"] if out.is_file() else []
    progress.record_submission(course, homework, rows)
    return status, rows


def mending(course: Course, homework: Homework, rows: list[dict[str, Any]]) -> str:
    """What to do about the first wrong problem of a submission; "" when none is."""
    problem = {problem.hook: problem.id for problem in homework.problems}
    standing = {row.problem.id: row for row in progress.standings(course, homework.id)}
    for row in rows:
        if row["word"] not in ("FAIL", "ERR") or row["problem"] not in problem:
            continue
        mine = standing[problem[row["problem"]]]
        step = f"hw test {mine.problem.id}"
        if row["word"] == "ERR" and (mine.stub == "stub" or YOURS in row.get("message", "")):
            return f"write {mine.problem.id} in {mine.place}, then: {step}" if mine.place else step
        if case := next((failure.get("case") for failure in row.get("failures", [])), 0):
            run = f"mugrade run {homework.id} {row['problem']} --case {case} --pdb"
            step += f"; or step through it: {run}"
        return step
    return ""


def benchmarks(
    course: Course, homework: Homework, extra: list[str]
) -> tuple[list[Path], list[str]]:
    """The homework's scripts in shared/bench, and the words that are for them.

    Args:
        extra: begins with the parts that are wanted, `matmul` for hw3_matmul.py; without any, all
            but those of a device, hw3_cuda.py.
    """
    scripts = sorted((course.root / "shared" / "bench").glob(f"{homework.id}*.py"))
    if not scripts:
        raise CourseError(f"there is no benchmark for {homework.id} in shared/bench")
    parts = {script.stem.partition("_")[2]: script for script in scripts}
    wanted = list(itertools.takewhile(lambda word: not word.startswith("-"), extra))
    for word in wanted:
        if word not in parts:
            known = ", ".join(filter(None, parts)) or "none"
            raise CourseError(f"{homework.id}'s benchmark has no part {word!r}; it has: {known}")
    rest = extra[len(wanted) :]
    wanted = wanted or [part for part in parts if part not in DEVICES]
    return [parts[word] for word in wanted], rest


def is_in_parts(scripts: list[Path]) -> bool:
    """Whether the scripts measure parts, each as far as it is written: hwN_PART.py."""
    return all("_" in script.stem for script in scripts)


def bench(
    course: Course, homework: Homework, scripts: list[Path], place: Path, extra: list[str]
) -> int:
    """Run the scripts inside a built tree; returns the first status that is not 0.

    Raises:
        CourseError: one did not come to its end: C++ crashed most often, or Python was ended.
    """
    env = {**run.environment(course, homework), "NEEDLE_TREE": str(place)}
    if place == course.folder(homework.id):  # a student's own: how far it came
        env["NEEDLE_BENCH_HISTORY"] = str(course.root / ".hw" / f"bench-{homework.id}.json")
    status = 0
    for script in scripts:
        done = subprocess.run([sys.executable, str(script), *extra], cwd=place, env=env)
        if not 0 <= done.returncode <= 2:  # 1 and 2 come with a sentence
            raise CourseError(f"{script.name} did not finish: {deaths.death(done.returncode)}")
        status = status or done.returncode
    return status


def next_hint(course: Course, problem: Problem, level: int | None = None) -> tuple[int, str]:
    """The hint after the last one asked for (or `level`); counts it."""
    texts = problem.hints
    if not texts:
        raise CourseError(f"there are no hints for {problem.id} yet")
    data = progress.state(course)
    seen = int(data["hints"].get(problem.id, 0))
    chosen = min(seen + 1, len(texts)) if level is None else level
    data["hints"][problem.id] = max(seen, chosen)
    progress.save(course, data)
    return chosen, texts[chosen - 1]
