"""The gradebook, as a page and as CSV."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from fastapi.responses import Response

from mugrade.server.pages import web
from mugrade.server.pages.web import make_router, page, staff_page
from mugrade.server.services import (
    courses,
    grades,
)

router = make_router()


@router.get("/staff/grades")
@staff_page
def gradebook(request: Request) -> Response:
    """Sorted and filtered by the query, so that every view has an address."""
    query, actor = request.query_params, request.state.actor
    chosen = query.get("homework") or None
    with request.app.state.database.read() as session:
        book = grades.gradebook(session, actor.course_pk, chosen)
        course = courses.view(session, actor.course_pk, actor.course_version)
    rows = [row for row in book.rows if _matches(row, query.get("q", ""), query.get("show", ""))]
    sort = query.get("sort", "name")
    rows.sort(key=lambda row: _sort_key(row, sort.removeprefix("-")), reverse=sort.startswith("-"))
    wanted = {"q": query.get("q", ""), "show": query.get("show", ""), "homework": chosen or ""}
    return page(
        request, "gradebook.html", book=book, course=course, rows=rows, sort=sort, wanted=wanted
    )


def _matches(row: grades.Line, text: str, show: str) -> bool:
    if text.lower() not in f"{row.name} {row.email}".lower():
        return False
    if show == "nothing":
        return not any(row.scores.values())
    if show == "certificate":
        return row.certificate
    if show == "doubtful":
        return row.certificate_state == "issued, no longer earned"
    return show != "no-certificate" or not row.certificate


def _sort_key(row: grades.Line, column: str) -> Any:
    if column in row.scores:
        return row.scores[column]
    if column == "average":
        return row.average
    return row.email if column == "email" else row.name.casefold()


@router.get("/staff/grades.csv")
@staff_page
def gradebook_csv(request: Request) -> Response:
    chosen = request.query_params.get("homework") or None
    with request.app.state.database.read() as session:
        text = grades.as_csv(grades.gradebook(session, request.state.actor.course_pk, chosen))
    named = {
        **web.HEADERS,
        "Content-Disposition": f'attachment; filename="{chosen or "grades"}.csv"',
    }
    return Response(text.encode("utf-8-sig"), media_type="text/csv; charset=utf-8", headers=named)
