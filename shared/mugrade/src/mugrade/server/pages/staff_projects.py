"""Staff's pages of the final projects."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import Response

from mugrade.server.errors import Refusal
from mugrade.server.pages.forms import decimal
from mugrade.server.pages.web import make_router, page, redirect, staff_page
from mugrade.server.services import (
    courses,
    groups,
)

router = make_router()


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
