"""Who somebody is: signing up and in, invitations, forgotten passwords, limits, keys, addresses."""

from __future__ import annotations

import datetime as dt
import re
import threading

import pytest
from mugrade.server.errors import Refusal
from mugrade.server.models import Account, FailedTry
from mugrade.server.services import (
    accounts,
    email_addresses,
    identity,
    limits,
    passwords,
    sessions,
    tokens,
    tries,
)
from mugrade.server.settings import Settings
from sqlalchemy import func, select

from .browser import Browser, make_key, me, text
from .conftest import NOON, Person, Server, make_settings


def on_roster(server, *lines):
    csv = "email,name,role\n" + "\n".join(lines)
    answer = server.staff.post("/roster", {"csv": csv, "dry_run": False})
    assert answer.status_code == 200 and not answer.json()["errors"], answer.text


def invite(server, *people, **fields):
    answer = server.staff.post("/invitations", {"people": list(people), **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


# -------------------------------------------------------------------- sign-up and invitations


def test_the_course_code_never_opens_an_account_of_the_roster(server):
    """H2: a stranger with the code took the account and the attempts of anybody on the roster."""
    server.staff.publish("hw0/add", [1])
    victim = server.person("victim")
    assert victim.attempt("hw0/add", 1).status_code == 201
    thief = Browser(server)
    answer = thief.sign_up("victim", name="A stranger")
    assert answer.status_code == 409 and "personal invitation" in text(answer)
    assert not thief.signed_in
    with server.database.read() as session:
        account = session.get_one(Account, victim.account.pk)
    assert account.name == "Victim" and account.password_hash is None


def test_an_invitation_claims_a_fresh_account_once_and_keeps_staffs_name(server):
    on_roster(server, "ada@example.org,Ada Lovelace,student")
    one = invite(server, "ada@example.org")["invitations"][0]
    assert re.fullmatch(r"[a-z2-9]{4}(-[a-z2-9]{4}){4}", one["code"])
    assert one["link"].endswith("/invitation?code=" + one["code"])
    ada = Browser(server)
    assert "Ada Lovelace" in text(ada.get("/invitation?code=" + one["code"]))
    answer = ada.post("/invitation", code=one["code"].upper(), password="correct horse")
    assert answer.status_code == 303 and ada.signed_in
    again = Browser(server).post("/invitation", code=one["code"], password="another horse")
    assert again.status_code == 401 and "was used" in text(again)
    assert Browser(server).sign_in("ada@example.org").status_code == 303
    assert "Ada Lovelace" in text(ada.get("/data"))


def test_of_many_who_use_one_invitation_at_once_one_gets_the_account(server):
    on_roster(server, "ada@example.org,Ada,student")
    code = invite(server, "ada@example.org")["invitations"][0]["code"]
    cookies, refusals = [], []

    def claim(number):
        try:
            caller = identity.Caller(f"10.0.0.{number}")
            cookies.append(
                identity.accept(
                    server.database, server.clock, caller, code=code, password=f"password {number}"
                )
            )
        except Refusal as error:
            refusals.append(error.status_code)

    threads = [threading.Thread(target=claim, args=(n,)) for n in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len(cookies) == 1 and len(refusals) == 7 and set(refusals) <= {401, 409}


@pytest.mark.parametrize("trace", ["attempts", "keys", "browser", "password", "deactivated"])
def test_an_account_with_a_past_cannot_be_claimed(lite, trace):
    lite.staff.publish("hw0/add", [1])
    on_roster(lite, "ada@example.org,Ada,student")
    code = invite(lite, "ada@example.org")["invitations"][0]["code"]
    with lite.database.write() as session:
        account = accounts.find(session, lite.staff.account.course_pk, "ada@example.org")
        if trace in ("attempts", "keys"):
            token, _ = tokens.issue(session, lite.clock(), account, name="from staff")
        if trace == "browser":
            sessions.open_session(session, lite.clock(), account)
        if trace == "password":
            account.password_hash = passwords.hashed("what staff set")
        account.active = trace != "deactivated"
    if trace == "attempts":
        assert Person(lite, account, token).attempt("hw0/add", 1).status_code == 201
    answer = Browser(lite).post("/invitation", code=code, password="correct horse")
    assert answer.status_code == 409 and "sign-in link" in text(answer)
    assert invite(lite, "ada@example.org")["skipped"][0]["email"] == "ada@example.org"


def test_a_new_invitation_ends_the_one_before_and_an_old_one_runs_out(lite):
    on_roster(lite, "ada@example.org,Ada,student")
    first, second = (invite(lite, "ada@example.org")["invitations"][0]["code"] for _ in "ab")
    visit = lambda code: Browser(lite).get("/invitation?code=" + code).status_code
    assert visit(first) == 401 and visit(second) == 200
    lite.clock.forward(days=31)
    assert visit(second) == 401


def test_who_is_invited_is_told_and_only_instructors_invite(lite):
    on_roster(lite, "ada@example.org,Ada,student", "bob@example.org,Bob,student")
    assert (
        lite.person("helper", "grader")
        .post("/invitations", {"people": ["ada@example.org"]})
        .status_code
        == 403
    )
    waiting = lite.staff.get("/invitations").json()
    assert {"ada@example.org", "bob@example.org"} <= set(waiting["people"]) and not waiting["mail"]
    answer = invite(lite, "ada@example.org", "nobody@example.org")
    assert answer["skipped"] == [{"email": "nobody@example.org", "reason": "is not on the roster"}]
    lost = lite.staff.post("/invitations", {"people": ["bob@example.org"], "mail": True})
    assert lost.status_code == 400 and "MUGRADE_SMTP_URL" in lost.json()["detail"]


# --------------------------------------------------------------------- forgotten passwords


def test_a_staff_link_sets_a_new_password_without_the_old_one(server):
    """H7: the page asked for the old password, so a forgotten one could not be replaced."""
    ada = Browser(server)
    assert ada.sign_up("ada").status_code == 303
    link = server.staff.post("/links", {"person": "ada@example.org"}).json()["link"]
    other = Browser(server)
    assert other.post("/link", code=link.partition("code=")[2]).status_code == 303
    page = text(other.get("/keys"))
    assert "one-time link" in page and "Old password" not in page
    assert other.post("/password", new="battery staple").status_code == 303
    assert not ada.signed_in, "every other browser is signed out"
    assert Browser(server).sign_in("ada@example.org").status_code == 401
    assert Browser(server).sign_in("ada@example.org", "battery staple").status_code == 303
    refused = other.post("/password", new="yet another one")
    assert refused.status_code == 401, "the link's power ends with the password it set"


def test_a_session_by_password_still_needs_the_old_one(lite):
    ada = Browser(lite)
    ada.sign_up("ada")
    assert ada.post("/password", old="a guess at it", new="battery staple").status_code == 401
    assert ada.post("/password", old="correct horse", new="battery staple").status_code == 303


def test_a_new_password_asks_whether_to_revoke_the_keys(lite):
    ada = Browser(lite)
    ada.sign_up("ada")
    key = re.search(r"mug_[\w-]+", ada.post("/keys", name="laptop").text)[0]
    works = lambda: lite.client.get("/api/v1/me", headers={"Authorization": f"Bearer {key}"})
    ada.post("/password", old="correct horse", new="battery staple")
    assert works().status_code == 200
    ada.post("/password", old="battery staple", new="correct horse", revoke="yes")
    assert works().status_code == 401


def test_an_instructors_link_is_made_only_on_the_server_itself(lite):
    on_roster(lite, "second@example.org,Second,instructor")
    answer = lite.staff.post("/links", {"person": "second@example.org"})
    assert answer.status_code == 403 and "mugrade link" in answer.json()["detail"]


def test_the_page_for_a_forgotten_password_tells_nothing_about_who_is_here(request, tmp_path):
    made = make_settings(request, "sqlite", tmp_path)
    server = Server(
        Settings(**made, smtp_url="smtp://127.0.0.1:1", mail_from="staff@example.org")
    ).load()
    server.person("ada")
    here, gone = (Browser(server).post("/forgot", email=e) for e in ("ada@example.org", "x@y.org"))
    assert here.status_code == gone.status_code == 303
    assert here.headers["location"] == gone.headers["location"]
    server.close()


def test_without_mail_the_page_sends_people_to_staff(lite):
    assert "staff" in text(Browser(lite).get("/forgot"))


# -------------------------------------------------------------------------------------- limits


def test_a_lecture_hall_signs_up_behind_one_address_in_ten_minutes(lite):
    """M1: 300 people share the campus's address; with ten a minute the last ones came in an hour."""
    for number in range(300):
        answer = Browser(lite, "203.0.113.7").sign_up(f"student{number}")
        assert answer.status_code == 303, (number, text(answer))
        lite.clock.forward(seconds=2)
    for _ in range(300):
        started = lite.client.post("/api/v1/device/code", json={"client": "laptop"})
        assert started.status_code == 200


def test_a_guess_at_a_password_costs_what_argon2s_makers_recommend(hasher_of_the_product):
    """RFC 9106's second choice: three passes over 64 MiB. Other tests hash with less."""
    made = hasher_of_the_product.hash("correct horse")
    assert made.startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_wrong_codes_from_one_address_come_to_an_end(lite):
    lite.settings.failures_per_address = 5
    guess = lambda address: Browser(lite, address).sign_up("eve", code="guess-code").status_code
    assert [guess("203.0.113.7") for _ in range(7)] == [404] * 5 + [429] * 2
    assert guess("203.0.113.8") == 404, "the neighbour is another one"
    block = [f"2001:db8:1:2::{n:x}" for n in range(7)]
    assert [guess(address) for address in block] == [404] * 5 + [429] * 2, "a /64 is one"
    assert guess("2001:db8:1:3::1") == 404
    lite.clock.forward(minutes=11)
    assert guess("203.0.113.7") == 404


def test_wrong_passwords_are_counted_for_the_account_from_everywhere(server):
    server_side = Browser(server)
    server_side.sign_up("ada")
    tries_made = [
        Browser(server, f"198.51.100.{n}").sign_in("ada@example.org", f"wrong {n}").status_code
        for n in range(12)
    ]
    assert tries_made == [401] * 10 + [429] * 2
    refused = Browser(server).sign_in(" ADA@example.org. ")
    assert refused.status_code == 429 and "2026-10-01 12:15:00 UTC" in text(refused)
    assert Browser(server).sign_in("bob@example.org").status_code == 401, "others are not held up"
    server.clock.forward(minutes=15)
    assert Browser(server).sign_in("ada@example.org").status_code == 303


def test_right_passwords_are_never_counted(lite):
    Browser(lite).sign_up("ada")
    for _ in range(15):
        assert Browser(lite).sign_in("ada@example.org").status_code == 303
    with lite.database.read() as session:
        assert session.scalar(select(func.count()).select_from(FailedTry)) == 0


def test_the_limit_is_exact_over_several_workers(request, database_settings):
    """Two applications on one database, as two workers are; 40 tries at the same moment."""
    workers = [Server(Settings(**database_settings)) for _ in range(2)]
    workers[0].load()
    Browser(workers[0]).sign_up("ada")
    answers = []

    def guess(number):
        browser = Browser(workers[number % 2], f"198.51.100.{number}")
        answers.append(browser.sign_in("ada@example.org", f"wrong {number}").status_code)

    threads = [threading.Thread(target=guess, args=(n,)) for n in range(40)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert sorted(answers) == [401] * 10 + [429] * 30
    for worker in workers:
        worker.close()


def test_failures_in_the_future_lock_nobody_out(lite):
    """M11: the clock was a month ahead for a while."""
    Browser(lite).sign_up("ada")
    lite.clock.forward(days=30)
    for _ in range(10):
        Browser(lite).sign_in("ada@example.org", "a wrong one")
    assert Browser(lite).sign_in("ada@example.org").status_code == 429
    lite.clock.now = NOON
    assert Browser(lite).sign_in("ada@example.org").status_code == 303


def test_attempts_in_the_future_do_not_count_towards_the_cool_down(lite):
    lite.staff.publish("hw0/add", [1])
    lite.clock.forward(days=6)
    for _ in range(10):
        assert lite.student.attempt("hw0/add", 2).status_code == 201
    assert lite.student.attempt("hw0/add", 2).status_code == 429
    lite.clock.now = NOON
    answer = lite.student.attempt("hw0/add", 1)
    assert answer.status_code == 201, answer.text


def test_the_sentence_of_a_limit_names_the_date(lite):
    lite.staff.publish("hw0/add", [1])
    lite.clock.now = NOON.replace(hour=23, minute=59, second=30)
    for _ in range(10):
        lite.student.attempt("hw0/add", 2)
    detail = lite.student.attempt("hw0/add", 2).json()["detail"]
    assert "2026-10-02 00:00:30 UTC" in detail


def test_the_cool_down_forgets_what_lies_ahead():
    now = NOON
    ahead = [(now + dt.timedelta(days=30 - n), False) for n in range(10)]
    options = {"per_hour": 20, "free_misses": 10, "first_cooldown": 60, "cooldown_limit": 3600}
    assert limits.allowance(ahead, now, **options).code is None
    assert limits.allowance(ahead, now + dt.timedelta(days=30), **options).code == "cool_down"


def test_comparing_passwords_holds_up_no_writer(lite, monkeypatch):
    """M5: argon2 inside the transaction made every submission wait for strangers' guesses."""
    Browser(lite).sign_up("ada")
    comparing, go_on = threading.Event(), threading.Event()

    def slow(stored, password):
        comparing.set()
        assert go_on.wait(20)
        return False

    monkeypatch.setattr(passwords, "fits", slow)
    guess = threading.Thread(target=Browser(lite).sign_in, args=("ada@example.org", "wrong one"))
    guess.start()
    assert comparing.wait(20)
    taken = []
    writer = threading.Thread(target=lambda: taken.append(lite.student))
    writer.start()
    writer.join(10)
    go_on.set()
    guess.join()
    assert taken, "a writer went on while a password was compared"


@pytest.mark.parametrize("way", ["sign-up", "invitation", "password"])
def test_making_a_hash_holds_up_no_writer(lite, monkeypatch, way):
    ada = Browser(lite)
    ada.sign_up("ada")
    on_roster(lite, "bob@example.org,Bob,student")
    code = invite(lite, "bob@example.org")["invitations"][0]["code"]
    real, free = passwords.hashed, []

    def watched(password):
        free.append(lite.database._turn.acquire(blocking=False))
        if free[-1]:
            lite.database._turn.release()
        return real(password)

    monkeypatch.setattr(passwords, "hashed", watched)
    answer = {
        "sign-up": lambda: Browser(lite).sign_up("eve"),
        "invitation": lambda: Browser(lite).post("/invitation", code=code, password="a new horse"),
        "password": lambda: ada.post("/password", old="correct horse", new="battery staple"),
    }[way]()
    assert answer.status_code == 303 and free == [True]


# ------------------------------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    "given, stored",
    [
        ("Ada@Example.ORG", "ada@example.org"),
        ("  ada@example.org\t", "ada@example.org"),
        ("ada@example.org.", "ada@example.org"),
        ("ａｄａ@example.org", "ada@example.org"),
        ("jose\u0301@example.org", "josé@example.org"),
        ("ada@xn--bcher-kva.example", "ada@bücher.example"),
        ("ada@BÜCHER.example", "ada@bücher.example"),
        ("ada.b+course@example.org", "ada.b+course@example.org"),
        ("анна@почта.example", "анна@почта.example"),
        ("you@localhost", "you@localhost"),
    ],
)
def test_spellings_of_one_address_are_one(given, stored):
    assert email_addresses.normal(given) == stored
    assert email_addresses.normal(stored) == stored


@pytest.mark.parametrize(
    "given, reason",
    [
        ("ada\u200b@example.org", "U+200B ZERO WIDTH SPACE"),
        ("ada@exam\u00adple.org", "cannot be seen"),
        ("ada\u3164@example.org", "cannot be seen"),
        ("\u202eada@example.org", "cannot be seen"),
        ("аda@example.org", "look like others"),
        ("ada@exаmple.org", "look like others"),
        ("рауса@example.org", "look like others"),
        ("\u0131van@example.org", "look like others"),
        ("ada", "no e-mail address"),
        ("ada@", "no e-mail address"),
        ("ada@@example.org", "no e-mail address"),
        ("a b@example.org", "no e-mail address"),
        ("", "no e-mail address"),
    ],
)
def test_what_can_be_mistaken_for_another_address_is_refused(lite, given, reason):
    with pytest.raises(Refusal, match=re.escape(reason)):
        email_addresses.normal(given)
    assert Browser(lite).sign_up("x", email=given).status_code == 400
    assert Browser(lite).sign_in(given).status_code == 401, "signing in tells nothing"


def test_an_address_typed_otherwise_makes_no_second_account(lite):
    assert Browser(lite).sign_up("ada").status_code == 303
    for other in ("ADA@EXAMPLE.ORG", "ada@example.org.", "ａda@example.org"):
        assert Browser(lite).sign_up("x", email=other).status_code == 409
        assert Browser(lite).sign_in(other).status_code == 303


def test_invisible_names_are_refused(lite):
    assert Browser(lite).sign_up("ada", name="\u3164\u3164").status_code == 400


# ---------------------------------------------------------------------------- roles and activity


def test_who_is_deactivated_is_out_at_once_and_comes_back_afresh(server):
    ada = Browser(server)
    ada.sign_up("ada")
    key = make_key(ada, name="laptop")
    change = lambda **given: server.staff.post("/roles", {"person": "ada@example.org", **given})
    assert change(active=False, reason="left the course").json()["active"] is False
    assert me(server, key).status_code == 401 and not ada.signed_in
    assert Browser(server).sign_in("ada@example.org").status_code == 401
    assert change(active=True).status_code == 200
    assert me(server, key).status_code == 401, "keys of before stay revoked"
    assert Browser(server).sign_in("ada@example.org").status_code == 303
    entry = server.staff.get("/audit").json()["entries"][1]
    assert entry["action"] == "role" and entry["detail"]["reason"] == "left the course"


def test_a_role_is_changed_by_command_of_an_instructor_only(lite):
    helper = lite.person("helper", "grader")
    body = {"person": "helper@example.org", "role": "student"}
    assert helper.post("/roles", body).status_code == 403
    assert lite.staff.post("/roles", body).json()["role"] == "student"
    assert helper.get("/grades").status_code == 403
    own = {"person": "staff@example.org", "role": "student"}
    assert lite.staff.post("/roles", own).status_code == 400


# ------------------------------------------------------------------------------ origin, metrics


def test_a_form_from_the_same_host_over_http_is_not_from_here(request, tmp_path):
    """L6: the page came over https, so http://grader.example.org is another origin."""
    made = make_settings(request, "sqlite", tmp_path)
    server = Server(Settings(**made, web="https://grader.example.org/")).load()
    send = lambda origin: server.client.post(
        "/login", data={"email": "a@b.org", "password": "x"}, headers={"Origin": origin}
    )
    assert send("http://grader.example.org").status_code == 403
    assert send("https://grader.example.org").status_code == 401
    server.close()


@pytest.mark.parametrize(
    "setting, address, forwarded, status",
    [
        ("local", "127.0.0.1", None, 200),
        ("local", "::1", None, 200),
        ("local", "203.0.113.7", None, 404),
        ("local", "127.0.0.1", "203.0.113.7", 404),
        ("open", "203.0.113.7", None, 200),
        ("off", "127.0.0.1", None, 404),
    ],
)
def test_metrics_are_for_this_machine(lite, setting, address, forwarded, status):
    lite.settings.metrics = setting
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    answer = Browser(lite, address).client.get("/metrics", headers=headers)
    assert answer.status_code == status


def test_old_failures_are_forgotten(lite):
    Browser(lite).sign_in("ada@example.org", "a wrong one")
    with lite.database.write() as session:
        assert tries.forget_old(session, lite.clock()) == 0
    lite.clock.forward(hours=1)
    with lite.database.write() as session:
        assert tries.forget_old(session, lite.clock()) == 2
