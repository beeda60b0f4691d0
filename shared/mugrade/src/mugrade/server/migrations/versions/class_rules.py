"""Sections, standing extra time, excuses and weights; counts beside times; coincidences looked at."""

import sqlalchemy as sa
from alembic import op

revision = "class_rules"
down_revision = "remarks"
branch_labels = None
depends_on = None

COLUMNS: tuple[tuple[str, sa.Column], ...] = (
    ("account", sa.Column("section", sa.String(80), nullable=False, server_default="")),
    ("account", sa.Column("extra_days", sa.Integer(), nullable=False, server_default="0")),
    ("assignment", sa.Column("weight", sa.String(24), nullable=False, server_default="1")),
    ("extension", sa.Column("excused", sa.Boolean(), nullable=False, server_default=sa.false())),
    ("source_bundle", sa.Column("digest", sa.String(64), nullable=True)),
    ("timing", sa.Column("operations", sa.BigInteger(), nullable=True)),
    ("timing", sa.Column("bytes", sa.BigInteger(), nullable=True)),
    ("timing", sa.Column("size", sa.Integer(), nullable=True)),
)


def upgrade() -> None:
    for table, column in COLUMNS:
        op.add_column(table, column)
    op.create_table(
        "looked_at",
        sa.Column("pk", sa.Integer(), primary_key=True),
        sa.Column("course_pk", sa.Integer(), sa.ForeignKey("course.pk"), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("author_pk", sa.Integer(), sa.ForeignKey("account.pk"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("course_pk", "key"),
    )


def downgrade() -> None:
    op.drop_table("looked_at")
    for table, column in reversed(COLUMNS):
        op.drop_column(table, column.name)
