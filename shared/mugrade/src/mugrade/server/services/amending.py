"""Amending what is published without publishing anew: other tolerances, or an earlier revision.

`tolerance` and `rollback` say what is meant and only read; `preview` tells who would move; `commit`
makes it so in a short transaction and leaves the attempts that stand to a job.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from mugrade.encoding import decode
from mugrade.server.errors import Refusal, invalid
from mugrade.server.models import Job, Problem, Revision
from mugrade.server.services import accounts, audit, courses, jobs, regrading, revisions


@dataclass(frozen=True)
class Amendment:
    """Attributes:
    source: the revision whose answers count; the current one unless rolled back.
    changes: what its copy has otherwise; None where the current revision just is compared again.
    """

    kind: str
    assignment: str
    problem: courses.ProblemView
    source: int
    target: regrading.Target
    changes: dict[str, Any] | None
    detail: dict[str, Any] = field(default_factory=dict)


def tolerance(
    session: Session,
    actor: accounts.Actor,
    assignment_id: str,
    problem_id: str,
    change: dict[str, Any] | None,
    cases: dict[str, dict[str, Any]] | None,
) -> Amendment:
    """The current answers under other tolerances (`regrading.changed_tolerance`), or as they are."""
    course = courses.view(session, actor.course_pk)
    problem = course.assignment(assignment_id).problem(problem_id)
    revision = regrading.changed_tolerance(problem, change, cases)
    _refuse_loose(session, problem, change, cases)
    changes = None
    if revision is not problem.revision:
        content = (list(revision.labels), vars(revision.tolerance), revision.case_tolerances)
        changes = {
            "note": "tolerance changed",
            "tolerance": vars(revision.tolerance),
            "case_tolerances": revision.case_tolerances,
            "digest": revisions.digest_of(revisions.variants_of(session, revision), *content),
        }
    return Amendment(
        kind="regrade",
        assignment=assignment_id,
        problem=problem,
        source=revision.pk,
        target=regrading.stored(problem.pk, revision),
        changes=changes,
        detail={"tolerance": change, "case_tolerances": cases},
    )


LOOSEST = 1e-2
"""Beyond this a claim that is wrong in its second digit would pass."""


def _refuse_loose(
    session: Session,
    problem: courses.ProblemView,
    change: dict[str, Any] | None,
    cases: dict[str, dict[str, Any]] | None,
) -> None:
    """A tolerance that takes nearly everything is no mend; the hook is published for that."""
    revision = problem.revision
    for given in [change or {}, *(cases or {}).values()]:
        for name in {"rtol", "ascale", "atol"} & given.keys():
            allowed = LOOSEST
            if name == "atol" and given[name] > LOOSEST and revision is not None:
                published = revisions.variants_of(session, revision)
                values = [decode(value) for variant in published for value in variant.values]
                allowed = LOOSEST * (regrading.largest(values) or 0)
            stands = revision is not None and given[name] <= getattr(revision.tolerance, name)
            if given[name] > allowed and not stands:
                raise invalid(
                    f"{name} = {given[name]:g} is too loose: at most {allowed:g}, or a value wrong "
                    "in its second digit would pass. Mend the hook and publish it anew instead."
                )


def rollback(
    session: Session,
    actor: accounts.Actor,
    assignment_id: str,
    problem_id: str,
    number: int | None,
) -> Amendment:
    """An earlier revision again; the one before the current when `number` is None."""
    course = courses.view(session, actor.course_pk)
    problem = course.assignment(assignment_id).problem(problem_id)
    current = problem.revision
    if number is None:
        number = _before(session, problem)
    source = revisions.numbered(session, problem.pk, number)
    if current is not None and source.pk == current.pk:
        raise Refusal(409, "conflict", f"Revision {number} is the current one already.")
    view = revisions.view_of(session, source)
    return Amendment(
        kind="rollback",
        assignment=assignment_id,
        problem=problem,
        source=source.pk,
        target=regrading.stored(problem.pk, view),
        changes={"note": f"back to revision {number}"},
        detail={"to": number},
    )


def _before(session: Session, problem: courses.ProblemView) -> int:
    if problem.revision is None or problem.revision.number < 2:
        raise Refusal(409, "conflict", f"{problem.id} has no earlier revision to go back to.")
    return problem.revision.number - 1


def preview(session: Session, actor: accounts.Actor, amendment: Amendment) -> regrading.Regrading:
    """Whose attempts and scores would move; nothing is written."""
    return regrading.preview(session, courses.view(session, actor.course_pk), amendment.target)


def commit(
    session: Session,
    now: dt.datetime,
    actor: accounts.Actor,
    amendment: Amendment,
    base: int | None = None,
) -> Job:
    """Make it so; the job that is returned compares the attempts that stand.

    Args:
        base: the revision that must still be current, by default that of the amendment.
    """
    if amendment.changes is not None:
        accounts.require_scope(actor, "publish")  # it changes what counts as right
    courses.lock(session, actor.course_pk)
    problem = session.get_one(Problem, amendment.problem.pk, populate_existing=True)
    current = session.get_one(Revision, problem.current_pk)
    read = amendment.problem.revision
    jobs.check_base(base if base is not None or read is None else read.number, current)
    if amendment.changes is not None:
        source = session.get_one(Revision, amendment.source)
        current = revisions.copy(session, now, actor, problem, source, **amendment.changes)
        courses.changed(session, actor.course_pk)
        audit.record(
            session,
            now,
            actor=actor.email,
            action="tolerance" if amendment.kind == "regrade" else amendment.kind,
            object=f"{amendment.assignment}/{amendment.problem.id}",
            course_pk=actor.course_pk,
            revision=current.number,
            **amendment.detail,
        )
    return jobs.start(
        session,
        now,
        actor,
        problem_pk=problem.pk,
        revision_pk=current.pk,
        kind=amendment.kind,
    )
