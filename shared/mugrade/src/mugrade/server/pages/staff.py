"""Staff's pages about the whole course: home and audit log."""

from __future__ import annotations

from collections import Counter

from fastapi import Request
from fastapi.responses import Response

from mugrade.server.pages import charts
from mugrade.server.pages.web import make_router, page, redirect, staff_page
from mugrade.server.services import (
    accounts,
    audit,
    course_edit,
    course_home,
    courses,
    groups,
    remarks,
    statistics,
)

router = make_router()
DAYS = 28


@router.get("/staff")
@staff_page
def home(request: Request) -> Response:
    """Who is stuck and what is due next; then everybody's progress, and the cases that fail most."""
    state, actor, now = request.app.state, request.state.actor, request.app.state.clock()
    with state.database.read() as session:
        course = courses.view(session, actor.course_pk, actor.course_version)
        days = statistics.attempts_per_day(session, actor.course_pk, DAYS, now)
        problems = statistics.of_course(session, actor.course_pk, now)
        stuck = statistics.stuck(session, actor.course_pk, now)
        requests = remarks.waiting(session, actor.course_pk)
        seen = course_home.overview(session, course, now)
        waiting = [
            g
            for g in groups.all_of(session, actor.course_pk)
            if g.row.state in ("proposed", "submitted")
        ]
    dates = [day for day, _ in days]
    dues = [(a.due_at.astimezone(course.zone).date(), a.id) for a in course.assignments if a.due_at]
    chart = charts.bars(
        [(f"{day:%d %b}", count) for day, count in days],
        f"Attempts a day in the last {DAYS} days; lines where a homework was due",
        [(dates.index(day), f"{name} due") for day, name in dues if day in dates],
    )
    solved = _until_solved(problems)
    return page(
        request,
        "staff_home.html",
        course=course,
        days=days,
        due_on={day: name for day, name in dues},
        chart=chart,
        problems=problems,
        hardest=statistics.hardest_cases(problems),
        share=charts.share,
        waiting=waiting,
        requests=requests,
        stuck=[(seen.students[s.account_pk], s) for s in stuck if s.account_pk in seen.students],
        due=seen.due,
        progress=seen.progress,
        matrix=charts.matrix(
            seen.progress.columns,
            [row for _, _, row in seen.progress.rows],
            "Students by problems, the best average first; the gradebook has the numbers",
        ),
        solved=solved,
        solved_chart=charts.small_bars(solved, "Attempts until a problem was solved"),
        students=len(seen.students),
    )


def _until_solved(problems: list[statistics.ItemStatistics]) -> list[tuple[str, int]]:
    """How often a problem was solved at the first attempt, the second, ..."""
    counts: Counter[int] = sum((p.until_solved for p in problems), Counter())
    ends = ((1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 10), (11, 20))
    found = [
        (f"{a}" if a == b else f"{a}-{b}", sum(counts[n] for n in range(a, b + 1))) for a, b in ends
    ]
    return [*found, ("more", sum(c for n, c in counts.items() if n > ends[-1][1]))]


@router.post("/staff/code")
@staff_page
def change_code(request: Request) -> Response:
    """Replace the sign-up code, or close sign-up."""
    state, actor = request.app.state, request.state.actor
    accounts.require_scope(actor, "roster")
    closing = request.state.form.get("action") == "close"
    with state.database.write() as session:
        course_edit.set_code(
            session, state.clock(), actor, None if closing else course_edit.new_code()
        )
    return redirect("/staff?done=saved")


@router.get("/staff/audit")
@staff_page
def audit_log(request: Request) -> Response:
    before = request.query_params.get("before", "")
    upto = int(before) if before.isascii() and before.isdigit() and len(before) < 15 else None
    with request.app.state.database.read() as session:
        entries = audit.entries(session, request.state.actor.course_pk, limit=100, before=upto)
        broken = audit.first_broken(session)
    return page(request, "staff_audit.html", entries=entries, broken=broken)
