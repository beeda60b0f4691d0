"""The roster: search, changes to many at once, import and invitations."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from mugrade.server.errors import Refusal, invalid
from mugrade.server.models import Account
from mugrade.server.pages.forms import whole_number
from mugrade.server.pages.web import Form, make_router, page, redirect, staff_page, written
from mugrade.server.services import accounts, courses, grades, invitations, mail, roster
from mugrade.server.services.accounts import Actor

router = make_router()
WANTED = ("text", "section", "role", "show")
"""The filter's fields, in the address of every view and in the form that changes those listed."""


@router.get("/staff/roster")
@staff_page
def roster_page(request: Request) -> Response:
    """Filtered by the query, so that every view has an address."""
    query = request.query_params
    return _roster_page(request, roster.Filter(*(query.get(name, "") for name in WANTED)))


def _roster_page(
    request: Request, wanted: roster.Filter = roster.Filter(), **context: Any
) -> Response:
    actor = request.state.actor
    with request.app.state.database.read() as session:
        people = roster.people(session, actor.course_pk)
        waiting = {person.pk for person in invitations.waiting(session, actor.course_pk)}
        course = courses.view(session, actor.course_pk, actor.course_version)
    shown = {
        "text": "",
        "domain": "",
        "change": None,
        "invited": None,
        "told": {},
        "ticked": (),
        "given": dict.fromkeys(TYPED, ""),
        **context,
    }
    return page(
        request,
        "staff_roster.html",
        people=[person for person in people if wanted.lists(person, waiting)],
        everybody=len(people),
        sections=sorted({person.section for person in people} - {""}),
        roles=list(accounts.ROLE_SCOPES),
        wanted=wanted,
        show=roster.SHOW,
        course=course,
        waiting=waiting,
        most=invitations.MOST,
        mailed=mail.is_configured(request.app.state.settings),
        **shown,
    )


# -------------------------------------------------------------------------------- many at once


@router.post("/staff/roster/change")
@staff_page
def change_many(request: Request) -> Response:
    """Do one thing to those ticked, or to everybody whom the filter lists."""
    form = request.state.form
    wanted = roster.Filter(*(form.get(name) for name in WANTED))
    scope, change = CHANGES.get(form.get("action"), ("roster", None))
    accounts.require_scope(request.state.actor, scope)

    def write(session: Session, now: dt.datetime, me: Actor) -> None:
        if change is None:
            raise invalid("Choose what is to be done.")
        change(session, now, me, _chosen(session, me, form, wanted), form)

    query = urlencode({**{name: form.get(name) for name in WANTED}, "done": "arranged"})
    return written(
        request,
        write,
        f"/staff/roster?{query}",
        lambda refusal: _roster_page(
            request,
            wanted,
            refusal=refusal,
            ticked=form.all("who"),
            given={name: form.get(name) for name in TYPED},
        ),
    )


TYPED = ("whom", "reason", "homework", "days", "extra_days", "new_section")
"""What stays in the form when it is refused."""


def _chosen(session: Session, me: Actor, form: Form, wanted: roster.Filter) -> list[Account]:
    waiting = {person.pk for person in invitations.waiting(session, me.course_pk)}
    listed = [p for p in roster.people(session, me.course_pk) if wanted.lists(p, waiting)]
    ticked = set(form.all("who"))
    chosen = listed if form.get("whom") == "listed" else [p for p in listed if p.id in ticked]
    if not chosen:
        raise invalid("Nobody is ticked; tick people in the list, or choose everybody listed.")
    return chosen


Change = Callable[[Session, dt.datetime, Actor, Sequence[Account], Form], None]


def _extend(
    session: Session, now: dt.datetime, me: Actor, people: Sequence[Account], form: Form
) -> None:
    days, reason = whole_number(form.get("days"), "days", 365), form.needed("reason")
    grades.give_time(session, now, me, people, form.get("homework"), days=days, reason=reason)


def _excuse(
    session: Session, now: dt.datetime, me: Actor, people: Sequence[Account], form: Form
) -> None:
    grades.excuse(session, now, me, people, form.get("homework"), reason=form.needed("reason"))


def _section(
    session: Session, now: dt.datetime, me: Actor, people: Sequence[Account], form: Form
) -> None:
    roster.arrange(session, now, me, people, section=form.get("new_section"))


def _extra(
    session: Session, now: dt.datetime, me: Actor, people: Sequence[Account], form: Form
) -> None:
    days = whole_number(form.get("extra_days"), "extra days", roster.MAX_EXTRA_DAYS)
    roster.arrange(session, now, me, people, extra_days=days, reason=form.needed("reason"))


def _set_active(active: bool) -> Change:
    def change(
        session: Session, now: dt.datetime, me: Actor, people: Sequence[Account], form: Form
    ) -> None:
        for person in people:
            reason = form.needed("reason")
            roster.set_role(session, now, me, person, active=active, reason=reason)

    return change


CHANGES: dict[str, tuple[str, Change | None]] = {
    "extend": ("grade", _extend),
    "excuse": ("grade", _excuse),
    "section": ("roster", _section),
    "extra": ("roster", _extra),
    "deactivate": ("roster", _set_active(False)),
    "activate": ("roster", _set_active(True)),
}
"""By the button's name the scope that it needs, and what it does."""


# --------------------------------------------------------------------------- import, invitations


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
    except Refusal as refusal:
        return _roster_page(request, refusal=refusal)
    return _roster_page(request, invited=made.made, told=told)


@router.post("/staff/roster")
@staff_page
def import_roster(request: Request) -> Response:
    """Preview first; the second button writes."""
    state, form, actor = request.app.state, request.state.form, request.state.actor
    accounts.require_scope(actor, "roster")
    text, domain, dry_run = form.get("csv"), form.get("domain"), form.get("action") != "import"
    with state.database.write() as session:
        change = roster.import_csv(
            session, state.clock(), actor, text, dry_run=dry_run, domain=domain
        )
    if not dry_run and not change.errors:
        return redirect("/staff/roster?done=imported")
    status = 400 if change.errors else 200
    return _roster_page(request, http_status=status, text=text, domain=domain, change=change)
