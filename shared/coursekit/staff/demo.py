"""`make demo`: the course rendered, a homework tested and handed in, models trained.

Each step is a script under shared/demo, named hwN_*.py. It runs inside the built, solved tree of
its homework (with `--short` in a quick version), shows its own progress, and writes its rows for
the closing table to the JSON file that the environment variable NEEDLE_DEMO_ROWS names: a list of
{"what": ..., "data": ..., "result": ..., "seconds": ...}.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from coursekit.core import kept_builds, terminal
from coursekit.core.errors import CourseError
from coursekit.core.run import environment
from coursekit.core.syllabus import Course
from coursekit.staff import solved

TESTED = "hw0"
"""The homework whose local tests the demo runs, as a student would."""


def run(course: Course, short: bool) -> int:
    """All steps; returns 0 when each one ended well."""
    out = course.root / "build" / "demo"
    rows: list[dict] = []
    status = 0
    print(f"rendering the solved course into {out.relative_to(course.root)}", flush=True)
    solved.write(course, out, built=False)
    status |= _tests(course, out, rows)
    for script in sorted((course.root / "shared" / "demo").glob("hw*_*.py")):
        status |= _step(course, out, script, short, rows)
    _table(rows)
    return status


def _tests(course: Course, out: Path, rows: list[dict]) -> int:
    """A homework's local tests on the solved tree."""
    homework = course.homework(TESTED)
    place = out / homework.id
    began = time.monotonic()
    print(f"\n{homework.id}: building, then its local tests", flush=True)
    kept_builds.build_tree(place, homework)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=place,
        env={**os.environ, **homework.env},
    )
    word = "all pass" if done.returncode == 0 else "FAILED"
    rows.append(
        {
            "what": f"{homework.id}: local tests",
            "data": "",
            "result": word,
            "seconds": time.monotonic() - began,
        }
    )
    return int(done.returncode != 0)


def _step(course: Course, out: Path, script: Path, short: bool, rows: list[dict]) -> int:
    homework = course.homework(script.name.split("_")[0])
    place = out / homework.id
    print(f"\n{homework.id}: {script.stem}", flush=True)
    began = time.monotonic()
    answer = out / f"{script.stem}.json"
    answer.unlink(missing_ok=True)
    try:
        kept_builds.build_tree(place, homework)
    except CourseError as error:
        rows.append({"what": script.stem, "data": "", "result": f"not built: {error.message}"})
        return 1
    env = {**environment(course, homework), "NEEDLE_DEMO_ROWS": str(answer)}
    command = [sys.executable, str(script), *(["--short"] if short else [])]
    done = subprocess.run(command, cwd=place, env=env)
    if answer.is_file():
        rows += json.loads(answer.read_text(encoding="utf-8"))
    if done.returncode or not answer.is_file():
        rows.append(
            {
                "what": f"{homework.id}: {script.stem}",
                "data": "",
                "result": f"FAILED (status {done.returncode})",
                "seconds": time.monotonic() - began,
            }
        )
        return 1
    return 0


def _table(rows: list[dict]) -> None:
    made = terminal.table("what", "data", "result", ">seconds")
    for row in rows:
        seconds = row.get("seconds")
        made.add_row(
            str(row.get("what", "")),
            str(row.get("data", "")),
            str(row.get("result", "")),
            "" if seconds is None else f"{seconds:.1f}",
        )
    print(flush=True)
    terminal.console().print(made)
