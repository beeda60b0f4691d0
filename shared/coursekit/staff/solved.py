"""`python -m coursekit.solved DIR`: compile every solved homework that needs it. For staff."""

from __future__ import annotations

import sys
from pathlib import Path

from coursekit.core import build, syllabus
from coursekit.core.errors import CourseError


def main() -> int:
    course = syllabus.load()
    status = 0
    for homework in course.homeworks:
        if homework.build is None:
            continue
        try:
            cached = build.build_tree(Path(sys.argv[1], homework.id), homework)
        except CourseError as error:
            print(error, file=sys.stderr)
            status = 1
        else:
            print(f"{homework.id}: {'built before' if cached else 'built'}", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
