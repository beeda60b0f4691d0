"""Staff's page of coincidences: something to look at, never a verdict."""

from __future__ import annotations

import datetime as dt

from fastapi import Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from mugrade.server.errors import Refusal
from mugrade.server.pages.web import make_router, page, staff_page, written
from mugrade.server.services import accounts, coincidences, courses

router = make_router()
KINDS = {
    "values": (
        "Equal values where variants differ",
        "Every variant has other inputs, so values that agree to the last bit were hardly computed from "
        "them twice. Innocent: a mistake that gives everybody the same, such as zeros.",
    ),
    "sources": (
        "Equal sources",
        "The files that came with right attempts are the same but for spaces. Innocent: a problem that "
        "can hardly be written in two ways, or people who may work together.",
    ),
    "burst": (
        "Much at once",
        "Many problems right at the first attempt within minutes, which took the class more. Innocent: "
        "whoever runs the local tests first and hands in when all of them pass.",
    ),
    "together": (
        "Side by side",
        "Two students whose right work came within two minutes of each other, sitting after sitting: one "
        "program may have computed both. Innocent: friends at one table, a lab, the hour before it is due.",
    ),
}
"""By kind its heading, and what it may and may not mean."""


@router.get("/staff/coincidences")
@staff_page
def look(request: Request) -> Response:
    return _page(request)


def _page(request: Request, refusal: Refusal | None = None) -> Response:
    state, actor = request.app.state, request.state.actor
    with state.database.read() as session:
        course = courses.view(session, actor.course_pk, actor.course_version)
        report = coincidences.report(session, course, state.clock())
    return page(
        request, "staff_coincidences.html", refusal=refusal, kinds=KINDS, report=report, shown=6
    )


@router.post("/staff/coincidences/{key}")
@staff_page
def looked(request: Request, key: str) -> Response:
    """Note what came of looking; only staff reads it."""
    form = request.state.form

    def write(session: Session, now: dt.datetime, me: accounts.Actor) -> None:
        course = courses.view(session, me.course_pk)
        coincidences.look_at(session, now, me, course, key, form.needed("note"))

    return written(
        request,
        write,
        "/staff/coincidences?done=looked-at",
        lambda refusal: _page(request, refusal),
    )
