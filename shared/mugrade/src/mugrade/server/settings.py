"""What can be configured, from `MUGRADE_...` environment variables or arguments; nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from mugrade.server.errors import Refusal


def default_data_dir() -> Path:
    """The user's data folder for mugrade; nothing is created by asking."""
    return Path(platformdirs.user_data_dir("mugrade", appauthor=False))


class Settings(BaseSettings):
    """The server's configuration.

    A database URL of `postgresql://...` switches to PostgreSQL; without one, SQLite in `data_dir`.
    """

    model_config = SettingsConfigDict(env_prefix="MUGRADE_", extra="ignore")

    data_dir: Path = Field(default_factory=default_data_dir)
    database_url: str | None = None
    web: str = "http://127.0.0.1:8000/"
    """The address people use, with a trailing slash: in links, and for the Origin check."""
    solo: bool = False
    """One person's own course on their own machine: no attempt limits."""

    signing_key: str | None = None
    """Base64 of a 32-byte Ed25519 seed; without one, a key is made and kept in the database."""
    legacy_routes: bool = True
    """Whether the three routes of the public client, with their key in the query, are served."""
    trusted_proxies: int = 0
    """How many reverse proxies stand in front; the client's address is read that far back."""

    attempts_per_hour: int = 20
    misses_before_cooldown: int = 10
    cooldown_seconds: int = 60
    """First cool-down after that many misses in a row; doubles with each further miss."""
    cooldown_limit_seconds: int = 3600
    legacy_attempt_hours: int = 6
    """How long a submission of the public client may take from its first to its last case."""
    failures_per_account: int = 10
    """Wrong passwords and codes for one account in 15 minutes, from wherever they come."""
    failures_per_address: int = 200
    """The same from one IPv4 address or IPv6 /64 in 10 minutes; a lecture hall may share one."""
    terminals_per_address: int = 400
    """Terminals behind one address that wait for their code to be confirmed."""
    key_days: int = 180
    """How long a new key works."""

    smtp_url: str | None = None
    """`smtps://user:password@host` or `smtp://...` (STARTTLS): sends invitations and sign-in links."""
    mail_from: str | None = None
    """The sender's address of that mail."""
    metrics: Literal["local", "open", "off"] = "local"
    """Who may read /metrics: this machine, everybody, nobody."""

    max_case_bytes: int = 1 << 20
    max_attempt_bytes: int = 4 << 20
    max_publish_bytes: int = 16 << 20
    max_body_bytes: int = 1 << 20
    """For every other route."""

    values_factor: int = 4
    """An attempt's values may have so many times the bytes of the published ones ..."""
    min_values_bytes: int = 256 << 10
    """... and at least so many."""
    max_source_bytes: int = 512 << 10
    max_bytes_per_day: int = 64 << 20
    """What one account's attempts may store in 24 hours, compressed."""

    job_batch: int = 200
    """Attempts that a regrade compares between two locks."""
    job_seconds_in_request: float = 2.0
    """How long publishing or a regrade works itself before it leaves the rest to the lane."""
    job_lease_seconds: float = 30.0
    """After so long without a sign of its worker a job is another's."""

    pool_size: int = 10
    sqlite_busy_seconds: float = 30.0
    sqlite_synchronous: str = Field(default="FULL", pattern="^(FULL|NORMAL)$")

    keep_values_days: int | None = None
    """`mugrade prune` deletes submitted values of older attempts; None keeps all."""

    def sqlite_path(self) -> Path:
        return self.data_dir / "mugrade.sqlite3"

    def parsed_url(self) -> URL:
        """The URL in its parts.

        Raises:
            Refusal: it is none.
        """
        try:
            return make_url(self.url())
        except (ArgumentError, ValueError):
            raise Refusal(
                503,
                "unavailable",
                "MUGRADE_DATABASE_URL is no database URL; expected postgresql://user:password@host/name.",
            ) from None

    def url(self) -> str:
        """The SQLAlchemy URL; plain `postgres(ql)://` is read with psycopg 3."""
        if not self.database_url:
            return f"sqlite:///{self.sqlite_path()}"
        for prefix in ("postgres://", "postgresql://"):
            if self.database_url.startswith(prefix):
                return "postgresql+psycopg://" + self.database_url[len(prefix) :]
        return self.database_url

    def web_address(self) -> str:
        return self.web if self.web.endswith("/") else self.web + "/"
