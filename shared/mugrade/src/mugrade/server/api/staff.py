"""Staff: publishing, regrading, gradebook, decisions, statistics, audit log."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import Response

from mugrade.server import schemas
from mugrade.server.api.common import ActorHere, Assignment, Problem, make_router
from mugrade.server.routing import body_limit, requires
from mugrade.server.services import (
    answer_file,
    audit,
    grades,
    publishing,
    regrading,
    statistics,
)

router = make_router(tags=["staff"])
OneAssignment = Annotated[str | None, Query(max_length=64)]
MAX_PUBLISH_NODES = 2_000_000


@router.put("/assignments/{assignment}/problems/{problem}/revision")
@requires("publish")
@body_limit("max_publish_bytes", MAX_PUBLISH_NODES)
def publish(
    request: Request,
    actor: ActorHere,
    assignment: Assignment,
    problem: Problem,
    body: schemas.RevisionIn,
) -> schemas.RevisionOut:
    """Publish expected values; refused with every reason, or a new revision and a regrade."""
    state = request.app.state
    with state.database.write() as session:
        done = publishing.publish(session, state.clock(), actor, assignment, problem, body)
    return schemas.RevisionOut(
        revision=done.revision,
        cases=done.cases,
        variants=done.variants,
        unchanged=done.unchanged,
        warnings=done.warnings,
        regraded=schemas.Regraded(attempts=done.attempts, changed=done.changed),
    )


@router.post("/assignments/{assignment}/problems/{problem}/regrade")
@requires("grade")
def regrade(
    request: Request,
    actor: ActorHere,
    assignment: Assignment,
    problem: Problem,
    body: schemas.RegradeIn,
) -> schemas.RegradeOut:
    """Compare stored attempts again; a dry run says what would change."""
    state = request.app.state
    cases = (
        {k: v.changes() for k, v in body.case_tolerances.items()}
        if body.case_tolerances is not None
        else None
    )
    block = state.database.read if body.dry_run else state.database.write
    with block() as session:
        outcome = regrading.regrade(
            session,
            state.clock(),
            actor,
            assignment,
            problem,
            dry_run=body.dry_run,
            tolerance=body.tolerance.changes() if body.tolerance else None,
            case_tolerances=cases,
        )
    students = [
        schemas.RegradedStudent(id=i, name=n, before=b, after=a) for i, n, b, a in outcome.students
    ]
    return schemas.RegradeOut(
        attempts=outcome.attempts,
        changed=outcome.changed,
        up=outcome.up,
        down=outcome.down,
        skipped=outcome.skipped,
        students=students,
    )


@router.get("/grades")
@requires("grade")
def get_grades(
    request: Request, actor: ActorHere, assignment: OneAssignment = None
) -> schemas.Grades:
    """Everybody's scores."""
    with request.app.state.database.read() as session:
        book = grades.gradebook(session, actor.course_pk, assignment)
    return schemas.Grades.model_validate(
        {"assignments": book.assignments, "students": book.rows}, from_attributes=True
    )


@router.get("/grades.csv", response_class=Response, responses={200: {"content": {"text/csv": {}}}})
@requires("grade")
def get_grades_csv(
    request: Request, actor: ActorHere, assignment: OneAssignment = None
) -> Response:
    """The same for a spreadsheet, with a column for each problem."""
    with request.app.state.database.read() as session:
        text = grades.as_csv(grades.gradebook(session, actor.course_pk, assignment))
    return Response(
        text,
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": "attachment; filename=grades.csv"},
    )


@router.post("/extensions")
@requires("grade")
def extend(request: Request, actor: ActorHere, body: schemas.ExtensionIn) -> schemas.ExtensionOut:
    """Give one student more time."""
    state = request.app.state
    with state.database.write() as session:
        due = grades.extend(
            session,
            state.clock(),
            actor,
            student=body.student,
            assignment_id=body.assignment,
            days=body.days,
            until=body.until,
            reason=body.reason,
        )
    return schemas.ExtensionOut(due_at=due)


@router.post("/overrides")
@requires("grade")
def override(request: Request, actor: ActorHere, body: schemas.OverrideIn) -> schemas.OverrideOut:
    """Set one student's score for a problem by hand."""
    state = request.app.state
    with state.database.write() as session:
        score = grades.override(
            session,
            state.clock(),
            actor,
            student=body.student,
            assignment_id=body.assignment,
            problem_id=body.problem,
            points=body.points,
            reason=body.reason,
        )
    return schemas.OverrideOut(score=score)


@router.get("/statistics")
@requires("grade")
def get_statistics(
    request: Request, actor: ActorHere, assignment: OneAssignment = None
) -> schemas.Statistics:
    """Which cases fail, at the first try and overall."""
    with request.app.state.database.read() as session:
        problems = statistics.of_course(session, actor.course_pk, assignment)
    return schemas.Statistics.model_validate({"problems": problems}, from_attributes=True)


@router.get("/audit")
@requires("grade")
def get_audit(
    request: Request,
    actor: ActorHere,
    before: Annotated[int | None, Query(ge=1, lt=2**53)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> schemas.AuditOut:
    """The course's audit log, newest first, and whether its hash chain is intact."""
    with request.app.state.database.read() as session:
        intact = audit.first_broken(session) is None
        entries = audit.entries(session, actor.course_pk, limit=limit, before=before)
    return schemas.AuditOut.model_validate(
        {"intact": intact, "entries": entries}, from_attributes=True
    )


@router.get("/sealed-answers")
@requires("publish")
def sealed_answers(
    request: Request, actor: ActorHere, class_is_over: bool = False
) -> dict[str, object]:
    """Every published answer in a form that can be checked but not read, for a solo course."""
    with request.app.state.database.read() as session:
        return answer_file.export(session, actor.course_pk, class_is_over=class_is_over)
