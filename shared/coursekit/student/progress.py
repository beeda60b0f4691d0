"""How far a student has come: stubs filled, tests passed, submitted. Kept in .hw/state.json."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass

from coursekit.core import tree
from coursekit.core.problems import Problem
from coursekit.core.recorder import Report
from coursekit.core.syllabus import Course
from coursekit.core.tree import OPTIONAL, YOURS
from coursekit.student.handouts import pristine


@dataclass(frozen=True)
class Standing:
    """One problem as the dashboard shows it."""

    problem: Problem
    stub: str
    """"stub", "begun" (some regions of several), "written", "missing", or "no stub"."""
    tests: str
    """"not run", "passed", "failed" or "changed since" (the files are younger than the verdict)."""
    detail: str
    submitted: str
    """"no", "yes" or "some wrong"."""
    place: str
    """file:line of the first stub left, from the course's root."""


def state(course: Course) -> dict:
    """The remembered facts; a file that cannot be read counts as empty."""
    try:
        data = json.loads((course.root / ".hw" / "state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        data = {}
    data = data if isinstance(data, dict) else {}
    return {"started": [], "results": {}, "submitted": {}, "hints": {}, **data}


def save(course: Course, data: dict) -> None:
    """Whole or not at all."""
    folder = course.root / ".hw"
    folder.mkdir(exist_ok=True)
    partial = folder / f"state.json.{os.getpid()}"
    partial.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(partial, folder / "state.json")


def is_started(course: Course, stage: str) -> bool:
    return stage in state(course)["started"]


def mark_started(course: Course, stage: str) -> None:
    data = state(course)
    if stage not in data["started"]:
        data["started"].append(stage)
        save(course, data)


def own_files(course: Course, stage: str, handout: tree.Files) -> tree.Files:
    """What the student made of the handout's code; other files, such as scratch files, do not count."""
    paths = {name: course.root / stage / name for name in tree.code_of(handout)}
    return {name: path.read_bytes() for name, path in paths.items() if path.is_file()}


def digest(files: tree.Files) -> str:
    """Changes whenever a file does."""
    made = hashlib.sha256()
    for name, content in sorted(files.items()):
        made.update(f"{name}\0{len(content)}\0".encode() + content)
    return made.hexdigest()[:16]


def record(course: Course, problems: list[Problem], report: Report) -> None:
    """Remember what a test run found, with the state of the files it was found on."""
    data = state(course)
    stages = {problem.homework for problem in problems}
    code = {s: digest(own_files(course, s, pristine(course, s))) for s in stages}
    for problem in problems:
        tests = report.of(problem.id)
        counts = {
            word: sum(t.outcome == word for t in tests) for word in ("passed", "failed", "skipped")
        }
        data["results"][problem.id] = {**counts, "code": code[problem.homework]}
    save(course, data)


def record_submission(course: Course, problems: list[Problem], verdict: str) -> None:
    data = state(course)
    data["submitted"].update({problem.id: verdict for problem in problems})
    save(course, data)


def stubs_left(files: tree.Files, problem: str) -> list[tuple[str, int]]:
    """(file, line) of every stub of the problem that still stands in the files.

    Stubs of helpers that nobody must write do not count.
    """
    begin = f"{problem}: ".encode()
    stub = re.compile(rb"\b" + re.escape(begin) + rb".*" + YOURS.encode())
    return [
        (name, number)
        for name, content in sorted(files.items())
        if begin in content  # most files hold none, and asking this is a hundred times faster
        for number, row in enumerate(content.split(b"\n"), 1)
        if stub.search(row) and OPTIONAL.encode() not in row
    ]


def stub_state(problem: Problem, files: tree.Files, handout: tree.Files) -> str:
    """See `Standing.stub`; `files` are the student's, as `own_files` gives them."""
    given, left = stubs_left(tree.code_of(handout), problem.id), stubs_left(files, problem.id)
    if not given:
        return "no stub"  # a problem that asks for measuring, or for changing what is there
    if not left:
        return "written" if files else "missing"
    return "stub" if len(left) >= len(given) else "begun"


def standings(course: Course, stage: str) -> list[Standing]:
    """Where the student stands with each of the homework's problems."""
    data = state(course)
    handout = pristine(course, stage)
    files = own_files(course, stage, handout)
    code = digest(files)
    rows = []
    for problem in course.homework(stage).problems:
        left = stubs_left(files, problem.id)
        place = f"{stage}/{left[0][0]}:{left[0][1]}" if left else ""
        tests, detail = _verdict(data["results"].get(problem.id), code)
        stub = stub_state(problem, files, handout)
        if stub == "begun" and tests == "passed":  # it went another way than the handout proposes
            stub = "written"
        submitted = data["submitted"].get(problem.id, "no")
        rows.append(Standing(problem, stub, tests, detail, submitted, place))
    return rows


def _verdict(result: dict | None, code: str) -> tuple[str, str]:
    if not result:
        return "not run", ""
    total = sum(result.get(word, 0) for word in ("passed", "failed", "skipped"))
    good = result.get("passed", 0)
    detail = f"{good} of {total}"
    if result.get("failed", 0) or not good:
        return "failed", detail
    return ("passed" if result.get("code") == code else "changed since"), detail


def next_step(course: Course) -> str:
    """The one sentence that says what to do now.

    What is not submitted yet is told, but keeps nobody from a homework that was begun after it.
    """
    unsent: list[str] = []
    before = ""
    for homework in course.homeworks:
        told = f" (not submitted yet: {', '.join(unsent)})" if unsent else ""
        if not is_started(course, homework.id):
            begin = f"hw start {homework.id}"
            if unsent and unsent[-1] == before:
                return f"all of {before} is written and tested: hw submit {before}, then: {begin}"
            return f"begin {homework.id}, {homework.title}: {begin}{told}"
        rows = standings(course, homework.id)
        for row in rows:
            problem = row.problem.id
            if row.stub in ("stub", "begun"):
                return f"write {problem} in {row.place}, then: hw test {problem}{told}"
            if row.tests == "failed":
                return f"mend {problem} ({row.detail} tests pass): hw test {problem}{told}"
            if row.tests != "passed":
                return f"test {problem}: hw test {problem}{told}"
        if any(row.submitted != "yes" for row in rows):
            unsent.append(homework.id)
        before = homework.id
    if unsent:
        return f"all homeworks are written and tested: hw submit {unsent[0]}"
    return "all homeworks are done; the final project is next: project/README.md"
