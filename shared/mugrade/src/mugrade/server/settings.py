"""What can be configured, from `MUGRADE_...` environment variables or arguments; nothing else."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import platformdirs
from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from mugrade.server.errors import unusable

# A limit of 0 or less shuts everybody out, or deletes what should be kept.
Positive = Annotated[int, Field(ge=1)]
NotNegative = Annotated[int, Field(ge=0)]


def default_data_dir() -> Path:
    """The user's data folder for mugrade; nothing is created by asking."""
    return Path(platformdirs.user_data_dir("mugrade", appauthor=False))


class Settings(BaseSettings):
    """The server's configuration.

    A database URL of `postgresql://...` switches to PostgreSQL; without one, SQLite in `data_dir`.

    Raises:
        Refusal: the database URL, the web address or the signing key is none.
        ValidationError: another setting is none.
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
    trusted_proxies: NotNegative = 0
    """How many reverse proxies stand in front; the client's address is read that far back."""

    attempts_per_hour: Positive = 20
    misses_before_cooldown: Positive = 10
    cooldown_seconds: NotNegative = 60
    """First cool-down after that many misses in a row; doubles with each further miss."""
    cooldown_limit_seconds: NotNegative = 3600
    legacy_attempt_hours: Positive = 6
    """How long a submission of the public client may take from its first to its last case."""
    failures_per_account: Positive = 10
    """Wrong passwords and codes for one account in 15 minutes, from wherever they come."""
    failures_per_address: Positive = 200
    """The same from one IPv4 address or IPv6 /64 in 10 minutes; a lecture hall may share one."""
    terminals_per_address: Positive = 400
    """Terminals behind one address that wait for their code to be confirmed."""
    key_days: int = Field(default=180, ge=1, le=3650)
    """How long a new key works."""

    smtp_url: str | None = None
    """`smtps://user:password@host` or `smtp://...` (STARTTLS): sends invitations and sign-in links."""
    mail_from: str | None = None
    """The sender's address of that mail."""
    metrics: Literal["local", "open", "off"] = "local"
    """Who may read /metrics: this machine, everybody, nobody."""

    max_case_bytes: Positive = 1 << 20
    max_attempt_bytes: Positive = 4 << 20
    max_publish_bytes: Positive = 16 << 20
    max_body_bytes: Positive = 1 << 20
    """For every other route."""

    values_factor: Positive = 4
    """An attempt's values may have so many times the bytes of the published ones ..."""
    min_values_bytes: Positive = 256 << 10
    """... and at least so many."""
    max_source_bytes: Positive = 512 << 10
    max_bytes_per_day: Positive = 64 << 20
    """What one account's attempts may store in 24 hours, compressed."""

    job_batch: Positive = 200
    """Attempts that a regrade compares between two locks."""
    job_seconds_in_request: float = Field(default=2.0, ge=0)
    """How long publishing or a regrade works itself before it leaves the rest to the lane."""
    job_lease_seconds: float = Field(default=30.0, gt=0)
    """After so long without a sign of its worker a job is another's."""

    pool_size: Positive = 10
    sqlite_busy_seconds: float = Field(default=30.0, ge=0)
    sqlite_synchronous: str = Field(default="FULL", pattern="^(FULL|NORMAL)$")

    keep_values_days: Positive | None = None
    """`mugrade prune` deletes submitted values of older attempts; None keeps all."""

    @field_validator("database_url")
    @classmethod
    def _database(cls, given: str | None) -> str | None:
        kinds = ("postgres", "postgresql", "postgresql+psycopg")
        try:
            url = make_url(given) if given else None
            good = url is None or (url.drivername in kinds and 0 < (url.port or 5432) < 1 << 16)
            # An @ in a password would make its rest part of the host, which messages show.
            good = good and (given or "").count("@") < 2
        except (ArgumentError, ValueError):
            good = False
        if not good:
            raise unusable(
                "MUGRADE_DATABASE_URL is no database URL; expected postgresql://user:password@host/name "
                "(in a password %40 stands for @, %25 for %)."
            )
        return given

    @field_validator("web")
    @classmethod
    def _address(cls, given: str) -> str:
        """Every link and the Origin check come from it: what is no address would shut everybody out."""
        try:
            parts = urlsplit(given)
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            good = False
        if not good or parts.query or parts.fragment or parts.username:
            raise unusable(
                f"The address people use is {given!r:.80}; expected one such as "
                "https://grader.example.org/ in MUGRADE_WEB or --web."
            )
        return given

    @field_validator("signing_key")
    @classmethod
    def _key(cls, given: str | None) -> str | None:
        if given is None:
            return None
        try:
            size = len(base64.b64decode(given, validate=True))
        except (binascii.Error, ValueError):
            size = None
        if size != 32:
            found = "is no base64" if size is None else f"holds {size} bytes"
            raise unusable(
                f"MUGRADE_SIGNING_KEY {found}; it must be 32 random bytes as base64, such as "
                "`openssl rand -base64 32` prints."
            )
        return given

    def sqlite_path(self) -> Path:
        return self.data_dir / "mugrade.sqlite3"

    def parsed_url(self) -> URL:
        """The URL in its parts."""
        return make_url(self.url())

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
