"""A hostile client: every route's ownership and scope, hostile bodies, nothing secret in logs."""

from __future__ import annotations

import json

import pytest
from mugrade.server.api import open as open_routes
from mugrade.server.api import people, project, staff, student
from mugrade.server.routing import StrictRoute
from mugrade.server.settings import Settings

from .browser import Browser
from .conftest import COURSE, Person, Server, make_settings

ROUTES = [
    (method, route)
    for module in (open_routes, student, staff, people, project)
    for route in module.router.routes
    if isinstance(route, StrictRoute)
    for method in sorted(route.methods)
]
IDS = [f"{method} {route.path}" for method, route in ROUTES]
BODIES = {
    "/api/v1/device/code": {},
    "/api/v1/device/token": {"device_code": "x"},
    "/api/v1/assignments/{assignment}/problems/{problem}/attempts": {"cases": []},
    "/api/v1/assignments/{assignment}/problems/{problem}/timing": {"seconds": 1},
    "/api/v1/assignments/{assignment}/problems/{problem}/revision": {
        "variants": [{"variant": 0, "seed": 0, "values": [1]}]
    },
    "/api/v1/assignments/{assignment}/problems/{problem}/regrade": {},
    "/api/v1/assignments/{assignment}/problems/{problem}/rollback": {"revision": 1},
    "/api/v1/roster": {"csv": "email,name\n"},
    "/api/v1/invitations": {"people": ["student@example.org"]},
    "/api/v1/links": {"person": "student@example.org"},
    "/api/v1/roles": {"person": "student@example.org"},
    "/api/v1/revocations": {"student": "student@example.org", "reason": "r"},
    "/api/v1/times": {"assignment": "hw0", "due_at": None},
    "/api/v1/extensions": {"student": "s@example.org", "assignment": "hw0", "days": 1},
    "/api/v1/overrides": {
        "student": "s@example.org",
        "assignment": "hw0",
        "problem": "add",
        "points": 1,
    },
    "/api/v1/project/invitations": {"email": "student@example.org"},
    "/api/v1/project/proposal": {"title": "t", "text": "t"},
    "/api/v1/project/report": {"report": "r"},
    "/api/v1/projects/{group}/decision": {"accept": True},
    "/api/v1/projects/{group}/grade": {"marks": {"idea": 1, "result": 1}},
}
OTHER_COURSE = (
    COURSE.replace('id = "demo"', 'id = "other"')
    .replace("demo-code", "other-code")
    .replace('"hw0"', '"xw0"')
    .replace('"hw1"', '"xw1"')
)


def call(person: Person, method, route, body="own", **names):
    path = route.path_format.format(**names).removeprefix("/api/v1")
    content = BODIES.get(route.path) if body == "own" else body
    return person.call(method, path, json=content)


@pytest.fixture(scope="module")
def objects(request, tmp_path_factory):
    """Course `demo` with one of every object, all belonging to `student` and `mate`; and a course `other`.

    One for all tests of the module: nothing that they are allowed to do changes it.
    """
    folder = tmp_path_factory.mktemp("objects")
    lite = Server(Settings(**make_settings(request, "sqlite", folder))).load()
    lite.load(OTHER_COURSE)
    lite.staff.publish("hw0/add", [1])
    lite.staff.publish("hw0/softmax", [1])
    attempt = lite.student.attempt("hw0/add", 1).json()["id"]
    regrade = {"dry_run": False}
    job = lite.staff.post("/assignments/hw0/problems/add/regrade", regrade).json()["job"]
    lite.student.post("/project/group")
    group = lite.student.post("/project/invitations", {"email": lite.person("mate").account.email})
    yield (
        lite,
        {
            "assignment": "hw0",
            "problem": "add",
            "attempt": attempt,
            "job": job,
            "group": group.json()["id"],
            "certificate": "c_0000000000000000",
        },
    )
    lite.close()


PERSONAL = [(m, r) for m, r in ROUTES if "{attempt}" in r.path or "{group}" in r.path]
WITH_OBJECT = [(m, r) for m, r in ROUTES if "{" in r.path and "{certificate}" not in r.path]


@pytest.mark.parametrize("method, route", PERSONAL, ids=[f"{m} {r.path}" for m, r in PERSONAL])
def test_another_students_object_is_not_found(objects, method, route):
    lite, names = objects
    answer = call(lite.person("stranger"), method, route, **names)
    needs_staff = route.endpoint.mugrade_scope == "grade"
    assert answer.status_code == (403 if needs_staff else 404), answer.text


@pytest.mark.parametrize(
    "method, route", WITH_OBJECT, ids=[f"{m} {r.path}" for m, r in WITH_OBJECT]
)
def test_another_courses_object_is_not_found_even_for_its_staff(objects, method, route):
    lite, names = objects
    answer = call(lite.person("foreign", "instructor", course="other"), method, route, **names)
    assert answer.status_code == 404, answer.text
    assert answer.json()["code"] == "not_found"


@pytest.mark.parametrize("path", ["/extensions", "/overrides"])
def test_staff_cannot_decide_about_another_courses_student(objects, path):
    lite, _ = objects
    body = {**BODIES[f"/api/v1{path}"], "student": "student@example.org", "assignment": "xw0"}
    answer = lite.person("foreign", "instructor", course="other").post(path, body)
    assert answer.status_code == 404
    body["student"] = lite.student.account.id
    assert lite.person("foreign").post(path, body).status_code == 404


def test_lists_hold_only_the_own_course_and_the_own_attempts(objects):
    lite, _ = objects
    foreign = lite.person("foreign", "instructor", course="other")
    assert foreign.get("/grades").json()["students"] == []
    assert {p["email"] for p in foreign.get("/roster").json()["people"]} == {
        "foreign@example.org",
        "teacher@example.org",
        "grader@example.org",
    }
    assert foreign.get("/projects").json()["groups"] == []
    assert all("demo" not in json.dumps(e) for e in foreign.get("/audit").json()["entries"])
    stranger = lite.person("stranger")
    assert stranger.get("/assignments/hw0/problems/add/attempts").json() == {"attempts": []}
    assert stranger.get("/me/data").json()["attempts"] == []


CLOSED = [(m, r) for m, r in ROUTES if r.endpoint.mugrade_scope is not None]


@pytest.mark.parametrize("method, route", CLOSED, ids=[f"{m} {r.path}" for m, r in CLOSED])
def test_without_a_token_nothing_is_read(objects, method, route):
    lite, names = objects
    read = 0

    def body():
        nonlocal read
        for _ in range(100):
            read += 1
            yield b"0" * 100_000

    path = route.path_format.format(**names)
    answer = lite.client.request(
        method, path, content=body(), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 401 and answer.json()["code"] == "bad_token"


STAFF = [(m, r) for m, r in CLOSED if r.endpoint.mugrade_scope in ("grade", "publish", "roster")]


@pytest.mark.parametrize("method, route", STAFF, ids=[f"{m} {r.path}" for m, r in STAFF])
def test_staff_routes_are_closed_to_students_and_to_lesser_tokens(objects, method, route):
    lite, names = objects
    assert call(lite.student, method, route, **names).status_code == 403
    if route.endpoint.mugrade_scope in ("publish", "roster"):
        assert call(lite.person("assistant", "grader"), method, route, **names).status_code == 403


def test_a_token_is_never_more_than_its_scopes_nor_its_role(lite):
    from mugrade.server.services import tokens

    boss = lite.staff
    with lite.database.write() as session:
        account = session.get_one(type(boss.account), boss.account.pk)
        token, _ = tokens.issue(session, lite.clock(), account, name="narrow", scopes=["publish"])
    narrow = Person(lite, boss.account, token)
    assert narrow.publish("hw0/add", [1]).status_code == 200
    assert narrow.get("/grades").status_code == 403 and narrow.get("/me").status_code == 403
    with lite.database.write() as session:
        session.get_one(type(boss.account), boss.account.pk).role = "student"
    assert boss.publish("hw0/add", [2]).status_code == 403
    with lite.database.write() as session:
        session.get_one(type(boss.account), boss.account.pk).active = False
    assert boss.get("/me").status_code == 401


def test_a_route_must_say_who_may_call_it():
    from fastapi import APIRouter

    with pytest.raises(TypeError, match="who may call it"):
        APIRouter(route_class=StrictRoute).add_api_route("/x", lambda: None)


# -------------------------------------------------------------------------------- hostile bodies


def nested(depth):
    return b'{"cases":[{"value":' + b"[" * depth + b"]" * depth + b"}]}"


HOSTILE = {
    "empty": b"",
    "not JSON": b"hello",
    "NaN": b'{"cases":[{"value":NaN}]}',
    "infinity": b'{"cases":[{"value":1e999}]}',
    "integer of 5000 digits": b'{"cases":[{"value":' + b"9" * 5000 + b"}]}",
    "integer of 65 bits": b'{"cases":[{"value":18446744073709551616}]}',
    "depth 10000": nested(10_000),
    "depth 40": nested(40),
    "broken UTF-8": b'{"cases":[{"value":"\xff"}]}',
    "lone surrogate": b'{"cases":[{"value":"\\ud800"}]}',
    "a million nodes": b'{"cases":[{"value":[' + b"0," * 1_000_000 + b"0]}]}",
    "a million empty lists": b'{"cases":[{"value":[' + b"[]," * 1_000_000 + b"[]]}]}",
    "array without data": b'{"cases":[{"value":{"_encoded_type":"np.ndarray"}}]}',
    "ragged array": b'{"cases":[{"value":{"_encoded_type":"np.ndarray","data":[[1],[1,2]]}}]}',
    "object array": b'{"cases":[{"value":{"_encoded_type":"np.ndarray","data":[null]}}]}',
    "huge shape": b'{"cases":[{"value":{"_encoded_type":"np.ndarray","dtype":"int8","shape":[1099511627775,99999],'
    b'"encoding":"base64","data":""}}]}',
    "negative shape": b'{"cases":[{"value":{"_encoded_type":"np.ndarray","dtype":"int8","shape":[-1],"data":[1]}}]}',
    "bad base64": b'{"cases":[{"value":{"_encoded_type":"np.ndarray","dtype":"int8","shape":[3],'
    b'"encoding":"base64","data":"!!!!"}}]}',
    "pickle": b'{"cases":[{"value":{"_encoded_type":"pickle","data":"gASVAA=="}}]}',
    "a list": b"[]",
    "cases is text": b'{"cases":"all"}',
    "2000 cases": b'{"cases":[' + b'{"value":1},' * 1999 + b'{"value":1}]}',
    "NUL in text": b'{"cases":[],"error":{"kind":"exception","message":"\\u0000"}}',
    "one case over 1 MiB": b'{"cases":[{"value":"' + b"x" * ((1 << 20) + 10) + b'"}]}',
    "over 4 MiB": b'{"cases":[{"value":"' + b"x" * (4 << 20) + b'"}]}',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_attempts_are_4xx(lite, name):
    lite.staff.publish("hw0/add", [1])
    answer = lite.student.call(
        "POST",
        "/assignments/hw0/problems/add/attempts",
        content=HOSTILE[name],
        headers={"Content-Type": "application/json"},
    )
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) < 5000, "an error must not echo its cause"
    assert lite.student.get("/assignments/hw0/problems/add/attempts").json() == {"attempts": []}


def test_nul_in_a_submitted_string_is_a_value_like_any_other(server):
    """Values are stored compressed, so a NUL cannot reach a text column of PostgreSQL."""
    server.staff.publish("hw0/add", ["a\0b"])
    assert server.student.attempt("hw0/add", "a\0b").json()["correct"] == 1
    bad = server.student.attempt("hw0/add", 1, client={"a\0": 1})
    assert bad.status_code == 422


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_compressed_bodies_are_not_unpacked(lite, encoding):
    answer = lite.student.call(
        "POST",
        "/assignments/hw0/problems/add/attempts",
        content=b"\x1f\x8b" + b"\0" * 100,
        headers={"Content-Type": "application/json", "Content-Encoding": encoding},
    )
    assert answer.status_code == 400


def test_no_key_in_any_log(lite, caplog):
    caplog.set_level("DEBUG")
    lite.staff.publish("hw0/add", [1])
    lite.student.attempt("hw0/add", 1)
    lite.student.get("/me?user_key=" + lite.student.token)
    lite.client.get("/api/v1/me", headers={"Authorization": "Bearer mug_guess"})
    ours = [
        r.getMessage()
        for r in caplog.records
        if not r.name.startswith(("httpx", "httpcore", "asyncio"))
    ]
    assert ours and not any("mug_" in line for line in ours)


def test_a_failure_inside_is_500_without_details(lite, monkeypatch):
    from mugrade.server.services import overview

    monkeypatch.setattr(overview, "of_account", lambda *a: 1 / 0)
    answer = lite.student.get("/assignments")
    assert answer.status_code == 500 and answer.json()["code"] == "unavailable"
    assert "division" not in answer.text


def test_sign_up_never_makes_staff_and_needs_the_code(lite):
    browser = Browser(lite)
    assert browser.sign_up("new", email="New@Example.org").status_code == 303
    for fields, status in (
        ({}, 409),
        ({"email": "teacher@example.org"}, 409),
        ({"code": "guess"}, 404),
        ({"email": "nobody"}, 400),
        ({"email": "a@x.org", "password": "short"}, 400),
    ):
        assert Browser(lite).sign_up("new", **fields).status_code == status
    assert Browser(lite).sign_in("new@example.org").status_code == 303
    assert Browser(lite).get("/staff").status_code == 303
    assert browser.get("/staff").status_code == 404, "a student"
    for email, password in (
        ("new@example.org", "wrong"),
        ("nobody@example.org", "x"),
        ("teacher@example.org", ""),
    ):
        assert Browser(lite).sign_in(email, password).status_code == 401


def test_links_and_sessions_end(lite):
    from mugrade.server.errors import Refusal
    from mugrade.server.services import accounts, sessions

    course_pk = lite.student.account.course_pk
    with lite.database.write() as session:
        account = accounts.find(session, course_pk, "teacher@example.org")
        secret = sessions.one_time_link(session, lite.clock(), account)
        cookie = sessions.use_link(session, lite.clock(), secret)
        with pytest.raises(Refusal, match="used"):
            sessions.use_link(session, lite.clock(), secret)
        actor = sessions.actor(session, lite.clock(), cookie)
        assert actor is not None and actor.role == "instructor"
        assert sessions.actor(session, lite.clock(), secret) is None, "a link is no cookie"
        sessions.sign_out(session, lite.clock(), actor)
        session.flush()
        assert sessions.actor(session, lite.clock(), cookie) is None
        second = sessions.open_session(session, lite.clock(), account)
        lite.clock.forward(days=31)
        assert sessions.actor(session, lite.clock(), second) is None
