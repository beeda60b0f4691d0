"""Staff: publishing, regrading, gradebook, decisions, statistics, audit log."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request
from fastapi.responses import Response

from mugrade.server import lane, schemas
from mugrade.server.api.common import ActorHere, Assignment, Problem, PublicId, make_router
from mugrade.server.routing import body_limit, requires
from mugrade.server.services import (
    amending,
    answer_file,
    audit,
    course_edit,
    courses,
    grades,
    jobs,
    publishing,
    regrading,
    revisions,
    statistics,
)
from mugrade.server.services.accounts import Actor

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
    """Publish expected values; refused with every reason, or a new revision and a regrade. A dry
    run says whose scores would move."""
    state = request.app.state
    with state.database.read() as session:
        publication = publishing.prepare(session, actor, assignment, problem, body)
        if body.dry_run:
            moves = publishing.preview(session, actor, publication)
            return _revision_out(publication.outcome(), moves)
    with state.database.write() as session:
        done = publishing.commit(session, state.clock(), actor, publication)
    return _revision_out(done, *_worked_at(state, done.job_pk))


def _revision_out(
    done: publishing.Published, moves: regrading.Regrading, job: jobs.JobStatus | None = None
) -> schemas.RevisionOut:
    return schemas.RevisionOut(
        revision=done.revision,
        cases=done.cases,
        variants=done.variants,
        unchanged=done.unchanged,
        warnings=done.warnings,
        regraded=schemas.Regraded(attempts=moves.attempts, changed=moves.changed),
        moves=schemas.Moves(
            up=moves.up, down=moves.down, skipped=moves.skipped, students=_moved(moves.students)
        ),
        job=job.job.id if job else None,
        state=job.job.state if job else None,
    )


def _moved(students: regrading.Moved) -> list[schemas.MovedStudent]:
    return [schemas.MovedStudent(id=i, name=n, before=b, after=a) for i, n, b, a in students]


def _worked_at(state: Any, job_pk: int | None) -> tuple[regrading.Regrading, jobs.JobStatus | None]:
    """What a job has come to after its first seconds."""
    lane.work_a_while(state, job_pk)
    if job_pk is None:
        return regrading.Regrading(), None
    with state.database.read() as session:
        shown = jobs.by_pk(session, job_pk)
    return shown.so_far, shown


@router.get("/assignments/{assignment}/problems/{problem}/revisions")
@requires("grade")
def list_revisions(
    request: Request, actor: ActorHere, assignment: Assignment, problem: Problem
) -> schemas.Revisions:
    """What was published so far, and how many attempts a regrade compares."""
    with request.app.state.database.read() as session:
        view = courses.view(session, actor.course_pk).assignment(assignment).problem(problem)
        rows = revisions.lines(session, view)
        count = regrading.stored_attempts(session, view.pk)
    return schemas.Revisions.model_validate(
        {"attempts": count, "revisions": rows}, from_attributes=True
    )


@router.post("/assignments/{assignment}/problems/{problem}/rollback")
@requires("publish")
def rollback(
    request: Request,
    actor: ActorHere,
    assignment: Assignment,
    problem: Problem,
    body: schemas.RollbackIn,
) -> schemas.RegradeOut:
    """Make an earlier revision's answers current again, as a new revision; a dry run says whose
    scores would move."""
    with request.app.state.database.read() as session:
        amendment = amending.rollback(session, actor, assignment, problem, body.revision)
        if body.dry_run:
            return _regrade_out(amending.preview(session, actor, amendment))
    return _amended(request, actor, amendment, body.base)


@router.post("/assignments/{assignment}/problems/{problem}/regrade")
@requires("grade")
def regrade(
    request: Request,
    actor: ActorHere,
    assignment: Assignment,
    problem: Problem,
    body: schemas.RegradeIn,
) -> schemas.RegradeOut:
    """Compare stored attempts again; a dry run says what would change. What takes long goes on as a
    job after the answer."""
    cases = (
        {k: v.changes() for k, v in body.case_tolerances.items()}
        if body.case_tolerances is not None
        else None
    )
    change = body.tolerance.changes() if body.tolerance else None
    with request.app.state.database.read() as session:
        amendment = amending.tolerance(session, actor, assignment, problem, change, cases)
        if body.dry_run:
            return _regrade_out(amending.preview(session, actor, amendment))
    return _amended(request, actor, amendment)


def _amended(
    request: Request, actor: Actor, amendment: amending.Amendment, base: int | None = None
) -> schemas.RegradeOut:
    state = request.app.state
    with state.database.write() as session:
        job = amending.commit(session, state.clock(), actor, amendment, base)
    return _regrade_out(*_worked_at(state, job.pk))


def _regrade_out(
    found: regrading.Regrading, job: jobs.JobStatus | None = None
) -> schemas.RegradeOut:
    return schemas.RegradeOut(
        attempts=found.attempts,
        changed=found.changed,
        up=found.up,
        down=found.down,
        skipped=found.skipped,
        students=_moved(found.students),
        job=job.job.id if job else None,
        state=job.job.state if job else None,
    )


@router.get("/jobs")
@requires("grade")
def list_jobs(request: Request, actor: ActorHere) -> schemas.Jobs:
    """The course's newest regrades, without the students that they moved."""
    with request.app.state.database.read() as session:
        found = jobs.recent(session, actor.course_pk)
    return schemas.Jobs(jobs=[_job_out(shown) for shown in found])


@router.get("/jobs/{job}")
@requires("grade")
def get_job(request: Request, actor: ActorHere, job: PublicId) -> schemas.JobOut:
    """How far a regrade is; once it is done, whose score it moved."""
    with request.app.state.database.read() as session:
        return _job_out(jobs.status(session, jobs.find(session, actor, job)))


@router.post("/jobs/{job}/stop")
@requires("grade")
def stop_job(request: Request, actor: ActorHere, job: PublicId) -> schemas.JobOut:
    """Stop a regrade after the batch at hand; it can go on later."""
    state = request.app.state
    with state.database.write() as session:
        jobs.stop(session, state.clock(), actor, job)
    return get_job(request, actor, job)


@router.post("/jobs/{job}/resume")
@requires("grade")
def resume_job(request: Request, actor: ActorHere, job: PublicId) -> schemas.JobOut:
    """Let a regrade that was stopped, or failed, go on."""
    state = request.app.state
    with state.database.write() as session:
        jobs.resume(session, state.clock(), actor, job)
    state.lane.wake()
    return get_job(request, actor, job)


def _job_out(shown: jobs.JobStatus) -> schemas.JobOut:
    job = shown.job
    return schemas.JobOut(
        **dict(_regrade_out(shown.so_far, shown)),
        id=job.id,
        kind=job.kind,
        assignment=shown.assignment,
        problem=shown.problem,
        revision=shown.revision,
        actor=job.actor,
        total=job.total,
        done=shown.done,
        seconds_left=shown.seconds_left,
        error=job.error,
        created_at=job.created_at,
        finished_at=job.finished_at,
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


@router.post("/times")
@requires("publish")
def change_times(request: Request, actor: ActorHere, body: schemas.TimesIn) -> schemas.TimesOut:
    """Move an assignment's times for everybody."""
    state = request.app.state
    with state.database.write() as session:
        row = course_edit.set_times(session, state.clock(), actor, body.assignment, body.changes())
        return schemas.TimesOut.model_validate(row, from_attributes=True)


@router.get("/statistics")
@requires("grade")
def get_statistics(
    request: Request, actor: ActorHere, assignment: OneAssignment = None
) -> schemas.Statistics:
    """Which cases fail, at the first try and overall."""
    with request.app.state.database.read() as session:
        now = request.app.state.clock()
        problems = statistics.of_course(session, actor.course_pk, now, assignment)
    return schemas.Statistics.model_validate({"problems": problems}, from_attributes=True)


@router.get("/audit")
@requires("grade")
def get_audit(
    request: Request,
    actor: ActorHere,
    before: Annotated[int | None, Query(ge=1, lt=2**53)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> schemas.AuditOut:
    """The course's audit log, newest first, and whether the hash chain of its newest 500 entries is
    intact."""
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
