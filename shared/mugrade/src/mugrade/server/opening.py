"""Opening the database. What keeps it from opening is an operator's matter: one sentence each, which
tells what is wrong and what to do, and never shows a password."""

from __future__ import annotations

import contextlib
import datetime as dt

from alembic.util import CommandError
from sqlalchemy import inspect
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from mugrade.server.db import Database, revisions
from mugrade.server.errors import Refusal, unusable
from mugrade.server.services import signing
from mugrade.server.settings import Settings

RESTORE = "`mugrade restore FILE --replace` puts a backup in its place"


def open_database(settings: Settings, now: dt.datetime) -> Database:
    """The database with this version's schema and the server's secrets.

    Raises:
        Refusal: it cannot be opened or brought up to date.
    """
    try:
        database = Database(settings)
    except OSError as error:
        raise unusable(
            f"The data folder {settings.data_dir} cannot be used ({error.strerror}); name one that "
            "you may write to with --data or MUGRADE_DATA_DIR."
        ) from None
    try:
        _check_revision(database)
        database.migrate()
        with database.write() as session:
            signing.ensure(session, now)
    except Exception as error:
        database.close()
        if isinstance(error, SQLAlchemyError | CommandError):
            raise explained(settings, error) from None
        raise
    return database


def stands(settings: Settings) -> bool:
    """Whether there is a database of mugrade's.

    Raises:
        Refusal: PostgreSQL does not let us in, or the tables there are another program's.
    """
    if not settings.database_url:
        return settings.sqlite_path().exists()
    try:
        with contextlib.closing(Database(settings)) as database:
            tables = set(inspect(database.engine).get_table_names())
    except Exception as error:  # whatever the driver raises
        raise explained(settings, error) from None
    if tables and not tables >= {"alembic_version", "server_secret"}:
        raise unusable(
            f"{place(settings)} holds another program's tables ({min(tables)}); mugrade needs a "
            "database of its own: make one and name it in MUGRADE_DATABASE_URL."
        )
    return bool(tables)


def place(settings: Settings) -> str:
    """Where the database is, without user and password."""
    if not settings.database_url:
        return str(settings.sqlite_path())
    url = settings.parsed_url()
    return f"PostgreSQL at {url.host or 'the local socket'}:{url.port or 5432}/{url.database}"


def _check_revision(database: Database) -> None:
    current = database.revision()
    if current is not None and current not in revisions():
        raise unusable(
            f"{place(database.settings)} was written by a newer mugrade (schema {current!r:.60}); "
            "install that version, or restore a backup of this one's."
        )


def explained(settings: Settings, error: Exception) -> Refusal:
    """What a driver's error means for the person who starts the server."""
    where, reason = place(settings), str(getattr(error, "orig", None) or error).strip()
    said = reason.lower()
    first = reason.splitlines()[0] if reason else type(error).__name__
    if "not a database" in said:
        return unusable(f"{where} is no database of mugrade; name another folder, or {RESTORE}.")
    if "malformed" in said or "corrupt" in said:
        return unusable(f"{where} is damaged ({first}); {RESTORE}.")
    if "full" in said or "no space" in said:
        return unusable(f"There is no space left for {where}; make room and start again.")
    if "readonly" in said or "unable to open" in said or "permission denied" in said:
        return unusable(
            f"{where} cannot be written ({first}); give it to the user who runs mugrade."
        )
    if "locked" in said:
        return unusable(f"{where} is held by another program; stop that and start again.")
    if settings.database_url and _is_unreachable(error):
        return unusable(
            f"{where} does not let mugrade in ({_without_secrets(settings, first)}); check "
            "MUGRADE_DATABASE_URL and that the server runs."
        )
    return unusable(
        f"{where} is half-migrated or was changed by hand ({_without_secrets(settings, first)}); "
        f"{RESTORE}, made before the update."
    )


def _is_unreachable(error: Exception) -> bool:
    """A connection that failed carries no statement."""
    return not isinstance(error, DBAPIError) or error.statement is None


def _without_secrets(settings: Settings, text: str) -> str:
    password = settings.parsed_url().password if settings.database_url else None
    return text.replace(str(password), "***") if password else text
