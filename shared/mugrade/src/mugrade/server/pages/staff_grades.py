"""The gradebook, as a page and as CSV."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from fastapi.responses import Response

from mugrade import words
from mugrade.server.errors import Refusal
from mugrade.server.pages import charts, web
from mugrade.server.pages.web import make_router, page, staff_page
from mugrade.server.services import grades, lms, sheet

router = make_router()
FILTERS = {
    "": "everybody",
    "nothing": "nothing handed in",
    "late": "something late",
    "certificate": "certificate earned",
    "no-certificate": "certificate not earned",
    "doubtful": "certificate no longer earned",
}


@router.get("/staff/grades")
@staff_page
def gradebook(request: Request) -> Response:
    """Sorted and filtered by the query, so that every view has an address."""
    query, state = request.query_params, request.app.state
    chosen = query.get("homework") or None
    with state.database.read() as session:
        found = sheet.sheet(session, request.state.actor.course_pk, state.clock(), chosen)
    wanted = {name: query.get(name, "") for name in ("q", "section", "show", "homework")}
    rows = [
        row
        for row in found.rows
        if _matches(row, wanted["q"], wanted["show"]) and wanted["section"] in ("", row.section)
    ]
    sort = query.get("sort", "name")
    rows.sort(key=lambda row: _sort_key(row, sort.removeprefix("-")), reverse=sort.startswith("-"))
    return page(
        request,
        "gradebook.html",
        sheet=found,
        rows=rows,
        weighted=len({a.weight for a in found.course.assignments}) > 1,
        sort=sort,
        wanted=wanted,
        filters=FILTERS,
        sections=sorted({row.section for row in found.rows} - {""}),
        project_points=grades.project_points(found.course),
        chart=lambda d: charts.small_bars(d.bins, f"Points of {d.assignment} in tenths"),
    )


def _matches(row: sheet.Row, text: str, show: str) -> bool:
    if text.lower() not in f"{row.name} {row.email}".lower():
        return False
    if show == "nothing":
        return not any(cell.state == "points" for cell in row.cells.values())
    if show == "late":
        return any(cell.late_days for cell in row.cells.values())
    if show == "certificate":
        return row.certificate
    if show == "doubtful":
        return row.certificate_state == "issued, no longer earned"
    return show != "no-certificate" or not row.certificate


def _sort_key(row: sheet.Row, column: str) -> Any:
    if column in row.cells:
        cell = row.cells[column]
        return (cell.state == "points", cell.score)
    if column == "average":
        return -1 if row.average is None else row.average
    return row.email if column == "email" else row.name.casefold()


@router.get("/staff/grades.csv")
@staff_page
def gradebook_csv(request: Request) -> Response:
    chosen = request.query_params.get("homework") or None
    with request.app.state.database.read() as session:
        text = grades.as_csv(grades.gradebook(session, request.state.actor.course_pk, chosen))
    return _csv(text.encode("utf-8-sig"), f"{chosen or 'grades'}.csv")


@router.get("/staff/grades/lms")
@staff_page
def lms_form(request: Request) -> Response:
    """Where a gradebook of Canvas or Moodle is filled."""
    return page(request, "gradebook_lms.html", text="", filled=None)


@router.post("/staff/grades/lms")
@staff_page
def fill_lms(request: Request) -> Response:
    """Say what would be written, or give the file back with grades; nothing is stored."""
    state, form = request.app.state, request.state.form
    with state.database.read() as session:
        found = sheet.sheet(session, request.state.actor.course_pk, state.clock())
    people = [
        lms.Graded(
            row.email,
            {k: c.score for k, c in row.cells.items() if c.state == "points"},
            frozenset(k for k, c in row.cells.items() if c.state == "excused"),
        )
        for row in found.rows
        if row.active
    ]
    names = {a.id: a.title for a in found.course.assignments}
    text = form.get("csv")
    try:
        filled = lms.fill(text, names, people)
    except Refusal as error:
        return page(request, "gradebook_lms.html", refusal=error, text=text, filled=None)
    if form.get("action") == "download":
        name = f"{filled.system.lower()}.csv"
        return _csv(filled.text.encode("utf-8"), name)
    points = {a.id: a.points for a in found.course.assignments}
    shown = {"text": text, "filled": filled, "points": points, "count": words.count}
    return page(request, "gradebook_lms.html", **shown)


def _csv(content: bytes, name: str) -> Response:
    named = {**web.HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type="text/csv; charset=utf-8", headers=named)
