"""Regrades as jobs, digests of inputs, stored bytes, and what the server tells its commands."""

import sqlalchemy as sa
from alembic import op

revision = "jobs_and_inputs"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("expected", sa.Column("inputs", sa.JSON(), nullable=True))
    op.add_column("attempt", sa.Column("inputs", sa.JSON(), nullable=True))
    op.add_column(
        "attempt", sa.Column("stored_bytes", sa.Integer(), nullable=False, server_default="0")
    )
    op.create_table(
        "server_fact",
        sa.Column("name", sa.String(length=32), primary_key=True),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
    )
    _create_jobs()


def _create_jobs() -> None:
    counts = ("total", "compared", "skipped", "changed", "up", "down")
    op.create_table(
        "job",
        sa.Column("pk", sa.Integer(), primary_key=True),
        sa.Column("id", sa.String(length=24), nullable=False, unique=True),
        sa.Column(
            "course_pk", sa.Integer(), sa.ForeignKey("course.pk"), nullable=False, index=True
        ),
        sa.Column("problem_pk", sa.Integer(), sa.ForeignKey("problem.pk"), nullable=False),
        sa.Column("revision_pk", sa.Integer(), sa.ForeignKey("revision.pk"), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("actor", sa.String(length=254), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("last_pk", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in counts),
        sa.Column("busy_seconds", sa.Float(), nullable=False),
        sa.Column("worker", sa.String(length=40), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
    )
    op.create_index("ix_job_state", "job", ["state"])
    attempt_pk = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "job_change",
        sa.Column("job_pk", sa.Integer(), sa.ForeignKey("job.pk"), primary_key=True),
        sa.Column("attempt_pk", attempt_pk, sa.ForeignKey("attempt.pk"), primary_key=True),
        sa.Column("before", sa.Integer(), nullable=False),
        sa.Column("after", sa.Integer(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("job_change")
    op.drop_table("job")
    op.drop_table("server_fact")
    op.drop_column("attempt", "stored_bytes")
    op.drop_column("attempt", "inputs")
    op.drop_column("expected", "inputs")
