"""Keys: how long they last, what they may, and how a terminal comes to one."""

from __future__ import annotations

import datetime as dt
import re

from mugrade.server.models import Account, Token
from mugrade.server.services import accounts, sessions, tokens
from sqlalchemy import select

from .browser import Browser, make_key, me, text
from .conftest import NOON, Person


def test_a_key_ends_after_180_days_and_says_when(lite):
    ada = Browser(lite)
    ada.sign_up("ada")
    key = make_key(ada, name="laptop")
    assert me(lite, key).json()["key_expires_at"] == "2027-03-30T12:00:00Z"
    assert "30 Mar 2027" in text(ada.get("/keys"))
    lite.clock.forward(days=179)
    assert me(lite, key).status_code == 200
    lite.clock.forward(days=1)
    answer = me(lite, key)
    assert answer.status_code == 401 and answer.json()["code"] == "expired_token"


def test_the_last_use_of_a_key_is_written_down_but_not_at_every_request(server):
    """M8: `last_used_at` was handed to people as their data and never written."""

    def used():
        with server.database.read() as session:
            return session.scalar(select(Token.last_used_at).where(Token.account_pk == pk))

    student = server.student
    pk = student.account.pk
    assert used() is None
    student.get("/me")
    assert used() == NOON
    server.clock.forward(minutes=5)
    student.get("/me")
    assert used() == NOON, "once in ten minutes is enough"
    server.clock.forward(minutes=6)
    student.get("/me")
    assert used() == server.clock()
    server.clock.now = NOON - dt.timedelta(days=1)
    student.get("/me")
    assert used() == server.clock(), "a clock that was ahead does not freeze it"


def test_the_public_clients_key_is_noted_too(lite):
    lite.staff.publish("hw0/add", [1])
    query = {"user_key": lite.student.token, "assignment": "hw0", "problem": "add"}
    assert lite.client.post("/submit", params=query).status_code == 200
    used = lite.student.get("/me/data").json()["tokens"][0]["last_used_at"]
    assert used.startswith("2026-10-01T12:00:00")


def test_staffs_keys_may_what_was_ticked(lite):
    boss, course = Browser(lite), lite.staff.account.course_pk
    with lite.database.write() as session:
        account = accounts.find(session, course, "teacher@example.org")
        code = sessions.one_time_link(session, lite.clock(), account)
    boss.post("/link", code=code)
    assert me(lite, make_key(boss, name="a")).json()["scopes"] == ["read", "submit"]
    ticked = me(lite, make_key(boss, **{"name": "b", "scope-publish": "yes"})).json()
    assert ticked["scopes"] == ["publish", "read", "submit"]
    ada = Browser(lite)
    ada.sign_up("ada")
    assert me(lite, make_key(ada, **{"scope-publish": "yes"})).json()["scopes"] == [
        "read",
        "submit",
    ]


def device(server, **asked):
    return server.client.post("/api/v1/device/code", json=asked).json()


def test_a_terminal_gets_what_was_allowed_not_what_it_asked_for(lite):
    boss, course = Browser(lite), lite.staff.account.course_pk
    with lite.database.write() as session:
        account = accounts.find(session, course, "teacher@example.org")
        code = sessions.one_time_link(session, lite.clock(), account)
    boss.post("/link", code=code)
    for ticked, expected in (
        ({}, ["read", "submit"]),
        ({"scope-grade": "yes"}, ["grade", "read", "submit"]),
    ):
        started = device(lite, client="laptop", scopes=["publish"])
        page = boss.get("/device?code=" + started["user_code"]).text
        assert re.search(r'name="scope-publish" value="yes" checked', page)
        assert 'name="scope-grade" value="yes">' in page
        boss.post("/device", code=started["user_code"], answer="allow", **ticked)
        token = lite.client.post(
            "/api/v1/device/token", json={"device_code": started["device_code"]}
        ).json()
        assert token["account"]["scopes"] == expected
        assert me(lite, token["token"]).json()["scopes"] == expected
    refused = lite.client.get(
        "/api/v1/grades", headers={"Authorization": f"Bearer {lite.student.token}"}
    )
    assert "mugrade login" not in refused.json()["detail"], "a student may not ask for that"


def test_a_missing_scope_names_the_command(lite):
    staff = lite.staff
    with lite.database.write() as session:
        account = session.get_one(Account, staff.account.pk)
        token, _ = tokens.issue(
            session, lite.clock(), account, name="n", scopes=accounts.EVERYDAY_SCOPES
        )
    answer = Person(lite, account, token).publish("hw0/add", [1])
    assert (
        answer.status_code == 403 and "`mugrade login --scope publish`" in answer.json()["detail"]
    )


def test_the_approval_page_quotes_the_terminals_name_and_tells_address_and_time(lite):
    """M8: 80 characters of an attacker's text stood there as if the page said them."""
    ada = Browser(lite)
    ada.sign_up("ada")
    lure = 'the "official" Gradebook (already verified)'
    code = device(lite, client=lure)["user_code"]
    lite.clock.forward(minutes=3)
    answer = ada.get("/device?code=" + code)
    assert "<q>the official Gradebook (already verified)</q>" in answer.text
    assert "testclient" in answer.text and "Thu 01 Oct 2026 12:00 UTC" in text(answer)
    assert "3 minutes ago" in text(answer)


def test_guessing_a_terminals_code_comes_to_an_end(lite):
    ada = Browser(lite)
    ada.sign_up("ada")
    answers = [ada.get(f"/device?code=BCDF-GHJ{c}").status_code for c in "BCDFGHJKLMNP"]
    assert answers == [404] * 10 + [429] * 2


def test_terminals_that_wait_behind_one_address_are_bounded(lite):
    lite.settings.terminals_per_address = 3
    statuses = [lite.client.post("/api/v1/device/code", json={}).status_code for _ in range(5)]
    assert statuses == [200] * 3 + [429] * 2
    lite.clock.forward(minutes=16)
    assert lite.client.post("/api/v1/device/code", json={}).status_code == 200


def test_a_poll_in_the_future_does_not_stop_a_terminal(lite):
    lite.clock.forward(hours=1)
    started = device(lite)
    ask = lambda: lite.client.post(
        "/api/v1/device/token", json={"device_code": started["device_code"]}
    ).json()["code"]
    assert ask() == "authorization_pending"
    lite.clock.forward(minutes=-5)
    assert ask() == "authorization_pending"
