"""Headers, origins, ownership: what a browser test would not notice."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import requests
from pupils import PASSWORD, email


def session(grader: SimpleNamespace, name: str) -> requests.Session:
    made = requests.Session()
    made.headers["Origin"] = grader.url.rstrip("/")
    answer = made.post(
        grader.url + "login", data={"email": email(name), "password": PASSWORD, "next": "/"}
    )
    assert answer.url.endswith("dashboard")
    return made


def staff_session(grader: SimpleNamespace) -> requests.Session:
    made = requests.Session()
    made.headers["Origin"] = grader.url.rstrip("/")
    code = grader.link("staff@example.org").partition("code=")[2]
    assert made.post(grader.url + "link", data={"code": code}).ok
    return made


@pytest.mark.parametrize("path", ["", "login", "nowhere", "certificates/c_0"])
def test_every_page_forbids_foreign_and_inline_code(school: SimpleNamespace, path: str):
    answer = requests.get(school.url + path)
    policy = answer.headers["Content-Security-Policy"]
    assert (
        "default-src 'none'" in policy
        and "unsafe" not in policy
        and "frame-ancestors 'none'" in policy
    )
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert (
        "<script>" not in answer.text
        and " style=" not in answer.text
        and " onclick" not in answer.text
    )


@pytest.mark.parametrize("origin", [None, "https://evil.example", "null", "http://127.0.0.1:1"])
def test_a_form_from_elsewhere_is_refused(school: SimpleNamespace, origin: str | None):
    with session(school, "Ada Lovelace") as mine:
        del mine.headers["Origin"]
        headers = {"Origin": origin} if origin else {}
        answer = mine.post(school.url + "keys", data={"name": "x"}, headers=headers)
        assert answer.status_code == 403 and "mug_" not in answer.text


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(school: SimpleNamespace):
    answer = requests.post(
        school.url + "login",
        data={"email": email("Ada Lovelace"), "password": PASSWORD},
        headers={"Origin": school.url.rstrip("/")},
        allow_redirects=False,
    )
    cookie = answer.headers["Set-Cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie


@pytest.mark.parametrize(
    "path",
    ["dashboard", "keys", "homework/hw0", "project", "certificate", "data", "data.json", "staff"],
)
def test_strangers_are_sent_to_sign_in(school: SimpleNamespace, path: str):
    answer = requests.get(school.url + path, allow_redirects=False)
    assert answer.status_code == 303 and answer.headers["Location"].startswith("/login?next=")


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:1"]
)
def test_sign_in_never_leads_to_another_site(school: SimpleNamespace, target: str):
    answer = requests.post(
        school.url + "login",
        data={"email": email("Ada Lovelace"), "password": PASSWORD, "next": target},
        headers={"Origin": school.url.rstrip("/")},
        allow_redirects=False,
    )
    assert answer.headers["Location"] == "/"


STAFF_PATHS = [
    "staff",
    "staff/grades",
    "staff/grades.csv",
    "staff/problems/hw0/norm",
    "staff/projects",
    "staff/roster",
    "staff/audit",
]


@pytest.mark.parametrize("path", STAFF_PATHS)
def test_students_do_not_find_staffs_pages(school: SimpleNamespace, path: str):
    with session(school, "Ada Lovelace") as mine:
        assert mine.get(school.url + path).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "staff/code",
        "staff/roster",
        "staff/problems/hw0/norm/tolerance",
        "staff/projects/g_0/decide",
        "staff/projects/g_0/grade",
    ],
)
def test_students_cannot_post_to_staffs_pages(school: SimpleNamespace, path: str):
    with session(school, "Ada Lovelace") as mine:
        assert mine.post(school.url + path, data={"action": "apply"}).status_code == 404


def test_other_peoples_objects_are_not_found(school: SimpleNamespace):
    with session(school, "Ada Lovelace") as ada, session(school, "Alan Turing") as alan:
        page = ada.get(school.url + "homework/hw0/norm").text
        receipt = page.split('href="/attempts/')[1].split('"')[0]
        keys = ada.get(school.url + "keys").text
        token = keys.split('action="/keys/')[1].split("/")[0]
        other = ada.get(school.url + "data.json").json()["account"]["id"]
        assert ada.get(f"{school.url}attempts/{receipt}/receipt").text.startswith("mgr1.")
        assert alan.get(f"{school.url}attempts/{receipt}/receipt").status_code == 404
        assert alan.post(f"{school.url}keys/{token}/revoke").status_code == 404
        assert alan.post(f"{school.url}sessions/{token}/end").status_code == 404
        assert (
            alan.post(f"{school.url}project/answer/g_0", data={"answer": "accept"}).status_code
            == 404
        )
        assert alan.get(f"{school.url}staff/students/{other}").status_code == 404


def test_what_people_type_is_shown_as_text(grader: SimpleNamespace):
    from pupils import sign_up

    sign_up(grader, "Bobby <script>alert(1)</script>")
    with staff_session(grader) as staff:
        text = staff.get(grader.url + "staff/grades").text
    assert "<script>alert" not in text and "&lt;script&gt;" in text


def test_a_link_signs_in_once(grader: SimpleNamespace):
    code = grader.link("staff@example.org").partition("code=")[2]
    headers = {"Origin": grader.url.rstrip("/")}
    assert requests.get(f"{grader.url}link?code={code}").status_code == 200
    assert requests.post(grader.url + "link", data={"code": code}, headers=headers).ok
    again = requests.post(grader.url + "link", data={"code": code}, headers=headers)
    assert again.status_code == 401 and "used or is too old" in again.text


def test_big_and_broken_forms_are_refused(school: SimpleNamespace):
    headers = {"Origin": school.url.rstrip("/")}
    big = requests.post(school.url + "login", data="email=" + "x" * 2_000_000, headers=headers)
    assert big.status_code == 413
    broken = requests.post(
        school.url + "login", data=b"email=\xff\xfe&password=%00", headers=headers
    )
    assert broken.status_code == 400
    many = requests.post(
        school.url + "login", data="&".join(f"a{i}=1" for i in range(600)), headers=headers
    )
    assert many.status_code == 400


def test_error_pages_say_what_to_do(school: SimpleNamespace):
    answer = requests.get(school.url + "nowhere")
    assert answer.status_code == 404 and "first page" in answer.text
    assert (
        requests.get(school.url + "api/v1/nowhere")
        .headers["Content-Type"]
        .startswith("application/problem+json")
    )


def test_the_gradebooks_csv_cannot_start_a_formula(grader: SimpleNamespace):
    from pupils import sign_up

    sign_up(grader, "=HYPERLINK(1)")
    with staff_session(grader) as staff:
        text = staff.get(grader.url + "staff/grades.csv").content.decode("utf-8-sig")
    assert "'=HYPERLINK(1)" in text


def test_a_preview_on_a_page_is_answered_while_somebody_holds_the_write_lock(
    grader: SimpleNamespace,
):
    """The review's H3: it took the lock itself, and kept everybody else from handing in."""
    tolerance = {"rtol": "5e-4", "ascale": "1e-6", "atol": "0", "action": "preview"}
    with staff_session(grader) as staff, grader.database.write():
        url = grader.url + "staff/problems/hw0/norm/tolerance"
        answer = staff.post(url, data=tolerance, timeout=25)
    assert answer.status_code == 200 and "1 of 3" in answer.text
