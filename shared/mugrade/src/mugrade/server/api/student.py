"""An account's own view: assignments, attempts, certificate."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Header, Request, Response

from mugrade.server import schemas
from mugrade.server.api.common import ActorHere, Assignment, Problem, PublicId, make_router
from mugrade.server.errors import Refusal
from mugrade.server.routing import body_limit, requires
from mugrade.server.services import (
    accounts,
    attempts,
    certificates,
    history,
    leaderboard,
    mydata,
    overview,
    tokens,
)

router = make_router(tags=["student"])


@router.get("/me")
@requires("read")
def me(actor: ActorHere) -> schemas.Me:
    """The account that the token belongs to."""
    return schemas.Me(
        id=actor.id,
        name=actor.name,
        email=actor.email,
        role=actor.role,
        scopes=sorted(actor.scopes),
        course=schemas.CourseOut(id=actor.course_id, title=actor.course_title),
        key_expires_at=actor.key_until,
    )


@router.delete("/me/token", status_code=204)
@requires("read")
def revoke_token(request: Request, actor: ActorHere) -> None:
    """Revoke the token that this request carries."""
    state = request.app.state
    with state.database.write() as session:
        tokens.revoke(session, state.clock(), actor)


@router.get("/me/data")
@requires("read")
def my_data(request: Request, actor: ActorHere) -> dict[str, Any]:
    """Everything that is stored about the account."""
    state = request.app.state
    with state.database.read() as session:
        return mydata.of_account(session, state.clock(), accounts.account_of(session, actor))


@router.get("/me/certificate")
@requires("read")
def my_certificate(request: Request, actor: ActorHere) -> schemas.CertificateOut:
    """How the account stands with the certificate, and what is missing."""
    with request.app.state.database.read() as session:
        standing = certificates.standing_of(session, actor.course_pk, actor.pk)
    return certificate_out(request, standing)


@router.post("/me/certificate")
@requires("submit")
def claim_certificate(request: Request, actor: ActorHere) -> schemas.CertificateOut:
    """Issue the certificate; 403 with what is missing while it is not earned."""
    state = request.app.state
    with state.database.write() as session:
        standing = certificates.issue(session, state.clock(), actor)
    return certificate_out(request, standing)


def certificate_out(request: Request, held: certificates.Held) -> schemas.CertificateOut:
    row, web = held.certificate, request.app.state.settings.web_address()
    return schemas.CertificateOut(
        earned=held.standing.earned,
        average=held.standing.average,
        needed=held.standing.needed,
        project_done=held.standing.project_done,
        missing=list(held.standing.missing),
        id=row.id if row else None,
        verify=f"{web}certificates/{row.id}" if row else None,
        signed=row.signed if row else None,
    )


@router.get("/assignments")
@requires("read")
def list_assignments(request: Request, actor: ActorHere) -> schemas.Assignments:
    """Every assignment in order, with the account's own times and scores."""
    now = request.app.state.clock()
    with request.app.state.database.read() as session:
        views = overview.of_account(session, now, actor)
    return schemas.Assignments(
        now=now, assignments=[assignment_out(actor, now, v, False) for v in views]
    )


@router.get("/assignments/{assignment}")
@requires("read")
def get_assignment(
    request: Request, actor: ActorHere, assignment: Assignment
) -> schemas.AssignmentOut:
    """One assignment with its problems: what `mugrade submit` needs to know."""
    now = request.app.state.clock()
    with request.app.state.database.read() as session:
        view = overview.of_assignment(session, now, actor, assignment)
    return assignment_out(actor, now, view, True)


def assignment_out(
    actor: accounts.Actor, now: Any, view: overview.AssignmentStatus, problems: bool
) -> schemas.AssignmentOut:
    return schemas.AssignmentOut(
        id=view.assignment.id,
        title=view.assignment.title,
        account=actor.id,
        now=now,
        opens_at=view.window.opens_at,
        due_at=view.window.due_at,
        cutoff_at=view.window.cutoff_at,
        state=view.state,
        score=view.result.score,
        points=view.result.points,
        late_days_left=view.late_days_left,
        late_penalty_percent=number(view.penalty_now),
        problems=[problem_out(actor, now, p) for p in view.problems] if problems else None,
    )


def problem_out(
    actor: accounts.Actor, now: Any, status: overview.ProblemStatus
) -> schemas.ProblemOut:
    problem, revision = status.problem, status.problem.revision
    return schemas.ProblemOut(
        id=problem.id,
        title=problem.title,
        points=problem.points,
        published=revision is not None,
        revision=revision.number if revision else None,
        variant=status.variant,
        seed=status.seed,
        cases=list(revision.labels) if revision else [],
        requires=problem.requires,
        speed=problem.speed,
        attempts=status.attempts,
        tries_left=status.allowance.tries_left,
        retry_after=status.retry_after(now),
        best=best_out(status.result),
        score=status.result.score,
        overridden=status.result.overridden,
        pool=problem.pool if actor.is_staff else None,
        tolerance=schemas.ToleranceOut.model_validate(vars(problem.tolerance))
        if actor.is_staff
        else None,
    )


def best_out(result: Any) -> schemas.Best | None:
    best = result.best
    if best is None:
        return None
    return schemas.Best(
        attempt=best.id, correct=best.correct, cases=best.total, score=result.score, at=best.at
    )


def number(value: Any) -> int | float:
    return int(value) if value == int(value) else float(value)


# -------------------------------------------------------------------------------------- attempts


@router.post(
    "/assignments/{assignment}/problems/{problem}/attempts",
    status_code=201,
    responses={
        200: {"model": schemas.AttemptOut, "description": "A repeated key: the attempt that stands"}
    },
)
@requires("submit")
@body_limit("max_attempt_bytes")
def make_attempt(
    request: Request,
    response: Response,
    actor: ActorHere,
    assignment: Assignment,
    problem: Problem,
    body: schemas.AttemptIn,
    idempotency_key: Annotated[
        str | None, Header(min_length=8, max_length=80, pattern=r"^[!-~]+$")
    ] = None,
) -> schemas.AttemptOut:
    """Submit one problem with all its cases; repeating the key never makes a second attempt."""
    state = request.app.state
    try:
        with state.database.read() as session:
            place = attempts.find_place(session, actor, assignment, problem)
            graded = attempts.grade(session, actor, place, body)
    except Refusal:
        replay = _replay(state, actor, key=idempotency_key, body=body)
        if replay is None:
            raise
        report = replay
    else:
        arrived = request.state.arrived
        with state.database.write() as session:
            report = attempts.store(
                session, arrived, actor, graded, body, idempotency_key, clock=state.clock
            )
    if report.replayed:
        response.status_code = 200
        response.headers["Idempotency-Replayed"] = "true"
    else:
        outcome = "right" if report.correct == len(report.verdicts) else "wrong"
        state.metrics.attempts.labels(outcome).inc()
    return attempt_out(report)


def _replay(
    state: Any, actor: accounts.Actor, *, key: str | None, body: schemas.AttemptIn
) -> attempts.AttemptReport | None:
    """The attempt that stands under this key, although the same would be refused by now."""
    with state.database.read() as session:
        known = attempts.find_repeated(session, actor, key, body)
        if known is None:
            return None
        return attempts.report(session, state.clock(), actor, known, replayed=True)


def attempt_out(report: attempts.AttemptReport) -> schemas.AttemptOut:
    result = report.standing.results[report.place.assignment.id]
    task = report.standing.tasks[report.place.assignment.id]
    return schemas.AttemptOut(
        id=report.id,
        assignment=report.place.assignment.id,
        problem=report.place.problem.id,
        revision=report.revision,
        variant=report.variant,
        at=report.at,
        cases=cases_out(report),
        correct=report.correct,
        total=len(report.verdicts),
        score=report.score,
        points=report.place.problem.points,
        best=best_out(result.problems[report.place.problem.id]),
        late_days=report.late_days,
        penalty_percent=number(report.penalty_percent),
        tries_left=report.tries_left,
        assignment_score=result.score,
        assignment_points=result.points,
        due_at=task.window.due_at,
        error=report.error,
        receipt=report.receipt,
    )


def cases_out(report: attempts.AttemptReport) -> list[schemas.CaseOut]:
    return [
        schemas.CaseOut(
            index=index,
            label=label,
            correct=verdict.correct,
            kind=verdict.kind,
            submitted_shape=_listed(verdict.submitted_shape),
            expected_shape=_listed(verdict.expected_shape),
        )
        for index, (label, verdict) in enumerate(zip(report.labels, report.verdicts))
    ]


def _listed(shape: tuple[int, ...] | None) -> list[int] | None:
    return None if shape is None else list(shape)


@router.get("/assignments/{assignment}/problems/{problem}/attempts")
@requires("read")
def list_attempts(
    request: Request, actor: ActorHere, assignment: Assignment, problem: Problem
) -> schemas.Attempts:
    """The account's attempts at a problem, newest first."""
    with request.app.state.database.read() as session:
        place = attempts.find_place(session, actor, assignment, problem)
        reports = history.of_problem(session, place.course, actor.pk, assignment, problem)
    return schemas.Attempts(attempts=[summary_out(report) for report in reports])


def summary_out(report: attempts.AttemptReport) -> schemas.AttemptSummary:
    return schemas.AttemptSummary(
        id=report.id,
        revision=report.revision,
        variant=report.variant,
        at=report.at,
        cases=cases_out(report),
        correct=report.correct,
        total=len(report.verdicts),
        score=report.score,
        late_days=report.late_days,
        error=report.error,
        origin=report.origin,
        receipt=report.receipt,
    )


@router.get("/attempts/{attempt}")
@requires("read")
def get_attempt(request: Request, actor: ActorHere, attempt: PublicId) -> schemas.AttemptOut:
    """One of the account's own attempts."""
    with request.app.state.database.read() as session:
        report = attempts.report(session, request.app.state.clock(), actor, attempt)
    return attempt_out(report)


# ------------------------------------------------------------------------------------ leaderboard


@router.post("/assignments/{assignment}/problems/{problem}/timing", status_code=204)
@requires("submit")
def report_timing(
    request: Request,
    actor: ActorHere,
    assignment: Assignment,
    problem: Problem,
    body: schemas.TimingIn,
) -> None:
    """Report what one's own program for a speed problem takes: operations, bytes moved, seconds."""
    state = request.app.state
    with state.database.write() as session:
        leaderboard.report(session, state.clock(), actor, assignment, problem, body)


@router.get("/assignments/{assignment}/problems/{problem}/leaderboard")
@requires("read")
def get_leaderboard(
    request: Request, actor: ActorHere, assignment: Assignment, problem: Problem
) -> schemas.Leaderboard:
    """The least work of those who chose a pseudonym; seconds are self-reported."""
    with request.app.state.database.read() as session:
        entries = leaderboard.entries(session, actor.course_pk, assignment, problem)
    return schemas.Leaderboard(
        entries=[schemas.LeaderboardEntry.model_validate(e, from_attributes=True) for e in entries]
    )
