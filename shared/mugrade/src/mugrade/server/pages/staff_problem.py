"""Staff's page of one problem: revisions, statistics, tolerances with a preview, regrading."""

from __future__ import annotations

import math
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from mugrade.server.errors import Refusal, invalid
from mugrade.server.pages.web import make_router, page, redirect, staff_page
from mugrade.server.services import accounts, courses, regrading, revisions, statistics

router = make_router()
NAMES = ("rtol", "ascale", "atol")


@router.get("/staff/problems/{assignment}/{problem}")
@staff_page
def show(request: Request, assignment: str, problem: str) -> Response:
    return _problem_page(request, assignment, problem)


def _problem_page(
    request: Request, assignment: str, problem: str, status: int = 200, **context: Any
) -> Response:
    actor = request.state.actor
    with request.app.state.database.read() as session:
        course = courses.view(session, actor.course_pk)
        view = course.assignment(assignment).problem(problem)
        history = revisions.history(session, view.pk)
        counts = statistics.of_problem(session, assignment, view)
    current = vars(view.revision.tolerance if view.revision else view.tolerance)
    shown = {"outcome": None, "given": {**current, "cases": ""}, **context}
    return page(
        request,
        "staff_problem.html",
        status,
        assignment=assignment,
        problem=view,
        history=history,
        counts=counts,
        **shown,
    )


@router.post("/staff/problems/{assignment}/{problem}/tolerance")
@staff_page
def change_tolerance(request: Request, assignment: str, problem: str) -> Response:
    """The preview is a dry run of the same comparison that `apply` makes."""
    state, form, actor = request.app.state, request.state.form, request.state.actor
    accounts.require_scope(actor, "grade")
    applying = form.get("action") == "apply"
    given = {**{name: form.get(name) for name in NAMES}, "dtype": bool(form.get("dtype"))}
    try:
        tolerance = {
            **{name: _positive(form.get(name), name) for name in NAMES},
            "dtype": given["dtype"],
        }
        with state.database.write() as session:
            outcome = regrading.regrade(
                session,
                state.clock(),
                actor,
                assignment,
                problem,
                dry_run=not applying,
                tolerance=tolerance,
            )
    except Refusal as error:
        return _answer(
            request, assignment, problem, error.status_code, error=str(error.detail), given=given
        )
    if applying:
        return redirect(f"/staff/problems/{assignment}/{problem}?done=regraded")
    return _answer(request, assignment, problem, outcome=outcome, given=given)


def _answer(
    request: Request, assignment: str, problem: str, status: int = 200, **context: Any
) -> Response:
    """The whole page, or only the preview for a page that asked from a script."""
    if request.headers.get("hx-request") == "true":
        shown = {"outcome": None, **context}
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
