"""Staff's page of one student, and their decisions about them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from fastapi import Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from mugrade.server.errors import Refusal
from mugrade.server.models import Account
from mugrade.server.pages.forms import decimal, whole_number
from mugrade.server.pages.web import make_router, page, staff_page, written
from mugrade.server.services import (
    accounts,
    certificates,
    courses,
    grades,
    history,
    identity,
    invitations,
    roster,
    sheet,
    standing,
)

router = make_router()


@router.get("/staff/students/{account_id}")
@staff_page
def student(request: Request, account_id: str) -> Response:
    return _student_page(request, account_id)


def _student_page(
    request: Request, account_id: str, refusal: Refusal | None = None, one_time: str | None = None
) -> Response:
    actor = request.state.actor
    with request.app.state.database.read() as session:
        person = accounts.find(session, actor.course_pk, account_id)
        course = courses.view(session, actor.course_pk, actor.course_version)
        state = standing.of_account(session, course, person.pk)
        cells = sheet.cells(
            state, course.assignments, request.app.state.clock(), with_problems=True
        )
        reports = history.recent(session, course, person.pk)
        extensions, overrides = grades.decisions_about(session, person.pk)
        held = certificates.standing_of(session, actor.course_pk, person.pk)
        unclaimed = identity.why_not_claimable(session, person) is None
    places = {p.pk: f"{a.id}/{p.id}" for a in course.assignments for p in a.problems}
    names = {a.pk: a.id for a in course.assignments}
    return page(
        request,
        "staff_student.html",
        refusal=refusal,
        person=person,
        course=course,
        state=state,
        cells=cells,
        held=held,
        reports=reports,
        extensions=extensions,
        overrides=overrides,
        places=places,
        names=names,
        unclaimed=unclaimed,
        one_time=one_time,
    )


def _decide(
    request: Request, account_id: str, done: str, decide: Callable[..., object]
) -> Response:
    """Let `decide` change something about this student; a refusal stands in their page."""

    def change(session: Session, now: dt.datetime, me: accounts.Actor) -> None:
        decide(session, now, me, accounts.find(session, me.course_pk, account_id))

    return written(
        request,
        change,
        f"/staff/students/{account_id}?done={done}",
        lambda refusal: _student_page(request, account_id, refusal),
    )


@router.post("/staff/students/{account_id}/extend")
@staff_page
def extend(request: Request, account_id: str) -> Response:
    """More time for one homework, or none asked for it."""
    form = request.state.form

    def decide(session: Session, now: dt.datetime, me: accounts.Actor, person: Account) -> None:
        homework, reason = form.get("homework"), form.needed("reason")
        if form.get("action") == "excuse":
            grades.excuse(session, now, me, [person], homework, reason=reason)
            return
        days = whole_number(form.get("days"), "days", 365)
        grades.give_time(session, now, me, [person], homework, days=days, reason=reason)

    return _decide(request, account_id, "extended", decide)


@router.post("/staff/students/{account_id}/standing")
@staff_page
def arrange(request: Request, account_id: str) -> Response:
    """Their section, and how much later every homework is due for them."""
    form = request.state.form
    accounts.require_scope(request.state.actor, "roster")

    def decide(session: Session, now: dt.datetime, me: accounts.Actor, person: Account) -> None:
        roster.arrange(
            session,
            now,
            me,
            [person],
            section=form.get("section"),
            extra_days=whole_number(form.get("extra_days"), "extra days", roster.MAX_EXTRA_DAYS),
            reason=form.needed("reason"),
        )

    return _decide(request, account_id, "saved", decide)


@router.post("/staff/students/{account_id}/override")
@staff_page
def override(request: Request, account_id: str) -> Response:
    form = request.state.form
    homework, _, problem = form.get("problem").partition("/")

    def decide(session: Session, now: dt.datetime, me: accounts.Actor, person: Account) -> None:
        grades.override(
            session,
            now,
            me,
            student=person.id,
            assignment_id=homework,
            problem_id=problem,
            points=None if form.get("lift") else decimal(form.get("points"), "points"),
            reason=form.needed("reason"),
        )

    return _decide(request, account_id, "override", decide)


@router.post("/staff/students/{account_id}/certificate")
@staff_page
def change_certificate(request: Request, account_id: str) -> Response:
    """Take the certificate back, or let it stand again."""
    form = request.state.form
    accounts.require_scope(request.state.actor, "roster")
    change = certificates.reinstate if form.get("reinstate") else certificates.revoke

    def decide(session: Session, now: dt.datetime, me: accounts.Actor, person: Account) -> None:
        change(session, now, me, person, form.needed("reason"))

    return _decide(request, account_id, "saved", decide)


@router.post("/staff/students/{account_id}/account")
@staff_page
def change_account(request: Request, account_id: str) -> Response:
    """Deactivate or activate somebody, or change their role."""
    form = request.state.form
    accounts.require_scope(request.state.actor, "roster")
    wanted = form.get("active")

    def decide(session: Session, now: dt.datetime, me: accounts.Actor, person: Account) -> None:
        roster.set_role(
            session,
            now,
            me,
            person,
            role=form.get("role") or None,
            active=None if not wanted else wanted == "yes",
            reason=form.needed("reason"),
        )

    return _decide(request, account_id, "changed", decide)


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
        return _student_page(request, account_id, error)
    return _student_page(request, account_id, one_time=link)
