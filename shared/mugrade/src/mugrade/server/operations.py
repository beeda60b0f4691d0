"""Commands for who runs a server: `backup`, `restore`, `prune` and `db check`."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from mugrade.server import opening
from mugrade.server.clock import utc_now
from mugrade.server.db import Database
from mugrade.server.errors import Refusal, invalid, unusable
from mugrade.server.services import upkeep
from mugrade.server.settings import Settings

DROP_TABLES = """DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema() LOOP
        EXECUTE format('DROP TABLE %I CASCADE', name);
    END LOOP;
END $$"""
"""All of them: those of a newer schema than the backup's hang on tables that it brings."""

DataDir = Annotated[Path | None, typer.Option("--data", help="Folder of the SQLite database.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON line for programs.")]


def settings_of(data: Path | None, **given: Any) -> Settings:
    """The environment's settings with what was given on the command line.

    Raises:
        Refusal: one of them is none; its value is not told, for it may be a secret.
    """
    try:
        return Settings(**{**({"data_dir": data} if data else {}), **given})
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False, include_context=False)
        said = [f"MUGRADE_{str(one['loc'][0]).upper()}: {one['msg']}" for one in wrong]
        raise unusable(f"A setting cannot be used; {'; '.join(said)} (docs/server.md).") from None


def settings_of_standing(data: Path | None) -> Settings:
    """The same, for commands that need a database: a folder that was misspelt gets none.

    Raises:
        Refusal: a setting is none, or there is no database of mugrade's.
    """
    settings = settings_of(data)
    if not opening.stands(settings):
        where = opening.place(settings)
        raise unusable(
            f"{where} is empty; check MUGRADE_DATABASE_URL."
            if settings.database_url
            else f"There is no database at {where}; name its folder with --data."
        )
    return settings


# ---------------------------------------------------------------------------------------- backup


def backup(
    to: Annotated[
        Path | None, typer.Argument(help="New file; one named by the time if left out.")
    ] = None,
    data: DataDir = None,
) -> None:
    """Copy the whole database into one file, while the server runs."""
    settings = settings_of_standing(data)
    target = to or _named_by_time(settings)
    if target.exists():
        raise invalid(f"{target} exists already; a backup is never written over. Name another.")
    os.umask(0o077)  # it holds the signing key
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part.unlink(missing_ok=True)
        (_dump_postgres if settings.database_url else _backup_sqlite)(settings, part)
        part.replace(target)
    except OSError as error:
        raise unusable(f"{target} cannot be written ({error.strerror}).") from None
    finally:
        part.unlink(missing_ok=True)
    size = target.stat().st_size / 1e6
    typer.echo(
        f"{target}: {size:.1f} MB, readable by you only. It holds the signing key: guard it."
    )
    typer.echo(f"Next: `mugrade restore {target}` puts it back.")


def _named_by_time(settings: Settings) -> Path:
    kind = "dump" if settings.database_url else "sqlite3"
    return settings.data_dir / "backups" / f"mugrade-{utc_now():%Y%m%d-%H%M%S}.{kind}"


def _backup_sqlite(settings: Settings, target: Path) -> None:
    _copy_sqlite(settings, settings.sqlite_path(), target)


def _copy_sqlite(settings: Settings, source: Path, target: Path) -> None:
    """All of a database, with what still stands in its -wal, as one file."""
    target.touch(mode=0o600)
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as old,
            closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)  # in one piece: writers go on beside it
            new.execute("PRAGMA journal_mode=DELETE")  # one file, without -wal and -shm
            found = new.execute("PRAGMA quick_check").fetchone()[0]
    except sqlite3.Error as error:
        raise opening.explained(settings, error) from None
    if found != "ok":
        raise unusable(f"{source} is damaged ({found}); {opening.RESTORE}.")
    _flush(target)


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _dump_postgres(settings: Settings, target: Path) -> None:
    _postgres(settings, "pg_dump", "--format=custom", f"--file={target}")


def _postgres(settings: Settings, program: str, *options: str) -> None:
    """Run one of PostgreSQL's own programs on the database as its URL says, sslmode and all; the
    password goes by the environment."""
    from psycopg.conninfo import make_conninfo

    url = settings.parsed_url()
    given = {**url.query, **url.translate_connect_args(username="user", database="dbname")}
    password = {"PGPASSWORD": str(given.pop("password"))} if given.get("password") else {}
    where = f"--dbname={make_conninfo(**given)}"
    _run(program, where, "--no-password", *options, on=opening.place(settings), **password)


def _run(program: str, *options: str, on: str | Path, **environment: str) -> None:
    done = subprocess.run(
        [_program(program), *options],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no reason given"]
        reason = next((line for line in said if "error:" in line.lower()), said[-1])
        raise unusable(f"{program} failed on {on}: {reason}")


def _program(name: str) -> str:
    found = shutil.which(name)
    newest = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=str)
    if not found and not newest:
        raise unusable(f"{name} was not found; install PostgreSQL's client programs.")
    return found or str(newest[-1])


# --------------------------------------------------------------------------------------- restore


def restore(
    file: Annotated[Path, typer.Argument(help="What `mugrade backup` wrote.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="There is a database; put the backup in its place.")
    ] = False,
    data: DataDir = None,
) -> None:
    """Put a backup back; the server must be stopped."""
    settings = settings_of(data)
    if not file.is_file():
        raise invalid(f"There is no file {file}; name one that `mugrade backup` wrote.")
    os.umask(0o077)
    put_back = _restore_postgres if settings.database_url else _restore_sqlite
    with upkeep.alone(settings):
        kept = put_back(settings, file, replace)
    database = opening.open_database(settings, utc_now())
    database.close()
    typer.echo(f"{opening.place(settings)} is what {file} was.{kept}")
    typer.echo("Next: `mugrade db check`, then `mugrade serve`.")


def _restore_sqlite(settings: Settings, file: Path, replace: bool) -> str:
    target = settings.sqlite_path()
    _check_backup(file)
    kept = ""
    if target.exists() and not replace:
        raise invalid(
            f"{target} exists; run the same command with --replace to put the backup in its "
            "place (what is there now is kept beside it)."
        )
    part = target.with_name(target.name + ".part")
    part.unlink(missing_ok=True)
    _copy_sqlite(settings, file, part)  # before anything is moved: the disk may be full
    if target.exists():
        aside = target.with_name(f"{target.name}.replaced-{utc_now():%Y%m%d-%H%M%S}")
        for end in ("", "-wal", "-shm"):
            if (old := target.with_name(target.name + end)).exists():
                old.replace(aside.with_name(aside.name + end))
        kept = f" What was there is {aside}."
    part.replace(target)
    return kept


def _check_backup(file: Path) -> None:
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as source:
            found = source.execute("PRAGMA integrity_check").fetchone()[0]
            source.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        found = str(error)
    if found != "ok":
        raise invalid(f"{file} is no whole backup of mugrade ({found}); nothing was changed.")


def _restore_postgres(settings: Settings, file: Path, replace: bool) -> str:
    with file.open("rb") as head:
        if head.read(5) != b"PGDMP":
            raise invalid(f"{file} is no backup of a PostgreSQL database; nothing was changed.")
    if opening.stands(settings) and not replace:
        raise invalid(
            f"{opening.place(settings)} holds a database; run the same command with --replace to "
            "put the backup in its place. Make one of what is there first: `mugrade backup`."
        )
    with tempfile.TemporaryDirectory(dir=settings.data_dir) as folder:
        script = f"--file={folder}/script"
        _run("pg_restore", "--clean", "--if-exists", "--no-owner", script, str(file), on=file)
        whole = ("--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1")
        _postgres(settings, "psql", *whole, f"--command={DROP_TABLES}", script)
    return ""


# ------------------------------------------------------------------------------- prune and check


def prune(
    values_days: Annotated[
        int | None,
        typer.Option(
            min=1, help="Also delete submitted values and sources of attempts older than this."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    data: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Delete what has expired: links, sessions, device codes, old idempotency keys, old jobs."""
    settings = settings_of_standing(data)
    database = opening.open_database(settings, utc_now())
    days = values_days or settings.keep_values_days
    counts = upkeep.prune(database, utc_now(), keep_values_days=days, dry_run=dry_run)
    database.close()
    if as_json:
        typer.echo(json.dumps(counts))
        return
    for what, many in counts.items():
        typer.echo(f"{many:8} {what} {'would be ' if dry_run else ''}deleted")


def db_check(data: DataDir = None, as_json: AsJson = False) -> None:
    """Look through the whole database: file, schema, foreign keys, audit log, answers, attempts."""
    settings = settings_of_standing(data)
    database = Database(settings)
    try:
        found = upkeep.check(database)
    except Exception as error:
        if isinstance(error, Refusal):
            raise
        raise opening.explained(settings, error) from None
    finally:
        database.close()
    if as_json:
        typer.echo(json.dumps(found))
    else:
        for what, faults in found.items():
            typer.echo(f"{'BAD' if faults else 'ok ':4} {what}{': ' if faults else ''}{faults}")
    if any(found.values()):
        typer.echo(f"Next: {opening.RESTORE}.", err=True)
        raise typer.Exit(1)
