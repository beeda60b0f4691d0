"""Staff's pages about the whole course: home, gradebook, students, projects, roster, audit log."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from decimal import Decimal, InvalidOperation
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from mugrade.server.errors import Refusal, invalid
from mugrade.server.pages import charts, web
from mugrade.server.pages.web import make_router, page, redirect, staff_page
from mugrade.server.services import (
    accounts,
    attempts,
    audit,
    certificates,
    courses,
    grades,
    groups,
    identity,
    invitations,
    mail,
    roster,
    standing,
    statistics,
)

router = make_router()
DAYS = 28


@router.get("/staff")
@staff_page
def home(request: Request) -> Response:
    """Attempts over time and the cases that fail most often at the first try."""
    state, actor = request.app.state, request.state.actor
    with state.database.read() as session:
        course = courses.view(session, actor.course_pk, actor.course_version)
        days = statistics.attempts_per_day(session, actor.course_pk, DAYS, state.clock())
        problems = statistics.of_course(session, actor.course_pk, state.clock())
        waiting = [
            g
            for g in groups.all_of(session, actor.course_pk)
            if g.row.state in ("proposed", "submitted")
        ]
        people = roster.people(session, actor.course_pk)
    chart = charts.bars(
        [(f"{day:%d %b}", count) for day, count in days], f"Attempts a day in the last {DAYS} days"
    )
    return page(
        request,
        "staff_home.html",
        course=course,
        days=days,
        chart=chart,
        problems=problems,
        hardest=statistics.hardest_cases(problems),
        waiting=waiting,
        students=sum(p.role == "student" for p in people),
    )


@router.post("/staff/code")
@staff_page
def change_code(request: Request) -> Response:
    """Replace the sign-up code, or close sign-up."""
    state, actor = request.app.state, request.state.actor
    accounts.require_scope(actor, "roster")
    closing = request.state.form.get("action") == "close"
    with state.database.write() as session:
        courses.set_code(session, state.clock(), actor, None if closing else courses.new_code())
    return redirect("/staff?done=saved")


# ----------------------------------------------------------------------------------- gradebook


@router.get("/staff/grades")
@staff_page
def gradebook(request: Request) -> Response:
    """Sorted and filtered by the query, so that every view has an address."""
    query, actor = request.query_params, request.state.actor
    chosen = query.get("homework") or None
    with request.app.state.database.read() as session:
        book = grades.gradebook(session, actor.course_pk, chosen)
        course = courses.view(session, actor.course_pk, actor.course_version)
    rows = [row for row in book.rows if _matches(row, query.get("q", ""), query.get("show", ""))]
    sort = query.get("sort", "name")
    rows.sort(key=lambda row: _sort_key(row, sort.removeprefix("-")), reverse=sort.startswith("-"))
    wanted = {"q": query.get("q", ""), "show": query.get("show", ""), "homework": chosen or ""}
    return page(
        request, "gradebook.html", book=book, course=course, rows=rows, sort=sort, wanted=wanted
    )


def _matches(row: grades.Line, text: str, show: str) -> bool:
    if text.lower() not in f"{row.name} {row.email}".lower():
        return False
    if show == "nothing":
        return not any(row.scores.values())
    if show == "certificate":
        return row.certificate
    if show == "doubtful":
        return row.certificate_state == "issued, no longer earned"
    return show != "no-certificate" or not row.certificate


def _sort_key(row: grades.Line, column: str) -> Any:
    if column in row.scores:
        return row.scores[column]
    if column == "average":
        return row.average
    return row.email if column == "email" else row.name.casefold()


@router.get("/staff/grades.csv")
@staff_page
def gradebook_csv(request: Request) -> Response:
    chosen = request.query_params.get("homework") or None
    with request.app.state.database.read() as session:
        text = grades.as_csv(grades.gradebook(session, request.state.actor.course_pk, chosen))
    named = {
        **web.HEADERS,
        "Content-Disposition": f'attachment; filename="{chosen or "grades"}.csv"',
    }
    return Response(text.encode("utf-8-sig"), media_type="text/csv; charset=utf-8", headers=named)


# ------------------------------------------------------------------------------------- student


@router.get("/staff/students/{account_id}")
@staff_page
def student(request: Request, account_id: str) -> Response:
    return _student_page(request, account_id)


def _student_page(
    request: Request,
    account_id: str,
    status: int = 200,
    error: str | None = None,
    one_time: str | None = None,
) -> Response:
    actor = request.state.actor
    with request.app.state.database.read() as session:
        person = accounts.find(session, actor.course_pk, account_id)
        course = courses.view(session, actor.course_pk, actor.course_version)
        state = standing.of_account(session, course, person.pk)
        reports = _recent(session, course, person)
        extensions, overrides = grades.decisions_about(session, person.pk)
        held = certificates.standing_of(session, actor.course_pk, person.pk)
        unclaimed = identity.why_not_claimable(session, person) is None
    places = {p.pk: f"{a.id}/{p.id}" for a in course.assignments for p in a.problems}
    names = {a.pk: a.id for a in course.assignments}
    return page(
        request,
        "staff_student.html",
        status,
        person=person,
        course=course,
        state=state,
        held=held,
        reports=reports,
        extensions=extensions,
        overrides=overrides,
        places=places,
        names=names,
        unclaimed=unclaimed,
        one_time=one_time,
        error=error,
    )


def _recent(session: Session, course: courses.CourseView, person: Any, limit: int = 50) -> list:
    found = [
        (assignment.id, problem.id, report)
        for assignment in course.assignments
        for problem in assignment.problems
        for report in attempts.history(session, course, person.pk, assignment.id, problem.id, limit)
    ]
    return sorted(found, key=lambda item: item[2].at, reverse=True)[:limit]


@router.post("/staff/students/{account_id}/extend")
@staff_page
def extend(request: Request, account_id: str) -> Response:
    state, form, actor = request.app.state, request.state.form, request.state.actor
    try:
        with state.database.write() as session:
            person = accounts.find(session, actor.course_pk, account_id)
            grades.extend(
                session,
                state.clock(),
                actor,
                student=person.id,
                assignment_id=form.get("homework"),
                days=whole_number(form.get("days"), "days", 365),
                until=None,
                reason=form.needed("reason"),
            )
    except Refusal as error:
        return _student_page(request, account_id, error.status_code, str(error.detail))
    return redirect(f"/staff/students/{account_id}?done=extended")


@router.post("/staff/students/{account_id}/override")
@staff_page
def override(request: Request, account_id: str) -> Response:
    state, form, actor = request.app.state, request.state.form, request.state.actor
    homework, _, problem = form.get("problem").partition("/")
    try:
        points = None if form.get("lift") else decimal(form.get("points"), "points")
        with state.database.write() as session:
            person = accounts.find(session, actor.course_pk, account_id)
            grades.override(
                session,
                state.clock(),
                actor,
                student=person.id,
                assignment_id=homework,
                problem_id=problem,
                points=points,
                reason=form.needed("reason"),
            )
    except Refusal as error:
        return _student_page(request, account_id, error.status_code, str(error.detail))
    return redirect(f"/staff/students/{account_id}?done=override")


@router.post("/staff/students/{account_id}/certificate")
@staff_page
def change_certificate(request: Request, account_id: str) -> Response:
    """Take the certificate back, or let it stand again."""
    state, form, actor = request.app.state, request.state.form, request.state.actor
    accounts.require_scope(actor, "roster")
    change = certificates.reinstate if form.get("reinstate") else certificates.revoke
    try:
        with state.database.write() as session:
            person = accounts.find(session, actor.course_pk, account_id)
            change(session, state.clock(), actor, person, form.needed("reason"))
    except Refusal as error:
        return _student_page(request, account_id, error.status_code, str(error.detail))
    return redirect(f"/staff/students/{account_id}?done=saved")


@router.post("/staff/students/{account_id}/account")
@staff_page
def change_account(request: Request, account_id: str) -> Response:
    """Deactivate or activate somebody, or change their role."""
    state, form, actor = request.app.state, request.state.form, request.state.actor
    accounts.require_scope(actor, "roster")
    wanted = form.get("active")
    try:
        with state.database.write() as session:
            person = accounts.find(session, actor.course_pk, account_id)
            accounts.set_role(
                session,
                state.clock(),
                actor,
                person,
                role=form.get("role") or None,
                active=None if not wanted else wanted == "yes",
                reason=form.needed("reason"),
            )
    except Refusal as error:
        return _student_page(request, account_id, error.status_code, str(error.detail))
    return redirect(f"/staff/students/{account_id}?done=changed")


@router.post("/staff/students/{account_id}/link")
@staff_page
def make_link(request: Request, account_id: str) -> Response:
    """A sign-in link or an invitation for somebody, shown once."""
    state, actor = request.app.state, request.state.actor
    accounts.require_scope(actor, "roster")
    web_address = state.settings.web_address()
    try:
        with state.database.write() as session:
            person = accounts.find(session, actor.course_pk, account_id)
            if identity.why_not_claimable(session, person) is None:
                made = invitations.invite(session, state.clock(), actor, [person.id]).made[0]
                link = f"{web_address}invitation?code={made.code}"
            else:
                code = invitations.link_for(session, state.clock(), actor, person, reason="page")
                link = f"{web_address}link?code={code}"
    except Refusal as error:
        return _student_page(request, account_id, error.status_code, str(error.detail))
    return _student_page(request, account_id, one_time=link)


# ------------------------------------------------------------------------------------ homework


@router.get("/staff/homework/{assignment}")
@staff_page
def homework(request: Request, assignment: str) -> Response:
    return _homework_page(request, assignment)


def _homework_page(
    request: Request, assignment: str, status: int = 200, error: str | None = None
) -> Response:
    """One homework's times, and its problems."""
    actor = request.state.actor
    with request.app.state.database.read() as session:
        course = courses.view(session, actor.course_pk)
        view = course.assignment(assignment)
    zone = zoneinfo.ZoneInfo(course.timezone)
    times = {name: _local(getattr(view, name), zone) for name in courses.TIMES}
    return page(
        request,
        "staff_homework.html",
        status,
        course=course,
        assignment=view,
        times=times,
        error=error,
    )


def _local(moment: dt.datetime | None, zone: dt.tzinfo) -> str:
    """As `<input type="datetime-local">` takes it."""
    return moment.astimezone(zone).strftime("%Y-%m-%dT%H:%M") if moment else ""


@router.post("/staff/homework/{assignment}/times")
@staff_page
def change_times(request: Request, assignment: str) -> Response:
    """Times are entered in the course's zone; an empty field takes a time away."""
    state, form, actor = request.app.state, request.state.form, request.state.actor
    accounts.require_scope(actor, "publish")
    try:
        with state.database.read() as session:
            zone = zoneinfo.ZoneInfo(courses.view(session, actor.course_pk).timezone)
        changes = {name: _moment(form.get(name), name, zone) for name in courses.TIMES}
        with state.database.write() as session:
            courses.set_times(session, state.clock(), actor, assignment, changes)
    except Refusal as error:
        return _homework_page(request, assignment, error.status_code, str(error.detail))
    return redirect(f"/staff/homework/{assignment}?done=saved")


def _moment(text: str, name: str, zone: dt.tzinfo) -> dt.datetime | None:
    if not text.strip():
        return None
    try:
        return dt.datetime.fromisoformat(text.strip()).replace(tzinfo=zone)
    except ValueError:
        raise invalid(
            f"{name} is {text!r:.40}; expected a time such as 2026-10-08T12:00."
        ) from None


def whole_number(text: str, name: str, largest: int) -> int:
    if not (text.strip().isascii() and text.strip().isdigit()) or int(text) > largest:
        raise invalid(f"{name} is {text!r:.40}; expected a whole number up to {largest}.")
    return int(text)


def decimal(text: str, name: str) -> Decimal:
    try:
        value = Decimal(text.strip().replace(",", "."))
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or not 0 <= value <= 10000:
        raise invalid(f"{name} is {text!r:.40}; expected a number from 0 to 10000.")
    return value.quantize(Decimal("0.01"))


# ------------------------------------------------------------------------------------ projects


@router.get("/staff/projects")
@staff_page
def projects(request: Request) -> Response:
    with request.app.state.database.read() as session:
        found = groups.all_of(session, request.state.actor.course_pk)
    return page(request, "staff_projects.html", groups=found)


@router.get("/staff/projects/{group_id}")
@staff_page
def project(request: Request, group_id: str) -> Response:
    return _project_page(request, group_id)


def _project_page(
    request: Request, group_id: str, status: int = 200, error: str | None = None
) -> Response:
    actor = request.state.actor
    with request.app.state.database.read() as session:
        group = groups.find(session, actor, group_id)
        rubric = courses.view(session, actor.course_pk, actor.course_version).rubric
    return page(request, "staff_project.html", status, group=group, rubric=rubric, error=error)


@router.post("/staff/projects/{group_id}/decide")
@staff_page
def decide(request: Request, group_id: str) -> Response:
    state, form = request.app.state, request.state.form
    try:
        with state.database.write() as session:
            groups.decide(
                session,
                state.clock(),
                request.state.actor,
                group_id,
                accept=form.get("answer") == "accept",
                feedback=form.get("feedback"),
            )
    except Refusal as error:
        return _project_page(request, group_id, error.status_code, str(error.detail))
    return redirect(f"/staff/projects/{group_id}?done=decided")


@router.post("/staff/projects/{group_id}/grade")
@staff_page
def grade_project(request: Request, group_id: str) -> Response:
    state, form = request.app.state, request.state.form
    try:
        marks = {
            name.removeprefix("mark-"): decimal(text, name.removeprefix("mark-"))
            for name, text in form.items()
            if name.startswith("mark-")
        }
        with state.database.write() as session:
            groups.grade(
                session,
                state.clock(),
                request.state.actor,
                group_id,
                marks=marks,
                feedback=form.get("feedback"),
            )
    except Refusal as error:
        return _project_page(request, group_id, error.status_code, str(error.detail))
    return redirect(f"/staff/projects/{group_id}?done=graded")


# ------------------------------------------------------------------------------ roster and audit


@router.get("/staff/roster")
@staff_page
def roster_page(request: Request) -> Response:
    return _roster_page(request)


def _roster_page(request: Request, status: int = 200, **context: Any) -> Response:
    with request.app.state.database.read() as session:
        people = roster.people(session, request.state.actor.course_pk)
        waiting = invitations.waiting(session, request.state.actor.course_pk)
    shown = {
        "text": "",
        "change": None,
        "invited": None,
        "told": {},
        "waiting": {person.pk for person in waiting},
        "most": invitations.MOST,
        "mailed": mail.is_configured(request.app.state.settings),
        **context,
    }
    return page(request, "staff_roster.html", status, people=people, **shown)


@router.post("/staff/roster/invite")
@staff_page
def invite(request: Request) -> Response:
    """Personal invitations for those who have not come in yet; shown once, or mailed."""
    state, form, actor = request.app.state, request.state.form, request.state.actor
    accounts.require_scope(actor, "roster")
    try:
        with state.database.write() as session:
            waiting = invitations.waiting(session, actor.course_pk)[: invitations.MOST]
            made = invitations.invite(session, state.clock(), actor, [p.id for p in waiting])
        told: dict[str, str | None] = {}
        if form.get("action") == "mail":
            address = state.settings.web_address()
            letters = [invitations.letter(address, made.course, one) for one in made.made]
            told = mail.send(state.settings, letters)
    except Refusal as error:
        return _roster_page(request, error.status_code, error=str(error.detail))
    return _roster_page(request, invited=made.made, told=told)


@router.post("/staff/roster")
@staff_page
def import_roster(request: Request) -> Response:
    """Preview first; the second button writes."""
    state, form, actor = request.app.state, request.state.form, request.state.actor
    accounts.require_scope(actor, "roster")
    dry_run = form.get("action") != "import"
    with state.database.write() as session:
        change = roster.import_csv(session, state.clock(), actor, form.get("csv"), dry_run=dry_run)
    if not dry_run and not change.errors:
        return redirect("/staff/roster?done=imported")
    status = 400 if change.errors else 200
    return _roster_page(request, status, text=form.get("csv"), change=change)


@router.get("/staff/audit")
@staff_page
def audit_log(request: Request) -> Response:
    before = request.query_params.get("before", "")
    upto = int(before) if before.isascii() and before.isdigit() and len(before) < 15 else None
    with request.app.state.database.read() as session:
        entries = audit.entries(session, request.state.actor.course_pk, limit=100, before=upto)
        broken = audit.first_broken(session)
    return page(request, "staff_audit.html", entries=entries, broken=broken)
