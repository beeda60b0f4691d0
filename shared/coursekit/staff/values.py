"""Would the grader take the values of one tree for another's?"""

from __future__ import annotations

from typing import Any

from mugrade.compare import Tolerance, compare
from mugrade.encoding import decode

from coursekit.core.problems import Problem


def match(problem: Problem, right: list[Any], found: list[Any]) -> bool:
    """Would the grader take every one of the found values for right?"""
    scale = {} if problem.ascale is None else {"ascale": problem.ascale}
    tolerance = Tolerance(dtype=True, **scale)
    return len(found) >= len(right) and all(
        compare(decode(r), decode(f), tolerance).correct for r, f in zip(right, found)
    )
