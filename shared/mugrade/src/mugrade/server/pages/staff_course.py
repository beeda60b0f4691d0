"""The course itself, edited in the browser: its rules, its homeworks and problems, and its file.

Every form is an edit of the course's file (services/course_edit.py), which says what is wrong with it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from mugrade.server import coursefile
from mugrade.server.errors import Refusal
from mugrade.server.pages import web
from mugrade.server.pages.forms import local
from mugrade.server.pages.web import make_router, page, staff_page, written
from mugrade.server.services import accounts, course_edit, courses

router = make_router()
RULES = {
    "late": ("percent_per_day", "pooled_days", "cutoff_days", "grace_minutes"),
    "average": ("drop_lowest",),
    "certificate": ("average", "min_grade"),
}
"""The fields of each section of the file that the form has, named `section.field` there."""
Edit = Callable[[dict[str, Any]], None]


@router.get("/staff/course")
@staff_page
def course(request: Request) -> Response:
    return _course_page(request)


def _course_page(request: Request, refusal: Refusal | None = None, **context: Any) -> Response:
    with request.app.state.database.read() as session:
        view = courses.view(session, request.state.actor.course_pk)
    file = course_edit.as_file(view)
    shown = {"text": "", "changes": None, **context}
    return page(request, "staff_course.html", refusal=refusal, course=view, file=file, **shown)


def _edit(
    request: Request, edit: Edit, then: str, again: Callable[[Refusal], Response]
) -> Response:
    accounts.require_scope(request.state.actor, "publish")

    def write(session: Session, now: dt.datetime, me: accounts.Actor) -> None:
        course_edit.edit(session, now, me, edit)

    return written(request, write, f"{then}?done=course", again)


@router.post("/staff/course")
@staff_page
def change_rules(request: Request) -> Response:
    form = request.state.form

    def edit(data: dict[str, Any]) -> None:
        data["course"].update(title=form.get("title"), timezone=form.get("timezone"))
        for section, fields in RULES.items():
            for field in fields:
                data[section][field] = form.get(f"{section}.{field}").strip() or None
        data["certificate"]["project"] = bool(form.get("certificate.project"))

    return _edit(request, edit, "/staff/course", lambda refusal: _course_page(request, refusal))


@router.post("/staff/course/homework")
@staff_page
def add_homework(request: Request) -> Response:
    form = request.state.form

    def edit(data: dict[str, Any]) -> None:
        given = {"id": form.needed("id"), "title": form.get("title")}
        data["assignment"].append({**given, "opens_at": form.get("opens_at") or None})

    return _edit(request, edit, "/staff/course", lambda refusal: _course_page(request, refusal))


# ------------------------------------------------------------------------------------ one homework


@router.get("/staff/homework/{assignment}")
@staff_page
def homework(request: Request, assignment: str) -> Response:
    return _homework_page(request, assignment)


def _homework_page(request: Request, assignment: str, refusal: Refusal | None = None) -> Response:
    """One homework's rules, and its problems."""
    with request.app.state.database.read() as session:
        view = courses.view(session, request.state.actor.course_pk)
    found = view.assignment(assignment)
    file = course_edit.homework(course_edit.as_file(view).model_dump(), assignment)
    times = {name: local(file[name]) for name in course_edit.TIMES}
    return page(
        request,
        "staff_homework.html",
        refusal=refusal,
        course=view,
        assignment=found,
        times=times,
    )


@router.post("/staff/homework/{assignment}/times")
@staff_page
def change_homework(request: Request, assignment: str) -> Response:
    """Times are entered in the course's zone; an empty field takes a time away."""
    form = request.state.form

    def edit(homework: dict[str, Any]) -> None:
        homework.update({name: form.get(name) for name in ("title", "weight") if name in form})
        for name in course_edit.TIMES:
            if form.get(name) != local(homework[name]):  # the form shows no seconds
                homework[name] = form.get(name).strip() or None

    return _edit_homework(request, assignment, edit)


@router.post("/staff/homework/{assignment}/problems")
@staff_page
def change_problems(request: Request, assignment: str) -> Response:
    """Titles and points of all its problems."""
    form = request.state.form

    def edit(homework: dict[str, Any]) -> None:
        for problem in homework["problem"]:
            for field in ("title", "points"):
                if f"{field}.{problem['id']}" in form:  # one published meanwhile is not
                    problem[field] = form.get(f"{field}.{problem['id']}")

    return _edit_homework(request, assignment, edit)


def _edit_homework(request: Request, assignment: str, edit: Edit) -> Response:
    def change(data: dict[str, Any]) -> None:
        edit(course_edit.homework(data, assignment))

    return _edit(
        request,
        change,
        f"/staff/homework/{assignment}",
        lambda refusal: _homework_page(request, assignment, refusal),
    )


# ---------------------------------------------------------------------------------------- the file


@router.get("/staff/course.toml")
@staff_page
def export(request: Request) -> Response:
    """The course file that would make this course; `mugrade init` takes it."""
    with request.app.state.database.read() as session:
        file = course_edit.as_file(courses.view(session, request.state.actor.course_pk))
    named = {**web.HEADERS, "Content-Disposition": 'attachment; filename="course.toml"'}
    text = coursefile.written(file)
    return Response(text, media_type="application/toml; charset=utf-8", headers=named)


@router.post("/staff/course/file")
@staff_page
def bring_in(request: Request) -> Response:
    """Preview what a file would change; the second button changes it."""
    state, form, actor = request.app.state, request.state.form, request.state.actor
    accounts.require_scope(actor, "publish")
    text = form.get("file")
    if form.get("action") == "import":
        return written(
            request,
            lambda session, now, me: course_edit.bring_in(session, now, me, text, dry_run=False),
            "/staff/course?done=course",
            lambda refusal: _course_page(request, refusal, text=text),
        )
    try:
        with state.database.read() as session:
            told = course_edit.bring_in(session, state.clock(), actor, text, dry_run=True)
    except Refusal as refusal:
        return _course_page(request, refusal, text=text)
    return _course_page(request, text=text, changes=told)
