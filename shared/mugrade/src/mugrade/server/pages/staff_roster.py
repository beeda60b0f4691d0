"""The roster: import and invitations."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from fastapi.responses import Response

from mugrade.server.errors import Refusal
from mugrade.server.pages.web import make_router, page, redirect, staff_page
from mugrade.server.services import (
    accounts,
    invitations,
    mail,
    roster,
)

router = make_router()


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
