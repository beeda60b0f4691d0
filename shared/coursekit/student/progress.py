"""How far a student has come: stubs filled, tests passed, submitted. Kept in .hw/state.json."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coursekit.core import tree
from coursekit.core.errors import CourseError
from coursekit.core.problems import Problem
from coursekit.core.recorder import Report
from coursekit.core.syllabus import Course, Homework
from coursekit.core.tree import OPTIONAL, YOURS
from coursekit.student.handouts import pristine
from coursekit.student.merge import conflicts
from coursekit.student.written import outside, regions


@dataclass(frozen=True)
class Standing:
    """One problem as the dashboard shows it."""

    problem: Problem
    stub: str
    """"stub", "begun" (some regions of several), "written", "missing", or "no stub"."""
    tests: str
    """"not run", "passed", "failed", "skipped" or "changed since" (files younger than the verdict)."""
    detail: str
    submitted: str
    """"no", "yes" (once everything was right) or "some wrong"."""
    points: str
    """What the grader gave: the best, and the last try where that was worse."""
    place: str
    """file:line of the first stub left, from the course's root."""
    needs: str = ""
    """The problem before it whose stub stops its tests, and where that stands."""


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


def take_in_hand(course: Course, stage: str) -> None:
    """Remember that the homework was started, and that it is the one being worked on."""
    data = state(course)
    if stage not in data["started"]:
        data["started"].append(stage)
    data["in_hand"] = stage
    save(course, data)


def in_hand(course: Course) -> str:
    """The homework that was started or tested last, else the first."""
    data = state(course)
    started = [stage for stage in course.stages if stage in data["started"]]
    known = data.get("in_hand")
    return known if known in course.stages else started[-1] if started else course.stages[0]


def own_files(course: Course, stage: str, handout: tree.Files) -> tree.Files:
    """What the student made of the handout's code; other files, such as scratch files, do not count."""
    folder = course.folder(stage)
    paths = {name: folder / name for name in tree.code_of(handout)}
    return {name: path.read_bytes() for name, path in paths.items() if path.is_file()}


def digests(problems: Iterable[Problem], files: tree.Files) -> dict[str, str]:
    """Problem -> what changes whenever its code does: its regions, and what stands outside of all
    marks in their files. Of a problem without regions any code is its own."""
    parts = {name: (outside(content), list(regions(content))) for name, content in files.items()}
    found = {}
    for problem in problems:
        wanted, mine = {problem.id, *problem.reopens}, {}
        for name, (rest, all_regions) in parts.items():
            own = [match[0] for (owner, _), match in all_regions if owner in wanted]
            if own:
                mine[name] = b"\0".join([rest, *own])
        found[problem.id] = _digest(mine or files)
    return found


def _digest(files: tree.Files) -> str:
    made = hashlib.sha256()
    for name, content in sorted(files.items()):
        made.update(f"{name}\0{len(content)}\0".encode() + content)
    return made.hexdigest()[:16]


def record(
    course: Course, problems: list[Problem], report: Report, device: str | None = None
) -> None:
    """Remember what a test run found, with the state of the code it was found on.

    A run of some of a problem's tests, all of which pass, is no verdict on the problem.

    Args:
        device: the only one that was tested, if it was only one.
    """
    data = state(course)
    stage = problems[0].homework
    code = digests(problems, own_files(course, stage, pristine(course, stage)))
    for problem in problems:
        count = Counter(test.outcome for test in report.of(problem.id))
        if count["not run"] and not count["failed"]:
            continue
        counts = {word: count[word] for word in ("passed", "failed", "skipped")}
        data["results"][problem.id] = {**counts, "code": code[problem.id], "device": device}
        if (stub := report.stub(problem.id)) != problem.id:
            data["results"][problem.id]["needs"] = stub
    data["in_hand"], data["tested"] = problems[0].homework, [problem.id for problem in problems]
    save(course, data)


def record_submission(course: Course, homework: Homework, rows: list[dict[str, Any]]) -> None:
    """Remember the grader's verdict on each problem.

    Args:
        rows: what `mugrade submit --report` writes: problem (the hook's name), word, score, best,
            points and more. Rows of problems that did not reach the grader change nothing.
    """
    data = state(course)
    ids = {problem.hook: problem.id for problem in homework.problems}
    for row in rows:
        if row["problem"] not in ids or row["word"] not in ("ok", "FAIL", "ERR"):
            continue
        points = {key: row.get(key) for key in ("score", "best", "points")}
        data["submitted"][ids[row["problem"]]] = {"right": row["word"] == "ok", **points}
    data["in_hand"] = homework.id
    save(course, data)


def _submitted(last: Any) -> tuple[str, str]:
    """("no", "yes" or "some wrong", in the grader's points); what an older `hw` kept is the word."""
    if not isinstance(last, dict):
        return str(last or "no"), ""
    score, best, points = (_number(last.get(key)) for key in ("score", "best", "points"))
    if best is None or points is None:
        return ("yes" if last.get("right") else "some wrong"), ""
    told = f"{best:g} of {points:g}"
    told += f" (last try {score:g})" if score is not None and score < best else ""
    return ("yes" if last.get("right") or best >= points else "some wrong"), told


def _number(text: Any) -> float | None:
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def obstacles(course: Course, stage: str) -> list[CourseError]:
    """What keeps everything of a homework from running: missing files, conflicts left open."""
    found = []
    for name in sorted(tree.code_of(pristine(course, stage))):
        path = course.folder(stage) / name
        label = _inside(course, path)
        if not path.is_file():
            kept = sorted((course.root / ".hw" / "backups").glob(f"*/{label}"))
            last = f", your last version is {_inside(course, kept[-1])}" if kept else ""
            sentence = f"the file is missing; hw start {stage} puts the handout back{last}"
            found.append(CourseError(sentence, label))
            continue
        sentence = (
            "two versions stand here; keep one, and delete the lines <<<<<<<, ======= and >>>>>>>"
        )
        found += [CourseError(sentence, label, line) for line in conflicts(path.read_bytes())]
    return found


def _inside(course: Course, path: Path) -> str:
    return path.relative_to(course.root).as_posix()


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


def standings(course: Course, stage: str, extras: bool = False) -> list[Standing]:
    """Where the student stands with each of the homework's problems, on demand with its extras."""
    data = state(course)
    handout = pristine(course, stage)
    files = own_files(course, stage, handout)
    homework = course.homework(stage)
    problems = homework.everything if extras else homework.problems
    code = digests(problems, files)
    rows, folder = [], course.homework(stage).folder
    for problem in problems:
        left = stubs_left(files, problem.id)
        place = f"{folder}/{left[0][0]}:{left[0][1]}" if left else ""
        tests, detail = _verdict(data["results"].get(problem.id), code[problem.id])
        stub = stub_state(problem, files, handout)
        if stub == "begun" and tests == "passed":  # it went another way than the handout proposes
            stub = "written"
        submitted, points = _submitted(data["submitted"].get(problem.id))
        needs = (data["results"].get(problem.id) or {}).get("needs", "")
        waiting = stubs_left(files, needs) if needs and tests == "failed" else []
        if needs and tests == "failed" and not waiting:  # what it needed has been written
            tests = "changed since"
        needs = f"{needs} in {folder}/{waiting[0][0]}:{waiting[0][1]}" if waiting else ""
        rows.append(Standing(problem, stub, tests, detail, submitted, points, place, needs))
    return rows


def _verdict(result: dict | None, code: str) -> tuple[str, str]:
    if not result:
        return "not run", ""
    total = sum(result.get(word, 0) for word in ("passed", "failed", "skipped"))
    good = result.get("passed", 0)
    detail = f"{good} of {total}"
    changed = result.get("code") != code
    if result.get("failed", 0) or not total:
        return ("changed since" if changed else "failed"), detail
    if not good:
        return "skipped", ""
    if result.get("device"):
        detail = f"on {result['device']}, {detail}"
    return ("changed since" if changed else "passed"), detail


def next_step(course: Course, tell_unsent: bool = False) -> str:
    """The one sentence that says what to do now: in the homework in hand, then in those after it.

    A lab is never the next step before it was begun. What is not submitted yet keeps nobody from a homework that was begun after it.

    Args:
        tell_unsent: name what is not submitted yet, too.
    """
    rows = {s: standings(course, s) for s in course.stages if is_started(course, s)}
    unsent = [
        s for s in rows if not _step(course, rows[s]) and any(r.submitted != "yes" for r in rows[s])
    ]
    told = f" (not submitted yet: {', '.join(unsent)})" if unsent and tell_unsent else ""
    at = course.index(in_hand(course))
    before = ""
    for stage in (*course.stages[at:], *course.stages[:at]):
        if stage not in rows and course.homework(stage).is_lab:
            continue
        if stage not in rows:
            begin = f"hw start {stage}"
            if before in unsent:
                return f"all of {before} is written and tested: hw submit {before}, then: {begin}"
            return f"begin {stage}, {course.homework(stage).title}: {begin}{told}"
        if faults := obstacles(course, stage):
            return str(faults[0])
        if step := _step(course, rows[stage]):
            return step + told
        before = stage
    if unsent:
        return f"all homeworks are written and tested: hw submit {unsent[0]}"
    labs = [h.id for h in course.homeworks if h.is_lab and h.id not in rows]
    way = f" (a lab on the way there: hw start {labs[0]})" if labs else ""
    return f"all homeworks are done; the final project is next: project/README.md{way}"


def _step(course: Course, rows: list[Standing]) -> str:
    """What to do in one homework: the problem that was tested last and failed, else in order."""
    tested = state(course).get("tested", [])
    last = lambda row: row.problem.id in tested and row.tests in ("failed", "changed since")
    for row in sorted(rows, key=lambda row: not last(row)):
        problem = row.problem.id
        if row.stub in ("stub", "begun"):
            return f"write {problem} in {row.place}, then: hw test {problem}"
        if row.needs:
            return f"write {row.needs}, which {problem} needs, then: hw test {problem}"
        if row.tests == "failed":
            return f"mend {problem} ({row.detail} tests pass): hw test {problem}"
        if row.tests not in ("passed", "skipped"):
            return f"test {problem}: hw test {problem}"
    return ""
