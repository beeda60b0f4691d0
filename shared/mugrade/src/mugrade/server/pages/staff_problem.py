"""Staff's page of one problem: revisions, statistics, tolerances with a preview, regrading."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from mugrade.server import lane
from mugrade.server.errors import Refusal, invalid
from mugrade.server.pages.forms import whole_number
from mugrade.server.pages.web import make_router, page, redirect, staff_page
from mugrade.server.services import (
    accounts,
    amending,
    courses,
    jobs,
    regrading,
    revisions,
    statistics,
)

router = make_router()
NAMES = ("rtol", "ascale", "atol")


@router.get("/staff/problems/{assignment}/{problem}")
@staff_page
def show(request: Request, assignment: str, problem: str) -> Response:
    return _problem_page(request, assignment, problem)


def _problem_page(
    request: Request, assignment: str, problem: str, status: int = 200, **context: Any
) -> Response:
    actor, now = request.state.actor, request.app.state.clock()
    with request.app.state.database.read() as session:
        course = courses.view(session, actor.course_pk)
        view = course.assignment(assignment).problem(problem)
        history = revisions.history(session, view.pk)
        counts = statistics.of_problem(session, course, now, assignment, view)
        job = jobs.of_problem(session, view.pk)
    current = vars(view.revision.tolerance if view.revision else view.tolerance)
    given = {**current, "cases": ""}
    shown = {"outcome": None, "back_to": None, "given": given, **context}
    return page(
        request,
        "staff_problem.html",
        status,
        assignment=assignment,
        problem=view,
        history=history,
        counts=counts,
        job=job,
        **shown,
    )


@router.post("/staff/problems/{assignment}/{problem}/tolerance")
@staff_page
def change_tolerance(request: Request, assignment: str, problem: str) -> Response:
    """The preview is a dry run of the same comparison that `apply` makes."""
    form, actor = request.state.form, request.state.actor
    accounts.require_scope(actor, "grade")
    applying = form.get("action") == "apply"
    given = {**{name: form.get(name) for name in NAMES}, "dtype": bool(form.get("dtype"))}
    try:
        tolerance = {
            **{name: _positive(form.get(name), name) for name in NAMES},
            "dtype": given["dtype"],
        }
        outcome = _amend(
            request,
            lambda session: amending.tolerance(
                session, actor, assignment, problem, tolerance, None
            ),
            applying,
        )
    except Refusal as error:
        return _answer(
            request, assignment, problem, error.status_code, error=str(error.detail), given=given
        )
    if applying:
        return redirect(f"/staff/problems/{assignment}/{problem}?done=regraded")
    return _answer(request, assignment, problem, outcome=outcome, given=given)


def _amend(
    request: Request, find: Callable[[Session], amending.Amendment], applying: bool
) -> regrading.Regrading | None:
    """What an amendment would move; when it is applied, None, and a job is at work."""
    state, actor = request.app.state, request.state.actor
    with state.database.read() as session:
        amendment = find(session)
        if not applying:
            return amending.preview(session, actor, amendment)
    with state.database.write() as session:
        job = amending.commit(session, state.clock(), actor, amendment)
    lane.work_a_while(state, job.pk)
    return None


@router.post("/staff/problems/{assignment}/{problem}/rollback")
@staff_page
def roll_back(request: Request, assignment: str, problem: str) -> Response:
    """An earlier revision again: previewed first, then applied by the button in the preview."""
    form, actor = request.state.form, request.state.actor
    accounts.require_scope(actor, "publish")
    applying = form.get("action") == "apply"
    try:
        number = whole_number(form.get("revision"), "revision", 10**6)
        outcome = _amend(
            request,
            lambda session: amending.rollback(session, actor, assignment, problem, number),
            applying,
        )
    except Refusal as error:
        return _answer(request, assignment, problem, error.status_code, error=str(error.detail))
    if applying:
        return redirect(f"/staff/problems/{assignment}/{problem}?done=rolled-back")
    return _answer(request, assignment, problem, outcome=outcome, back_to=number)


@router.get("/staff/problems/{assignment}/{problem}/job")
@staff_page
def job(request: Request, assignment: str, problem: str) -> Response:
    """The part of the page that tells how far a regrade is; the page fetches it anew by itself."""
    with request.app.state.database.read() as session:
        course = courses.view(session, request.state.actor.course_pk)
        view = course.assignment(assignment).problem(problem)
        shown = jobs.of_problem(session, view.pk)
    return page(
        request, "staff_problem_job.html", 200, assignment=assignment, problem=view, job=shown
    )


@router.post("/staff/problems/{assignment}/{problem}/job")
@staff_page
def change_job(request: Request, assignment: str, problem: str) -> Response:
    """Stop a regrade, or let it go on."""
    state, form, actor = request.app.state, request.state.form, request.state.actor
    accounts.require_scope(actor, "grade")
    change = jobs.stop if form.get("action") == "stop" else jobs.resume
    try:
        with state.database.write() as session:
            change(session, state.clock(), actor, form.get("job"))
    except Refusal as error:
        return _answer(request, assignment, problem, error.status_code, error=str(error.detail))
    state.lane.wake()
    return redirect(f"/staff/problems/{assignment}/{problem}")


def _answer(
    request: Request, assignment: str, problem: str, status: int = 200, **context: Any
) -> Response:
    """The whole page, or only the preview for a page that asked from a script."""
    if request.headers.get("hx-request") == "true":
        shown = {"outcome": None, "back_to": None, **context}
        return page(request, "staff_problem_preview.html", 200, **shown)
    return _problem_page(request, assignment, problem, status, **context)


def _positive(text: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise invalid(f"{name} is {text!r:.40}; expected a number from 0 to 1, such as 1e-5.")
    return value
