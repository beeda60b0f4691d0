"""The OpenAPI description is true: schemathesis asks every operation what it promises."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from mugrade.server.settings import Settings
from schemathesis.checks import CHECKS, load_all_checks

from .conftest import COURSE, Server, make_settings
from .test_security import ROUTES

load_all_checks()
# What our own tests ask more exactly: test_security.py (who may call) and test_api.py (404s).
EXCLUDED = [CHECKS.get_one(name) for name in ("ignored_auth", "unsupported_method")]
# These refuse well-formed requests for what they say (an unknown device code, a case without value,
# a name that is no address, a tolerance above 1e-2): 400 by docs/api.md.
JUDGING = (
    "/device/token",
    "/attempts",
    "/revision",
    "/regrade",
    "/rollback",
    "/roster",
    "/extensions",
    "/overrides",
    "/invitations",
    "/proposal",
    "/grade",
    "/links",
    "/roles",
    "/revocations",
    "/times",
)


@pytest.fixture(scope="module")
def live(request, tmp_path_factory):
    """A course with a published problem, an attempt and a group; limits out of the way."""
    folder = tmp_path_factory.mktemp("openapi")
    made = make_settings(request, "sqlite", folder)
    server = Server(
        Settings(
            **made,
            failures_per_account=10**6,
            failures_per_address=10**6,
            terminals_per_address=10**6,
            attempts_per_hour=10**6,
        )
    ).load(COURSE)
    server.staff.publish("hw0/add", [1])
    server.student.attempt("hw0/add", 1)
    yield server
    server.close()


OPERATIONS = [(method, route.path) for method, route in ROUTES if route.path != "/api/v1/me/token"]


@pytest.mark.parametrize("method, path", OPERATIONS, ids=[f"{m} {p}" for m, p in OPERATIONS])
def test_every_operation_keeps_its_promise(live, method, path):
    """Statuses, content types and bodies are those described; never a 5xx."""
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", live.app)
    turn = itertools.count()
    judging = method != "GET" and path.endswith(JUDGING)
    excluded = EXCLUDED + [CHECKS.get_one("positive_data_acceptance")] * judging

    @given(case=schema[path][method].as_strategy())
    @settings(
        max_examples=16,
        deadline=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case):
        number = next(turn)
        for name, existing in (("assignment", "hw0"), ("problem", "add")):
            if name in (case.path_parameters or {}) and number % 4:  # often, something that exists
                case.path_parameters[name] = existing
        person = live.staff if number % 2 else live.student
        case.call_and_validate(
            headers={"Authorization": f"Bearer {person.token}"}, excluded_checks=excluded
        )

    ask()


def test_another_method_is_405_and_names_those_there_are(live):
    for path, operations in live.app.openapi()["paths"].items():
        real = path.replace("{assignment}", "hw0").replace("{problem}", "add")
        answer = live.client.request("OPTIONS", re.sub(r"\{\w+\}", "x", real))
        assert answer.status_code == 405, path
        named = set(answer.headers["allow"].split(", "))
        assert named == {method.upper() for method in operations}, path


def test_the_page_of_the_wire_format_and_the_description_name_the_same_operations(live):
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
    page = page.partition("## The public dialect")[0]
    told = {
        f"{method} /api/v1{path.removeprefix('/api/v1')}"
        for method, path in re.findall(r"`(GET|POST|PUT|DELETE) (/[^\s`]*)", page)
    }
    described = {
        f"{method.upper()} {path}"
        for path, operations in live.app.openapi()["paths"].items()
        for method in operations
    }
    assert told == described


def test_every_route_is_described_with_its_errors(live):
    description = live.app.openapi()
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            assert operation.get("summary"), f"{method} {path}"
            assert {"400", "404"} <= set(operation["responses"]), f"{method} {path}"
    assert "/submit" not in description["paths"], "legacy keys do not belong into a description"
