"""A fresh server for a test, on SQLite or on a private PostgreSQL cluster."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient
from mugrade.encoding import encode
from mugrade.server import coursefile
from mugrade.server.app import create_app
from mugrade.server.db import Database
from mugrade.server.models import Account
from mugrade.server.services import accounts, course_edit, courses, tokens
from mugrade.server.settings import Settings
from mugrade.server.testing import PostgresMissing, private_postgres, programs

NOON = dt.datetime(2026, 10, 1, 12, 0, tzinfo=dt.timezone.utc)
COURSE = """
[course]
id = "demo"
title = "Demonstration"
code = "demo-code"

[certificate]
average = 80
project = true

[late]
percent_per_day = 10
pooled_days = 2
cutoff_days = 7
grace_minutes = 15

[[assignment]]
id = "hw0"
title = "Softmax"
due_at = 2026-10-08T12:00:00Z

[[assignment.problem]]
id = "add"
title = "Adding"
points = 5

[[assignment.problem]]
id = "softmax"
points = 15
pool = 4
speed = true

[[assignment]]
id = "hw1"
opens_at = 2026-10-05T12:00:00Z
due_at = 2026-10-20T12:00:00Z

[[assignment.problem]]
id = "backward"
points = 20

[[rubric]]
id = "idea"
title = "Idea"
points = 40

[[rubric]]
id = "result"
title = "Result"
points = 60

[[person]]
email = "teacher@example.org"
name = "Tea Cher"
role = "instructor"

[[person]]
email = "grader@example.org"
name = "Gra Der"
role = "grader"
"""


@pytest.fixture(scope="session")
def postgres(request):
    """URL of a running cluster; without PostgreSQL its tests are skipped, never in CI."""
    if request.config.getoption("--no-postgres"):
        pytest.skip("left out by --no-postgres")
    try:
        programs()
    except PostgresMissing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
    with private_postgres() as url:
        yield url


_names = itertools.count()


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("template")
    database = Database(Settings(data_dir=folder))
    database.migrate()
    database.close()
    return folder / "mugrade.sqlite3"


@pytest.fixture(scope="session")
def _postgres_template(postgres):
    with psycopg.connect(postgres + "postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE template_mugrade")
    database = Database(Settings(database_url=postgres + "template_mugrade"))
    database.migrate()
    database.close()
    return "template_mugrade"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_settings(request, tmp_path):
    """Settings for an empty, migrated database of either kind."""
    return make_settings(request, request.param, tmp_path)


def make_settings(request, kind: str, folder: Path) -> dict[str, Any]:
    if kind == "sqlite":
        template = request.getfixturevalue("_sqlite_template")
        shutil.copy(template, folder / "mugrade.sqlite3")
        return {"data_dir": folder, "sqlite_synchronous": "NORMAL"}
    url, template = (
        request.getfixturevalue("postgres"),
        request.getfixturevalue("_postgres_template"),
    )
    name = f"test_{next(_names)}"
    with psycopg.connect(url + "postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    return {"data_dir": folder, "database_url": url + name}


class Clock:
    """A time that tests move by hand."""

    def __init__(self, now: dt.datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> dt.datetime:
        return self.now

    def forward(self, **delta: float) -> None:
        self.now += dt.timedelta(**delta)


@dataclass
class Person:
    """Somebody with a token, talking to the server."""

    server: Server
    account: Account
    token: str

    def call(self, method: str, path: str, **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        return self.server.client.request(method, "/api/v1" + path, headers=headers, **options)

    def get(self, path: str, **options: Any) -> Any:
        return self.call("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> Any:
        return self.call("POST", path, json=json, **options)

    def attempt(self, problem: str, *values: Any, key: str | None = None, **fields: Any) -> Any:
        assignment, name = problem.split("/")
        body = {"cases": [{"label": None, "value": encode(v)} for v in values], **fields}
        headers = {"Idempotency-Key": key} if key else {}
        return self.post(
            f"/assignments/{assignment}/problems/{name}/attempts", body, headers=headers
        )

    def publish(self, problem: str, *variants: list[Any], **fields: Any) -> Any:
        assignment, name = problem.split("/")
        body = {
            "variants": [
                {"variant": i, "seed": 100 + i, "values": [encode(v) for v in values]}
                for i, values in enumerate(variants)
            ],
            **fields,
        }
        return self.call("PUT", f"/assignments/{assignment}/problems/{name}/revision", json=body)


@dataclass
class Server:
    """One application with its clock and people."""

    settings: Settings
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.app = create_app(self.settings, self.clock)
        self.client = TestClient(self.app, raise_server_exceptions=False)
        self.database = self.app.state.database
        self.people: dict[str, Person] = {}

    def load(self, text: str = COURSE) -> Server:
        with self.database.write() as session:
            course_edit.apply_file(session, self.clock(), coursefile.parse(text), actor="test")
        return self

    def person(self, name: str, role: str = "student", course: str = "demo") -> Person:
        """`name` with an account of that role and a token of all its scopes; made on first use."""
        if name not in self.people:
            with self.database.write() as session:
                row = next(c for c in courses.courses(session) if c.id == course)
                account = accounts.add_account(
                    session,
                    self.clock(),
                    row,
                    email=f"{name}@example.org",
                    name=name.title(),
                    role=role,
                )
                token, _ = tokens.issue(session, self.clock(), account, name="test")
            self.people[name] = Person(self, account, token)
        return self.people[name]

    @property
    def staff(self) -> Person:
        return self.person("staff", "instructor")

    @property
    def student(self) -> Person:
        return self.person("student")

    def close(self) -> None:
        self.client.close()
        self.database.close()


@pytest.fixture
def server(database_settings):
    """A server with the demonstration course, on both databases."""
    made = Server(Settings(**database_settings)).load()
    yield made
    made.close()


@pytest.fixture
def lite(request, tmp_path):
    """The same on SQLite only, for what the database has no part in."""
    made = Server(Settings(**make_settings(request, "sqlite", tmp_path))).load()
    yield made
    made.close()
