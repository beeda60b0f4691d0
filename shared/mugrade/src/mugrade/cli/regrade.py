"""Commands that move scores: `regrade`, `rollback`, `jobs`, and what `publish` asks before it does.

The server does such work as a job that goes on by itself; a command only watches it, so ending the
command, or a connection that breaks, changes nothing.
"""

from __future__ import annotations

import sys
import time
from typing import Annotated, Any

import typer

from mugrade.cli.common import Json, Server, screen
from mugrade.cli.display import Screen
from mugrade.client.errors import Exit, UsageFault
from mugrade.client.grader import Grader
from mugrade.client.session import Session, open_session
from mugrade.compare import Tolerance
from mugrade.words import count, number, seconds_in_words

Dtype = Annotated[bool | None, typer.Option("--dtype/--no-dtype", help="Compare dtypes too.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask, even where somebody loses points.")]
UNDER_WAY = ("waiting", "running")
SHOWN_STUDENTS = 30
POLL_SECONDS = 1.0


def register(app: typer.Typer) -> None:
    for command in (regrade, rollback, jobs):
        app.command()(command)


def regrade(
    homework: str,
    problem: str,
    dry_run: DryRun = False,
    rtol: float | None = None,
    ascale: float | None = None,
    atol: float | None = None,
    dtype: Dtype = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Compare all stored attempts of a problem again; nobody has to resubmit."""
    session, show = open_session(server), screen(as_json)
    tolerance = None
    if any(x is not None for x in (rtol, ascale, atol, dtype)):
        info = staff_view(session, homework).get(problem, {})
        tolerance = vars(changed_tolerance(info, rtol, ascale, atol, dtype))
    grader = session.v1()
    if dry_run:
        show.tell(_comparing(grader, homework, problem))
    body = {"dry_run": dry_run, "tolerance": tolerance}
    answer = grader.regrade(homework, problem, body)
    _show(show, answer if dry_run else watch(grader, show, answer), dry_run)


def rollback(
    homework: str,
    problem: str,
    revision: Annotated[
        int | None,
        typer.Argument(min=1, help="Its number; the one before the current if left out."),
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Make an earlier revision's answers count again; lists the revisions with --dry-run."""
    grader, show = open_session(server).v1(), screen(as_json)
    known = grader.revisions(homework, problem)
    if dry_run and not as_json:
        _show_revisions(show, known)
    current = next((r["revision"] for r in known["revisions"] if r["current"]), None)
    show.tell(_comparing(grader, homework, problem, known))
    asked = {"revision": revision, "base": current}
    foreseen = grader.rollback(homework, problem, {**asked, "dry_run": True})
    if dry_run:
        _show(show, foreseen, dry_run=True)
        return
    consent(show, {problem: foreseen["students"]}, yes=yes, what="rolled back")
    answer = grader.rollback(homework, problem, {**asked, "dry_run": False})
    _show(show, watch(grader, show, answer), dry_run=False)


def jobs(
    job: Annotated[
        str | None, typer.Argument(help="Watch this one; lists them if left out.")
    ] = None,
    stop: Annotated[bool, typer.Option("--stop", help="Stop it after the batch at hand.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Let it go on.")] = False,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Regrades on the server: list, watch, stop and resume them."""
    grader, show = open_session(server).v1(), screen(as_json)
    if job is None:
        if stop or resume:
            raise UsageFault("Which job? `mugrade jobs` lists them; name one: `mugrade jobs ID`.")
        _show_jobs(show, grader.call("GET", "jobs")["jobs"])
        return
    if stop:
        answer = grader.command("POST", f"jobs/{job}/stop")
        _show_jobs(show, [answer])
        show.tell(f"Next: `mugrade jobs {job} --resume` lets it go on.")
        return
    path = f"jobs/{job}/resume"
    answer = grader.command("POST", path) if resume else grader.call("GET", f"jobs/{job}")
    _show(show, watch(grader, show, {**answer, "job": job}), dry_run=False)


# ----------------------------------------------------------------------------------- before


def staff_view(session: Session, assignment: str) -> dict[str, dict[str, Any]]:
    """The problems as the grader knows them; none for a new assignment or the public dialect."""
    try:
        plan, _ = session.plan(assignment)
    except UsageFault as fault:
        if fault.code == "not_found":
            return {}
        raise
    return {problem["id"]: problem for problem in plan.get("problems") or []}


def changed_tolerance(
    info: dict[str, Any],
    rtol: float | None,
    ascale: float | None,
    atol: float | None,
    dtype: bool | None,
) -> Tolerance:
    """A problem's tolerance with what was given on the command line."""
    given = {"rtol": rtol, "ascale": ascale, "atol": atol, "dtype": dtype}
    base = Tolerance().override(info.get("tolerance"))
    return base.override({name: value for name, value in given.items() if value is not None})


def consent(show: Screen, moved: dict[str, list[dict[str, Any]]], *, yes: bool, what: str) -> None:
    """Show whose scores would move, and ask.

    Args:
        moved: by problem, students as the API lists them.
        what: what then happens, such as "published".

    Raises:
        UsageFault: somebody would lose points, and nobody is there to be asked.
    """
    if not any(moved.values()):
        return
    _show_moves(show, moved)
    if yes:
        return
    losers = {s["id"] for students in moved.values() for s in students if _loses(s)}
    if sys.stdin.isatty() and not show.as_json:
        typer.confirm(f"Shall it be {what}?", abort=True, err=True)
    elif losers:
        raise UsageFault(
            f"Nothing was {what}: {count(len(losers), 'student')} would lose points. To do it all "
            "the same, run the same command with --yes."
        )


def _loses(student: dict[str, Any]) -> bool:
    return float(student["after"]) < float(student["before"])


def _comparing(
    grader: Grader, homework: str, problem: str, known: dict[str, Any] | None = None
) -> str:
    many = (known or grader.revisions(homework, problem))["attempts"]
    # Half a core at 2 ms an attempt, which is slow; only to say whether to wait or to fetch coffee.
    return f"Comparing {count(many, 'attempt')} ({seconds_in_words(1 + many * 0.004)} at most) ..."


# ----------------------------------------------------------------------------------- meanwhile


def watch(grader: Grader, show: Screen, answer: dict[str, Any]) -> dict[str, Any]:
    """Wait for the job of an answer, telling how far it is; returns the job's last state.

    Only asks: what was begun is never sent again, and stopping to watch stops nothing.
    """
    job, told = answer.get("job"), None
    while job is not None and answer.get("state") in UNDER_WAY:
        line = _progress(answer)
        if line != told:
            show.tell(line)
            told = line
        try:
            time.sleep(POLL_SECONDS)
            answer = {**grader.call("GET", f"jobs/{job}"), "job": job}
        except KeyboardInterrupt:
            show.tell(f"The server goes on; `mugrade jobs {job}` watches, with --stop it stops.")
            raise typer.Exit(Exit.OK) from None
    return answer


def _progress(job: dict[str, Any]) -> str:
    if "total" not in job:
        return f"The server goes on comparing; {job['attempts']} attempts are done."
    left = job["seconds_left"]
    words = "" if left is None else f", {seconds_in_words(left)} left"
    return (
        f"{job['assignment']}/{job['problem']}: {job['done']} of {job['total']} attempts compared, "
        f"{job['up']} up, {job['down']} down{words}"
    )


# --------------------------------------------------------------------------------- afterwards


def _show(show: Screen, answer: dict[str, Any], dry_run: bool) -> None:
    if show.as_json:
        show.json(answer)
        return
    state = answer.get("state") or "done"
    words = "would change" if dry_run else "changed"
    show.say(
        f"{count(answer['attempts'], 'attempt')} compared, {answer['changed']} {words}: "
        f"{answer['up']} up, {answer['down']} down"
    )
    if answer.get("skipped"):
        show.say(
            f"{count(answer['skipped'], 'attempt')} of other variants, cases or inputs kept as judged."
        )
    if answer.get("students"):
        _show_moves(show, {answer.get("problem", ""): answer["students"]})
    if dry_run and answer["changed"]:
        show.say("Next: the same command without --dry-run makes it so.")
    if state in ("stopped", "failed", "superseded"):
        job = answer["job"]
        reason = f" ({answer['error']})" if answer.get("error") else ""
        show.say(f"The job {job} is {state}{reason}; `mugrade jobs {job} --resume` lets it go on.")
        raise typer.Exit(Exit.WRONG)


def _show_moves(show: Screen, moved: dict[str, list[dict[str, Any]]]) -> None:
    """Those who lose points first, as the server has sorted them; on standard error with --json."""
    if show.as_json:
        return
    rows = [
        [problem, s["name"], number(s["before"]), number(s["after"]), "down" if _loses(s) else "up"]
        for problem, students in moved.items()
        for s in students
    ]
    rows.sort(key=lambda row: row[4])
    show.table(["problem", "student", "before", "after", ""], rows[:SHOWN_STUDENTS], right=[2, 3])
    down = sum(row[4] == "down" for row in rows)
    rest = f", the first {SHOWN_STUDENTS} of them above" if len(rows) > SHOWN_STUDENTS else ""
    show.say(f"{len(rows) - down} up, {down} down{rest}")


def _show_revisions(show: Screen, known: dict[str, Any]) -> None:
    rows = [
        [
            f"{r['revision']}{' (current)' if r['current'] else ''}",
            r["created_at"],
            r["author"] or "-",
            r["cases"],
            r["variants"],
            r["note"],
        ]
        for r in known["revisions"]
    ]
    heads = ["revision", "published", "by", "cases", "variants", "note"]
    show.table(heads, rows, right=[3, 4])


def _show_jobs(show: Screen, found: list[dict[str, Any]]) -> None:
    if show.as_json:
        show.json(found)
    elif not found:
        show.say("Nothing was regraded yet; `mugrade regrade HOMEWORK PROBLEM --dry-run` previews.")
    else:
        rows = [
            [
                j["id"],
                j["kind"],
                f"{j['assignment']}/{j['problem']}",
                j["state"],
                f"{j['done']}/{j['total']}",
                j["up"],
                j["down"],
            ]
            for j in found
        ]
        heads = ["job", "kind", "problem", "state", "attempts", "up", "down"]
        show.table(heads, rows, right=[4, 5, 6])
