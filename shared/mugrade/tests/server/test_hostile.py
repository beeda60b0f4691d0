"""Whatever stands in a path, query, header, form or body is answered with 4xx, on both databases: no
500, no connection without an answer."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from live import live_grader
from mugrade.encoding import INT_MAX
from mugrade.server import pages
from mugrade.server.services import accounts, sessions
from mugrade.server.settings import Settings

from .browser import Browser
from .conftest import COURSE, Server, make_settings
from .test_security import BODIES, ROUTES

TEXTS = {
    "NUL": "a\0b",
    "controls": "\x01\x1b[31m\x7f\x9f",
    "line ends": "a\r\nSet-Cookie: x=1",
    "out of order": "\u202eabc\u2066",
    "no character": "\uffff\ufdd0",
    "wide": "\U0010ffff" * 40,
    "long": "x" * 9000,
    "number": "9" * 40,
    "negative": "-9223372036854775809",
    "exponent": "1e999",
    "quotes": "'\"`;--%s{0}${x}",
    "upwards": "../../%2e%2e/%00",
}
WIDER = {
    "/api/v1/assignments/{assignment}/problems/{problem}/attempts": {
        "revision": 1,
        "variant": 0,
        "cases": [{"label": "text", "value": [{"key": "text"}, 1]}],
        "error": {"kind": "crash", "message": "text"},
        "client": {"name": "text"},
        "environment": {"python": "text"},
        "source": [{"path": "text", "sha256": "0" * 64, "text": "text"}],
    },
    "/api/v1/assignments/{assignment}/problems/{problem}/revision": {
        "title": "text",
        "note": "text",
        "labels": ["text"],
        "points": 5,
        "base": 1,
        "tolerance": {"rtol": 1e-5},
        "variants": [{"variant": 0, "seed": 0, "values": [{"key": "text"}]}],
    },
    "/api/v1/device/code": {"client": "text", "scopes": ["read"]},
    "/api/v1/extensions": {
        "student": "student@example.org",
        "assignment": "hw0",
        "until": "2026-11-01T00:00:00Z",
        "reason": "text",
    },
}
RAW = ("%00", "%ff", "%ed%a0%80", "%", "%zz", "a%0d%0ab", "..%2f..%2fetc")
"""As they stand in the request line, not all of them well-formed."""
FIELDS = sorted(
    {
        name
        for file in (Path(pages.__file__).parent / "templates").rglob("*.html")
        for name in re.findall(r'\bname="([\w-]+)"', file.read_text(encoding="utf-8"))
    }
)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def hostile(request, tmp_path_factory):
    """A course with a little of everything; limits out of the way."""
    folder = tmp_path_factory.mktemp("hostile")
    made = make_settings(request, request.param, folder)
    generous = {
        "failures_per_account": 10**6,
        "failures_per_address": 10**6,
        "attempts_per_hour": 10**6,
    }
    known = {name: value for name, value in generous.items() if name in Settings.model_fields}
    server = Server(Settings(**made, **known)).load(COURSE)
    server.staff.publish("hw0/add", [1.5])
    server.student.attempt("hw0/add", 1.5)
    yield server
    server.close()


def ask(server, method, path, **options):
    """The answer's status, which is no 5xx but for 503 with a reason."""
    answer = server.client.request(method, path, **options)
    assert answer.status_code < 500, (method, path[:200], str(options)[:300], answer.text[:300])
    return answer


def signed(person):
    return {"Authorization": f"Bearer {person.token}"}


@pytest.mark.parametrize("word", TEXTS)
def test_in_paths_and_queries(hostile, word):
    text = quote(TEXTS[word], safe="")
    for method, route in ROUTES:
        names = set(re.findall(r"{(\w+)}", route.path))
        path = route.path
        for name in names:
            path = path.replace("{" + name + "}", text)
        query = "&".join(f"{param.alias}={text}" for param in route.dependant.query_params)
        for target in {path if names else "", f"{path}?{query}" if query else ""} - {""}:
            ask(hostile, method, target, headers=signed(hostile.staff), json=BODIES.get(route.path))
    for path in ("/submit", "/submit_test", "/publish"):
        for name in ("user_key", "assignment", "problem", "submission_id", "test_case_index"):
            given = {"user_key": hostile.staff.token, "assignment": "hw0", "problem": "add"}
            query = "&".join(
                f"{k}={quote(v, safe='')}" for k, v in {**given, name: TEXTS[word]}.items()
            )
            ask(hostile, "POST", f"{path}?{query}", json=[1])


@pytest.mark.parametrize("raw", RAW)
def test_in_the_request_line_itself(hostile, raw):
    for path in (
        "/{}",
        "/api/v1/{}",
        "/api/v1/assignments/{}",
        "/api/v1/assignments/hw0/problems/{}",
        "/api/v1/certificates/{}",
        "/homework/{}",
        "/verify/{}",
        "/static/{}",
        "/login?next={}",
        "/link?code={}",
    ):
        ask(hostile, "GET", path.format(raw), headers=signed(hostile.staff))


def _with(value, text):
    """Copies of a body, in each of which one text or number is replaced."""
    if isinstance(value, dict):
        for key in value:
            for changed in _with(value[key], text):
                yield {**value, key: changed}
            yield {**value, str(text): 1}
    elif isinstance(value, list):
        for index in range(len(value)):
            for changed in _with(value[index], text):
                yield [*value[:index], changed, *value[index + 1 :]]
    else:
        yield text


@pytest.mark.parametrize("word", [*TEXTS, "big", "negative number"])
def test_in_bodies(hostile, word):
    text = {"big": INT_MAX, "negative number": -(2**63)}.get(word, TEXTS.get(word))
    names = {"assignment": "hw0", "problem": "add", "group": "g_1", "attempt": "a_1", "job": "1"}
    for method, route in ROUTES:
        sample = WIDER.get(route.path) or BODIES.get(route.path, {})
        for body in _with(sample, text):
            ask(
                hostile,
                method,
                route.path.format(**names),
                headers=signed(hostile.staff),
                json=body,
            )


@pytest.mark.parametrize("word", TEXTS)
def test_in_headers_and_cookies(hostile, word):
    text = TEXTS[word].encode("utf-8", "surrogatepass")
    url = "/api/v1/assignments/hw0/problems/add/attempts"
    for name in ("Idempotency-Key", "User-Agent", "X-Forwarded-For", "Content-Type", "Accept"):
        headers = {**signed(hostile.student), name: text}
        ask(hostile, "POST", url, headers=headers, json={"cases": [{"value": 1}]})
    for name in ("Authorization", "Cookie", "Origin", "Host", "Sec-Fetch-Site"):
        value = {"Authorization": b"Bearer " + text, "Cookie": b"mugrade=" + text}.get(name, text)
        ask(hostile, "GET", "/api/v1/me", headers={name: value})
        ask(hostile, "POST", "/login", headers={name: value}, data={"email": "x", "password": "y"})


def browser_of(server, who):
    """Signed in anew, for some of the forms sign out."""
    browser = Browser(server)
    if who != "nobody":
        with server.app.state.database.write() as session:
            account = accounts.find(
                session, server.staff.account.course_pk, getattr(server, who).account.email
            )
            code = sessions.one_time_link(session, server.clock(), account)
        assert browser.post("/link", code=code).status_code == 303
    return browser


@pytest.mark.parametrize("word", TEXTS)
@pytest.mark.parametrize("who", ["staff", "student", "nobody"])
def test_in_pages_and_forms(hostile, word, who):
    text = TEXTS[word]
    known = {"assignment": "hw0", "problem": "add"}
    for route in hostile.app.routes:
        if not hasattr(getattr(route, "endpoint", None), "mugrade_page"):
            continue
        browser = browser_of(hostile, who)
        names = re.findall(r"{(\w+)(?::\w+)?}", route.path)
        for fill in ({}, known):
            path = re.sub(r":\w+}", "}", route.path)
            path = path.format(**{n: fill.get(n, quote(text, safe="")) for n in names})
            for method in route.methods & {"GET", "POST"}:
                if method == "GET":
                    query = "&".join(f"{name}={quote(text, safe='')}" for name in FIELDS)
                    answer = browser.client.get(f"{path}?{query}")
                else:
                    fields = {name: text for name in FIELDS}
                    answer = browser.post(path, **fields)
                assert answer.status_code < 500, (method, path[:200], answer.text[-500:])


HUGE = 2**39
ARRAYS = [
    {"dtype": "float64", "shape": [HUGE, HUGE, 0], "encoding": "base64", "data": ""},
    {"dtype": "float64", "shape": [HUGE, HUGE, 0], "data": []},
    {"dtype": "float64", "shape": [0, HUGE], "data": []},
    {"dtype": "int8", "shape": [2**40 - 1] * 16, "data": []},
    {"dtype": "float16", "shape": [], "data": 1e300},
    {
        "dtype": "uint8",
        "shape": [2],
        "encoding": "base64",
        "data": base64.b64encode(b"abc").decode(),
    },
    {"shape": [-1], "data": [1]},
    {"shape": [1.0], "data": [1]},
    {"data": [[[[]]], 1]},
    {"data": [1, "2"]},
    {"data": [10**19, -1]},
    {"dtype": "bool", "shape": [1], "data": [2]},
]


@pytest.mark.parametrize("array", ARRAYS, ids=str)
def test_in_arrays(hostile, array):
    value = {"_encoded_type": "np.ndarray", **array}
    person = hostile.student
    answer = person.post("/assignments/hw0/problems/add/attempts", {"cases": [{"value": value}]})
    assert answer.status_code in (201, 400, 422, 429), answer.text
    body = {"variants": [{"variant": 0, "seed": 0, "values": [value]}]}
    answer = hostile.staff.call("PUT", "/assignments/hw0/problems/add/revision", json=body)
    assert answer.status_code < 500, answer.text


@pytest.mark.parametrize(
    "text",
    [
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "2026-01-01T00:00:00+99:99",
        "1",
        "\0",
    ],
)
def test_in_times(hostile, text):
    value = {"_encoded_type": "datetime", "data": text}
    url = "/assignments/hw0/problems/add/attempts"
    assert hostile.student.post(url, {"cases": [{"value": value}]}).status_code < 500
    body = {"student": "student@example.org", "assignment": "hw0", "until": text, "reason": "r"}
    assert hostile.staff.post("/extensions", body).status_code < 500
    for name in ("opens_at", "due_at", "cutoff_at"):
        answer = hostile.staff.post("/times", {"assignment": "hw0", name: text})
        assert 400 <= answer.status_code < 500 or text == "1", answer.text


@pytest.mark.parametrize("path", ["/login", "/api/v1/device/code"])
def test_who_leaves_in_the_middle_of_a_body_is_no_fault_of_the_server(hostile, path):
    told = []
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b""}
    scope["headers"] = [(b"origin", hostile.settings.web.rstrip("/").encode())]
    arriving = iter([{"type": "http.request", "body": b"a=", "more_body": True}])

    async def receive():
        return next(arriving, {"type": "http.disconnect"})

    async def send(message):
        told.append(message)

    hostile.client.portal.call(hostile.app, scope, receive, send)
    assert told[0]["status"] == 400


def test_a_due_time_leaves_room_for_an_extension(hostile):
    for due, status in (("9000-12-31T23:59:59Z", 200), ("9001-01-01T00:00:00Z", 422)):
        body = {"assignment": "hw0", "due_at": due, "cutoff_at": None}
        assert hostile.staff.post("/times", body).status_code == status
        given = {"student": "student@example.org", "assignment": "hw0", "days": 365, "reason": "r"}
        assert hostile.staff.post("/extensions", given).status_code == 200


def test_minus_nothing_is_nothing(hostile):
    body = {"student": "student@example.org", "assignment": "hw0", "problem": "add", "reason": "r"}
    assert hostile.staff.post("/overrides", {**body, "points": "-0"}).json() == {"score": "0.00"}


def test_answers_of_the_api_are_neither_kept_nor_guessed_at(hostile):
    for method, path in (
        ("GET", "/api/v1/meta"),
        ("GET", "/api/v1/me"),
        ("GET", "/api/v1/nothing"),
        ("GET", "/api/v1/assignments/%00"),
        ("POST", "/submit"),
        ("GET", "/api/v1/openapi.json"),
        ("GET", "/readyz"),
    ):
        headers = hostile.client.request(method, path).headers
        assert headers["Cache-Control"] == "no-store", path
        assert headers["X-Content-Type-Options"] == "nosniff", path


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_schemathesis_finds_nothing(request, tmp_path, kind):
    """Its own command line, against a grader that listens: every operation, values in and out of the
    described bounds, in a fixed order."""
    folder = tmp_path / "server"
    folder.mkdir()
    made = make_settings(request, kind, folder)
    made.pop("data_dir")
    with live_grader(folder, attempts_per_hour=10**6, **made) as grader:
        command = [Path(sys.executable).with_name("schemathesis")]
        command += ["--config-file", Path(__file__).parents[1] / "schemathesis.toml"]
        command += ["run", f"{grader.url}api/v1/openapi.json", "--phases", "coverage,fuzzing"]
        command += ["--max-examples", "3", "--seed", "1", "--no-shrink", "--warnings", "off"]
        command += ["--header", f"Authorization: Bearer {grader.staff_key}"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
