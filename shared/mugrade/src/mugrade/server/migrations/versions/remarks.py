"""Remarks: what staff and students write to an attempt."""

import sqlalchemy as sa
from alembic import op

revision = "remarks"
down_revision = "identity"
branch_labels = None
depends_on = None


def upgrade() -> None:
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "remark",
        sa.Column("pk", sa.Integer(), primary_key=True),
        sa.Column("attempt_pk", big, sa.ForeignKey("attempt.pk"), nullable=False, index=True),
        sa.Column(
            "author_pk", sa.Integer(), sa.ForeignKey("account.pk"), nullable=False, index=True
        ),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("remark")
