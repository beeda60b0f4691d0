"""One attempt: for staff with the published values beside it, for its student with their own; and what
both write to it."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import Request
from fastapi.responses import Response

from mugrade.server.errors import Refusal
from mugrade.server.pages.web import make_router, page, staff_page, student_page, written
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
    refusal: Refusal | None = None,
    *,
    for_staff: bool,
    text: str = "",
) -> Response:
    actor, other = request.state.actor, request.query_params.get("with") or None
    with request.app.state.database.read() as session:
        found = history.inspect(session, actor, attempt, other, published=for_staff)
    template = "staff_attempt.html" if for_staff else "attempt.html"
    return page(request, template, refusal=refusal, found=found, text=text)


def _write(
    request: Request, attempt: str, write: Callable[..., object], *, for_staff: bool, then: str
) -> Response:
    """Store the form's text with `write`."""
    form = request.state.form
    return written(
        request,
        lambda session, now, me: write(session, now, me, attempt, form.needed("text")),
        then,
        lambda refusal: _page(
            request, attempt, refusal, for_staff=for_staff, text=form.get("text")
        ),
    )


@router.post("/staff/attempts/{attempt}/remarks")
@staff_page
def remark(request: Request, attempt: str) -> Response:
    """A comment, which answers the request that waits."""
    then = f"/staff/attempts/{attempt}?done=saved"
    return _write(request, attempt, remarks.write, for_staff=True, then=then)


@router.post("/attempts/{attempt}/request")
@student_page
def ask(request: Request, attempt: str) -> Response:
    """Ask staff for a second look."""
    then = f"/attempts/{attempt}?done=asked"
    return _write(request, attempt, remarks.ask, for_staff=False, then=then)
