"""Staff's pages of the final projects."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import partial
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from mugrade.server.errors import Refusal
from mugrade.server.pages.forms import decimal
from mugrade.server.pages.web import make_router, page, staff_page, written
from mugrade.server.services import courses, groups
from mugrade.server.services.accounts import Actor

router = make_router()


@router.get("/staff/projects")
@staff_page
def projects(request: Request) -> Response:
    return _projects_page(request)


def _projects_page(request: Request, refusal: Refusal | None = None) -> Response:
    with request.app.state.database.read() as session:
        found = groups.all_of(session, request.state.actor.course_pk)
    return page(request, "staff_projects.html", refusal=refusal, groups=found)


@router.post("/staff/projects")
@staff_page
def put_together(request: Request) -> Response:
    emails = request.state.form.get("emails").split()
    return written(
        request,
        lambda session, now, me: groups.put_together(session, now, me, emails),
        "/staff/projects?done=members",
        lambda refusal: _projects_page(request, refusal),
    )


@router.get("/staff/projects/{group_id}")
@staff_page
def project(request: Request, group_id: str) -> Response:
    return _project_page(request, group_id)


def _project_page(request: Request, group_id: str, refusal: Refusal | None = None) -> Response:
    actor = request.state.actor
    with request.app.state.database.read() as session:
        group = groups.find(session, actor, group_id)
        rubric = courses.view(session, actor.course_pk, actor.course_version).rubric
    return page(
        request,
        "staff_project.html",
        refusal=refusal,
        group=group,
        rubric=rubric,
        largest=groups.MAX_MEMBERS,
    )


def _change(request: Request, group_id: str, done: str, change: Callable[..., Any]) -> Response:
    """Run one change of this group; a refusal stands in its page."""
    return written(
        request,
        lambda session, now, me: change(session, now, me, group_id),
        f"/staff/projects/{group_id}?done={done}",
        lambda refusal: _project_page(request, group_id, refusal),
    )


@router.post("/staff/projects/{group_id}/add")
@staff_page
def add_member(request: Request, group_id: str) -> Response:
    email = request.state.form.get("email")
    return _change(request, group_id, "members", partial(groups.add_member, email=email))


@router.post("/staff/projects/{group_id}/remove")
@staff_page
def remove_member(request: Request, group_id: str) -> Response:
    email = request.state.form.get("email")
    return _change(request, group_id, "members", partial(groups.remove_member, email=email))


@router.post("/staff/projects/{group_id}/decide")
@staff_page
def decide(request: Request, group_id: str) -> Response:
    form = request.state.form
    decided = {"accept": form.get("answer") == "accept", "feedback": form.get("feedback")}
    return _change(request, group_id, "decided", partial(groups.decide, **decided))


@router.post("/staff/projects/{group_id}/grade")
@staff_page
def grade_project(request: Request, group_id: str) -> Response:
    form = request.state.form

    def grade(session: Session, now: dt.datetime, me: Actor, group_id: str) -> None:
        marks = {
            name.removeprefix("mark-"): decimal(text, name.removeprefix("mark-"))
            for name, text in form.items()
            if name.startswith("mark-")
        }
        groups.grade(session, now, me, group_id, marks=marks, feedback=form.get("feedback"))

    return _change(request, group_id, "graded", grade)
