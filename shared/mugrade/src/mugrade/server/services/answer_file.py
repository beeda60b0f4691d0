"""The sealed answers file: made of a published course, and made current in a solo one."""

from __future__ import annotations

import datetime as dt
import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy.orm import Session

from mugrade.encoding import canonical_json, decode
from mugrade.recorder import variant_seed
from mugrade.server.errors import Refusal
from mugrade.server.models import Problem, Revision
from mugrade.server.schemas import VariantIn
from mugrade.server.services import course_edit, courses, revisions, sealed

FORMAT = "mugrade-sealed-answers/2"


def check_format(data: Any) -> str | None:
    """Why this is no sealed answers file that can be used; None when it is one."""
    if not isinstance(data, dict) or not {"course", "problems", "format"} <= data.keys():
        return "is no sealed answers file; `mugrade seal` makes one"
    if data["format"] != FORMAT:
        return (
            f"is a sealed answers file of the form {data['format']!r:.60}, and this version reads "
            f"{FORMAT!r}; take the file that came with the same release"
        )
    return None


def export(session: Session, course_pk: int, *, class_is_over: bool = False) -> dict[str, Any]:
    """Every published problem of a course, sealed, with the course; all that solo needs.

    Args:
        class_is_over: seal the variants that the course's students have, too.

    Raises:
        Refusal: a problem is published with a class's variants: what is sealed can be checked
            offline and without limits, and must not be what anybody in a class is graded by.
    """
    course, found = courses.view(session, course_pk), []
    for assignment in course.assignments:
        for problem in assignment.problems:
            revision = problem.revision
            if revision is None or revision.sealed:
                continue
            if not class_is_over and _is_a_class(assignment.id, problem.id, revision):
                raise Refusal(
                    409,
                    "class_variants",
                    f"{assignment.id}/{problem.id} is published with the variants of a class, and "
                    "sealed answers must be others: publish to a grader of its own with `mugrade "
                    "publish --solo` and seal that, or say --class-is-over.",
                )
            found.append(
                (assignment.id, problem.id, revision, revisions.variants_of(session, revision))
            )
    with ThreadPoolExecutor() as pool:  # the dear hash works outside of Python's lock
        problems = list(pool.map(lambda facts: seal_problem(*facts), found))
    return {
        "format": FORMAT,
        "course": course_edit.outline(course).model_dump(mode="json", exclude_defaults=True),
        "problems": problems,
    }


def _is_a_class(assignment: str, problem: str, revision: courses.RevisionView) -> bool:
    return any(seed == variant_seed(assignment, problem, v) for v, seed in revision.variants)


def seal_problem(
    assignment: str, problem: str, revision: courses.RevisionView, variants: list[VariantIn]
) -> dict[str, Any]:
    """One problem of the file. Pure."""

    def values(given: VariantIn) -> list[Any]:
        return [
            sealed.seal(decode(value), revision.case_tolerance(index))
            for index, value in enumerate(given.values)
        ]

    return {
        "assignment": assignment,
        "problem": problem,
        "labels": list(revision.labels),
        "tolerance": vars(revision.tolerance),
        "case_tolerances": revision.case_tolerances,
        "variants": [{"variant": v.variant, "seed": v.seed, "values": values(v)} for v in variants],
    }


def import_(session: Session, now: dt.datetime, course_pk: int, data: dict[str, Any]) -> int:
    """Make sealed answers current; returns how many problems changed.

    Raises:
        Refusal: the answers are for problems that the course lacks.
    """
    course, count = courses.view(session, course_pk), 0
    for entry in data["problems"]:
        view = course.assignment(entry["assignment"]).problem(entry["problem"])
        problem = session.get_one(Problem, view.pk)
        digest = hashlib.sha256(canonical_json(entry)).hexdigest()
        if (
            view.revision is not None
            and session.get_one(Revision, view.revision.pk).digest == digest
        ):
            continue
        for variant in entry["variants"]:
            for case in variant["values"]:
                sealed.unseal_tree(case)
        revisions.add(
            session,
            now,
            None,
            problem,
            expected=revisions.packed([VariantIn(**v) for v in entry["variants"]]),
            labels=entry["labels"],
            tolerance=entry["tolerance"],
            note="sealed answers",
            case_tolerances=entry["case_tolerances"],
            digest=digest,
            is_sealed=True,
        )
        count += 1
    courses.changed(session, course_pk)
    return count
