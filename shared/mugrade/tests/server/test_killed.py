"""kill -9 in the middle of a regrade, of publishing and of a migration: what was acknowledged stands,
and nothing is there twice. In the middle of attempts: test_durability.py; of
the database itself: test_database_killed.py."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import psycopg
import pytest
import requests
from alembic import command
from mugrade.encoding import encode
from mugrade.server.db import Database, _alembic_config
from mugrade.server.models import Attempt, Audit, Expected, Job, JobChange, Revision
from mugrade.server.services import audit, jobs
from mugrade.server.settings import Settings
from sqlalchemy import func, select, text

from .conftest import Server, make_settings
from .test_durability import TIMELESS, processes, wait_until_ready

__all__ = ["processes"]  # the fixture
STUDENTS = 120
PROBLEM = "api/v1/assignments/hw0/problems/add"


@pytest.fixture
def stored(database_settings, monkeypatch):
    """The course of `fill`, and jobs that take it in small batches."""
    monkeypatch.setenv("MUGRADE_JOB_BATCH", "4")
    monkeypatch.setenv("MUGRADE_JOB_SECONDS_IN_REQUEST", "0")
    monkeypatch.setenv("MUGRADE_JOB_LEASE_SECONDS", "2")
    server = fill(Server(Settings(**database_settings)))
    yield server
    server.close()


def fill(server):
    """A course with an attempt by each student, all of them wrong by a little."""
    server.load(TIMELESS).staff.publish("hw0/add", [1.0, 1.0])
    for i in range(STUDENTS):
        who = server.person(f"s{i}")
        assert who.attempt("hw0/add", 1 + 5e-5, 1.0).status_code == 201
    return server


def ask(server, process, method, path, **options):
    headers = {"Authorization": f"Bearer {server.staff.token}"}
    return requests.request(method, process.address + path, headers=headers, timeout=60, **options)


def whole(server, changed):
    """The database's own account of it: every change is there, once, and the chain holds."""
    with server.database.read() as session:
        job = session.scalar(select(Job).order_by(Job.pk.desc()))
        assert (job.state, job.compared, job.changed) == ("done", STUDENTS, changed)
        notes = session.scalar(select(func.count()).where(JobChange.job_pk == job.pk))
        right = session.scalar(select(func.count()).where(Attempt.correct == 2))
        graded = session.scalars(select(Attempt.graded_pk).distinct()).all()
        entries = session.scalar(select(func.count()).where(Audit.action == "regrade"))
        assert audit.first_broken(session, newest=None) is None
    assert notes == right == changed and graded == [job.revision_pk] and entries == 1


def until(ask_again):
    """The first answer that is not 503 or a cut connection: each worker meets dead connections once."""
    for _ in range(1200):
        with contextlib.suppress(requests.RequestException):
            if (answer := ask_again()).status_code != 503:
                return answer
        time.sleep(0.1)
    raise AssertionError("the grader did not come back")


def until_done(server, process, job):
    for _ in range(1200):
        shown = until(lambda: ask(server, process, "GET", f"api/v1/jobs/{job}")).json()
        if shown["state"] == "done":
            return shown
        time.sleep(0.1)
    raise AssertionError(shown)


def test_a_regrade_goes_on_after_kill_9_and_counts_each_attempt_once(stored, processes):
    process = processes(stored.settings, 1 if stored.database.is_sqlite else 2)
    wait_until_ready(process)
    body = {"dry_run": False, "tolerance": {"rtol": 1e-4}}
    job = ask(stored, process, "POST", PROBLEM + "/regrade", json=body).json()["job"]
    kills, done = 0, 0
    for share in (0.2, 0.5, 0.8):
        while done < share * STUDENTS:
            done = ask(stored, process, "GET", f"api/v1/jobs/{job}").json()["done"]
        process.kill()
        kills += done < STUDENTS
        process.start()
        wait_until_ready(process)
        after = ask(stored, process, "GET", f"api/v1/jobs/{job}").json()["done"]
        assert after >= done, "what was told as done is done"
    until_done(stored, process, job)
    assert kills >= 1, "the first kill at least came in the middle"
    whole(stored, STUDENTS)


def test_a_publication_that_is_killed_is_there_with_its_job_or_not_at_all(stored, processes):
    """Killed at many moments; after each, revision, answers and job agree, and the last one ends."""
    process = processes(stored.settings, 1 if stored.database.is_sqlite else 2)
    wait_until_ready(process)
    acknowledged = 1
    for turn, wait in enumerate((0.0, 0.01, 0.03, 0.06, 0.1), 2):
        value = 1 + 5e-5 if turn % 2 == 0 else 1.0
        variant = {"variant": 0, "seed": 100, "values": [encode(value), encode(1.0)]}
        body = json.dumps({"variants": [variant], "note": f"turn {turn}"})
        client = subprocess.Popen(
            [sys.executable, "-c", SEND, process.address, stored.staff.token, body],
            stdout=subprocess.PIPE,
            text=True,
        )
        client.stdout.readline()  # it is about to send
        time.sleep(wait)
        process.kill()
        told = client.communicate(timeout=60)[0]
        process.start()
        wait_until_ready(process)
        if told.startswith("200"):
            acknowledged = int(told.split()[1])
        assert revisions_are_whole(stored) >= acknowledged, "an acknowledged one was lost"
    the_last_publication_counts(stored, process)


def revisions_are_whole(server):
    """Revisions, answers and jobs agree; the newest revision's number."""
    with server.database.read() as session:
        numbers = session.scalars(select(Revision.number).order_by(Revision.number)).all()
        answers = session.scalar(select(func.count()).select_from(Expected))
        jobs_there = session.scalar(select(func.count()).select_from(Job))
    assert numbers == list(range(1, len(numbers) + 1)) and answers == len(numbers)
    assert jobs_there == len(numbers) - 1, "each new revision came with its job"
    return numbers[-1]


def the_last_publication_counts(server, process):
    """Publish once more, wait until every job has ended: all attempts are right, the chain holds."""
    final = {"variant": 0, "seed": 100, "values": [encode(1 + 5e-5), encode(1.0)]}
    body = {"variants": [final], "note": "end"}
    answer = until(lambda: ask(server, process, "PUT", PROBLEM + "/revision", json=body))
    assert answer.status_code == 200, answer.text
    for _ in range(1200):
        with server.database.read() as session:
            if not session.scalar(select(func.count()).where(Job.state.in_(jobs.UNFINISHED))):
                break
        time.sleep(0.1)
    with server.database.read() as session:
        right = session.scalar(select(func.count()).where(Attempt.correct == 2))
        assert right == STUDENTS and audit.first_broken(session, newest=None) is None


SEND = """
import sys, requests
address, token, body = sys.argv[1:]
print("now", flush=True)
headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
url = address + "api/v1/assignments/hw0/problems/add/revision"
try:
    answer = requests.put(url, data=body, headers=headers, timeout=50)
    print(answer.status_code, answer.json().get("revision"))
except requests.RequestException:
    print("cut")
"""

# The migration stops for as long as it takes to be killed, after its first statements.
MIGRATE = """
import sys, time
from pathlib import Path
from alembic import op
from mugrade.server.clock import utc_now
from mugrade.server import opening
from mugrade.server.settings import Settings
create = op.create_table
def stop(*arguments, **named):
    create(*arguments, **named)
    print("in the middle", flush=True)
    time.sleep(600)
op.create_table = stop
opening.open_database(Settings(), utc_now())
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def older(request, tmp_path):
    """Settings for a database of the first schema, with a row in it, as before an update."""
    given = {"data_dir": tmp_path}
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres")
        with psycopg.connect(url + "postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE older")
        given["database_url"] = url + "older"
    return first_schema(Settings(**given))


def first_schema(settings):
    """Make the schema of the first version, with a row in it."""
    database = Database(settings)
    with database.engine.execution_options(mugrade_write=True).begin() as connection:
        config = _alembic_config(settings)
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(text("INSERT INTO server_secret VALUES ('kept', 'x', '2026-01-01')"))
    database.close()
    return settings


def test_a_migration_that_is_killed_has_not_happened_and_is_made_at_the_next_start(
    older, processes
):
    with stopped_migration(older) as migration:
        os.kill(migration.pid, signal.SIGKILL)
    nothing_has_happened_and_it_is_made_at_the_next_start(older, processes)


@contextlib.contextmanager
def stopped_migration(settings):
    """A process that stands in the middle of a migration; it is killed at the end."""
    environment = {**os.environ, "MUGRADE_DATA_DIR": str(settings.data_dir)}
    if settings.database_url:
        environment["MUGRADE_DATABASE_URL"] = settings.database_url
    command = [sys.executable, "-c", MIGRATE]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    with process:
        assert process.stdout.readline() == "in the middle\n"
        yield process
        process.kill()


def nothing_has_happened_and_it_is_made_at_the_next_start(older, processes):
    database = Database(older)
    assert database.revision() == "0001"
    with database.read() as session, pytest.raises(Exception, match="server_fact"):
        session.execute(text("SELECT * FROM server_fact"))
    wait_until_ready(processes(older))
    assert database.is_current()
    with database.read() as session:
        names = session.scalars(text("SELECT name FROM server_secret ORDER BY name")).all()
    database.close()
    assert names == ["kept", "signing", "variants"]


def test_the_fixture_leaves_jobs_to_the_lane(request, tmp_path, monkeypatch):
    """Else the kills above would come after the work."""
    monkeypatch.setenv("MUGRADE_JOB_SECONDS_IN_REQUEST", "0")
    server = Server(Settings(**make_settings(request, "sqlite", tmp_path))).load(TIMELESS)
    server.staff.publish("hw0/add", [1.0])
    server.student.attempt("hw0/add", 1.0)
    assert server.staff.publish("hw0/add", [2.0]).json()["state"] == "waiting"
    server.close()
