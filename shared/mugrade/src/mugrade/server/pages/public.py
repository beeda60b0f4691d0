"""Pages without sign-in: is this certificate genuine, and who is fastest."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import Response

from mugrade.server.errors import not_found
from mugrade.server.pages.web import make_router, open_page, page
from mugrade.server.services import certificates, courses, leaderboard

router = make_router()


@router.get("/certificates")
@open_page
def certificate_form(request: Request) -> Response:
    """Where a number read off a printed certificate is entered."""
    given = request.query_params.get("id", "").strip()
    return page(request, "verify_form.html") if not given else certificate(request, given)


@router.get("/certificates/{certificate_id}")
@open_page
def certificate(request: Request, certificate_id: str) -> Response:
    with request.app.state.database.read() as session:
        check = certificates.check(session, certificate_id)
    status = 200 if check.valid else 404
    return page(request, "verify.html", status, check=check, certificate_id=certificate_id[:40])


@router.get("/leaderboard/{course_id}/{assignment}/{problem}")
@open_page
def leaderboard_page(request: Request, course_id: str, assignment: str, problem: str) -> Response:
    with request.app.state.database.read() as session:
        course = next((c for c in courses.courses(session) if c.id == course_id), None)
        if course is None:
            raise not_found("course")
        entries = leaderboard.entries(session, course.pk, assignment, problem)
        shown = courses.view(session, course.pk).assignment(assignment).problem(problem)
    return page(
        request,
        "leaderboard.html",
        course=course,
        assignment=assignment,
        problem=shown,
        entries=entries,
    )
