"""The student's project group: form, invite, propose, hand in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from mugrade.server.errors import Refusal
from mugrade.server.pages.web import make_router, page, student_page, written
from mugrade.server.services import courses, groups

router = make_router()


@router.get("/project")
@student_page
def project(request: Request) -> Response:
    return _project_page(request)


def _project_page(request: Request, refusal: Refusal | None = None) -> Response:
    actor = request.state.actor
    with request.app.state.database.read() as session:
        group = groups.own(session, actor.pk)
        invitations = groups.invitations(session, actor.pk)
        rubric = courses.view(session, actor.course_pk, actor.course_version).rubric
    return page(
        request,
        "project.html",
        refusal=refusal,
        group=group,
        invitations=invitations,
        rubric=rubric,
        smallest=groups.MIN_MEMBERS,
        largest=groups.MAX_MEMBERS,
    )


def _change(request: Request, done: str, change: Callable[..., Any]) -> Response:
    """Run one change of the group; a refusal comes back on the same page."""
    return written(
        request, change, f"/project?done={done}", lambda refusal: _project_page(request, refusal)
    )


@router.post("/project/form")
@student_page
def form_group(request: Request) -> Response:
    return _change(request, "saved", groups.form)


@router.post("/project/invite")
@student_page
def invite(request: Request) -> Response:
    email = request.state.form.get("email")
    return _change(request, "invited", lambda s, now, me: groups.invite(s, now, me, email))


@router.post("/project/answer/{group_id}")
@student_page
def answer(request: Request, group_id: str) -> Response:
    yes = request.state.form.get("answer") == "accept"
    return _change(
        request, "answered", lambda s, now, me: groups.answer(s, now, me, group_id, accept=yes)
    )


@router.post("/project/leave")
@student_page
def leave(request: Request) -> Response:
    return _change(request, "left", groups.leave)


@router.post("/project/propose")
@student_page
def propose(request: Request) -> Response:
    title, text = request.state.form.get("title"), request.state.form.get("text")
    return _change(
        request, "proposed", lambda s, now, me: groups.propose(s, now, me, title=title, text=text)
    )


@router.post("/project/hand-in")
@student_page
def hand_in(request: Request) -> Response:
    report = request.state.form.get("report")
    return _change(request, "handed-in", lambda s, now, me: groups.hand_in(s, now, me, report))
