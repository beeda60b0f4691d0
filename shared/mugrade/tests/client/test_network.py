"""What goes wrong between here and the grader: its own sentence, its own status, nothing lost."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import subprocess
import threading

import pytest
from fake import KEY, FakeGrader


@pytest.fixture
def published(homework, grader):
    grader.publish()
    return grader


def waiting(own_home) -> list:
    return list((own_home / "outbox").glob("*.json"))


def test_a_connection_cut_after_the_grader_accepted_makes_one_attempt(published, mugrade, own_home):
    published.faults["attempts"] = ["cut"]
    assert mugrade("submit", "hw0", "norm").status == 0
    assert len(published.paths("attempts")) == 2
    assert len(published.attempts) == 1
    assert not waiting(own_home)


def test_a_line_that_stays_dead_keeps_the_attempt_and_sync_sends_it_once(
    published, mugrade, own_home
):
    published.faults["attempts"] = ["cut"] * 4
    done = mugrade("submit", "hw0", "norm")
    assert done.status == 4
    assert "KEPT" in done.out and "mugrade sync" in done.out
    assert len(waiting(own_home)) == 1

    again = mugrade("sync")
    assert again.status == 0, again.out + again.err
    assert "norm" in again.out
    assert len(published.attempts) == 1
    assert not waiting(own_home)
    assert "Nothing is waiting" in mugrade("sync").out


def test_a_dead_line_is_tried_for_one_problem_only(published, mugrade, own_home):
    published.faults["attempts"] = ["cut"] * 4
    assert mugrade("submit", "hw0").status == 4
    assert len(published.paths("attempts")) == 4
    assert len(waiting(own_home)) == 2
    assert mugrade("sync").status == 0
    assert len(published.attempts) == 2


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_error_in_the_middle_is_repeated_with_the_same_key(published, mugrade, status):
    published.faults["attempts"] = [status, status]
    assert mugrade("submit", "hw0", "norm").status == 0
    assert len(published.attempts) == 1


def test_a_server_that_keeps_failing_is_said_to_fail(published, mugrade, own_home):
    published.faults["attempts"] = [500] * 4
    done = mugrade("submit", "hw0", "norm")
    assert done.status == 4 and "500" in done.out
    assert len(waiting(own_home)) == 1


def test_without_network_the_hooks_run_on_the_remembered_plan(published, mugrade, own_home):
    assert mugrade("submit", "hw0", "norm").status == 0
    published.__exit__()
    done = mugrade("submit", "hw0", "norm")
    assert done.status == 4
    assert "KEPT" in done.out
    entry = json.loads(waiting(own_home)[0].read_text())
    assert entry["body"]["variant"] == published.variant == 1
    assert len(entry["body"]["cases"]) == 2
    assert KEY not in waiting(own_home)[0].read_text()


def test_without_network_and_plan_nothing_runs_and_it_says_so(homework, mugrade, monkeypatch):
    monkeypatch.setenv("MUGRADE_SERVER", "http://127.0.0.1:9/")
    monkeypatch.setenv("MUGRADE_KEY", KEY)
    done = mugrade("submit", "hw0")
    assert done.status == 4
    assert "Nothing was run" in done.err and "mugrade doctor" in done.err


def test_a_wrong_key_is_an_authentication_failure(published, mugrade, monkeypatch):
    monkeypatch.setenv("MUGRADE_KEY", "mug_wrong")
    done = mugrade("submit", "hw0", "norm")
    assert done.status == 3 and "mugrade login" in done.err


def test_a_key_revoked_in_the_middle_keeps_the_attempt(published, mugrade, own_home):
    published.faults["attempts"] = [(401, {}, {"code": "bad_token", "detail": "Revoked."})]
    assert mugrade("submit", "hw0", "norm").status == 3
    assert len(waiting(own_home)) == 1


def test_a_long_rate_limit_is_reported_with_its_time(published, mugrade, own_home):
    limit = {"code": "rate_limited", "detail": "20 attempts an hour are allowed for norm"}
    published.faults["attempts"] = [(429, {"Retry-After": "840"}, limit)]
    done = mugrade("submit", "hw0", "norm")
    assert done.status == 5
    assert "14 minutes" in " ".join(done.out.split()) and "LIMIT" in done.out
    assert not waiting(own_home)


def test_what_was_kept_and_meets_a_long_rate_limit_stays_kept(published, mugrade, own_home):
    published.faults["attempts"] = ["cut"] * 4
    assert mugrade("submit", "hw0").status == 4 and len(waiting(own_home)) == 2
    limit = {"code": "rate_limited", "detail": "20 attempts an hour are allowed for norm"}
    published.faults["norm/attempts"] = [(429, {"Retry-After": "840"}, limit)]
    done = mugrade("sync")
    told = " ".join(done.out.split())
    assert done.status == 5 and "LIMIT" in told
    assert "It stays kept; run `mugrade sync` again in 14 minutes." in told
    assert "Still waiting: 1" in told and len(waiting(own_home)) == 1
    assert len(published.attempts) == 1, "the limit is one problem's"
    assert mugrade("sync").status == 0
    assert len(published.attempts) == 2 and not waiting(own_home)


def test_a_short_rate_limit_is_waited_out(published, mugrade):
    published.faults["attempts"] = [
        (429, {"Retry-After": "2"}, {"code": "rate_limited", "detail": "x"})
    ]
    assert mugrade("submit", "hw0", "norm").status == 0


def test_retry_after_is_honoured_to_the_second(monkeypatch):
    from mugrade.client.grader import Connection

    monkeypatch.undo()
    pauses = []
    with FakeGrader() as grader:
        grader.faults["meta"] = [(503, {"Retry-After": "7"}, {}), 500]
        connection = Connection(grader.url, sleep=pauses.append)
        assert connection.send("GET", "api/v1/meta").status_code == 200
    assert 7 <= pauses[0] <= 8
    assert 1 <= pauses[1] <= 2


def test_a_retry_date_is_read_against_the_graders_clock():
    import requests
    from mugrade.client.grader import _retry_after

    answer = requests.Response()
    answer.headers.update(
        {"Retry-After": "Wed, 01 Jan 2020 00:10:00 GMT", "Date": "Wed, 01 Jan 2020 00:00:00 GMT"}
    )
    assert _retry_after(answer) == 600


def test_closed_between_plan_and_sending(published, mugrade, own_home):
    published.faults["attempts"] = [(403, {}, {"code": "closed", "detail": "hw0 is closed."})]
    done = mugrade("submit", "hw0", "norm")
    assert done.status == 6 and "LATE" in done.out
    assert not waiting(own_home)


def test_a_new_revision_in_between_runs_the_hook_again(published, mugrade):
    published.faults["attempts"] = [
        (409, {}, {"code": "stale_revision", "detail": "Revision 2 now."})
    ]
    assert mugrade("submit", "hw0", "norm").status == 0
    assert len(published.attempts) == 1


def test_a_redirect_is_named_and_the_key_is_not_sent_on(published, mugrade):
    published.faults["meta"] = [(301, {"Location": "https://elsewhere.example/"}, "")]
    done = mugrade("whoami")
    assert done.status == 2 and "https://elsewhere.example/" in done.err


def test_a_login_page_in_the_graders_place_does_not_get_the_key_in_a_query(published, mugrade):
    assert mugrade("whoami").status == 0
    published.faults["meta"] = [(200, {}, "please log in to this network")]
    done = mugrade("submit", "hw0", "norm")
    assert done.status == 2 and "no grader" in done.err
    assert not published.paths("/submit")


def test_plain_http_to_another_machine_is_refused(homework, mugrade, monkeypatch):
    monkeypatch.setenv("MUGRADE_KEY", KEY)
    monkeypatch.setenv("MUGRADE_SERVER", "http://grader.example.org/")
    done = mugrade("submit", "hw0")
    assert done.status == 2 and "https://grader.example.org/" in done.err


def test_another_accounts_attempts_stay_in_the_outbox(published, mugrade, own_home):
    published.faults["attempts"] = [500] * 4
    mugrade("submit", "hw0", "norm")
    path = waiting(own_home)[0]
    path.write_text(path.read_text().replace('"account": "u1"', '"account": "u2"'))
    done = mugrade("sync")
    assert "Still waiting: 1" in done.out
    assert not published.attempts


def test_doctor_sees_a_wrong_clock(published, mugrade):
    done = mugrade("doctor")
    assert done.status == 2
    assert "minutes" in done.out and "grader's clock" in " ".join(done.out.split())


def test_the_outbox_survives_a_killed_client(published, mugrade, own_home, monkeypatch):
    def killed(*unused: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mugrade.client.grader.Grader.attempt", killed)
    assert mugrade("submit", "hw0", "norm").status == 130
    monkeypatch.undo()
    assert len(waiting(own_home)) == 1


@pytest.fixture
def stranger(tmp_path):
    """A TLS server whose certificate nobody has signed; what reaches it is kept."""
    pem = tmp_path / "own.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-keyout",
            str(pem),
            "-out",
            str(tmp_path / "cert.pem"),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", pem)
    got: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def listen() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection = listening.accept()[0]
                    with (
                        contextlib.suppress(OSError),
                        context.wrap_socket(connection, True) as inside,
                    ):
                        got.append(inside.recv(1000))

        threading.Thread(target=listen, daemon=True).start()
        yield f"https://localhost:{listening.getsockname()[1]}/", got


@pytest.mark.parametrize("dialect", ["auto", "public"])
def test_a_certificate_that_nobody_signed_gets_nothing(
    homework, mugrade, monkeypatch, stranger, dialect
):
    url, got = stranger
    monkeypatch.setenv("MUGRADE_KEY", KEY)
    monkeypatch.setenv("MUGRADE_DIALECT", dialect)
    done = mugrade("submit", "--server", url, "hw0", "norm")
    told = " ".join((done.out + done.err).split())
    assert done.status == 4 and "cannot be trusted" in told and "mugrade doctor" in told
    assert not got


def test_attempts_for_another_grader_do_not_hold_up_the_outbox(
    published, mugrade, own_home, answers
):
    published.faults["attempts"] = [500] * 4
    assert mugrade("submit", "hw0", "norm").status == 4
    mine = waiting(own_home)[0]
    other = json.loads(mine.read_text()) | {"server": "https://other.example/", "key": "older"}
    other |= {"assignment": "essay", "created": 1.0}
    mine.with_name("older.json").write_text(json.dumps(other))
    published.faults["essay"] = [(404, {}, {"code": "not_found", "detail": "No essay here."})] * 4
    done = mugrade("sync")
    assert done.status == 0, done.err
    assert len(published.attempts) == 1 and "Still waiting: 1" in done.out
    assert [path.name for path in waiting(own_home)] == ["older.json"]


@pytest.mark.parametrize("name", ["..", "../me", "hw0?x=1", "hw0#x", "a/b", "", "a%2fb", "-"])
def test_a_name_cannot_ask_for_something_else(published, mugrade, name):
    done = mugrade("status", "--", name)
    assert done.status == 2 and "is no name of a homework" in done.err
    assert [path for _, path, _, _ in published.requests] == ["/api/v1/meta"]


@pytest.mark.parametrize(
    "address",
    [
        "http://[",
        "http://localhost:99999/",
        "http://localhost:http/",
        "https://a..b/",
        "https://.x/",
        "https://*.x/",
        f"https://{'a' * 64}.org/",
    ],
)
def test_what_is_no_address_is_one_sentence(homework, mugrade, monkeypatch, address):
    monkeypatch.setenv("MUGRADE_KEY", KEY)
    done = mugrade("whoami", "--server", address)
    assert done.status == 2 and "expected a URL such as" in " ".join(done.err.split())


@pytest.mark.parametrize(
    "address", ["http://[::1]:1/", "http://127.0.0.1:1/", "http://localhost.:1/"]
)
def test_an_address_by_number_is_one(homework, mugrade, monkeypatch, address):
    monkeypatch.setenv("MUGRADE_KEY", KEY)
    assert mugrade("whoami", "--server", address).status in (2, 4)
