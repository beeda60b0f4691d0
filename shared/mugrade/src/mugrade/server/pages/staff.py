"""Staff's pages about the whole course: home and audit log."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import Response

from mugrade.server.pages import charts
from mugrade.server.pages.web import make_router, page, redirect, staff_page
from mugrade.server.services import (
    accounts,
    audit,
    courses,
    groups,
    roster,
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


@router.get("/staff/audit")
@staff_page
def audit_log(request: Request) -> Response:
    before = request.query_params.get("before", "")
    upto = int(before) if before.isascii() and before.isdigit() and len(before) < 15 else None
    with request.app.state.database.read() as session:
        entries = audit.entries(session, request.state.actor.course_pk, limit=100, before=upto)
        broken = audit.first_broken(session)
    return page(request, "staff_audit.html", entries=entries, broken=broken)
