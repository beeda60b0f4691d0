"""One attempt: for staff with the published values beside it, for its student with their own; and what
both write to it."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import Request
from fastapi.responses import Response

from mugrade.server.errors import Refusal
from mugrade.server.pages.web import make_router, page, redirect, staff_page, student_page
from mugrade.server.pages.web import refused as refused_page
from mugrade.server.services import history, remarks

router = make_router()


@router.get("/staff/attempts/{attempt}")
@staff_page
def inspect(request: Request, attempt: str) -> Response:
    return _page(request, attempt, for_staff=True)


@router.get("/attempts/{attempt}")
@student_page
def own(request: Request, attempt: str) -> Response:
    return _page(request, attempt, for_staff=False)


def _page(
    request: Request,
    attempt: str,
    error: Refusal | None = None,
    *,
    for_staff: bool,
    text: str = "",
) -> Response:
    actor, other = request.state.actor, request.query_params.get("with") or None
    with request.app.state.database.read() as session:
        found = history.inspect(session, actor, attempt, other, published=for_staff)
    template = "staff_attempt.html" if for_staff else "attempt.html"
    if error is not None:
        return refused_page(request, template, error, found=found, text=text)
    return page(request, template, found=found, text=text)


def _written(
    request: Request, attempt: str, write: Callable[..., object], *, for_staff: bool, then: str
) -> Response:
    """Let `write` store what the form says, and go on to `then`; a refusal stands in the page."""
    state, form = request.app.state, request.state.form
    try:
        with state.database.write() as session:
            write(session, state.clock(), request.state.actor, attempt, form.needed("text"))
    except Refusal as refused:
        if refused.status_code == 404:
            raise
        return _page(request, attempt, refused, for_staff=for_staff, text=form.get("text"))
    return redirect(then)


@router.post("/staff/attempts/{attempt}/remarks")
@staff_page
def remark(request: Request, attempt: str) -> Response:
    """A comment, which answers the request that waits."""
    then = f"/staff/attempts/{attempt}?done=saved"
    return _written(request, attempt, remarks.write, for_staff=True, then=then)


@router.post("/attempts/{attempt}/request")
@student_page
def ask(request: Request, attempt: str) -> Response:
    """Ask staff for a second look."""
    then = f"/attempts/{attempt}?done=asked"
    return _written(request, attempt, remarks.ask, for_staff=False, then=then)
