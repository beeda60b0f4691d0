"""What the checked builds say: CUDA's of the emulator, the compiler's sanitizers for C++."""

from __future__ import annotations

import ctypes
import json
import linecache
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from coursekit.core import build, buildfiles
from coursekit.core.compiling import BuildError
from coursekit.core.errors import CourseError
from coursekit.core.report import Outcome, Report
from coursekit.core.syllabus import Homework
from coursekit.core.toolchain import compiler

_OF_THE_EMULATOR = re.compile(r"RuntimeError: (.*(?:, block \(|, launched at |host code, | was not launched).*)", re.S)  # fmt: skip
_SAID_ALREADY = re.compile("still in this loop|was not launched|divergent barrier")
_ON_CUDA = re.compile(r"\[(?:.*-)?cuda(?:-|\])")
_PLACE = re.compile(r"([\w./-]+\.(?:cu|cc|cpp|h)):(\d+)")


def worth_a_look(report: Report) -> list[Outcome]:
    """Failed tests of cuda() that did come to the student's code."""
    return [
        test
        for test in report.tests
        if test.outcome == "failed"
        and _ON_CUDA.search(test.test)
        and not test.error.startswith("NotImplementedError")
    ]


def knows_more(test: Outcome) -> bool:
    """Whether the checked build can say more of a failed test than was said."""
    return not (_OF_THE_EMULATOR.match(test.error) and _SAID_ALREADY.search(test.error))


def explain(failed: list[Outcome], again: Report, tree: Path) -> list[str]:
    """What the checked build says of tests that failed: each fault once, with its line.

    Args:
        again: the same tests' run in the checked build.
    """
    errors = {test.test: test.error for test in again.tests}
    found: dict[str, list[Outcome]] = {}
    for test in failed:
        if said := _OF_THE_EMULATOR.match(errors.get(test.test, "")):
            found.setdefault(said[1], []).append(test)
    # One fault shows in many threads and many shapes: of those on one line the first is told.
    told: dict[str, tuple[str, int]] = {}
    for sentence, tests in found.items():
        key = re.sub(r"\(\d+, \d+, \d+\)|\b\d+ (?:bytes?|floats?)", "", sentence).split(": ")[0]
        first, count = told.get(key, (sentence, 0))
        told[key] = (first, count + len(tests))
    lines = []
    for sentence, count in told.values():
        tests_of = "1 failing test" if count == 1 else f"{count} failing tests"
        lines.append(f"{sentence}\n{source(sentence, tree)}  (in {tests_of})")
    silent = [t for t in failed if t.test in errors and not _OF_THE_EMULATOR.match(errors[t.test])]
    if silent and not lines:
        lines.append(
            "the checked build finds no forbidden access, race or barrier: "
            "the values are wrong, look at what is computed"
        )
    return lines


def source(sentence: str, tree: Path) -> str:
    """The line of the student's file that a sentence names, with its number; "" if there is none."""
    for name, number in _PLACE.findall(sentence):
        path = tree / "src" / Path(name).name
        if text := linecache.getline(str(path), int(number)).rstrip():
            return f"  {number} | {text.strip()}\n"
    return ""


# ------------------------------------------------------------------------------ C++ on the CPU


def compiler_library(name: str) -> str:
    """Full path of one of the compiler's own libraries.

    Raises: CourseError: it has none.
    """
    command = compiler().split()
    done = subprocess.run([*command, f"-print-file-name={name}"], capture_output=True, text=True)
    path = done.stdout.strip()
    if not Path(path).is_absolute():
        raise CourseError(
            f"{command[0]} has no {name}, which --checked needs: install GCC with its sanitizer "
            "libraries (Debian, Ubuntu: sudo apt-get install g++)"
        )
    return path


_REPORT = ".checked-report"


def take_report(tree: Path) -> str:
    """What a sanitizer has written since the last time; "" if nothing."""
    text = ""
    for path in sorted(tree.glob(f"{_REPORT}.*")):
        text += path.read_text(encoding="utf-8", errors="replace")
        path.unlink()
    return text


_UBSAN_LIBRARY = "HW_UBSAN_LIBRARY"


def keep_reports(tree: Path) -> None:
    """Have UndefinedBehaviorSanitizer write its reports to files, in a process that it watches.

    Its library gives the order to do so to AddressSanitizer's, which stands before it and has a
    function of the same name; asked by its own name it obeys.
    """
    if library := os.environ.get(_UBSAN_LIBRARY):
        ctypes.CDLL(library).__sanitizer_set_report_path(os.fsencode(tree / _REPORT))


def environment(tree: Path, kind: str) -> dict[str, str]:
    """What a session on a checked tree needs: the checker stands before Python in the process."""
    library = "libtsan.so" if kind == "thread" else "libasan.so"
    preload = f"{compiler_library(library)} {compiler_library('libstdc++.so')}"
    second = {} if kind == "thread" else {_UBSAN_LIBRARY: compiler_library("libubsan.so")}
    shared = f"halt_on_error=1:exitcode=77:log_path={tree / _REPORT}"
    return {
        **second,
        "LD_PRELOAD": preload,
        # An array larger than memory is a MemoryError of Python's, as without the checker.
        "ASAN_OPTIONS": f"detect_leaks=0:allocator_may_return_null=1:{shared}",
        "UBSAN_OPTIONS": f"print_stacktrace=0:{shared}",
        "TSAN_OPTIONS": f"report_signal_unsafe=0:ignore_noninstrumented_modules=1:{shared}",
        "PYTHONMALLOC": "malloc",
        "NEEDLE_CACHE_MB": "0",  # give memory back, so that use after free is seen
        "OPENBLAS_NUM_THREADS": "1",
        "NEEDLE_CUDA": "off",
    }


def build_tree(
    root: Path, homework: Homework, kind: str, say: Callable[[str], None] | None = None
) -> Path:
    """A copy of the homework beside the student's, compiled with the compiler's checks."""
    tree = root / homework.folder
    place = root / ".hw" / f"checked-{kind}" / homework.id
    copy(tree, place)
    flags = "thread" if kind == "thread" else "address,undefined"
    settings = {
        "NEEDLE_SHARED": str(buildfiles.shared_folder(tree)),
        "NEEDLE_CMAKE_ARGS": f"-DNEEDLE_SANITIZE={flags} -DNEEDLE_CUDA_BUILDS=",
        "CXXFLAGS": f"-O0 -g -Wall -fsanitize={flags} -fno-sanitize-recover=all",
    }
    try:
        build.build(place, homework, say, settings=settings)
    except BuildError as error:
        raise BuildError(str(error).replace(str(place), homework.id), error.log) from None
    return place


def copy(tree: Path, place: Path) -> None:
    """Make `place` hold the tree's files, but for what was compiled; what is equal stays as it is."""
    left_out = {"build", "__pycache__", ".pytest_cache", ".hypothesis"}
    compiled = set(buildfiles.outputs(tree))
    wanted = set()
    for path in sorted(tree.rglob("*")):
        inside = path.relative_to(tree)
        if left_out & set(inside.parts) or path in compiled or not path.is_file():
            continue
        wanted.add(inside)
        target = place / inside
        if target.is_file() and target.read_bytes() == path.read_bytes():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    made = set(buildfiles.outputs(place))
    for path in place.rglob("*"):
        inside = path.relative_to(place)
        kept = inside in wanted or left_out & set(inside.parts) or path in made
        if path.is_file() and not kept:  # a report of the last time, too
            path.unlink()


_ASAN = re.compile(r"ERROR: AddressSanitizer: ([\w-]+)")
_FRAME = re.compile(r"#\d+ 0x[0-9a-f]+ in (.*?) (\S+?):(\d+)(?::\d+)?$", re.M)
_UBSAN = re.compile(r"^(\S+?):(\d+):\d+: runtime error: (.*)$", re.M)
_KINDS = {
    "heap-use-after-free": "memory that was already given back",
    "stack-buffer-overflow": "memory past the end of a local array",
    "stack-use-after-return": "a local variable of a function that has returned",
    "stack-use-after-scope": "a local variable whose block has ended",
    "global-buffer-overflow": "memory past the end of a global array",
    "SEGV": "memory that does not exist",
}


def sentence(text: str, tree: Path) -> str:
    """The first report of a sanitizer, as one sentence with the student's line; "" if there is none."""
    if found := _UBSAN.search(text):
        file, line, what = found.groups()
        return with_source(f"src/{Path(file).name}:{line}: {what}", tree)
    if "WARNING: ThreadSanitizer" in text:
        return _of_threads(text, tree)
    kind = _ASAN.search(text)
    if kind is None:
        return ""
    access = re.search(r"^(READ|WRITE) of size (\d+)", text, re.M)
    does = {"READ": "reads", "WRITE": "writes"}[access[1]] if access else "touches"
    size = f"{access[2]} bytes of " if access else ""
    what = f"{does} {size}{_KINDS.get(kind[1], 'memory that is not its own (' + kind[1] + ')')}"
    region = re.search(
        r"is located (\d+) bytes (?:to the )?(left|before|inside|right|after) of "
        r"(\d+)-byte region|is located (\d+) bytes (before|inside of|after) (\d+)-byte region",
        text,
    )
    if region and kind[1] == "heap-buffer-overflow":
        far, side, total = [part for part in region.groups() if part is not None]
        behind = "before the beginning" if side in ("left", "before") else "behind the end"
        floats = f" ({int(total) // 4} floats)" if int(total) % 4 == 0 else ""
        distance = "right" if far == "0" else f"{far} bytes"
        access_words = f"{does} {access[2]} bytes" if access else does
        what = f"{access_words}, {distance} {behind} of a buffer of {total} bytes{floats}"
    return with_source(f"{_own_frame(text, tree)}{what}", tree)


def _own_frame(text: str, tree: Path) -> str:
    for function, file, line in _FRAME.findall(text):
        if (tree / "src" / Path(file).name).is_file():
            name = function.split("(")[0].split("<")[0].split("::")[-1]
            inside = f"{name}, " if name and "operator()" not in function else ""
            return f"{inside}src/{Path(file).name}:{line}: "
    return ""


def _of_threads(text: str, tree: Path) -> str:
    places = [
        f"src/{Path(file).name}:{line}"
        for _, file, line in _FRAME.findall(text)
        if (tree / "src" / Path(file).name).is_file()
    ]
    kind = re.search(r"WARNING: ThreadSanitizer: (.*?) \(pid", text)
    what = kind[1] if kind else "data race"
    places = list(dict.fromkeys(places))[:2]
    at = " and ".join(places) or "an unknown line"
    return with_source(f"{what}: two threads use one place in memory, at {at}", tree)


def with_source(said: str, tree: Path) -> str:
    return f"{said}\n{source(said, tree)}".rstrip()


def read_report(path: Path) -> Report | None:
    if not path.is_file():
        return None
    return Report.from_dict(json.loads(path.read_text(encoding="utf-8")))
