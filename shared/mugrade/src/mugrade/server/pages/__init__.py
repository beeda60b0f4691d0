"""The web pages: rendered here, usable without JavaScript, nothing loaded from elsewhere.

`install(app)` adds them to an application made by `mugrade.server.app`.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from mugrade.server import routing
from mugrade.server.pages import (
    account,
    attempt,
    project,
    public,
    staff,
    staff_coincidences,
    staff_course,
    staff_grades,
    staff_problem,
    staff_projects,
    staff_roster,
    staff_student,
    student,
    web,
)

STAFF = (
    staff,
    staff_coincidences,
    staff_course,
    staff_grades,
    staff_student,
    staff_problem,
    staff_projects,
    staff_roster,
)
STATIC = Path(__file__).parent / "static"


def install(app: FastAPI) -> None:
    """Mount the routes, the static files and the error page."""
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    routing.include(app, account, student, attempt, project, *STAFF, public)
    app.state.error_page = web.error_page
