"""Alembic's entry point; mugrade passes its own connection."""

from alembic import context
from mugrade.server.models import Base
from sqlalchemy import create_engine

config = context.config


def run(connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()


if (given := config.attributes.get("connection")) is not None:
    run(given)
else:
    with create_engine(config.get_main_option("sqlalchemy.url", "")).begin() as own:
        run(own)
