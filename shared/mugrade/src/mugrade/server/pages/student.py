"""A student's pages: dashboard, homework, problem, attempt, certificate."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import PlainTextResponse, Response
from markupsafe import Markup

from mugrade.server.pages import charts, web
from mugrade.server.pages.web import make_router, page, redirect, student_page
from mugrade.server.services import attempts, certificates, courses, history, overview

router = make_router()


@router.get("/welcome")
@student_page
def welcome(request: Request) -> Response:
    """The commands of the first day."""
    state, actor = request.app.state, request.state.actor
    with state.database.read() as session:
        course = courses.view(session, actor.course_pk, actor.course_version)
    ready = [a.id for a in course.assignments if any(p.revision for p in a.problems)]
    names = ready or [a.id for a in course.assignments] or ["hw0"]
    return page(request, "welcome.html", homework=names[0])


@router.get("/dashboard")
@student_page
def dashboard(request: Request) -> Response:
    """All homework with the next due time first."""
    state, actor, now = request.app.state, request.state.actor, request.app.state.clock()
    with state.database.read() as session:
        views = overview.of_account(session, now, actor)
        held = certificates.standing_of(session, actor.course_pk, actor.pk)
        course = courses.view(session, actor.course_pk, actor.course_version)
    open_ones = [v for v in views if v.state in ("open", "late") and not _complete(v)]
    due = [(v.window.due_at, v) for v in open_ones if v.window.due_at and v.window.due_at > now]
    coming = min(due, key=lambda pair: pair[0], default=(None, None))[1]
    return page(
        request,
        "dashboard.html",
        views=views,
        next=coming,
        held=held,
        late=course.policy.late,
        dropped=views[0].dropped if views else [],
        used=[(v.assignment.id, v.result.days_used) for v in views if v.result.days_used],
        started=any(item.attempts for view in views for item in view.problems),
        strip=_strip(views),
    )


def _strip(views: list[overview.AssignmentStatus]) -> Markup | None:
    """All problems that have answers, in one line."""
    shown = [(v.assignment.id, item) for v in views for item in v.problems if item.problem.revision]
    if not shown:
        return None
    row = [item.heat for _, item in shown]
    columns = [(name, item.problem.id) for name, item in shown]
    return charts.strip(columns, row, "Your problems; each homework's page has the numbers")


def _complete(view: overview.AssignmentStatus) -> bool:
    return view.result.score >= view.result.points


@router.get("/homework/{assignment}")
@student_page
def homework(request: Request, assignment: str) -> Response:
    state, actor = request.app.state, request.state.actor
    with state.database.read() as session:
        view = overview.of_assignment(session, state.clock(), actor, assignment)
    return page(request, "homework.html", view=view)


@router.get("/homework/{assignment}/{problem}")
@student_page
def problem(request: Request, assignment: str, problem: str) -> Response:
    """One problem with all attempts, newest first."""
    state, actor = request.app.state, request.state.actor
    with state.database.read() as session:
        view = overview.of_assignment(session, state.clock(), actor, assignment)
        place = attempts.find_place(session, actor, assignment, problem)
        reports = history.of_problem(session, place.course, actor.pk, assignment, problem)
    status = next(p for p in view.problems if p.problem.id == problem)
    failed = _first_failed(reports[0]) if reports else None
    return page(request, "problem.html", view=view, status=status, reports=reports, failed=failed)


def _first_failed(report: attempts.AttemptReport) -> tuple[int, str] | None:
    """The first case that is not right: its number, as `mugrade run --case` counts, and its label."""
    for number, (label, verdict) in enumerate(zip(report.labels, report.verdicts), 1):
        if not verdict.correct:
            return number, label
    return None


@router.get("/attempts/{attempt}/receipt")
@student_page
def receipt(request: Request, attempt: str) -> Response:
    """The signed receipt as a text file for `mugrade verify`."""
    state = request.app.state
    with state.database.read() as session:
        report = attempts.report(session, state.clock(), request.state.actor, attempt)
    named = {**web.HEADERS, "Content-Disposition": f'attachment; filename="{report.id}.txt"'}
    return PlainTextResponse(f"{report.receipt or ''}\n", headers=named)


@router.get("/certificate")
@student_page
def certificate(request: Request) -> Response:
    """What is still missing, or the certificate, ready to print."""
    state, actor = request.app.state, request.state.actor
    with state.database.read() as session:
        held = certificates.standing_of(session, actor.course_pk, actor.pk)
        course = courses.view(session, actor.course_pk, actor.course_version)
    address = code = None
    if held.certificate:
        address = f"{state.settings.web_address()}certificates/{held.certificate.id}"
        code = charts.qr_code(address, "Address of the page that verifies this certificate")
    return page(request, "certificate.html", held=held, course=course, address=address, code=code)


@router.post("/certificate")
@student_page
def claim_certificate(request: Request) -> Response:
    state = request.app.state
    with state.database.write() as session:
        certificates.issue(session, state.clock(), request.state.actor)
    return redirect("/certificate")
