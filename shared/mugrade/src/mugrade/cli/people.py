"""Staff's commands about people and the course: invite, role, deactivate, activate, certificate, times."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mugrade.cli.common import Json, Server, screen
from mugrade.cli.display import when
from mugrade.client.errors import Exit, UsageFault
from mugrade.client.grader import Grader
from mugrade.client.session import open_session
from mugrade.words import count

BATCH = 25
"""People invited by one request, so that mail to each of them fits into its time."""
COLUMNS = ["email", "name", "code", "link"]

Person = Annotated[str, typer.Argument(help="The person's e-mail address.")]
Why = Annotated[str, typer.Option("--reason", help="For the audit log.")]


def register(app: typer.Typer) -> None:
    for command in (invite, role, deactivate, activate, times):
        app.command()(command)
    certificate = typer.Typer(
        help="Take a student's certificate back, or let it stand again.", no_args_is_help=True
    )
    certificate.command()(revoke)
    certificate.command()(reinstate)
    app.add_typer(certificate, name="certificate")


def invite(
    people: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[EMAIL...]", help="Whom; everybody who has not come in yet when left out."
        ),
    ] = None,
    mail: Annotated[
        bool, typer.Option("--mail", help="Let the server mail them, if it can send mail.")
    ] = False,
    file: Annotated[
        Path | None,
        typer.Option("--csv", help="Write email, name, code and link to this file ('-' for here)."),
    ] = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Make personal one-time invitations for people on the roster; print or mail them.

    Each new invitation replaces the person's earlier one.
    """
    grader = open_session(server).v1()
    show = screen(as_json)
    if not people:
        people = grader.call("GET", "invitations")["people"]
        if not people and not as_json:
            show.say("Everybody on the roster has come in; `mugrade roster FILE.csv` adds people.")
            return
    made, skipped = _invite(grader, people, mail, show.tell)
    if as_json:
        show.json({"invitations": made, "skipped": skipped})
    elif file is not None:
        _write(file, made)
        if str(file) != "-":
            show.say(f"{count(len(made), 'invitation')} written to {file}; keep it to yourself.")
    elif mail:
        sent = [one for one in made if one["mailed"]]
        show.say(f"{count(len(sent), 'invitation')} mailed.")
    else:
        show.table(["email", "link"], [[one["email"], one["link"]] for one in made])
        show.say(
            "Next: send everybody their own link, which works once (`--csv FILE` writes them, "
            "`--mail` sends them); `mugrade grades` then shows who has handed in."
        )
    failed = [one for one in made if mail and not one["mailed"]]
    if not as_json:
        for one in failed:
            show.tell(f"{one['email']} got no mail ({one['problem']}); the link is {one['link']}")
        for one in skipped:
            show.tell(f"{one['email']} was not invited: {one['reason']}")
    raise typer.Exit(Exit.WRONG if skipped or failed else Exit.OK)


def _invite(grader: Grader, people: list[str], mail: bool, tell: Any) -> tuple[list, list]:
    made: list[dict[str, Any]] = []
    skipped: list[dict[str, Any]] = []
    for start in range(0, len(people), BATCH):
        body = {"people": people[start : start + BATCH], "mail": mail}
        answer = grader.command("POST", "invitations", json=body)
        made += answer["invitations"]
        skipped += answer["skipped"]
        if len(people) > BATCH:
            tell(f"{min(start + BATCH, len(people))} of {len(people)} done")
    return made, skipped


def _write(file: Path, made: list[dict[str, Any]]) -> None:
    if str(file) == "-":
        _rows(sys.stdout, made)
        return
    try:
        with file.open("w", encoding="utf-8", newline="") as out:
            file.chmod(0o600)  # whoever has a link has the account
            _rows(out, made)
    except OSError as error:
        raise UsageFault(f"{file} cannot be written ({error.strerror}).") from None


def _rows(out: Any, made: list[dict[str, Any]]) -> None:
    writer = csv.DictWriter(out, COLUMNS, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(made)


def role(
    person: Person,
    role: Annotated[str, typer.Argument(help="student, grader or instructor.")],
    reason: Why = "",
    server: Server = None,
) -> None:
    """Change what somebody is in the course; their keys never do more than the role may."""
    _change(server, {"person": person, "role": role, "reason": reason})


def deactivate(person: Person, reason: Why, server: Server = None) -> None:
    """Shut somebody out: signed out everywhere, keys revoked; attempts and scores stay."""
    _change(server, {"person": person, "active": False, "reason": reason})


def activate(person: Person, reason: Why = "", server: Server = None) -> None:
    """Let a deactivated person in again; they sign in and make new keys."""
    _change(server, {"person": person, "active": True, "reason": reason})


def _change(server: str | None, body: dict[str, Any]) -> None:
    now = open_session(server).v1().command("POST", "roles", json=body)
    state = "active" if now["active"] else "deactivated"
    screen().say(f"{now['name']} <{now['email']}> is {now['role']}, {state}.")


Student = Annotated[str, typer.Argument(help="The student's e-mail address.")]


def revoke(student: Student, reason: Why, server: Server = None) -> None:
    """Take a student's certificate back; its verification says so from now on."""
    _set_revoked(server, {"student": student, "reason": reason})


def reinstate(student: Student, reason: Why, server: Server = None) -> None:
    """Let a revoked certificate stand again."""
    _set_revoked(server, {"student": student, "reason": reason, "reinstate": True})


def _set_revoked(server: str | None, body: dict[str, Any]) -> None:
    session = open_session(server)
    answer = session.v1().call("POST", "revocations", json=body)
    words = "is revoked" if answer["revoked_at"] else "stands again"
    screen().say(
        f"The certificate of {body['student']} {words}: {session.server}certificates/{answer['id']}"
    )


Moment = typer.Option(metavar="TIME", help="ISO 8601 with zone, or `none`; left out: it stays.")


def times(
    homework: str,
    opens: Annotated[str | None, Moment] = None,
    due: Annotated[str | None, Moment] = None,
    cutoff: Annotated[str | None, Moment] = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Move a homework's times for everybody; `mugrade extend` is for one student.

    Change the course file too: `mugrade init` brings its times back.
    """
    given = {"opens_at": opens, "due_at": due, "cutoff_at": cutoff}
    changes = {n: None if t.lower() == "none" else t for n, t in given.items() if t is not None}
    if not changes:
        raise UsageFault("Name at least one of --opens, --due and --cutoff.")
    body = {"assignment": homework, **changes}
    answer = open_session(server).v1().call("POST", "times", json=body)
    show = screen(as_json)
    if as_json:
        show.json(answer)
        return
    words = [("opens", "opens_at"), ("is due", "due_at"), ("closes", "cutoff_at")]
    told = [f"{word} {when(answer[name])}" for word, name in words if answer[name]]
    show.say(f"{homework} {', '.join(told) or 'has no times'}.")
