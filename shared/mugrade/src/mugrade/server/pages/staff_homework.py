"""Staff's page of one homework: its times and its problems."""

from __future__ import annotations

import zoneinfo

from fastapi import Request
from fastapi.responses import Response

from mugrade.server.errors import Refusal
from mugrade.server.pages.forms import local, moment
from mugrade.server.pages.web import make_router, page, redirect, staff_page
from mugrade.server.services import (
    accounts,
    courses,
)

router = make_router()


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
    times = {name: local(getattr(view, name), zone) for name in courses.TIMES}
    return page(
        request,
        "staff_homework.html",
        status,
        course=course,
        assignment=view,
        times=times,
        error=error,
    )


@router.post("/staff/homework/{assignment}/times")
@staff_page
def change_times(request: Request, assignment: str) -> Response:
    """Times are entered in the course's zone; an empty field takes a time away."""
    state, form, actor = request.app.state, request.state.form, request.state.actor
    accounts.require_scope(actor, "publish")
    try:
        with state.database.read() as session:
            zone = zoneinfo.ZoneInfo(courses.view(session, actor.course_pk).timezone)
        changes = {name: moment(form.get(name), name, zone) for name in courses.TIMES}
        with state.database.write() as session:
            courses.set_times(session, state.clock(), actor, assignment, changes)
    except Refusal as error:
        return _homework_page(request, assignment, error.status_code, str(error.detail))
    return redirect(f"/staff/homework/{assignment}?done=saved")
