"""Identity: failed tries are counted here, links may set a password, terminals tell where they are."""

import sqlalchemy as sa
from alembic import op

revision = "identity"
down_revision = "jobs_and_inputs"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "failed_try",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("pk"),
    )
    op.create_index("ix_failed_try_subject", "failed_try", ["subject", "at"])
    op.add_column(
        "web_session",
        sa.Column("resets", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    for name in ("address", "block"):
        op.add_column(
            "device_login",
            sa.Column(name, sa.String(length=64), nullable=False, server_default=""),
        )
    op.add_column("device_login", sa.Column("scopes", sa.JSON(), nullable=True))
    op.create_index("ix_device_login_block", "device_login", ["block"])


def downgrade() -> None:
    raise NotImplementedError("Restore the backup that was made before the upgrade.")
