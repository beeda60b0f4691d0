"""From every schema that was ever released to today's, on both databases."""

from __future__ import annotations

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from mugrade.server.db import Database, _alembic_config, revisions
from mugrade.server.models import Base
from mugrade.server.settings import Settings


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("older", revisions()[::-1])
def test_every_older_schema_becomes_the_one_that_the_models_describe(
    request, tmp_path, kind, older
):
    given = {"data_dir": tmp_path}
    if kind == "postgresql":
        url = request.getfixturevalue("postgres")
        with psycopg.connect(url + "postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE from_{older}")
        given["database_url"] = url + f"from_{older}"
    settings = Settings(**given)
    database = Database(settings)
    with database.engine.execution_options(mugrade_write=True).begin() as connection:
        config = _alembic_config(settings)
        config.attributes["connection"] = connection
        command.upgrade(config, older)
    database.migrate()
    with database.engine.connect() as connection:
        # SQLite has one type of floats; of types PostgreSQL tells more.
        context = MigrationContext.configure(
            connection, opts={"compare_type": not database.is_sqlite}
        )
        differences = compare_metadata(context, Base.metadata)
    database.close()
    assert differences == []
