"""The tables. Scores, late days and counters are not here: they are derived (services/policies.py).

Ids that leave the server are random text (`u_...`, `a_...`); foreign keys inside are integers.
Times are UTC, points are exact decimals, values are compressed canonical JSON.
"""

from __future__ import annotations

import datetime as dt
import secrets
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


def new_id(prefix: str) -> str:
    """A random public id, `prefix_` and 16 hex digits."""
    return f"{prefix}_{secrets.token_hex(8)}"


class UtcTime(TypeDecorator):
    """An aware UTC datetime on both databases (SQLite has no time zones)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value, dialect):
        if value is None:
            return None
        value = value.astimezone(dt.timezone.utc)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value, dialect):
        if value is None:
            return None
        if value.tzinfo is None:
            return value.replace(tzinfo=dt.timezone.utc)
        return value.astimezone(dt.timezone.utc)


class Points(TypeDecorator):
    """An exact decimal, kept as text: SQLite would make it a float."""

    impl = String(24)
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return None if value is None else str(Decimal(value))

    def process_result_value(self, value, dialect):
        return None if value is None else Decimal(value)


BigId = BigInteger().with_variant(Integer, "sqlite")


class Base(DeclarativeBase):
    type_annotation_map = {
        dt.datetime: UtcTime,
        Decimal: Points,
        bytes: LargeBinary,
        dict[str, Any]: JSON,
        list[Any]: JSON,
    }


# ---------------------------------------------------------------------------- courses and people


class Course(Base):
    __tablename__ = "course"

    pk: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(String(64), unique=True)
    title: Mapped[str] = mapped_column(String(200))
    code: Mapped[str | None] = mapped_column(String(64), unique=True)  # None: sign-up is closed
    timezone: Mapped[str] = mapped_column(String(64), default="UTC")
    policy: Mapped[dict[str, Any]]
    rubric: Mapped[list[Any]]
    version: Mapped[int] = mapped_column(default=1)  # raised with every change below the course
    created_at: Mapped[dt.datetime]


class Account(Base):
    __tablename__ = "account"
    __table_args__ = (UniqueConstraint("course_pk", "email"),)

    pk: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(String(24), unique=True, default=lambda: new_id("u"))
    course_pk: Mapped[int] = mapped_column(ForeignKey("course.pk"), index=True)
    email: Mapped[str] = mapped_column(String(254))
    name: Mapped[str] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(String(16))  # student, grader, instructor
    password_hash: Mapped[str | None] = mapped_column(String(200))
    active: Mapped[bool] = mapped_column(Boolean, default=True)
    section: Mapped[str] = mapped_column(String(80), default="")
    extra_days: Mapped[int] = mapped_column(default=0)  # standing: later due times everywhere
    pseudonym: Mapped[str | None] = mapped_column(String(40))  # set: listed on the leaderboard
    created_at: Mapped[dt.datetime]


class Token(Base):
    """An API token; only its SHA-256 is kept."""

    __tablename__ = "token"

    pk: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(String(24), unique=True, default=lambda: new_id("t"))
    account_pk: Mapped[int] = mapped_column(ForeignKey("account.pk"), index=True)
    name: Mapped[str] = mapped_column(String(80))
    hint: Mapped[str] = mapped_column(String(16))  # its first characters, to recognize it by
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[Any]]
    created_at: Mapped[dt.datetime]
    expires_at: Mapped[dt.datetime | None]
    revoked_at: Mapped[dt.datetime | None]
    last_used_at: Mapped[dt.datetime | None]


class WebSession(Base):
    """A signed-in browser; or, not used yet, a one-time sign-in link or a personal invitation."""

    __tablename__ = "web_session"

    pk: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(String(24), unique=True, default=lambda: new_id("s"))
    account_pk: Mapped[int] = mapped_column(ForeignKey("account.pk"), index=True)
    kind: Mapped[str] = mapped_column(String(8))  # browser, link, invite
    # A link from staff or by mail: whoever came by it may set a password without the old one.
    resets: Mapped[bool] = mapped_column(Boolean, default=False)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    agent: Mapped[str] = mapped_column(String(120), default="")
    created_at: Mapped[dt.datetime]
    expires_at: Mapped[dt.datetime]
    ended_at: Mapped[dt.datetime | None]


class DeviceLogin(Base):
    """A terminal that waits for somebody to enter its code on the web page."""

    __tablename__ = "device_login"

    pk: Mapped[int] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    user_code: Mapped[str] = mapped_column(String(16), unique=True)
    client: Mapped[str] = mapped_column(String(80))  # the name that the terminal gives itself
    address: Mapped[str] = mapped_column(String(64), default="")  # where it asked from
    block: Mapped[str] = mapped_column(String(64), default="", index=True)  # counted together
    scopes: Mapped[list[Any] | None]  # what it asked for; None: read and submit
    state: Mapped[str] = mapped_column(String(10))  # pending, approved, denied, used
    account_pk: Mapped[int | None] = mapped_column(ForeignKey("account.pk"))
    created_at: Mapped[dt.datetime]
    expires_at: Mapped[dt.datetime]
    polled_at: Mapped[dt.datetime | None]


class FailedTry(Base):
    """A try to sign in, or to guess a code, that was wrong or is not decided yet (services/tries.py)."""

    __tablename__ = "failed_try"
    __table_args__ = (Index("ix_failed_try_subject", "subject", "at"),)

    pk: Mapped[int] = mapped_column(BigId, primary_key=True)
    subject: Mapped[str] = mapped_column(String(64))  # SHA-256 of an account or a network address
    at: Mapped[dt.datetime]


class ServerSecret(Base):
    """Keys made at first start: `variants` (HMAC) and `signing` (Ed25519 seed)."""

    __tablename__ = "server_secret"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[bytes]
    created_at: Mapped[dt.datetime]


class ServerFact(Base):
    """What the running server tells its commands: `web`, the address people use."""

    __tablename__ = "server_fact"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[str] = mapped_column(Text)
    changed_at: Mapped[dt.datetime]


# ----------------------------------------------------------------------- assignments and answers


class Assignment(Base):
    __tablename__ = "assignment"
    __table_args__ = (UniqueConstraint("course_pk", "id"),)

    pk: Mapped[int] = mapped_column(primary_key=True)
    course_pk: Mapped[int] = mapped_column(ForeignKey("course.pk"), index=True)
    id: Mapped[str] = mapped_column(String(64))
    title: Mapped[str] = mapped_column(String(200))
    position: Mapped[int]
    opens_at: Mapped[dt.datetime | None]
    due_at: Mapped[dt.datetime | None]
    cutoff_at: Mapped[dt.datetime | None]  # None: the policy's cut-off days after the due time
    weight: Mapped[Decimal] = mapped_column(default=Decimal(1))  # in the average


class Problem(Base):
    __tablename__ = "problem"
    __table_args__ = (UniqueConstraint("assignment_pk", "id"),)

    pk: Mapped[int] = mapped_column(primary_key=True)
    assignment_pk: Mapped[int] = mapped_column(ForeignKey("assignment.pk"), index=True)
    id: Mapped[str] = mapped_column(String(80))
    title: Mapped[str] = mapped_column(String(200))
    position: Mapped[int]
    points: Mapped[Decimal]
    pool: Mapped[int] = mapped_column(default=1)  # variants to publish
    requires: Mapped[str | None] = mapped_column(String(80))  # hardware, such as `cuda`
    speed: Mapped[bool] = mapped_column(Boolean, default=False)  # has a leaderboard
    tolerance: Mapped[dict[str, Any]]
    current_pk: Mapped[int | None]  # the revision that counts; no foreign key, it would be a circle


class Revision(Base):
    """One published state of a problem; never changed afterwards."""

    __tablename__ = "revision"
    __table_args__ = (UniqueConstraint("problem_pk", "number"),)

    pk: Mapped[int] = mapped_column(primary_key=True)
    problem_pk: Mapped[int] = mapped_column(ForeignKey("problem.pk"), index=True)
    number: Mapped[int]
    note: Mapped[str] = mapped_column(Text, default="")
    labels: Mapped[list[Any]]
    tolerance: Mapped[dict[str, Any]]
    case_tolerances: Mapped[dict[str, Any]]
    sealed: Mapped[bool] = mapped_column(Boolean, default=False)
    digest: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[dt.datetime]
    author_pk: Mapped[int | None] = mapped_column(ForeignKey("account.pk"))


class Expected(Base):
    """The published values of one variant: compressed JSON list, one entry a case."""

    __tablename__ = "expected"

    revision_pk: Mapped[int] = mapped_column(ForeignKey("revision.pk"), primary_key=True)
    variant: Mapped[int] = mapped_column(primary_key=True)
    seed: Mapped[int] = mapped_column(BigInteger)
    inputs: Mapped[list[Any] | None]  # a digest of each case's inputs; None from older clients
    body: Mapped[bytes]


# -------------------------------------------------------------------------------------- attempts


class Attempt(Base):
    __tablename__ = "attempt"
    __table_args__ = (
        UniqueConstraint("account_pk", "idempotency_key"),
        Index("ix_attempt_account_problem_created", "account_pk", "problem_pk", "created_at"),
        Index("ix_attempt_problem_at", "problem_pk", "at"),
    )

    pk: Mapped[int] = mapped_column(BigId, primary_key=True)
    id: Mapped[str] = mapped_column(String(24), unique=True, default=lambda: new_id("a"))
    account_pk: Mapped[int] = mapped_column(ForeignKey("account.pk"))
    problem_pk: Mapped[int] = mapped_column(ForeignKey("problem.pk"))
    revision_pk: Mapped[int] = mapped_column(ForeignKey("revision.pk"))  # made against
    graded_pk: Mapped[int] = mapped_column(ForeignKey("revision.pk"))  # compared with
    variant: Mapped[int]
    origin: Mapped[str] = mapped_column(String(8))  # api, public
    created_at: Mapped[dt.datetime]
    at: Mapped[dt.datetime]  # last case received: what lateness is judged by
    idempotency_key: Mapped[str | None] = mapped_column(String(80))
    digest: Mapped[str] = mapped_column(String(64))  # SHA-256 of the canonical cases
    request_digest: Mapped[str] = mapped_column(String(64))
    correct: Mapped[int]
    total: Mapped[int]
    verdicts: Mapped[list[Any]]  # [kind] or [kind, submitted shape, expected shape] a case
    error: Mapped[dict[str, Any] | None]
    client: Mapped[dict[str, Any] | None]
    environment: Mapped[dict[str, Any] | None]
    receipt: Mapped[str | None] = mapped_column(Text)
    inputs: Mapped[list[Any] | None]  # a digest of each case's inputs; None from older clients
    stored_bytes: Mapped[int] = mapped_column(default=0)  # of its claims and sources, compressed


class Claim(Base):
    """What was submitted: compressed JSON list of encoded values from case `first` on.

    An attempt of our client is one row; the public client's is a row a case, and the primary key
    is what makes the first verdict of a case stand.
    """

    __tablename__ = "claim"

    attempt_pk: Mapped[int] = mapped_column(BigId, ForeignKey("attempt.pk"), primary_key=True)
    first: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[bytes]


class SourceBundle(Base):
    """The text files somebody chose to send along: compressed JSON manifest."""

    __tablename__ = "source_bundle"

    attempt_pk: Mapped[int] = mapped_column(BigId, ForeignKey("attempt.pk"), primary_key=True)
    body: Mapped[bytes]
    # SHA-256 of its text without spaces; None where it came before such digests were kept.
    digest: Mapped[str | None] = mapped_column(String(64))


class Remark(Base):
    """What somebody wrote to an attempt (services/remarks.py)."""

    __tablename__ = "remark"

    pk: Mapped[int] = mapped_column(primary_key=True)
    attempt_pk: Mapped[int] = mapped_column(BigId, ForeignKey("attempt.pk"), index=True)
    author_pk: Mapped[int] = mapped_column(ForeignKey("account.pk"), index=True)
    kind: Mapped[str] = mapped_column(String(10))  # comment, request, answer
    text: Mapped[str] = mapped_column(Text)
    created_at: Mapped[dt.datetime]


class Timing(Base):
    """What somebody says of their program for a speed problem; `size` is measured here."""

    __tablename__ = "timing"

    pk: Mapped[int] = mapped_column(primary_key=True)
    account_pk: Mapped[int] = mapped_column(ForeignKey("account.pk"))
    problem_pk: Mapped[int] = mapped_column(ForeignKey("problem.pk"), index=True)
    seconds: Mapped[float]
    device: Mapped[str] = mapped_column(String(80))
    operations: Mapped[int | None] = mapped_column(BigInteger)
    bytes: Mapped[int | None] = mapped_column(BigInteger)  # moved between memory and processor
    size: Mapped[int | None]  # characters of the source that came with the solution
    at: Mapped[dt.datetime]


class LookedAt(Base):
    """A coincidence that staff has looked at (services/coincidences.py), and what they found."""

    __tablename__ = "looked_at"
    __table_args__ = (UniqueConstraint("course_pk", "key"),)

    pk: Mapped[int] = mapped_column(primary_key=True)
    course_pk: Mapped[int] = mapped_column(ForeignKey("course.pk"))
    key: Mapped[str] = mapped_column(String(64))
    note: Mapped[str] = mapped_column(Text)
    author_pk: Mapped[int] = mapped_column(ForeignKey("account.pk"))
    created_at: Mapped[dt.datetime]


# ------------------------------------------------------------------------------------------ jobs


class Job(Base):
    """Stored attempts compared again with one revision, batch by batch (services/jobs.py).

    All of its state is here, so that any worker goes on where another one was killed.
    """

    __tablename__ = "job"
    __table_args__ = (Index("ix_job_state", "state"),)

    pk: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(String(24), unique=True, default=lambda: new_id("j"))
    course_pk: Mapped[int] = mapped_column(ForeignKey("course.pk"), index=True)
    problem_pk: Mapped[int] = mapped_column(ForeignKey("problem.pk"))
    revision_pk: Mapped[int] = mapped_column(ForeignKey("revision.pk"))  # compared with
    kind: Mapped[str] = mapped_column(String(10))  # regrade, publish, rollback
    actor: Mapped[str] = mapped_column(String(254))
    # waiting, running, stopped, done, failed, superseded
    state: Mapped[str] = mapped_column(String(10), default="waiting")
    error: Mapped[str] = mapped_column(Text, default="")
    cursor: Mapped[int] = mapped_column(BigInteger, default=0)  # last attempt done
    last_pk: Mapped[int] = mapped_column(BigInteger)  # last attempt when the job was made
    total: Mapped[int] = mapped_column(default=0)
    compared: Mapped[int] = mapped_column(default=0)
    skipped: Mapped[int] = mapped_column(default=0)
    changed: Mapped[int] = mapped_column(default=0)
    up: Mapped[int] = mapped_column(default=0)
    down: Mapped[int] = mapped_column(default=0)
    busy_seconds: Mapped[float] = mapped_column(default=0.0)  # by a clock that nobody sets
    worker: Mapped[str | None] = mapped_column(String(40))
    lease_until: Mapped[dt.datetime | None]
    created_at: Mapped[dt.datetime]
    finished_at: Mapped[dt.datetime | None]

    @property
    def active(self) -> bool:
        return self.state in ("waiting", "running")


class JobChange(Base):
    """One attempt whose right cases a job has changed in number; written with the change itself."""

    __tablename__ = "job_change"

    job_pk: Mapped[int] = mapped_column(ForeignKey("job.pk"), primary_key=True)
    attempt_pk: Mapped[int] = mapped_column(BigId, ForeignKey("attempt.pk"), primary_key=True)
    before: Mapped[int]
    after: Mapped[int]


# ------------------------------------------------------------------------------ staff's decisions


class Extension(Base):
    """More time for one account, or none asked of it; the newest row for an assignment counts."""

    __tablename__ = "extension"

    pk: Mapped[int] = mapped_column(primary_key=True)
    account_pk: Mapped[int] = mapped_column(ForeignKey("account.pk"), index=True)
    assignment_pk: Mapped[int] = mapped_column(ForeignKey("assignment.pk"))
    due_at: Mapped[dt.datetime | None]  # None and not excused: lifted
    excused: Mapped[bool] = mapped_column(Boolean, default=False)  # left out of the average
    reason: Mapped[str] = mapped_column(Text)
    author_pk: Mapped[int] = mapped_column(ForeignKey("account.pk"))
    created_at: Mapped[dt.datetime]


class Override(Base):
    """A score set by staff; the newest row for a problem counts."""

    __tablename__ = "override"

    pk: Mapped[int] = mapped_column(primary_key=True)
    account_pk: Mapped[int] = mapped_column(ForeignKey("account.pk"), index=True)
    problem_pk: Mapped[int] = mapped_column(ForeignKey("problem.pk"))
    points: Mapped[Decimal | None]  # None lifts it
    reason: Mapped[str] = mapped_column(Text)
    author_pk: Mapped[int] = mapped_column(ForeignKey("account.pk"))
    created_at: Mapped[dt.datetime]


class Audit(Base):
    """Append-only; each row's hash covers the row before (services/audit.py)."""

    __tablename__ = "audit"

    seq: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    course_pk: Mapped[int | None] = mapped_column(ForeignKey("course.pk"), index=True)
    at: Mapped[dt.datetime]
    actor: Mapped[str] = mapped_column(String(254))
    action: Mapped[str] = mapped_column(String(40))
    object: Mapped[str] = mapped_column(String(200))
    detail: Mapped[dict[str, Any]]
    hash: Mapped[str] = mapped_column(String(64), unique=True)


# ----------------------------------------------------------------------- project and certificate


ProjectState = Literal["forming", "proposed", "returned", "accepted", "submitted", "graded"]


class ProjectGroup(Base):
    __tablename__ = "project_group"

    pk: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(String(24), unique=True, default=lambda: new_id("g"))
    course_pk: Mapped[int] = mapped_column(ForeignKey("course.pk"), index=True)
    state: Mapped[ProjectState] = mapped_column(String(10))
    title: Mapped[str] = mapped_column(String(200), default="")
    proposal: Mapped[str] = mapped_column(Text, default="")
    report: Mapped[str] = mapped_column(Text, default="")  # address or text handed in
    feedback: Mapped[str] = mapped_column(Text, default="")
    marks: Mapped[dict[str, Any] | None]  # rubric id -> points as text
    grade: Mapped[Decimal | None]
    created_at: Mapped[dt.datetime]
    changed_at: Mapped[dt.datetime]


class GroupMember(Base):
    """An account's place in a group: invited first, then confirmed by themselves."""

    __tablename__ = "group_member"

    account_pk: Mapped[int] = mapped_column(ForeignKey("account.pk"), primary_key=True)
    group_pk: Mapped[int] = mapped_column(
        ForeignKey("project_group.pk"), primary_key=True, index=True
    )
    confirmed: Mapped[bool] = mapped_column(Boolean)


class Certificate(Base):
    __tablename__ = "certificate"

    pk: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(String(24), unique=True, default=lambda: new_id("c"))
    account_pk: Mapped[int] = mapped_column(ForeignKey("account.pk"), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    average: Mapped[Decimal]
    signed: Mapped[str] = mapped_column(Text)
    issued_at: Mapped[dt.datetime]
    revoked_at: Mapped[dt.datetime | None]
