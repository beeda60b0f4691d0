"""What submission hooks hand in, and whether the grader would take one tree's values for another's."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from mugrade.compare import Tolerance, compare
from mugrade.encoding import decode

from coursekit.core.problems import Problem

_FLAGS = ["-p", "mugrade.plugin", "-o", "python_functions=submit_*", "-o", "python_classes="]


def hand_in(
    homework: str, problems: list[Problem], place: Path, quiet: list[str]
) -> dict[str, list]:
    """{problem's id: encoded values of its hook's cases}, of one variant, in this process.

    A hook that raises has the cases that it handed in before.
    """
    import pytest

    with tempfile.TemporaryDirectory(prefix="needle-values-") as folder:
        plan, out = Path(folder, "plan.json"), Path(folder, "out")
        hooks = {problem.hook: problem.id for problem in problems}
        wish = {"assignment": homework, "out": str(out), "only": list(hooks)}
        plan.write_text(json.dumps(wish), encoding="utf-8")
        os.environ["MUGRADE_RUN"] = str(plan)
        files = sorted({p.tests for p in problems if (place / p.tests).is_file()})
        try:
            pytest.main([*quiet, *_FLAGS, "--rootdir", str(place), *files])
        finally:
            del os.environ["MUGRADE_RUN"]
        lines = out.read_text(encoding="utf-8").splitlines() if out.is_file() else []
        results = [row for row in map(json.loads, lines) if row["event"] == "result"]
        return {hooks[r["problem"]]: [case["value"] for case in r["cases"]] for r in results}


def match(problem: Problem, right: list[Any], found: list[Any]) -> bool:
    """Would the grader take every one of the found values for right?"""
    scale = {} if problem.ascale is None else {"ascale": problem.ascale}
    tolerance = Tolerance(dtype=True, **scale)
    return len(found) >= len(right) and all(
        compare(decode(r), decode(f), tolerance).correct for r, f in zip(right, found)
    )
