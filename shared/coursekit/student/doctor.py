"""Is everything here that the course needs? Each fault comes with the command that mends it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from coursekit.core import toolchain
from coursekit.core.errors import CourseError
from coursekit.core.syllabus import Course
from coursekit.student import progress
from coursekit.student.obstacles import obstacles

EXTRAS = {
    "pictures": ("matplotlib", "matplotlib>=3.8,<4", "curves are drawn with it"),
    "notebooks": ("ipykernel", "ipykernel>=6.29,<8", "an editor runs hwN.ipynb with it"),
}
"""What some texts use and no problem needs: row -> (package, what to install, what for)."""
PACKAGES = (
    *("numpy", "pybind11", "pytest", "hypothesis", "numdifftools"),
    *("typer", "rich", "pooch", "watchfiles"),
)


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `word` is ok, MISSING or note; only MISSING is a fault."""

    what: str
    word: str
    detail: str
    mend: str = ""


def examine(course: Course) -> Iterator[Finding]:
    """Every check in turn; a check that itself fails becomes a finding."""
    everything = (_python, _packages, _extras, _compiler, _headers, _cmake, _git, _cuda, _data)
    for check in (*everything, _work, _mugrade):
        try:
            yield from check(course)
        except Exception as error:
            yield Finding(check.__name__[1:], "MISSING", f"{type(error).__name__}: {error}")


def _pip(names: str) -> str:
    python = f'"{sys.executable}"' if " " in sys.executable else sys.executable
    return f"{python} -m pip install {names}"


def _python(course: Course) -> Iterator[Finding]:
    version = platform.python_version()
    wanted = tuple(int(part) for part in course.python.lstrip(">= ").split("."))
    if sys.version_info[: len(wanted)] < wanted:
        yield Finding(
            "Python",
            "MISSING",
            f"{version}, needed {course.python}",
            "install a newer Python from https://python.org, then: python3 course.py setup",
        )
    else:
        yield Finding("Python", "ok", f"{version} ({sys.executable})")


def _packages(course: Course) -> Iterator[Finding]:
    lacking = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    for name in PACKAGES:
        if name not in lacking:
            yield Finding(name, "ok", importlib.metadata.version(name))
    if lacking:
        yield Finding("packages", "MISSING", ", ".join(lacking), _pip(" ".join(lacking)))


def _extras(course: Course) -> Iterator[Finding]:
    for what, (package, wanted, use) in EXTRAS.items():
        if importlib.util.find_spec(package) is not None:
            yield Finding(what, "ok", f"{package} {importlib.metadata.version(package)}")
        else:
            mend = _pip(f"'{wanted}'")
            yield Finding(what, "note", f"no {package}, {use}; install it with: {mend}")


def _compiler(course: Course) -> Iterator[Finding]:
    try:
        command = toolchain.compiler()
    except CourseError as error:
        yield Finding(
            "C++ compiler",
            "MISSING",
            "hw0's last problem, hw3 and hw4 need one",
            str(error).split("; ", 1)[-1],
        )
        return
    said = subprocess.run([*command.split(), "--version"], capture_output=True, text=True)
    yield Finding("C++ compiler", "ok", (said.stdout or said.stderr).splitlines()[0])


def _headers(course: Course) -> Iterator[Finding]:
    header = Path(sysconfig.get_path("include"), "Python.h")
    if header.is_file():
        yield Finding("Python's headers", "ok", str(header.parent))
        return
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    mend = {
        "apt-get": f"sudo apt-get install python{version}-dev",
        "dnf": "sudo dnf install python3-devel",
    }
    found = next((mend[name] for name in mend if shutil.which(name)), "")
    yield Finding(
        "Python's headers",
        "MISSING",
        f"no {header}",
        found or "install your system's Python development package",
    )


def _cmake(course: Course) -> Iterator[Finding]:
    if fault := toolchain.path_fault(course.root):
        yield Finding("folder", "MISSING", "a name that CMake cannot read", fault)
    for name in ("cmake", "ninja"):
        try:
            yield Finding(name, "ok", toolchain.tool(name))
        except CourseError:
            yield Finding(name, "MISSING", "hw3 and hw4 are built with it", _pip(name))


def _git(course: Course) -> Iterator[Finding]:
    found = shutil.which("git")
    if found:
        yield Finding("git", "ok", found)
    else:
        yield Finding(
            "git",
            "MISSING",
            "`hw start` merges your work with it",
            "install it from https://git-scm.com",
        )


def _cuda(course: Course) -> Iterator[Finding]:
    nvcc = shutil.which("nvcc")
    driver = shutil.which("nvidia-smi")
    if driver:
        asked = subprocess.run([driver, "-L"], capture_output=True, text=True)
        cards = [row for row in asked.stdout.splitlines() if row.startswith("GPU")]
        driver = cards[0] if asked.returncode == 0 and cards else None
    if nvcc and driver:
        yield Finding("CUDA", "ok", f"{driver}; nvcc at {nvcc}")
    elif driver:
        yield Finding(
            "CUDA",
            "note",
            f"{driver}, but no nvcc: cuda() runs emulated on the CPU; "
            f"for the real one: {_pip('cuda-toolkit[nvcc]==13.5.0')}",
        )
    else:
        more = "`hw build hw3 --nvcc` compiles for one" if nvcc else "nothing is missing"
        yield Finding("CUDA", "note", f"no GPU: cuda() runs emulated on the CPU; {more}")


def _data(course: Course) -> Iterator[Finding]:
    samples = course.root / "shared" / "data" / "samples"
    if not samples.is_dir():
        yield Finding(
            "data",
            "MISSING",
            "the offline samples are not there",
            "git checkout -- shared/data/samples",
        )
        return
    from coursekit.datasets import data

    for stage in (homework.id for homework in course.counted):
        folder = course.folder(stage) / "data"
        if folder.is_dir():
            for source in data.describe(folder):
                yield Finding(f"data {stage}", "ok", f"{source.use}: {source.name}, {source.size}")
        else:
            yield Finding(
                f"data {stage}", "note", f"filled with offline samples by: hw start {stage}"
            )


def _work(course: Course) -> Iterator[Finding]:
    """Files that are missing and conflicts left open in the homeworks that were started."""
    for stage in course.stages:
        for fault in obstacles(course, stage) if progress.is_started(course, stage) else ():
            yield Finding(stage, "MISSING", str(fault), str(fault))


def _mugrade(course: Course) -> Iterator[Finding]:
    spec = importlib.util.find_spec("mugrade")
    installed = spec is not None and spec.origin is not None
    if not installed and not (course.root / "shared/mugrade/src/mugrade").is_dir():
        yield Finding("autograder", "note", "no client here; local tests work without it")
        return
    server = os.environ.get("MUGRADE_SERVER")
    yield Finding("autograder", "ok", f"client at hand; server: {server or 'as in mugrade login'}")


def faults(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.word == "MISSING"]
