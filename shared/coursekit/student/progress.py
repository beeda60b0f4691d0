"""How far a student has come: stubs filled, tests passed, submitted. Kept in .hw/state.json."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from coursekit.core import tree
from coursekit.core.problems import Problem
from coursekit.core.report import Report
from coursekit.core.syllabus import Course, Homework
from coursekit.student.handouts import pristine
from coursekit.student.obstacles import obstacles
from coursekit.student.written import (
    Stub,
    called,
    outside,
    parts_of,
    place_of,
    regions,
    stubs,
)


@dataclass(frozen=True)
class Need:
    """A stub at which a problem's tests stop, and which must be written before they can pass."""

    what: str
    """The problem, or the function where that is a helper."""
    place: str
    """file:line, from the course's root."""
    why: str = ""
    other_way: str = ""
    """A command that does without it."""


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
    needs: Need | None = None
    wrong: int = 0
    """How many tests fail otherwise than at a stub."""
    unread: str = ""
    """The file:line for which its tests cannot even be read, and why."""


def state(course: Course) -> dict:
    """The remembered facts; a file that cannot be read counts as empty."""
    try:
        data = json.loads((course.root / ".hw" / "state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        data = {}
    data = data if isinstance(data, dict) else {}
    empty: dict[str, Any] = {"started": [], "results": {}, "submitted": {}, "hints": {}}
    return data | {
        key: data[key] if isinstance(data.get(key), type(none)) else none
        for key, none in empty.items()
    }


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
    found = {}
    for name in tree.code_of(handout):
        path = course.folder(stage) / name
        with contextlib.suppress(FileNotFoundError):  # an editor may be putting a new one there
            if path.is_file():
                found[name] = tree.as_handed_out(path.read_bytes())
    return found


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
    files = own_files(course, stage, pristine(course, stage))
    code = digests(problems, files)
    for problem in problems:
        if report.unread and not report.of(problem.id):
            place, said = next(iter(report.unread.items()))
            broken = {"code": _digest(files), "unread": f"{place} ({said})"}
            data["results"][problem.id] = broken
            continue
        count = Counter(test.outcome for test in report.of(problem.id))
        if count["not run"] and not count["failed"]:
            continue
        counts = {word: count[word] for word in ("passed", "failed", "skipped")}
        words, wrong = report.stopped(problem.id)
        data["results"][problem.id] = {
            **counts,
            "code": code[problem.id],
            "device": device,
            "stub": words,
            "wrong": wrong,
        }
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


def to_write(found: Iterable[Stub], problem: str) -> list[Stub]:
    """The stubs of the problem, without helpers that nobody must write."""
    return [stub for stub in found if stub.problem == problem and not stub.optional]


def stub_state(problem: Problem, here: list[Stub], given: list[Stub]) -> str:
    """See `Standing.stub`; the stubs that stand in the student's files, and in the handout."""
    left, all_of_them = to_write(here, problem.id), to_write(given, problem.id)
    if not all_of_them:
        return "no stub"  # a problem that asks for measuring, or for changing what is there
    if not left:
        return "written"
    return "stub" if len(left) >= len(all_of_them) else "begun"


def standings(course: Course, stage: str, extras: bool = False) -> list[Standing]:
    """Where the student stands with each of the homework's problems, on demand with its extras."""
    data = state(course)
    handout = pristine(course, stage)
    files = own_files(course, stage, handout)
    homework = course.homework(stage)
    problems = homework.everything if extras else homework.problems
    code = digests(problems, files)
    here, given = stubs(files, homework.folder), stubs(tree.code_of(handout))
    rows = []
    for problem in problems:
        place = next((stub.place for stub in to_write(here, problem.id)), "")
        result = data["results"].get(problem.id) or {}
        unread = str(result.get("unread", ""))
        tests, detail = _verdict(result, _digest(files) if unread else code[problem.id])
        stub = stub_state(problem, here, given) if files else "missing"
        if tests == "passed" and stub != "no stub":  # it may have gone another way than proposed
            stub = "written"
        words, wrong = str(result.get("stub", "")), int(result.get("wrong", 0))
        needs = waits_for(course, problem, words, wrong, files) if tests == "failed" else None
        if tests == "failed" and words and not wrong and needs is None:
            tests = "changed since"  # the stub at which they stopped has been written
        submitted, points = _submitted(data["submitted"].get(problem.id))
        unread = unread if tests == "failed" else ""
        kept = (tests, detail, submitted, points, place, needs, wrong, unread)
        rows.append(Standing(problem, stub, *kept))
    return rows


def waits_for(
    course: Course, problem: Problem, words: str, wrong: int, files: tree.Files
) -> Need | None:
    """What must be written before the problem's tests can pass, if that is why they fail.

    Args:
        words, wrong: see `Report.stopped`.
        files: the homework's, as `own_files` gives them.
    """
    homework = course.homework(problem.homework)
    if wrong:  # CUDA's device code cannot throw: where it is not written, nothing is done
        for stub in stubs(files, homework.folder):
            if (
                stub.silent
                and stub.problem in (problem.id, *problem.reopens)
                and called(files, stub)
            ):
                return Need(stub.name, stub.place, ", which your code uses")
    if wrong or not words:
        return None
    place = place_of(files, words, homework.folder)
    if not place and homework.on:  # a lab's tests may stop in the library that it runs on
        library = own_files(course, homework.on, pristine(course, homework.on))
        place = place_of(library, words, course.homework(homework.on).folder)
    if not place:
        return None
    owner, name, optional = parts_of(words)
    if owner == problem.id:
        return Need(name, place, ", where its tests stop") if optional else Need(owner, place)
    what = f"{owner} ({name})" if optional else owner
    is_earlier = owner.split("/")[0] != problem.homework
    compiled = is_earlier and place.split(":")[0].endswith((".cc", ".cu"))
    other_way = f"hw test {problem.id} --device cpu_numpy" if compiled else ""
    return Need(what, place, f", which {problem.id} needs", other_way)


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
    rows = {s: _in_question(course, s) for s in course.stages if is_started(course, s)}
    graded = {s: [row for row in rows[s] if not row.problem.is_extra] for s in rows}
    unsent = [
        s
        for s in rows
        if not _step(course, graded[s]) and any(row.submitted != "yes" for row in graded[s])
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


def _in_question(course: Course, stage: str) -> list[Standing]:
    """A homework's problems, and an extra as long as it is what was tested last."""
    tested = state(course).get("tested", [])
    rows = standings(course, stage, extras=True)
    return [row for row in rows if not row.problem.is_extra or row.problem.id in tested]


def _step(course: Course, rows: list[Standing]) -> str:
    """What to do in one homework: the problem that was tested last and failed, else in order."""
    tested = state(course).get("tested", [])
    last = lambda row: row.problem.id in tested and row.tests in ("failed", "changed since")
    for row in sorted(rows, key=lambda row: not last(row)):
        problem = row.problem.id
        if row.unread:
            return f"mend {row.unread}, then: hw test {problem}"
        if row.stub != "stub" and (need := row.needs):
            way = f", or without it: {need.other_way}" if need.other_way else ""
            return f"write {need.what} in {need.place}{need.why}, then: hw test {problem}{way}"
        if row.stub == "stub" or (row.stub == "begun" and not row.wrong):
            return f"write {problem} in {row.place}, then: hw test {problem}"
        if row.tests == "failed":
            rest = f", then write the rest in {row.place}" if row.stub == "begun" else ""
            return f"mend {problem} ({row.detail} tests pass){rest}: hw test {problem}"
        if row.tests not in ("passed", "skipped"):
            return f"test {problem}: hw test {problem}"
    return ""
