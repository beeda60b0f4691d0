"""What the student's verbs do: test, build, submit, reset, hint. Printing is the caller's."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from coursekit import build, progress, tree
from coursekit.errors import CourseError
from coursekit.recorder import VARIABLE, Report
from coursekit.syllabus import Course, Homework, Problem

# The recorder is imported from this package's own folder, which is then taken off the path again:
# the test session sees the homework's tree and nothing of the course's shared folder.
_PYTEST = (
    "import sys; sys.path.insert(0, {shared!r}); import coursekit.recorder; "
    "sys.path.remove({shared!r}); import pytest; "
    "sys.exit(pytest.main(sys.argv[1:], plugins=[coursekit.recorder]))"
)


def current(course: Course) -> str:
    """The homework of the current folder, else the first one that is not finished."""
    here = Path.cwd().resolve()
    for stage in course.stages:
        folder = (course.root / stage).resolve()
        if here == folder or folder in here.parents:
            return stage
    started = [s for s in course.stages if progress.is_started(course, s)]
    return started[-1] if started else course.stages[0]


def folder_of(course: Course, stage: str) -> Path:
    folder = course.root / stage
    if not folder.is_dir():
        raise CourseError(f"the folder {stage} is missing; take it from the course's repository")
    return folder


def run_tests(course: Course, problems: list[Problem], extra: list[str]) -> tuple[int, Report]:
    """The problems' tests of one homework on the student's own files, live on the terminal.

    Returns:
        pytest's status and what became of each test.
    """
    homework = course.homework(problems[0].homework)
    folder = folder_of(course, homework.id)
    tree.fill_data(course, folder)
    files = sorted({p.tests for p in problems})
    for name in files:
        if not (folder / name).is_file():
            raise CourseError(
                f"{homework.id}/{name} is missing; take it from the course's repository"
            )
    with tempfile.TemporaryDirectory(prefix="needle-test-") as scratch:
        out = Path(scratch) / "report.json"
        wish = {
            "problems": [(p.id, p.tests, p.select) for p in problems],
            "root": str(folder),
            "out": str(out),
        }
        shared = str(Path(__file__).resolve().parents[1])
        command = [
            sys.executable,
            "-c",
            _PYTEST.format(shared=shared),
            "-p",
            "no:randomly",
            "--tb=short",
            "--rootdir",
            str(folder),
            *files,
            *extra,
        ]
        env = {**os.environ, **homework.env, VARIABLE: json.dumps(wish)}
        status = subprocess.run(command, cwd=folder, env=env).returncode
        if out.is_file():
            report = Report.from_dict(json.loads(out.read_text(encoding="utf-8")))
        else:
            report = Report(crashed=f"the test session ended with status {status}")
    if report.tests:
        progress.record(course, problems, report)
    return status, report


def needs_build(course: Course, problems: list[Problem]) -> bool:
    homework = course.homework(problems[0].homework)
    wanted = any(problem.build for problem in problems)
    return wanted and build.is_stale(course.root / homework.id, homework)


def environment(course: Course, homework: Homework) -> dict[str, str]:
    """The variables for a program that runs inside a homework and calls the autograder."""
    client = course.root / "shared" / "mugrade" / "src"
    path = [str(client)] if client.is_dir() else []
    path += [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
    return {**os.environ, **homework.env, "PYTHONPATH": os.pathsep.join(path)}


def mugrade(course: Course, homework: Homework, arguments: list[str], folder: Path) -> int:
    """Run the autograder's client inside the folder; returns its exit status."""
    client = course.root / "shared" / "mugrade" / "src" / "mugrade"
    installed = importlib.util.find_spec("mugrade")
    if (installed is None or installed.origin is None) and not client.is_dir():
        raise CourseError(
            "the autograder's client is missing; install it with: "
            f"{sys.executable} -m pip install -e shared/mugrade"
        )
    tree.fill_data(course, folder)
    command = [sys.executable, "-m", "mugrade", *arguments]
    return subprocess.run(command, cwd=folder, env=environment(course, homework)).returncode


def submit(course: Course, homework: Homework, problems: list[Problem], extra: list[str]) -> int:
    """Send the problems' values; returns the client's exit status."""
    folder = folder_of(course, homework.id)
    hooks = [] if len(problems) == len(homework.problems) else [p.hook for p in problems]
    status = mugrade(course, homework, ["submit", homework.id, *hooks, *extra], folder)
    if status in (0, 1):
        progress.record_submission(course, problems, "yes" if status == 0 else "some wrong")
    return status


def benchmarks(course: Course, homework: Homework) -> list[Path]:
    """The homework's scripts in shared/bench."""
    scripts = sorted((course.root / "shared" / "bench").glob(f"{homework.id}*.py"))
    if not scripts:
        raise CourseError(f"there is no benchmark for {homework.id} in shared/bench")
    return scripts


def bench(
    course: Course, homework: Homework, scripts: list[Path], place: Path, extra: list[str]
) -> int:
    """Run the scripts inside a built tree; returns the first status that is not 0."""
    env = {**environment(course, homework), "NEEDLE_TREE": str(place)}
    status = 0
    for script in scripts:
        done = subprocess.run([sys.executable, str(script), *extra], cwd=place, env=env)
        status = status or done.returncode
    return status


def reset(course: Course, problem: Problem) -> tuple[list[str], str]:
    """Put the problem's stubs back; returns the files changed and where the backup lies.

    Raises:
        CourseError: the region's marks are no longer there as the handout has them.
    """
    stage = problem.homework
    pattern = re.compile(
        r"^[^\n]*BEGIN YOUR SOLUTION " + re.escape(problem.id) + r"\b(?:(?!BEGIN YOUR SOLUTION).)*?"
        r"END YOUR SOLUTION[^\n]*$",
        re.M | re.S,
    )
    plan: dict[str, str] = {}
    for name, content in tree.code_of(tree.pristine(course, stage)).items():
        if b"BEGIN YOUR SOLUTION " + problem.id.encode() not in content:
            continue
        stubs = [found[0] for found in pattern.finditer(content.decode("utf-8"))]
        path = course.root / stage / name
        if not stubs:
            continue
        if not path.is_file():
            plan[name] = content.decode("utf-8")
            continue
        text = path.read_text(encoding="utf-8")
        if len(pattern.findall(text)) != len(stubs):
            raise CourseError(
                f"the marks of {problem.id} are not as the handout has them ({len(stubs)} pairs "
                f"expected); put back the lines BEGIN/END YOUR SOLUTION {problem.id}",
                f"{stage}/{name}",
            )
        queue = iter(stubs)
        plan[name] = pattern.sub(lambda _, queue=queue: next(queue), text)
    backup = tree.Backup(course, f"reset-{problem.name}")
    changed = []
    for name, text in plan.items():
        path = course.root / stage / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        backup.keep(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        changed.append(f"{stage}/{name}")
    return changed, str(backup) if backup.used else ""


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
