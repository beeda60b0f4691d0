"""`course.toml` as typed, checked objects. Knows nothing of rendering, tests or terminals."""

from __future__ import annotations

import difflib
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coursekit.errors import CourseError

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover
    import tomli as tomllib

FILE = "course.toml"

COURSE_KEYS = {"id": str, "title": str, "python": str}
HOMEWORK_KEYS = {
    "id": str,
    "title": str,
    "path": list,
    "build": str,
    "modules": list,
    "env": dict,
    "files": list,
    "problem": list,
}
PROBLEM_KEYS = {
    "id": str,
    "title": str,
    "points": int,
    "tests": str,
    "select": str,
    "hook": str,
    "build": bool,
    "reopens": list,
    "mutants": int,
    "ascale": float,
}
CERTIFICATE_KEYS = {"average": int, "project": bool}
LATE_KEYS = {"percent_per_day": int, "pooled_days": int, "cutoff_days": int, "grace_minutes": int}
TOP_KEYS = {"course": dict, "certificate": dict, "late": dict, "homework": list}
BUILDS = ("make", "cmake")


@dataclass(frozen=True)
class Problem:
    """One graded problem; `id` is the full one, `hw1/backward`."""

    id: str
    title: str
    points: int
    tests: str
    select: str
    hook: str
    build: bool = False
    reopens: tuple[str, ...] = ()
    mutants: int = 4
    """How many wrong solutions the proof must hold ready, at least."""
    ascale: float | None = None
    """How far submitted numbers may be off, relative to the largest; None: as the grader says."""
    line: int = 0

    @property
    def homework(self) -> str:
        return self.id.split("/")[0]

    @property
    def name(self) -> str:
        return self.id.split("/")[1]


@dataclass(frozen=True)
class Homework:
    """One stage: `files` are those that *enter* here."""

    id: str
    title: str
    path: tuple[str, ...]
    files: tuple[str, ...]
    problems: tuple[Problem, ...]
    modules: tuple[str, ...] = ()
    build: str | None = None
    env: dict[str, str] = field(default_factory=dict)
    line: int = 0

    @property
    def points(self) -> int:
        return sum(p.points for p in self.problems)


@dataclass(frozen=True)
class Course:
    """The whole syllabus and the folder it governs."""

    root: Path
    id: str
    title: str
    python: str
    homeworks: tuple[Homework, ...]
    certificate: dict[str, Any] = field(default_factory=dict)
    late: dict[str, Any] = field(default_factory=dict)

    @property
    def stages(self) -> tuple[str, ...]:
        return tuple(h.id for h in self.homeworks)

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(p for h in self.homeworks for p in h.problems)

    @property
    def reference(self) -> Path:
        return self.root / "shared" / "reference"

    @property
    def is_staff(self) -> bool:
        """True where the solved library is at hand."""
        return self.reference.is_dir()

    def homework(self, stage: str) -> Homework:
        for homework in self.homeworks:
            if homework.id == stage:
                return homework
        raise CourseError(
            f"there is no homework {stage!r}; the homeworks are {', '.join(self.stages)}"
        )

    def problem(self, problem_id: str) -> Problem:
        for problem in self.problems:
            if problem.id == problem_id:
                return problem
        stage = problem_id.split("/")[0]
        mine = [p.id for p in self.problems if p.homework == stage]
        near = difflib.get_close_matches(problem_id, mine or [p.id for p in self.problems], n=1)
        hint = f"did you mean {near[0]!r}?" if near else "`hw` lists them all"
        raise CourseError(f"there is no problem {problem_id!r}; {hint}")

    def index(self, stage: str) -> int:
        return self.stages.index(self.homework(stage).id)

    def previous(self, stage: str) -> Homework | None:
        at = self.index(stage)
        return self.homeworks[at - 1] if at else None

    def next(self, stage: str) -> Homework | None:
        at = self.index(stage) + 1
        return self.homeworks[at] if at < len(self.homeworks) else None

    def select(self, target: str | None) -> list[Problem]:
        """Problems of `None` (all), `hw1`, or `hw1/backward`."""
        if target is None:
            return list(self.problems)
        target = target.rstrip("/")
        if "/" in target:
            return [self.problem(target)]
        return list(self.homework(target).problems)

    def files(self, stage: str) -> list[str]:
        """Every path of the stage's tree, in order of entering."""
        upto = self.homeworks[: self.index(stage) + 1]
        return [name for homework in upto for name in homework.files]


def find_root(start: Path | None = None) -> Path:
    """The nearest folder upwards with a course.toml, else the one this package lies in."""
    start = (start or Path.cwd()).resolve()
    package_root = Path(__file__).resolve().parents[2]
    for folder in (start, *start.parents, package_root):
        if (folder / FILE).is_file():
            return folder
    raise CourseError(f"no {FILE} in {start} or above it; run this inside the course's folder")


def load(root: Path | None = None) -> Course:
    """Read and check `course.toml` of `root` (found upwards from the current folder by default).

    Raises:
        CourseError: naming file and line of the first fault.
    """
    root = find_root() if root is None else Path(root).resolve()
    path = root / FILE
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise CourseError(f"cannot be read: {error.strerror}", FILE) from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+)", str(error))
        message = re.sub(r" \(at .*\)$", "", str(error))
        raise CourseError(
            f"not valid TOML: {message}", FILE, int(found[1]) if found else None
        ) from None
    return _Reader(text, data, root).course()


class _Reader:
    """Turns the parsed table into objects; remembers lines, which TOML parsers forget."""

    def __init__(self, text: str, data: dict, root: Path):
        self.data, self.root = data, root
        self.rows = text.splitlines()
        self.lines = _index_lines(self.rows)

    def fail(self, message: str, where: tuple, key: str | None = None, item: str | None = None):
        line = self.lines.get((where, key)) or self.lines.get((where, None))
        if item is not None and line:
            quoted = re.compile("[\"']" + re.escape(item) + "[\"']")
            for number in range(line, len(self.rows) + 1):
                if quoted.search(self.rows[number - 1]):
                    line = number
                    break
        raise CourseError(message, FILE, line or 1)

    def table(self, table: dict, keys: dict[str, type], where: tuple, label: str, required=()):
        for key, value in table.items():
            if key not in keys:
                near = difflib.get_close_matches(key, keys, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(keys)}"
                self.fail(f"unknown key {key!r} in {label}; {hint}", where, key)
            kind = keys[key]
            if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
                self.fail(
                    f"{label}: {key} must be {_KIND[kind]}, not {type(value).__name__} {value!r}",
                    where,
                    key,
                )
        for key in required:
            if key not in table:
                self.fail(f"{label} lacks {key!r}", where)

    def course(self) -> Course:
        self.table(self.data, TOP_KEYS, (), FILE, ("course", "homework"))
        head = self.data["course"]
        self.table(head, COURSE_KEYS, ("course",), "[course]", ("id", "title"))
        certificate, late = self.data.get("certificate", {}), self.data.get("late", {})
        self.table(certificate, CERTIFICATE_KEYS, ("certificate",), "[certificate]")
        self.table(late, LATE_KEYS, ("late",), "[late]")
        homeworks: list[Homework] = []
        for number, table in enumerate(self.data["homework"]):
            homeworks.append(self.homework(number, table, homeworks))
        return Course(
            root=self.root,
            id=head["id"],
            title=head["title"],
            python=head.get("python", ">=3.10"),
            homeworks=tuple(homeworks),
            certificate=certificate,
            late=late,
        )

    def homework(self, number: int, table: dict, before: list[Homework]) -> Homework:
        where = ("homework", number)
        label = f"homework {table.get('id', number + 1)!r}"
        self.table(table, HOMEWORK_KEYS, where, label, ("id", "title", "path", "files"))
        stage = table["id"]
        if not re.fullmatch(r"[a-z][a-z0-9_]*", stage):
            self.fail(f"homework id {stage!r} must be lower-case letters and digits", where, "id")
        if any(h.id == stage for h in before):
            self.fail(f"homework {stage!r} stands twice", where, "id")
        for key in ("path", "files", "modules"):
            for item in table.get(key, []):
                if not isinstance(item, str):
                    self.fail(f"{label}: {key} holds {item!r}, expected strings", where, key)
        entered = {name: h.id for h in before for name in h.files}
        for at, name in enumerate(table["files"]):
            if name in table["files"][:at]:
                self.fail(f"{label}: file {name!r} stands twice", where, "files", name)
            if name in entered:
                self.fail(
                    f"{label}: file {name!r} already enters at {entered[name]}; list a file where "
                    "it enters only",
                    where,
                    "files",
                    name,
                )
            if name.startswith("/") or ".." in Path(name).parts:
                self.fail(f"{label}: file {name!r} leaves the homework's folder", where, "files")
        if table.get("build", BUILDS[0]) not in BUILDS:
            self.fail(f"{label}: build must be one of {', '.join(BUILDS)}", where, "build")
        for key, value in table.get("env", {}).items():
            if not isinstance(value, str):
                self.fail(f"{label}: env {key} must be a string", where, "env")
        earlier = [p for h in before for p in h.problems]
        problems: list[Problem] = []
        for at, row in enumerate(table.get("problem", [])):
            problems.append(self.problem(where + (at,), stage, row, earlier, problems))
        return Homework(
            id=stage,
            title=table["title"],
            path=tuple(table["path"]),
            files=tuple(table["files"]),
            problems=tuple(problems),
            modules=tuple(table.get("modules", [])),
            build=table.get("build"),
            env=dict(table.get("env", {})),
            line=self.lines.get((where, None), 0),
        )

    def problem(self, where, stage, row, earlier, here) -> Problem:
        label = f"problem {stage}/{row.get('id', '?')}"
        required = ("id", "title", "points", "tests", "select")
        self.table(row, PROBLEM_KEYS, where, label, required)
        if not re.fullmatch(r"[a-z][a-z0-9_]*", row["id"]):
            self.fail(f"{label}: an id is lower-case letters, digits and _", where, "id")
        full = f"{stage}/{row['id']}"
        hook = row.get("hook", row["id"])
        if any(p.id == full for p in here):
            self.fail(f"problem {full!r} stands twice", where, "id")
        if any(p.hook == hook for p in here):
            self.fail(f"{label}: hook {hook!r} belongs to another problem already", where, "id")
        if row["points"] <= 0:
            self.fail(f"{label}: points are {row['points']}, expected above 0", where, "points")
        if not re.fullmatch(r"\w+", hook):
            self.fail(f"{label}: hook {hook!r} is no Python name", where, "hook")
        known = {p.id for p in earlier}
        for other in row.get("reopens", []):
            if other not in known:
                self.fail(
                    f"{label} reopens {other!r}, which is no problem of an earlier homework",
                    where,
                    "reopens",
                    other,
                )
        return Problem(
            id=full,
            title=row["title"],
            points=row["points"],
            tests=row["tests"],
            select=row["select"],
            hook=hook,
            build=row.get("build", False),
            reopens=tuple(row.get("reopens", [])),
            mutants=row.get("mutants", 4),
            ascale=row.get("ascale"),
            line=self.lines.get((where, "id"), 0),
        )


_KIND = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
}


def _index_lines(rows: list[str]) -> dict[tuple, int]:
    """(table, key) -> line; table is (), ("late",), ("homework", 2) or ("homework", 2, 5)."""
    lines: dict[tuple, int] = {}
    where: tuple = ()
    homework = problem = -1
    for number, row in enumerate(rows, start=1):
        header = re.match(r"\s*\[\[?\s*([\w.]+)\s*\]\]?", row)
        if header and not row.lstrip().startswith("[["):
            where = (header[1],)
        elif header and header[1] == "homework":
            homework, problem = homework + 1, -1
            where = ("homework", homework)
        elif header and header[1] == "homework.problem":
            problem += 1
            where = ("homework", homework, problem)
        elif header:
            where = (header[1],)
        if header:
            lines.setdefault((where, None), number)
            if len(where) == 1:
                lines.setdefault(((), where[0]), number)
        elif key := re.match(r"\s*([\w-]+)\s*=", row):
            lines.setdefault((where, key[1]), number)
    return lines


def missing_facts(course: Course) -> list[CourseError]:
    """Files, test files and submission hooks that course.toml names and the tree lacks."""
    faults = []
    text = (course.root / FILE).read_text(encoding="utf-8").splitlines()
    for homework in course.homeworks:
        for name in homework.files:
            if not (course.reference / name).is_file():
                line = next((n for n, row in enumerate(text, 1) if f'"{name}"' in row), None)
                faults.append(
                    CourseError(
                        f"{homework.id}: file {name!r} does not exist in shared/reference; write it "
                        "or take it off the list",
                        FILE,
                        line,
                    )
                )
        for problem in homework.problems:
            tests = course.root / homework.id / problem.tests
            if not tests.is_file():
                faults.append(
                    CourseError(
                        f"{problem.id}: its test file {homework.id}/{problem.tests} does not exist",
                        FILE,
                        problem.line,
                    )
                )
            elif not re.search(
                rf"^def submit_{problem.hook}\(", tests.read_text(encoding="utf-8"), re.M
            ):
                faults.append(
                    CourseError(
                        f"{problem.id}: {homework.id}/{problem.tests} has no submission hook "
                        f"submit_{problem.hook}()",
                        FILE,
                        problem.line,
                    )
                )
    return faults
