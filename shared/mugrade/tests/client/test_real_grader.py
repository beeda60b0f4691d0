"""The whole way against the real server: publish, log in, submit, sync, staff's decisions."""

from __future__ import annotations

import csv
import io
import json
import re
import threading

import pytest
import requests
from live import COURSE, live_grader
from mugrade.client.grader import Connection, Grader


@pytest.fixture
def real(homework, tmp_path, monkeypatch):
    with live_grader(tmp_path / "server") as grader:
        monkeypatch.setenv("MUGRADE_SERVER", grader.url)
        yield grader


@pytest.fixture
def published(real, answers):
    """Both problems in two variants, sent as `mugrade publish` sends them."""
    staff = Grader(Connection(real.url, real.staff_key))
    for problem, body in answers.items():
        staff.publish("hw0", problem, body)
    return real


def browser(real, **person) -> requests.Session:
    """A student's browser, just signed up."""
    session = requests.Session()
    session.headers["Origin"] = real.url.rstrip("/")
    given = {
        "code": real.code,
        "email": "ada@example.org",
        "name": "Ada",
        "password": "correct horse",
    }
    assert session.post(real.url + "signup", data={**given, **person}).ok
    return session


@pytest.fixture
def student(published, mugrade):
    """Logged in from the terminal by device code, confirmed in the browser."""
    session = browser(published)

    def confirm(begun: dict) -> None:
        answer = session.post(
            published.url + "device", data={"code": begun["user_code"], "answer": "allow"}
        )
        assert "Connected" in answer.text

    import mugrade.client.grader as client

    ask = client.Grader.call

    def call(self, method, path, **arguments):
        answer = ask(self, method, path, **arguments)
        if path == "device/code":
            confirm(answer)
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client.Grader, "call", call)
        patch.setattr("mugrade.cli.app.time.sleep", lambda seconds: None)
        done = mugrade("login", "--server", published.url)
    assert done.status == 0 and "Ada" in done.out, done.err
    return session


def test_publish_from_the_terminal(real, mugrade, monkeypatch):
    monkeypatch.setenv("MUGRADE_KEY", real.staff_key)
    done = mugrade("publish", "hw0")
    assert done.status == 0, done.out + done.err
    assert done.out.count("revision 1: 2 cases, 2 variants") == 2
    again = mugrade("publish", "hw0", "--json")
    assert [row["message"] for row in json.loads(again.out)] == ["unchanged, still revision 1"] * 2


def test_login_by_device_code_submit_and_see_it_on_the_page(published, student, mugrade):
    done = mugrade("submit", "hw0")
    assert done.status == 0, done.out + done.err
    assert "hw0: 20 of 20 points" in done.out
    page = student.get(published.url + "homework/hw0").text
    assert page.count("all right") == 2
    status = mugrade("status", "hw0")
    assert status.status == 0 and "20 of 20 points" in status.out


def test_variants_differ_between_accounts_and_each_passes_with_its_own(published, student, mugrade):
    seeds = set()
    for number in range(30):  # an account's variant is drawn: one in 2**29 classes has only one
        session = browser(published, email=f"s{number}@example.org")
        page = session.post(published.url + "keys", data={"name": "test"}).text
        key = page.split('id="new-key">')[1].split("<")[0]
        answer = requests.get(
            published.url + "api/v1/assignments/hw0", headers={"Authorization": f"Bearer {key}"}
        )
        seeds.add(answer.json()["problems"][0]["seed"])
        if len(seeds) == 2:
            break
    assert len(seeds) == 2
    assert mugrade("submit", "hw0", "double").status == 0


def test_a_wrong_submission_scores_its_right_cases_and_never_lowers(
    published, student, mugrade, rewrite
):
    assert mugrade("submit", "hw0", "norm").status == 0
    rewrite("(x ** 2).sum()", "(x ** 2).sum() + (len(x) > 2)")
    done = mugrade("submit", "hw0", "norm", "--json")
    row = json.loads(done.out)["rows"][0]
    assert done.status == 1
    assert (row["correct"], row["cases"], row["score"], row["best"]) == (1, 2, "5.00", "10.00")
    assert row["failures"][0]["label"] == "n = 5" and row["failures"][0]["kind"] == "values"


def test_receipts_verify_offline_and_a_changed_one_does_not(published, student, mugrade, own_home):
    mugrade("submit", "hw0", "norm")
    listed = mugrade("receipts")
    assert "hw0/norm" in listed.out and "2/2" in listed.out
    assert mugrade("verify").status == 0
    assert [r["ok"] for r in json.loads(mugrade("verify", "--json").out)] == [True]
    (path,) = (own_home / "receipts").rglob("*.txt")
    prefix, payload, signature = path.read_text().strip().split(".")
    forged = f"{prefix}.{payload[:-6]}{'A' * 6}.{signature}"
    assert mugrade("verify", forged).status == 1


def test_a_cut_after_the_real_server_accepted_makes_one_attempt(
    published, student, mugrade, monkeypatch
):
    send = requests.Session.request
    cut = iter([True])

    def lossy(self, method, url, **arguments):
        answer = send(self, method, url, **arguments)
        if url.endswith("attempts") and next(cut, False):
            raise requests.ConnectionError("the answer was lost")
        return answer

    monkeypatch.setattr(requests.Session, "request", lossy)
    assert mugrade("submit", "hw0", "norm").status == 0
    page = student.get(published.url + "homework/hw0/norm").text
    assert page.count("<details>") == 1


def test_the_outbox_is_replayed_once_even_by_two_terminals(
    published, student, mugrade, monkeypatch, own_home
):
    with monkeypatch.context() as patch:
        patch.setenv("MUGRADE_SERVER", published.url)
        patch.setattr("mugrade.client.grader.Grader.attempt", _down)
        assert mugrade("submit", "hw0", "norm").status == 4
    (entry,) = (own_home / "outbox").glob("*.json")
    copy = entry.read_text()
    assert mugrade("sync").status == 0
    entry.write_text(copy)
    assert mugrade("sync").status == 0
    assert student.get(published.url + "homework/hw0/norm").text.count("<details>") == 1


def _down(*unused):
    from mugrade.client.errors import NetworkFault

    raise NetworkFault("down")


def test_twenty_tries_an_hour_then_exit_status_five(tmp_path, homework, mugrade, monkeypatch):
    with live_grader(tmp_path / "server", attempts_per_hour=2) as grader:
        monkeypatch.setenv("MUGRADE_SERVER", grader.url)
        monkeypatch.setenv("MUGRADE_KEY", grader.staff_key)
        assert mugrade("publish", "hw0", "norm", "--unchecked").status == 0
        assert [mugrade("submit", "hw0", "norm").status for _ in range(3)] == [0, 0, 5]
        assert "possible in" in " ".join(mugrade("submit", "hw0", "norm").err.split())


def test_late_then_closed(tmp_path, homework, mugrade, monkeypatch):
    past = COURSE.replace("2099-12-01T23:59:00", "2020-01-01T00:00:00")
    late = past.replace("cutoff_days = 7", "")
    for course, expected in ((late, (6, 0)), (past, (6, 6))):
        with live_grader(tmp_path / f"server{expected[1]}", course) as grader:
            monkeypatch.setenv("MUGRADE_SERVER", grader.url)
            monkeypatch.setenv("MUGRADE_KEY", grader.staff_key)
            assert mugrade("publish", "hw0", "norm", "--unchecked").status == 0
            statuses = (
                mugrade("submit", "hw0", "norm").status,
                mugrade("submit", "hw0", "norm", "--late").status,
            )
            assert statuses == expected


def test_staff_see_and_change_grades_from_the_terminal(
    published, student, mugrade, monkeypatch, tmp_path, rewrite
):
    rewrite("(x ** 2).sum()", "(x ** 2).sum() * 1.0001")
    assert mugrade("submit", "hw0", "norm").status == 1
    monkeypatch.setenv("MUGRADE_KEY", published.staff_key)
    assert "ada@example.org" in mugrade("grades").out

    dry = mugrade("regrade", "hw0", "norm", "--dry-run", "--rtol", "1e-3")
    assert "1 would change: 1 up" in dry.out and "without --dry-run" in dry.out
    assert "1 changed" in mugrade("regrade", "hw0", "norm", "--rtol", "1e-3").out
    assert (
        "7.5 points for hw0/double"
        in mugrade("override", "ada@example.org", "hw0", "double", "7.5", "--reason", "oral").out
    )
    more = mugrade("extend", "ada@example.org", "hw0", "--days", "3", "--reason", "ill")
    assert re.search(r"until \w{3} 0[45] Dec 2099 .* \(in \d+ days\)", more.out), more.out
    assert "--days 0" in " ".join(more.out.split())
    lifted = mugrade("extend", "ada@example.org", "hw0", "--days", "0", "--reason", "well again")
    assert lifted.status == 0 and "01 Dec 2099" in lifted.out

    out = tmp_path / "grades.csv"
    assert mugrade("grades", "--csv", str(out)).status == 0
    (row,) = csv.DictReader(io.StringIO(out.read_text("utf-8-sig")))
    assert (row["hw0"], row["hw0/norm"], row["hw0/double"]) == ("17.50", "10.00", "7.50")


def test_the_roster_is_imported_with_a_preview(real, mugrade, monkeypatch, tmp_path):
    monkeypatch.setenv("MUGRADE_KEY", real.staff_key)
    people = tmp_path / "people.csv"
    people.write_text("email,name,role\nbob@example.org,Bob,student\n")
    assert "1 would be added" in mugrade("roster", str(people), "--dry-run").out
    assert "bob@example.org" not in mugrade("roster").out
    assert "Next: `mugrade invite`" in mugrade("roster", str(people)).out
    invited = " ".join(mugrade("invite").out.split())
    assert "/invitation?code=" in invited and "Next: send everybody their own link" in invited
    assert "bob@example.org" in mugrade("roster").out
    people.write_text("email,name,role\nnobody,Bob,student\n")
    assert mugrade("roster", str(people)).status == 1
    people.write_text(people.read_text() + "new@example.org,New,student\n")
    done = mugrade("roster", str(people))
    told = " ".join(done.out.split())
    assert done.status == 1 and "Nothing is imported" in told and "1 would be added" in told
    assert "mugrade invite" not in told and "new@example.org" not in mugrade("roster").out


def test_words_that_a_command_does_not_know_name_its_own_help(mugrade):
    for words, help_of in (
        (("certificate", "ada@example.org"), "mugrade certificate --help"),
        (("roster", "--unknown"), "mugrade roster --help"),
        (("nothing",), "mugrade --help"),
    ):
        done = mugrade(*words)
        assert done.status == 2 and f"`{help_of}` lists" in " ".join(done.err.split()), done.err


def test_students_may_not_do_what_staff_does(published, student, mugrade):
    for words in (["grades"], ["roster"], ["publish", "hw0", "norm", "--unchecked"]):
        done = mugrade(*words)
        assert done.status == 3, done.out
        assert "mugrade whoami" in done.err


def test_our_client_in_the_public_dialect_against_our_server(
    published, student, mugrade, monkeypatch
):
    monkeypatch.setenv("MUGRADE_KEY", published.staff_key)
    mugrade("publish", "hw0", "norm", "--unchecked", "--variants", "1")
    monkeypatch.setenv("MUGRADE_DIALECT", "public")
    done = mugrade("submit", published.staff_key, "hw0", "-k", "norm")
    assert done.status == 0, done.out + done.err
    assert "2/2" in done.out


def test_logout_revokes_the_key(published, student, mugrade, own_home):
    key = json.loads((own_home / "keys.json").read_text())[published.url]
    assert "revoked" in mugrade("logout").out
    answer = requests.get(published.url + "api/v1/me", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 401


def test_a_time_is_reported_for_the_leaderboard(published, student, mugrade):
    early = mugrade("timing", "hw0", "norm", "0.5")
    assert early.status == 3 and "Solve norm first" in early.err
    assert mugrade("submit", "hw0", "norm").status == 0
    done = mugrade("timing", "hw0", "norm", "0.25", "--device", "laptop")
    assert done.status == 0 and "choose a name" in " ".join(done.out.split())
    student.post(published.url + "data/pseudonym", data={"pseudonym": "speedy"})
    listed = json.loads(mugrade("timing", "hw0", "norm", "0.5", "--json").out)
    assert [(e["name"], e["seconds"]) for e in listed] == [("speedy", 0.25)]


def test_my_data_holds_what_staff_decided(published, student, mugrade):
    mugrade("submit", "hw0", "norm")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MUGRADE_KEY", published.staff_key)
        mugrade("override", "ada@example.org", "hw0", "norm", "7.5", "--reason", "by hand")
        mugrade("extend", "ada@example.org", "hw0", "--days", "2", "--reason", "ill")
    data = student.get(published.url + "data.json").json()
    assert [(o["problem"], o["points"], o["reason"]) for o in data["overrides"]] == [
        ("hw0/norm", "7.5", "by hand")
    ]
    assert [(e["assignment"], e["reason"]) for e in data["extensions"]] == [("hw0", "ill")]
    assert data["attempts"][0]["problem"] == "hw0/norm" and len(data["browsers"]) == 1
    assert data["project"] is None and data["certificates"] == []


def test_doctor_finds_nothing_wrong(published, student, mugrade):
    done = mugrade("doctor")
    assert done.status == 0 and "BAD" not in done.out
    checks = json.loads(mugrade("doctor", "--json").out)
    assert all(check["ok"] for check in checks) and len(checks) >= 5


def test_a_class_submits_at_once(published, homework, monkeypatch, tmp_path):
    """Twelve accounts at the same moment through the real client code: every attempt is there once."""
    from mugrade.client.grader import Connection, Grader
    from mugrade.client.run import run_hooks
    from mugrade.plan import Plan

    keys = []
    for number in range(12):
        session = browser(published, email=f"s{number}@example.org")
        page = session.post(published.url + "keys", data={"name": "test"}).text
        keys.append(page.split('id="new-key">')[1].split("<")[0])
    plan = Plan("hw0", out="", only=["norm"], pool=2)
    cases = {
        r.variant: [{"label": c["label"], "value": c["value"]} for c in r.cases]
        for r in run_hooks(plan, homework)
    }
    outcomes: list[int] = []

    def submit(number: int, key: str) -> None:
        grader = Grader(Connection(published.url, key))
        problem = next(p for p in grader.assignment("hw0")["problems"] if p["id"] == "norm")
        body = {
            "revision": problem["revision"],
            "variant": problem["variant"],
            "cases": cases[problem["variant"]],
        }
        outcomes.append(grader.attempt("hw0", "norm", body, f"key-{number:08d}")["correct"])

    threads = [threading.Thread(target=submit, args=item) for item in enumerate(keys)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [2] * 12
