"""What an operator meets: backups, checks, pruning, file modes, quotas, and sentences for mistakes."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import uuid

import numpy as np
import psycopg
import pytest
from fastapi.testclient import TestClient
from mugrade import cli
from mugrade.server import opening
from mugrade.server.app import create_app
from mugrade.server.clock import utc_now
from mugrade.server.models import Attempt, Audit, Claim, DeviceLogin, FailedTry, WebSession
from mugrade.server.services import accounts, audit, sessions, upkeep
from mugrade.server.settings import Settings
from sqlalchemy import func, select, update
from sqlalchemy.engine import make_url

from .conftest import Server, make_settings
from .test_killed import first_schema


@pytest.fixture
def run(capfd):
    """A command line in this process: status, output, errors."""

    def command(*words):
        capfd.readouterr()
        status = cli.run([str(word) for word in words])
        told = capfd.readouterr()
        return status, told.out, " ".join(told.err.split())

    return command


@pytest.fixture
def filled(server, monkeypatch):
    """A course with an attempt, on both databases; the commands find it by the environment."""
    server.staff.publish("hw0/add", [1.0])
    server.student.attempt("hw0/add", 1.0)
    server.client.get("/api/v1/meta")
    monkeypatch.setenv("MUGRADE_DATA_DIR", str(server.settings.data_dir))
    if server.settings.database_url:
        monkeypatch.setenv("MUGRADE_DATABASE_URL", server.settings.database_url)
    return server


# ------------------------------------------------------------------------------- backup, restore


def test_a_backup_is_whole_private_and_restores_scores_keys_and_receipts(filled, run, tmp_path):
    keys = filled.client.get("/api/v1/meta").json()["receipt_keys"]
    copy = tmp_path / "copies" / "monday"
    status, out, err = run("backup", copy)
    assert status == 0 and "guard it" in out, err
    assert copy.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in copy.parent.iterdir()] == ["monday"], "one file"
    filled.student.attempt("hw0/add", 0.0)
    filled.database.close()
    status, out, err = run("restore", copy)
    assert status == 2 and "--replace" in err, "never over what is there, unasked"
    status, out, err = run("restore", copy, "--replace")
    assert status == 0 and "mugrade db check" in out, err
    again = Server(filled.settings, filled.clock)
    again.people = filled.people
    for person in again.people.values():
        person.server = again
    attempts = again.student.get("/assignments/hw0/problems/add/attempts").json()["attempts"]
    assert [a["correct"] for a in attempts] == [1]
    assert again.client.get("/api/v1/meta").json()["receipt_keys"] == keys
    again.close()
    assert run("db", "check")[0] == 0


def test_a_backup_is_never_written_over_and_goes_on_beside_writers(filled, run, tmp_path):
    with filled.database.write():
        assert run("backup", tmp_path / "one")[0] == 0
    status, _, err = run("backup", tmp_path / "one")
    assert status == 2 and "exists already" in err


def test_restore_refuses_what_is_no_backup_and_a_folder_that_is_served(lite, run, tmp_path):
    folder = lite.settings.data_dir
    (tmp_path / "rubbish").write_text("SELECT 1" * 1000)
    status, _, err = run("restore", tmp_path / "rubbish", "--data", folder, "--replace")
    assert status == 2 and "nothing was changed" in err
    run("backup", tmp_path / "good", "--data", folder)
    with upkeep.serving(lite.settings):
        status, _, err = run("restore", tmp_path / "good", "--data", folder, "--replace")
        assert status == 2 and "stop it first" in err
    assert run("restore", tmp_path / "good", "--data", folder, "--replace")[0] == 0
    kept = [p for p in folder.glob("*.replaced-*") if not p.name.endswith(("-wal", "-shm"))]
    assert len(kept) == 1, "what was there is kept"


def test_what_restore_has_put_aside_can_be_restored_with_all_that_was_in_it(lite, run, tmp_path):
    """Also what was still in its -wal, as a server leaves it that was killed."""
    folder = lite.settings.data_dir
    lite.staff.publish("hw0/add", [1.0])
    assert run("backup", tmp_path / "early", "--data", folder)[0] == 0
    lite.student.attempt("hw0/add", 1.0)
    (tmp_path / "killed").mkdir()
    for end in ("", "-wal"):
        shutil.copy(folder / f"mugrade.sqlite3{end}", tmp_path / "killed")
    folder = tmp_path / "killed"
    assert run("restore", tmp_path / "early", "--data", folder, "--replace")[0] == 0
    aside = next(p for p in folder.glob("*.replaced-*") if not p.name.endswith(("-wal", "-shm")))
    assert run("restore", aside, "--data", folder, "--replace")[0] == 0
    with contextlib.closing(sqlite3.connect(folder / "mugrade.sqlite3")) as raw:
        assert raw.execute("SELECT count(*) FROM attempt").fetchone() == (1,)


def test_a_restore_that_fails_leaves_what_was_there(lite, run, tmp_path, monkeypatch):
    def full(*unused):
        raise OSError(28, "No space left on device")

    folder = lite.settings.data_dir
    assert run("backup", tmp_path / "copy", "--data", folder)[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr("mugrade.server.operations._flush", full)
        status, _, err = run("restore", tmp_path / "copy", "--data", folder, "--replace")
    assert status == 2 and "No space left" in err
    assert not list(folder.glob("*.replaced-*")) and run("db", "check", "--data", folder)[0] == 0


# ---------------------------------------------------------------- backup, restore on PostgreSQL


@pytest.fixture
def empty(postgres, tmp_path, monkeypatch):
    """A database without tables, and a data folder that nobody has made; yields its URL."""
    name = f"empty_{uuid.uuid4().hex}"
    with psycopg.connect(postgres + "postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    monkeypatch.setenv("MUGRADE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("MUGRADE_DATABASE_URL", postgres + name)
    return postgres + name


def tables(url):
    with psycopg.connect(url) as connection:
        query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        return {name for (name,) in connection.execute(query)}


def test_a_backup_made_before_an_update_is_restored_after_it(empty, run, tmp_path):
    """Tables of the newer schema hang on those that the backup brings."""
    first_schema(Settings(database_url=empty))
    assert run("backup", tmp_path / "before")[0] == 0
    assert run("prune")[0] == 0, "which brings the schema up to date"
    with psycopg.connect(empty) as connection:  # an update that this mugrade does not know yet
        connection.execute("CREATE TABLE later (course_pk integer REFERENCES course (pk))")
    status, _, err = run("restore", tmp_path / "before", "--replace")
    assert status == 0, err
    assert "later" not in tables(empty) and run("db", "check")[0] == 0
    assert run("restore", tmp_path / "before")[0] == 2, "never over what is there, unasked"


def test_a_restore_of_a_damaged_dump_changes_nothing(empty, run, tmp_path):
    first_schema(Settings(database_url=empty))
    assert run("backup", tmp_path / "whole")[0] == 0
    whole = (tmp_path / "whole").read_bytes()
    (tmp_path / "cut").write_bytes(whole[: len(whole) // 2])
    status, _, err = run("restore", tmp_path / "cut", "--replace")
    assert status == 2 and "error: could not read" in err, err
    with psycopg.connect(empty) as connection:
        kept = connection.execute("SELECT name FROM server_secret WHERE name = 'kept'")
        assert kept.fetchone() == ("kept",)


@pytest.mark.parametrize("words", ["backup", "link a@x.org", "prune", "restore FILE --replace"])
def test_another_programs_database_is_left_alone(empty, run, tmp_path, words):
    (tmp_path / "FILE").write_bytes(b"PGDMP")
    with psycopg.connect(empty) as connection:
        connection.execute("CREATE TABLE account (x integer)")
    status, _, err = run(*words.replace("FILE", str(tmp_path / "FILE")).split())
    assert status == 2 and "holds another program's tables (account)" in err, err
    assert tables(empty) == {"account"}


@pytest.mark.parametrize("words", ["backup", "db check", "link a@x.org", "prune"])
def test_a_database_that_was_mistaken_gets_no_tables_and_no_backup(empty, run, tmp_path, words):
    status, _, err = run(*words.split())
    assert status == 2 and "is empty; check MUGRADE_DATABASE_URL" in err, err
    assert not tables(empty) and not list(tmp_path.iterdir())


def test_the_dump_is_of_the_database_that_the_whole_url_names(empty, run, tmp_path, monkeypatch):
    """Also what stands behind the question mark: a socket, sslmode."""
    first_schema(Settings(database_url=empty))
    url = make_url(empty)
    by_query = f"postgresql://mugrade@/{url.database}?host={url.host}&port={url.port}"
    monkeypatch.setenv("MUGRADE_DATABASE_URL", by_query)
    status, _, err = run("backup", tmp_path / "copy")
    assert status == 0, err
    assert run("restore", tmp_path / "copy", "--replace")[0] == 0


def test_a_restore_waits_for_no_server_but_refuses(empty, run, tmp_path):
    first_schema(Settings(database_url=empty))
    assert run("backup", tmp_path / "copy")[0] == 0
    with upkeep.serving(Settings()):
        status, _, err = run("restore", tmp_path / "copy", "--replace")
    assert status == 2 and "stop it first" in err


# ----------------------------------------------------------------------------------------- check


def test_check_finds_nothing_wrong_and_says_what_it_looked_at(filled, run):
    status, out, _ = run("db", "check")
    assert status == 0 and "ok   audit log" in out and "ok   attempts" in out


def test_check_finds_what_was_changed_by_hand(lite, run):
    lite.staff.publish("hw0/add", [1.0])
    lite.student.attempt("hw0/add", 1.0)
    with lite.database.write() as session:
        session.execute(update(Attempt).values(correct=5))
    lite.database.close()
    with contextlib.closing(sqlite3.connect(lite.settings.sqlite_path())) as raw, raw:
        for (name,) in raw.execute(
            "SELECT name FROM sqlite_master WHERE type='trigger' AND tbl_name='audit'"
        ).fetchall():
            raw.execute(f"DROP TRIGGER {name}")
        raw.execute("UPDATE audit SET actor = 'nobody' WHERE seq = 1")
        raw.execute("DELETE FROM claim")
        raw.execute("INSERT INTO claim VALUES (999, 0, x'00')")
    status, out, err = run("db", "check", "--data", lite.settings.data_dir, "--json")
    found = json.loads(out)
    assert status == 1 and "restore" in err
    assert "entry 1" in found["audit log"] and "counts 5 of 1" in found["attempts"]
    assert "claim" in found["foreign keys"] and found["file"] == ""


# ----------------------------------------------------------------------------------------- prune


def test_prune_deletes_what_has_expired_and_nothing_else(filled, run, tmp_path):
    old = utc_now() - dt.timedelta(days=400)
    with filled.database.write() as session:
        account = accounts.find(session, filled.student.account.course_pk, "student@example.org")
        session.add(FailedTry(subject="x", at=old))
        for age in (old, utc_now()):
            sessions.one_time_link(session, age, account)
            code = f"{age:%f}-{age:%Y}"
            session.add(
                DeviceLogin(
                    sha256=code, user_code=code, client="x", state="pending", created_at=age,
                    expires_at=age + dt.timedelta(minutes=5),
                )
            )  # fmt: skip
    filled.student.attempt("hw0/add", 1.0, key="key-of-long-ago")
    with filled.database.write() as session:
        session.execute(update(Attempt).values(created_at=old))
    before = filled.student.get("/assignments/hw0").json()["score"]
    counts = json.loads(run("prune", "--values-days", "100", "--dry-run", "--json")[1])
    assert counts == {
        "sessions and links": 1,
        "device codes": 1,
        "failed tries": 1,
        "idempotency keys": 1,
        "changes noted by jobs": 0,
        "values": 2,
        "sources": 0,
    }
    assert json.loads(run("prune", "--values-days", "100", "--json")[1]) == counts
    assert set(json.loads(run("prune", "--values-days", "100", "--json")[1]).values()) == {0}
    with filled.database.read() as session:
        left = [session.scalar(select(func.count()).select_from(t)) for t in (WebSession, Claim)]
    assert left == [1, 0]
    assert filled.student.get("/assignments/hw0").json()["score"] == before
    again = filled.staff.post("/assignments/hw0/problems/add/regrade", {"dry_run": False}).json()
    assert again["skipped"] == 2 and again["changed"] == 0, "no values is not `missing`"


# ------------------------------------------------------------------------------ modes and quotas


def test_the_database_is_its_owners_only_and_an_open_folder_is_told(tmp_path, caplog):
    folder = tmp_path / "open"
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    opening.open_database(Settings(data_dir=folder), utc_now()).close()
    files = [p for p in folder.iterdir() if p.name.startswith("mugrade.sqlite3")]
    assert files and all(p.stat().st_mode & 0o077 == 0 for p in files)
    assert "open to other users" in caplog.text
    files[0].chmod(0o644)
    opening.open_database(Settings(data_dir=folder), utc_now()).close()
    assert files[0].stat().st_mode & 0o077 == 0 and "was readable by others" in caplog.text
    opening.open_database(Settings(data_dir=tmp_path / "new"), utc_now()).close()
    assert (tmp_path / "new").stat().st_mode & 0o077 == 0


def test_values_far_larger_than_the_published_ones_are_refused(server):
    server.staff.publish("hw0/add", [np.ones(10) * 1.5])
    answer = server.student.attempt("hw0/add", np.random.RandomState(0).rand(60_000))
    assert answer.status_code == 413 and "at most 262144 are taken" in answer.json()["detail"]
    assert "another shape" in answer.json()["detail"]
    assert server.student.attempt("hw0/add", np.ones((100, 100))).status_code == 201
    source = [{"path": "a.py", "sha256": "0" * 64, "text": "x" * 600_000}]
    refused = server.student.attempt("hw0/add", np.ones(10), source=source)
    assert refused.status_code == 413 and "source files" in refused.json()["detail"]


def test_an_account_stores_only_so_much_a_day(request, tmp_path):
    made = make_settings(request, "sqlite", tmp_path)
    server = Server(Settings(**made, max_bytes_per_day=200_000)).load()
    server.staff.publish("hw0/add", [np.ones(10) * 1.5])
    noise = np.random.RandomState(0).rand(15_000)
    answers = [server.student.attempt("hw0/add", noise) for _ in range(3)]
    assert [a.status_code for a in answers] == [201, 429, 429]
    body = answers[-1].json()
    assert body["code"] == "rate_limited" and "2026-10-02 12:00 UTC" in body["detail"]
    assert body["retry_after"] == 86400
    assert server.person("other").attempt("hw0/add", noise).status_code == 201
    server.clock.forward(hours=24, seconds=1)
    assert server.student.attempt("hw0/add", noise).status_code == 201
    server.close()


# --------------------------------------------------------------------------- operators' mistakes


def half_migrated(path):
    with contextlib.closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("CREATE TABLE course (pk INTEGER PRIMARY KEY)")


def newer(path):
    with contextlib.closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        raw.execute("INSERT INTO alembic_version VALUES ('9999_future')")


def damaged(path):
    opening.open_database(Settings(data_dir=path.parent), utc_now()).close()
    size = path.stat().st_size
    with path.open("rb+") as file:
        file.seek(100)
        file.write(os.urandom(size - 100))


def garbage(path):
    path.write_bytes(b"this is no database at all" * 1000)


def content(path):
    """All tables as text; the bytes of a file that has none."""
    try:
        with contextlib.closing(sqlite3.connect(path)) as raw, raw:
            return list(raw.iterdump())
    except sqlite3.DatabaseError:
        return path.read_bytes()


@pytest.mark.parametrize(
    "spoil, words",
    [
        (half_migrated, "half-migrated"),
        (newer, "was written by a newer mugrade (schema '9999_future')"),
        (damaged, "is damaged"),
        (garbage, "is no database of mugrade"),
    ],
)
def test_a_database_that_cannot_be_used_is_one_sentence_and_left_alone(run, tmp_path, spoil, words):
    path = tmp_path / "mugrade.sqlite3"
    spoil(path)
    before = content(path)
    for command in (["serve", "--port", "0"], ["link", "a@example.org"], ["prune"]):
        status, _, err = run(*command, "--data", tmp_path)
        assert status == 2 and words in err, err
        assert "Traceback" not in err and len(err) < 400
    assert content(path) == before


@pytest.mark.parametrize(
    "environment, words",
    [
        ({"MUGRADE_SIGNING_KEY": "abc"}, "MUGRADE_SIGNING_KEY is no base64"),
        ({"MUGRADE_SIGNING_KEY": base64.b64encode(b"short").decode()}, "holds 5 bytes"),
        ({"MUGRADE_DATABASE_URL": "nonsense"}, "is no database URL"),
        ({"MUGRADE_DATABASE_URL": "mysql://mugrade:hunter2@host/x"}, "is no database URL"),
        ({"MUGRADE_DATABASE_URL": "postgresql+psycopg2://host/x"}, "is no database URL"),
        ({"MUGRADE_DATABASE_URL": "postgresql://mugrade:x@hunter2@host/x"}, "%40 stands for @"),
        ({"MUGRADE_DATABASE_URL": "postgresql://host:99999/x"}, "is no database URL"),
        (
            {"MUGRADE_DATABASE_URL": "postgresql://mugrade:hunter2@127.0.0.1:1/x"},
            "PostgreSQL at 127.0.0.1:1/x does not let mugrade in",
        ),
        ({"MUGRADE_ATTEMPTS_PER_HOUR": "many"}, "MUGRADE_ATTEMPTS_PER_HOUR: Input should be a val"),
        ({"MUGRADE_ATTEMPTS_PER_HOUR": "-1"}, "MUGRADE_ATTEMPTS_PER_HOUR: Input should be great"),
        ({"MUGRADE_KEEP_VALUES_DAYS": "-1"}, "MUGRADE_KEEP_VALUES_DAYS: "),
        ({"MUGRADE_MAX_CASE_BYTES": "0"}, "MUGRADE_MAX_CASE_BYTES: "),
        ({"MUGRADE_KEY_DAYS": "99999999"}, "MUGRADE_KEY_DAYS: "),
        ({"MUGRADE_METRICS": "all"}, "MUGRADE_METRICS: Input should be 'local', 'open' or 'off'"),
        ({"MUGRADE_WEB": "grader.example.org"}, "The address people use is 'grader.example.org/'"),
        ({"MUGRADE_WEB": "https://["}, "The address people use is 'https://[/'"),
    ],
)
def test_a_bad_configuration_is_refused_at_the_start(
    run, tmp_path, monkeypatch, environment, words
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    status, out, err = run("serve", "--port", "0", "--data", tmp_path)
    assert status == 2 and words in err, err
    assert "hunter2" not in out + err and "Traceback" not in err


@pytest.mark.parametrize("command", [["backup"], ["prune"], ["db", "check"]])
@pytest.mark.parametrize(
    "name, value, words",
    [
        ("SIGNING_KEY", "abc", "MUGRADE_SIGNING_KEY is no base64"),
        ("DATABASE_URL", "nonsense", "MUGRADE_DATABASE_URL is no database URL"),
        ("WEB", "grader.example.org", "The address people use is 'grader.example.org';"),
    ],
)
def test_every_command_checks_every_setting(
    run, tmp_path, monkeypatch, command, name, value, words
):
    monkeypatch.setenv(f"MUGRADE_{name}", value)
    status, _, err = run(*command, "--data", tmp_path)
    assert status == 2 and words in err, err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "command", ["backup", "prune", "db check", "link a@x.org", "token a@x.org", "seal out.gz"]
)
def test_a_folder_that_was_misspelt_gets_no_database(run, tmp_path, command):
    status, _, err = run(*command.split(), "--data", tmp_path / "datta")
    assert status == 2 and "There is no database at" in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("port", ["70000", "-1"])
def test_a_port_that_is_none_is_one_sentence(run, tmp_path, port):
    status, _, err = run("serve", f"--port={port}", "--data", tmp_path)
    assert status == 2 and "'--port'" in err and "Traceback" not in err


def test_a_data_folder_below_a_file_is_one_sentence(run, tmp_path):
    (tmp_path / "file").write_text("")
    status, _, err = run("serve", "--port", "0", "--data", tmp_path / "file" / "data")
    assert status == 2 and "cannot be used (Not a directory)" in err


def test_an_unknown_database_on_postgresql_is_one_sentence(postgres, run, tmp_path, monkeypatch):
    monkeypatch.setenv("MUGRADE_DATABASE_URL", postgres + "nowhere")
    status, _, err = run("serve", "--port", "0", "--data", tmp_path)
    assert status == 2 and 'database "nowhere" does not exist' in err


def test_a_newer_schema_on_postgresql_is_one_sentence(request, run, tmp_path, monkeypatch):
    settings = make_settings(request, "postgresql", tmp_path)
    with psycopg.connect(settings["database_url"], autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999_future'")
    monkeypatch.setenv("MUGRADE_DATABASE_URL", settings["database_url"])
    status, _, err = run("prune", "--data", tmp_path)
    assert status == 2 and "newer mugrade" in err


# ------------------------------------------------------------------------- readiness and address


def test_a_full_disk_is_not_ready_and_the_log_says_why(tmp_path):
    """The limit on a file's size stands in for a disk's; in a process of its own, for it stays."""
    code = """
import logging, resource, signal, sys
from pathlib import Path
from fastapi.testclient import TestClient
from mugrade.server.app import create_app
from mugrade.server.settings import Settings
logging.basicConfig(stream=sys.stdout)
client = TestClient(create_app(Settings(data_dir=Path(sys.argv[1]))))
assert client.get("/readyz").status_code == 200
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
answer = client.get("/readyz")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(answer.status_code, answer.json(), client.get("/readyz").status_code)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert "503 {'status': 'no space left'} 200" in done.stdout, done.stderr
    assert "takes nothing more" in done.stdout


def test_link_knows_the_servers_address(lite, run, monkeypatch):
    monkeypatch.delenv("MUGRADE_WEB", raising=False)
    folder = lite.settings.data_dir
    with lite.database.write() as session:
        upkeep.note_address(session, utc_now(), "http://127.0.0.1:18001/")
    _, out, _ = run("link", "teacher@example.org", "--data", folder)
    assert out.startswith("http://127.0.0.1:18001/")
    monkeypatch.setenv("MUGRADE_WEB", "https://grader.example.org/")
    assert run("link", "teacher@example.org", "--data", folder)[1].startswith("https://grader.ex")


# ------------------------------------------------------------------------------ clocks and views


def test_the_audit_log_tells_of_a_clock_that_was_set_back(server):
    server.clock.forward(days=30)
    server.staff.publish("hw0/add", [1.0])
    server.clock.forward(days=-30)
    server.staff.publish("hw0/add", [2.0])
    shown = server.staff.get("/audit").json()
    assert shown["intact"]
    assert any(e["detail"].get("clock_set_back_seconds") == 30 * 86400 for e in shown["entries"])


def test_the_audit_log_is_not_read_whole_at_each_view(lite, monkeypatch):
    with lite.database.write() as session:
        for i in range(60):
            audit.record(session, lite.clock(), actor="x", action="y", object=str(i), course_pk=1)
    looked = []
    hashed = audit._hash
    monkeypatch.setattr(audit, "_hash", lambda *a: looked.append(1) or hashed(*a))
    with lite.database.read() as session:
        assert audit.first_broken(session, newest=20) is None and len(looked) == 20
        assert audit.first_broken(session, newest=None) is None
        assert len(looked) - 20 == session.scalar(select(func.max(Audit.seq)))


def test_statistics_read_only_what_is_new(lite, monkeypatch):
    from mugrade.server.services import statistics

    lite.staff.publish("hw0/add", [1.0, 2.0])
    for i in range(12):
        lite.person(f"s{i}").attempt("hw0/add", 1.0, 0.0)
    lite.clock.forward(minutes=5)
    added = []
    add = statistics._Counts.add
    monkeypatch.setattr(
        statistics._Counts, "add", lambda self, row: added.append(row.pk) or add(self, row)
    )

    def shown():
        added.clear()
        return lite.staff.get("/statistics", params={"assignment": "hw0"}).json()["problems"][0]

    first = shown()
    assert first["attempts"] == 12 and len(added) == 12
    lite.person("s0").attempt("hw0/add", 1.0, 2.0)
    again = shown()
    assert len(added) == 1 and (again["attempts"], again["solved"]) == (13, 1)
    assert again["median_attempts_to_solve"] == 2.0
    assert again["cases"][1] | {"kinds": 0} == {
        "index": 1, "label": "case 1", "first_tries": 12, "failed_first": 12, "attempts": 13,
        "failed": 12, "kinds": 0,
    }  # fmt: skip
    assert shown() == again, "what is not settled yet is counted once"
    lite.staff.publish("hw0/add", [1.0, 0.0])
    assert shown()["solved"] == 12, "a regrade begins a new tally"


def test_a_server_can_be_made_with_what_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("MUGRADE_DATA_DIR", str(tmp_path))
    app = create_app()
    assert TestClient(app).get("/readyz").json() == {"status": "ok"}
    app.state.database.close()
    assert (tmp_path / "mugrade.sqlite3").exists()
