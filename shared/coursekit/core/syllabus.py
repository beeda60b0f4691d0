"""`course.toml` as typed, checked objects, with the problems that stand in files of their own.

Knows nothing of rendering, tests or terminals.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coursekit.core import problems
from coursekit.core.errors import CourseError
from coursekit.core.problems import Problem
from coursekit.core.tables import TomlFile

FILE = "course.toml"
FULL = 100
"""Points of a whole homework."""
LABS = "project/labs"
"""Where labs stand; their sources are in the folder labs of the reference."""

_TOP_KEYS = {"course": dict, "certificate": dict, "late": dict, "homework": list, "lab": list}
_COURSE_KEYS = {"id": str, "title": str, "python": str}
_CERTIFICATE_KEYS = {"average": int, "project": bool, "min_grade": int}
_LATE_KEYS = {"percent_per_day": int, "pooled_days": int, "cutoff_days": int, "grace_minutes": int}
_HOMEWORK_KEYS = {
    "id": str,
    "title": str,
    "path": list,
    "build": str,
    "modules": list,
    "env": dict,
    "needs": list,
    "files": list,
}
_LAB_KEYS = {**_HOMEWORK_KEYS, "on": str, "program": str}
_BUILDS = ("make", "cmake")


@dataclass(frozen=True)
class Homework:
    """One stage: `files` are those that *enter* here.

    A homework contains all of those before it. A lab contains its own files only: it runs on the
    library of the homework `on`, as it lies beside. Nobody must do a lab; it does not count.
    """

    id: str
    title: str
    path: tuple[str, ...]
    files: tuple[str, ...]
    problems: tuple[Problem, ...]
    """Those that are graded."""
    extras: tuple[Problem, ...] = ()
    """Those that are not; they stand behind all others."""
    modules: tuple[str, ...] = ()
    build: str | None = None
    env: dict[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    """The homeworks before that its tests lean on; all of them unless the file says otherwise."""
    on: str | None = None
    """Of a lab: the homework on whose library it runs."""
    program: str | None = None
    """Of a lab: what `hw lab` runs."""

    @property
    def is_lab(self) -> bool:
        return self.on is not None

    @property
    def folder(self) -> str:
        """Its folder, from the course's root."""
        return f"{LABS}/{self._plain}" if self.is_lab else self.id

    @property
    def sources(self) -> str:
        """The folder of the reference in which its files stand."""
        return f"labs/{self._plain}" if self.is_lab else "."

    @property
    def _plain(self) -> str:
        return self.id.replace("-", "_")

    @property
    def everything(self) -> tuple[Problem, ...]:
        return (*self.problems, *self.extras)

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
    """In order; the labs after all others."""
    certificate: dict[str, Any] = field(default_factory=dict)
    late: dict[str, Any] = field(default_factory=dict)

    @property
    def stages(self) -> tuple[str, ...]:
        return tuple(h.id for h in self.homeworks)

    @property
    def counted(self) -> tuple[Homework, ...]:
        """The homeworks that everybody does: without the labs."""
        return tuple(h for h in self.homeworks if not h.is_lab)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The graded ones of all homeworks."""
        return tuple(p for h in self.homeworks for p in h.problems)

    @property
    def everything(self) -> tuple[Problem, ...]:
        """All problems, extras too."""
        return tuple(p for h in self.homeworks for p in h.everything)

    @property
    def reference(self) -> Path:
        return self.root / "shared" / "reference"

    def homework(self, stage: str) -> Homework:
        for homework in self.homeworks:
            if homework.id == stage:
                return homework
        named = [p.id for p in self.everything if p.name == stage]
        meant = f"did you mean the problem {named[0]}?" if named else ""
        raise CourseError(
            f"there is no homework {stage!r}; "
            + (meant or f"the homeworks are {', '.join(self.stages)}")
        )

    def folder(self, stage: str) -> Path:
        """Where the homework stands."""
        return self.root / self.homework(stage).folder

    def source(self, stage: str, name: str) -> Path:
        """Where the file `name` of a homework's tree stands in the reference."""
        return self.reference / self.homework(stage).sources / name

    def problem(self, problem_id: str) -> Problem:
        for problem in self.everything:
            if problem.id == problem_id:
                return problem
        stage = problem_id.split("/")[0]
        known = [p.id for p in self.everything]
        mine = [other for other in known if other.startswith(f"{stage}/")]
        near = difflib.get_close_matches(problem_id, mine or known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "`hw` lists them all"
        raise CourseError(f"there is no problem {problem_id!r}; {hint}")

    def index(self, stage: str) -> int:
        return self.stages.index(self.homework(stage).id)

    def previous(self, stage: str) -> Homework | None:
        """The homework whose work is carried into this one; a lab takes nothing over."""
        at = self.index(stage)
        return self.homeworks[at - 1] if at and not self.homework(stage).is_lab else None

    def following(self, stage: str) -> Homework | None:
        """The homework that takes this one's work over."""
        return next((h for h in self.counted if self.previous(h.id) == self.homework(stage)), None)

    def select(self, target: str | None) -> list[Problem]:
        """Problems of `None` (all), `hw1`, or `hw1/backward`; an extra only by its own name."""
        if target is None:
            return list(self.problems)
        target = target.rstrip("/")
        if "/" in target:
            return [self.problem(target)]
        return list(self.homework(target).problems)

    def files(self, stage: str) -> list[str]:
        """Every path of the stage's tree, in order of entering."""
        mine = self.homework(stage)
        upto = [mine] if mine.is_lab else self.homeworks[: self.index(stage) + 1]
        return [name for homework in upto for name in homework.files]


def find_root(start: Path | None = None) -> Path:
    """The nearest folder upwards with a course.toml, else the one this package lies in."""
    try:
        start = (start or Path.cwd()).resolve()
    except FileNotFoundError:
        raise CourseError("the current folder is gone; cd into the course's folder") from None
    package_root = Path(__file__).resolve().parents[3]
    for folder in (start, *start.parents, package_root):
        if (folder / FILE).is_file():
            return folder
    raise CourseError(f"no {FILE} in {start} or above it; run this inside the course's folder")


def load(root: Path | None = None) -> Course:
    """Read and check the syllabus of `root` (found upwards from the current folder by default).

    Raises:
        CourseError: naming file and line of the first fault.
    """
    root = find_root() if root is None else Path(root).resolve()
    try:
        text = (root / FILE).read_text(encoding="utf-8")
    except OSError as error:
        raise CourseError(f"cannot be read: {error.strerror}", FILE) from None
    file = TomlFile(FILE, text)
    file.check(file.data, _TOP_KEYS, (), FILE, ("course", "homework"))
    head = file.data["course"]
    file.check(head, _COURSE_KEYS, ("course",), "[course]", ("id", "title"))
    certificate, late = file.data.get("certificate", {}), file.data.get("late", {})
    file.check(certificate, _CERTIFICATE_KEYS, ("certificate",), "[certificate]")
    for key in ("average", "min_grade"):
        if not 0 <= certificate.get(key, 0) <= 100:
            said = f"[certificate]: {key} is {certificate[key]}, expected per cent, 0 to 100"
            file.fail(said, ("certificate",), key)
    file.check(late, _LATE_KEYS, ("late",), "[late]")
    homeworks: list[Homework] = []
    for kind in ("homework", "lab"):
        for number, table in enumerate(file.data.get(kind, [])):
            homeworks.append(_homework(file, (kind, number), table, homeworks, root))
    return Course(
        root=root,
        id=head["id"],
        title=head["title"],
        python=head.get("python", ">=3.10"),
        homeworks=tuple(homeworks),
        certificate=certificate,
        late=late,
    )


def _homework(
    file: TomlFile,
    where: tuple[str, int],
    table: dict[str, Any],
    before: list[Homework],
    root: Path,
) -> Homework:
    """The checked table with its problems; `before` are the homeworks read so far."""
    kind, number = where
    label = f"{kind} {table.get('id', number + 1)!r}"
    keys, more = (_LAB_KEYS, ("on",)) if kind == "lab" else (_HOMEWORK_KEYS, ())
    file.check(table, keys, where, label, ("id", "title", "path", "files", *more))
    stage = table["id"]
    if not re.fullmatch(r"[a-z][a-z0-9_-]*", stage):
        file.fail(f"{kind} id {stage!r} must be lower-case letters and digits", where, "id")
    if any(h.id == stage for h in before):
        file.fail(f"{kind} {stage!r} stands twice", where, "id")
    for key in ("path", "files", "modules", "needs"):
        file.check_strings(table, key, where, label)
    entered = {} if kind == "lab" else {n: h.id for h in before for n in h.files}
    _check_files(file, where, label, table["files"], entered)
    if table.get("build", _BUILDS[0]) not in _BUILDS:
        file.fail(f"{label}: build must be one of {', '.join(_BUILDS)}", where, "build")
    for key, value in table.get("env", {}).items():
        if not isinstance(value, str):
            file.fail(f"{label}: env {key} must be a string", where, "env")
    earlier = [h.id for h in before]
    for other in table.get("needs", []):
        if other not in earlier:
            message = f"{label} needs {other!r}, which is no earlier homework"
            file.fail(message, where, "needs", other)
    if kind == "lab" and table["on"] not in [h.id for h in before if not h.is_lab]:
        file.fail(f"{label}: on = {table['on']!r}, which is no homework", where, "on")
    mine = problems.read(root, stage, {p.id for h in before for p in h.everything})
    return Homework(
        id=stage,
        title=table["title"],
        path=tuple(table["path"]),
        files=tuple(table["files"]),
        problems=tuple(p for p in mine if not p.is_extra),
        extras=tuple(p for p in mine if p.is_extra),
        modules=tuple(table.get("modules", [])),
        build=table.get("build"),
        env=dict(table.get("env", {})),
        needs=tuple(table.get("needs", [] if kind == "lab" else earlier)),
        on=table.get("on"),
        program=table.get("program"),
    )


def _check_files(
    file: TomlFile, where: tuple[str, int], label: str, names: list[str], entered: dict[str, str]
) -> None:
    """A file enters once, at one homework, and inside its folder; `entered`: name -> homework."""
    for at, name in enumerate(names):
        if name in names[:at]:
            file.fail(f"{label}: file {name!r} stands twice", where, "files", name)
        if name in entered:
            file.fail(
                f"{label}: file {name!r} already enters at {entered[name]}; list a file where "
                "it enters only",
                where,
                "files",
                name,
            )
        if name.startswith("/") or ".." in Path(name).parts:
            file.fail(f"{label}: file {name!r} leaves the homework's folder", where, "files", name)
