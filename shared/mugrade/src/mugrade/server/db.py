"""Engine, sessions and migrations, the same for SQLite and PostgreSQL.

Every use of the database is one of two blocks, `with database.read() as session` or
`with database.write() as session`; the second commits when it ends without an error. On SQLite a
writer begins with BEGIN IMMEDIATE, so that it waits for its turn instead of failing half-way.
Services find the process's cache and the settings in `session.info`.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from mugrade.server.settings import Settings

MIGRATIONS = Path(__file__).parent / "migrations"
log = logging.getLogger("mugrade")
PROBE_BYTES = 1 << 18
_MIGRATION_LOCK = 0x6D756772  # "mugr": PostgreSQL advisory lock held while migrating


@functools.cache
def revisions() -> tuple[str, ...]:
    """The schema's revisions that this code knows, the newest first."""
    return tuple(script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions())


class Cache:
    """What never changes once read, kept per process: a bounded dict that forgets its oldest."""

    def __init__(self, limit: int = 512) -> None:
        self._entries: dict[Any, Any] = {}
        self._limit = limit
        self._lock = threading.Lock()

    def get(self, key: Any, make: Callable[[], Any]) -> Any:
        """The entry for `key`, made by `make()` at first; None is not kept."""
        with self._lock:
            if key in self._entries:
                return self._entries[key]
        value = make()
        if value is not None:
            with self._lock:
                while len(self._entries) >= self._limit:
                    self._entries.pop(next(iter(self._entries)))
                self._entries[key] = value
        return value


class Database:
    """One engine and its sessions.

    Args:
        settings: where the database is, pool size and SQLite's waiting time.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.engine = _make_engine(settings)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        # SQLite wakes waiting writers in no order; a queue in front keeps any from starving.
        self._turn = threading.Lock()
        self._writer = self.engine.execution_options(mugrade_write=True)
        # Under READ COMMITTED a reader's transaction protects nothing but costs two round trips.
        self._reader = (
            self.engine
            if self.is_sqlite
            else self.engine.execution_options(isolation_level="AUTOCOMMIT")
        )
        self._info = {"cache": Cache(), "tallies": {}, "settings": settings}

    @contextlib.contextmanager
    def read(self) -> Iterator[Session]:
        with Session(self._reader, expire_on_commit=False, info=dict(self._info)) as session:
            yield session

    @contextlib.contextmanager
    def write(self) -> Iterator[Session]:
        info = {**self._info, "writing": True}
        with (
            self._take_turn(),
            Session(self._writer, expire_on_commit=False, info=info) as session,
            session.begin(),
        ):
            yield session

    @contextlib.contextmanager
    def _take_turn(self) -> Iterator[None]:
        if not self.is_sqlite:
            yield
        elif not self._turn.acquire(timeout=self.settings.sqlite_busy_seconds):
            raise PoolTimeout("other writers held the database for too long")
        else:
            try:
                yield
            finally:
                self._turn.release()

    def migrate(self) -> None:
        """Bring the schema up to date; safe when several workers start at once."""
        if self.is_current():
            return
        config = _alembic_config(self.settings)
        with self.engine.execution_options(mugrade_write=True).begin() as connection:
            if not self.is_sqlite:
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def is_current(self) -> bool:
        """Whether the schema is the one that this code was written for."""
        return self.revision() == revisions()[0]

    def revision(self) -> str | None:
        """The schema's revision, None in an empty database."""
        with self.engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()

    def has_room(self) -> bool:
        """Whether SQLite's disk takes some more; PostgreSQL looks after its own."""
        if not self.is_sqlite:
            return True
        try:
            with tempfile.TemporaryFile(dir=self.settings.data_dir) as probe:
                probe.write(bytes(PROBE_BYTES))
                probe.flush()
        except OSError as error:
            log.error("the database's folder takes nothing more: %s", error.strerror)
            return False
        return True

    def close(self) -> None:
        self.engine.dispose()


def _alembic_config(settings: Settings) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("sqlalchemy.url", settings.url().replace("%", "%%"))
    return config


def _keep_private(settings: Settings) -> None:
    """Make folder and file for their owner only: they hold the keys that receipts are signed with."""
    folder, path = settings.data_dir, settings.sqlite_path()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    if os.name != "posix":
        return
    if folder.stat().st_mode & 0o077:
        log.warning("%s is open to other users of this machine; `chmod 700` closes it", folder)
    for file in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
        if file.exists() and file.stat().st_mode & 0o077:
            log.warning("%s was readable by others; now only you can read it", file)
            file.chmod(0o600)


def _make_engine(settings: Settings) -> Engine:
    url = settings.url()
    if not url.startswith("sqlite"):
        return create_engine(
            url, pool_size=settings.pool_size, max_overflow=settings.pool_size, hide_parameters=True
        )
    _keep_private(settings)
    engine = create_engine(
        url,
        pool_size=settings.pool_size,
        max_overflow=40,
        hide_parameters=True,
        connect_args={"check_same_thread": False, "timeout": settings.sqlite_busy_seconds},
    )

    @event.listens_for(engine, "connect")
    def _on_connect(connection, _record):
        connection.isolation_level = None  # transactions begin where _on_begin says
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute(f"PRAGMA synchronous={settings.sqlite_synchronous}")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _on_begin(connection):
        write = connection.get_execution_options().get("mugrade_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine
