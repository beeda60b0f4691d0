"""Staff's page of one homework: its times and its problems."""

from __future__ import annotations

import datetime as dt

from fastapi import Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from mugrade.server.errors import Refusal
from mugrade.server.pages.forms import local, moment
from mugrade.server.pages.web import make_router, page, staff_page, written
from mugrade.server.services import (
    accounts,
    courses,
)

router = make_router()


@router.get("/staff/homework/{assignment}")
@staff_page
def homework(request: Request, assignment: str) -> Response:
    return _homework_page(request, assignment)


def _homework_page(request: Request, assignment: str, refusal: Refusal | None = None) -> Response:
    """One homework's times, and its problems."""
    actor = request.state.actor
    with request.app.state.database.read() as session:
        course = courses.view(session, actor.course_pk)
        view = course.assignment(assignment)
    times = {name: local(getattr(view, name), course.zone) for name in courses.TIMES}
    return page(
        request,
        "staff_homework.html",
        refusal=refusal,
        course=course,
        assignment=view,
        times=times,
    )


@router.post("/staff/homework/{assignment}/times")
@staff_page
def change_times(request: Request, assignment: str) -> Response:
    """Times are entered in the course's zone; an empty field takes a time away."""
    form = request.state.form
    accounts.require_scope(request.state.actor, "publish")

    def change(session: Session, now: dt.datetime, me: accounts.Actor) -> None:
        zone = courses.view(session, me.course_pk).zone
        changes = {name: moment(form.get(name), name, zone) for name in courses.TIMES}
        courses.set_times(session, now, me, assignment, changes)

    return written(
        request,
        change,
        f"/staff/homework/{assignment}?done=saved",
        lambda refusal: _homework_page(request, assignment, refusal),
    )
