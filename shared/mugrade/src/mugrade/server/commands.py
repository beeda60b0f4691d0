"""The server's commands: `mugrade serve`, `init`, `link`, `token`, `seal`; with those of
`operations`, `mugrade.cli` attaches them."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import socket
import sys
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from sqlalchemy.orm import Session

from mugrade.server import coursefile, opening
from mugrade.server.clock import utc_now
from mugrade.server.db import Database
from mugrade.server.errors import Refusal, invalid, not_found
from mugrade.server.models import Account, Course
from mugrade.server.operations import (
    AsJson,
    DataDir,
    backup,
    db_check,
    prune,
    restore,
    settings_of,
    settings_of_standing,
)
from mugrade.server.services import (
    accounts,
    answer_file,
    course_edit,
    courses,
    roster,
    sessions,
    tokens,
    upkeep,
)
from mugrade.server.settings import Settings

__all__ = ["backup", "db_check", "init", "link", "prune", "restore", "seal", "serve", "token"]
LOOPBACK = ("127.0.0.1", "::1", "localhost")
LINK_PATH = "link?code="
ANSWERS = "answers.json.gz"
"""The sealed answers that a released course carries in its folder."""

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {
        "mugrade": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        "uvicorn": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
    },
}


@dataclass(frozen=True)
class Bootstrap:
    """What `serve` tells at its start."""

    course: str
    code: str | None
    email: str
    link: str | None


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    data: DataDir = None,
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="Processes; use PostgreSQL for more than one.")
    ] = 1,
    web: Annotated[
        str | None, typer.Option(help="The address people use, behind a reverse proxy.")
    ] = None,
    solo: Annotated[
        bool, typer.Option("--solo", help="Your own course on your own machine.")
    ] = False,
    course: Annotated[
        Path | None, typer.Option(help="Course file to make or update first.")
    ] = None,
    answers: Annotated[
        Path | None,
        typer.Option(help=f"Sealed answers; with --solo, {ANSWERS} here or above is found."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Start the grader; without any configuration, on SQLite in your data folder."""
    sealed = _sealed_answers(answers, search=solo and course is None)
    with _listen(host, port) as listening:
        port = listening.getsockname()[1]
        address = web or os.environ.get("MUGRADE_WEB") or f"http://{_url_host(host)}:{port}/"
        settings = settings_of(
            data, web=address if address.endswith("/") else address + "/", solo=solo
        )
        told = _prepare(settings, course, sealed, with_link=_may_print_link(settings, host))
        _announce(settings, told, as_json=as_json)
        if workers > 1 and settings.url().startswith("sqlite"):
            print(
                f"{workers} workers on SQLite take turns at writing; PostgreSQL is meant for more than one.",
                file=sys.stderr,
            )
        with upkeep.serving(settings):
            _run(settings, listening, workers)


def init(
    file: Annotated[Path, typer.Argument(help="The course file (docs/course-file.md).")],
    data: DataDir = None,
    key_for: Annotated[
        str | None, typer.Option("--token", help="Also make an API key for this e-mail address.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a course from its file, or bring an existing one up to it."""
    given = coursefile.read(file)
    with _open(settings_of(data)) as database, database.write() as session:
        course = course_edit.apply_file(session, utc_now(), given, actor="mugrade init")
        out: dict[str, Any] = {"course": course.id, "title": course.title, "code": course.code}
        if key_for:
            account = accounts.find(session, course.pk, key_for)
            out["key"], _ = tokens.issue(session, utc_now(), account, name="mugrade init")
    if as_json:
        typer.echo(json.dumps(out))
        return
    typer.echo(
        f"Course {out['course']} stands: {out['title']}. Students sign up with the code {out['code']}."
    )
    if "key" in out:
        typer.echo(f"Key of {key_for} (shown once): {out['key']}")
    typer.echo("Next: `mugrade serve`.")


def link(
    email: Annotated[str, typer.Argument(help="Whose sign-in link.")],
    course: Annotated[
        str | None, typer.Option(help="Course id; needed when there are several.")
    ] = None,
    data: DataDir = None,
) -> None:
    """Print a one-time link that signs somebody in on the web, where they can set a new password."""
    settings = settings_of_standing(data)
    with _open(settings) as database, database.write() as session:
        found = _course(session, course)
        secret = sessions.one_time_link(session, utc_now(), accounts.find(session, found.pk, email))
        served = None if "web" in settings.model_fields_set else upkeep.address(session)
    typer.echo((served or settings.web_address()) + LINK_PATH + secret)


def token(
    email: Annotated[str, typer.Argument(help="Whose API key.")],
    course: Annotated[
        str | None, typer.Option(help="Course id; needed when there are several.")
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(help="Only this scope (repeatable); all of the person's role by default."),
    ] = None,
    days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="How long it works; by default 180.")
    ] = None,
    data: DataDir = None,
) -> None:
    """Make an API key for somebody and print it, once; for scripts on the server's machine."""
    with _open(settings_of_standing(data)) as database, database.write() as session:
        account = accounts.find(session, _course(session, course).pk, email)
        text, _ = tokens.issue(
            session, utc_now(), account, name="mugrade token", scopes=scope, days=days
        )
    typer.echo(text)


def seal(
    out: Annotated[Path, typer.Argument(help="File to write, such as answers.json.gz.")],
    course: Annotated[
        str | None, typer.Option(help="Course id; needed when there are several.")
    ] = None,
    class_is_over: Annotated[
        bool, typer.Option("--class-is-over", help="Seal the variants that students had, too.")
    ] = False,
    data: DataDir = None,
) -> None:
    """Write every published answer in a form that can be checked but not read, for `serve --solo`."""
    with _open(settings_of_standing(data)) as database, database.read() as session:
        pk = _course(session, course).pk
        sealed = answer_file.export(session, pk, class_is_over=class_is_over)
    write_answers(out, sealed)
    typer.echo(f"{out}: {len(sealed['problems'])} problems sealed.")


# --------------------------------------------------------------------------------------- helpers


def write_answers(path: Path, sealed: dict[str, Any]) -> None:
    """Gzipped JSON without a time stamp, so that equal answers are equal files."""
    path.write_bytes(gzip.compress(json.dumps(sealed, sort_keys=True).encode(), mtime=0))


def read_answers(path: Path) -> dict[str, Any]:
    """The content of a sealed answers file.

    Raises:
        Refusal: it cannot be read, or is something else.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise invalid(f"{path} cannot be read ({error.strerror}).") from None
    try:
        data = json.loads(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)
    except (ValueError, OSError, EOFError, zlib.error):
        data = None
    if fault := answer_file.check_format(data):
        raise invalid(f"{path} {fault}.")
    return data


def _sealed_answers(given: Path | None, *, search: bool) -> dict[str, Any] | None:
    """The answers named, or (`search`) those that lie here or in a folder above."""
    here = Path.cwd()
    places = [folder / ANSWERS for folder in (here, *here.parents)] if search else []
    path = given or next(filter(Path.is_file, places), None)
    return None if path is None else read_answers(path)


@contextlib.contextmanager
def _open(settings: Settings) -> Iterator[Database]:
    """The database for one command; it is closed also where the command is refused."""
    os.umask(0o077)  # whatever is made beside the database is its owner's only
    with contextlib.closing(opening.open_database(settings, utc_now())) as database:
        yield database


def _course(session: Session, course_id: str | None) -> Course:
    found = [c for c in courses.courses(session) if course_id in (None, c.id)]
    if len(found) != 1:
        names = ", ".join(c.id for c in courses.courses(session)) or "none"
        raise not_found(
            f"single course {course_id or ''} (name one with --course; here are: {names})"
        )
    return found[0]


def _may_print_link(settings: Settings, host: str) -> bool:
    """Whether a sign-in link may be printed: a server's output ends in a log that others read.

    A server for this machine alone tells its owner; a public one only somebody at a terminal.
    """
    alone = host in LOOPBACK and urlsplit(settings.web_address()).hostname in LOOPBACK
    return alone or sys.stdout.isatty()


def _prepare(
    settings: Settings,
    file: Path | None,
    answers: dict[str, Any] | None,
    *,
    with_link: bool,
) -> Bootstrap:
    """Make what a first start lacks: a course, somebody to run it, and in solo its answers."""
    with _open(settings) as database, database.write() as session:
        course = _first_course(session, settings, file, answers)
        if answers is not None:
            answer_file.import_(session, utc_now(), course.pk, answers)
        account = _first_account(session, course, solo=settings.solo)
        upkeep.note_address(session, utc_now(), settings.web_address())
        address = None
        if with_link:
            secret = sessions.one_time_link(session, utc_now(), account)
            address = settings.web_address() + LINK_PATH + secret
        told = Bootstrap(course.id, course.code, account.email, address)
    return told


def _first_course(
    session: Session, settings: Settings, file: Path | None, answers: dict[str, Any] | None
) -> Course:
    """The course of the file, of the answers, the one that stands, or an empty one."""
    given = None
    if file is not None:
        given = coursefile.read(file)
    elif answers is not None:
        given = coursefile.CourseFile.model_validate(answers["course"])
    elif standing := courses.courses(session):
        return standing[0]
    elif settings.solo:
        raise invalid(
            f"There is no {ANSWERS} here or in a folder above; run this in the folder of a released "
            "course, or name its file with --answers."
        )
    else:
        given = coursefile.CourseFile(course=coursefile.CourseIn(id="course", title="My course"))
    if settings.solo:
        given = coursefile.for_one(given)
    return course_edit.apply_file(session, utc_now(), given, actor="mugrade serve")


def _first_account(session: Session, course: Course, *, solo: bool) -> Account:
    """Who the link signs in: in solo the one person, else the course's first instructor."""
    role = "student" if solo else "instructor"
    for account in roster.people(session, course.pk):
        if account.role == role and account.active:
            return account
    name = "You" if solo else "Staff"
    return accounts.add_account(
        session, utc_now(), course, email=f"{name.lower()}@localhost", name=name, role=role
    )


def _announce(settings: Settings, told: Bootstrap, *, as_json: bool) -> None:
    if as_json:
        line = {
            "address": settings.web_address(),
            "course": told.course,
            "code": told.code,
            "link": told.link,
        }
        print(json.dumps(line), flush=True)
        return
    kind = "SQLite" if settings.url().startswith("sqlite") else "PostgreSQL"
    where = f" in {settings.data_dir}" if kind == "SQLite" else ""
    print(f"mugrade at {settings.web_address()} (course {told.course}, {kind}{where})")
    if told.link is not None:
        print(f"Sign in once as {told.email}: {told.link}")
        scopes = "" if settings.solo else " --scope publish --scope roster --scope grade"
        print(
            f"From a terminal: mugrade login --server {settings.web_address()}{scopes}", flush=True
        )
    else:
        print(f"For a one-time sign-in link run: mugrade link {told.email}", flush=True)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise Refusal(
            400,
            "invalid",
            f"Cannot listen on {host}:{port} ({error.strerror}); choose another with --port.",
        ) from None
    return listening


def _url_host(host: str) -> str:
    return f"[{host}]" if ":" in host else "127.0.0.1" if host == "0.0.0.0" else host


def _run(settings: Settings, listening: socket.socket, workers: int) -> None:
    import uvicorn  # the other commands do without the web's part

    from mugrade.server.app import create_app

    options: dict[str, Any] = {
        "access_log": False,  # uvicorn's would log query strings, where legacy keys are
        "log_config": LOGGING,
        "timeout_worker_healthcheck": 60,  # a worker that starts on a busy machine is not hung
        "server_header": False,
        "timeout_keep_alive": 30,
        "proxy_headers": False,
    }
    if workers == 1:
        config = uvicorn.Config(create_app(settings), **options)
        uvicorn.Server(config).run(sockets=[listening])
        return
    host, port = listening.getsockname()[:2]
    listening.close()  # uvicorn's supervisor binds the address itself
    os.environ.update(_as_environment(settings))
    with tempfile.TemporaryDirectory(prefix="mugrade-metrics-") as folder:
        os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", folder)
        uvicorn.run(
            "mugrade.server.app:create_app",
            factory=True,
            workers=workers,
            host=host,
            port=port,
            **options,
        )


def _as_environment(settings: Settings) -> dict[str, str]:
    """What was given as options, for workers that read their settings from the environment."""
    given = {"DATA_DIR": str(settings.data_dir), "WEB": settings.web, "SOLO": str(settings.solo)}
    return {f"MUGRADE_{name}": value for name, value in given.items()}
