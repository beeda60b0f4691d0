"""kill -9 of PostgreSQL with all of its processes, while the grader runs on: in the middle of attempts,
of a regrade, of publishing and of a migration. What was acknowledged stands, nothing is there twice,
and the grader goes on by itself once the database is back."""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
import requests
from mugrade.encoding import encode
from mugrade.server.db import Database
from mugrade.server.models import Attempt, Claim
from mugrade.server.settings import Settings
from mugrade.server.testing import private_cluster
from sqlalchemy import select

from .conftest import Server
from .test_durability import TIMELESS, post, processes, wait_until_ready
from .test_killed import (
    PROBLEM,
    STUDENTS,
    ask,
    fill,
    first_schema,
    nothing_has_happened_and_it_is_made_at_the_next_start,
    revisions_are_whole,
    stopped_migration,
    the_last_publication_counts,
    until,
    until_done,
    whole,
)

__all__ = ["processes"]  # the fixture
ATTEMPTS = 400
THREADS = 16


@pytest.fixture(scope="module")
def cluster(postgres):
    """One that may be killed; what it has acknowledged must be on disk, as on a real server."""
    with private_cluster(durable=True) as made:
        yield made


@pytest.fixture
def settings(cluster, tmp_path):
    """Settings for a new, empty database of that cluster."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(cluster.url + "postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return Settings(data_dir=tmp_path, database_url=cluster.url + name)


@pytest.fixture
def empty(settings, monkeypatch):
    """A server on it whose jobs go on by small batches."""
    monkeypatch.setenv("MUGRADE_JOB_BATCH", "4")
    monkeypatch.setenv("MUGRADE_JOB_SECONDS_IN_REQUEST", "0")
    monkeypatch.setenv("MUGRADE_JOB_LEASE_SECONDS", "2")
    database = Database(settings)
    database.migrate()
    database.close()
    made = Server(settings)
    yield made
    made.close()


def kill_and_start(cluster, *servers):
    cluster.kill()
    cluster.start()
    for server in servers:
        server.database.close()  # its connections are gone


def test_every_acknowledged_attempt_survives_two_kills_of_the_database(empty, cluster, processes):
    server = empty.load(TIMELESS)
    server.staff.publish("hw0/add", [7])
    tokens = [server.person(f"s{i}").token for i in range(40)]
    process = processes(server.settings, workers=2)
    wait_until_ready(process)
    given = [(tokens[i % 40], uuid.uuid4().hex, 7 if i % 3 else i) for i in range(ATTEMPTS)]
    acknowledged: dict[str, str] = {}
    reached = {count: threading.Event() for count in (ATTEMPTS // 4, ATTEMPTS // 2)}
    met: set[int] = set()

    def send(job):
        def once():
            answer = post(requests, process, *job)
            met.add(answer.status_code if answer is not None else 0)
            if answer is None:
                raise requests.ConnectionError
            return answer

        answer = until(once)
        assert answer.status_code in (200, 201), answer.text
        acknowledged[job[1]] = answer.json()["id"]
        for count, event in reached.items():
            if len(acknowledged) >= count:
                event.set()

    with ThreadPoolExecutor(THREADS) as pool:
        futures = [pool.submit(send, job) for job in given]
        for event in reached.values():
            assert event.wait(300)
            kill_and_start(cluster)
        for future in futures:
            future.result()
    assert 503 in met, "the kills came while attempts were made"
    again = [post(requests, process, *job).json()["id"] for job in given]
    assert again == [acknowledged[key] for _, key, _ in given], "sent again it is the same attempt"
    server.database.close()
    with server.database.read() as session:
        rows = session.execute(select(Attempt.idempotency_key, Attempt.id, Attempt.pk)).all()
        claims = set(session.scalars(select(Claim.attempt_pk)))
    assert {key: attempt for key, attempt, _ in rows} == acknowledged and len(rows) == ATTEMPTS
    assert claims == {pk for _, _, pk in rows}, "every attempt has its values"


@contextlib.contextmanager
def last_attempt_locked(server):
    """Until the block ends or the database is killed, no regrade comes to its end."""
    with contextlib.closing(psycopg.connect(server.settings.database_url)) as connection:
        connection.execute("SELECT pk FROM attempt ORDER BY pk DESC LIMIT 1 FOR UPDATE")
        yield


def test_a_regrade_goes_on_after_its_database_was_killed(empty, cluster, processes):
    server = fill(empty)
    process = processes(server.settings, workers=2)
    wait_until_ready(process)
    body = {"dry_run": False, "tolerance": {"rtol": 1e-4}}
    job = None

    def shown():
        return ask(server, process, "GET", f"api/v1/jobs/{job}")

    kills, done = 0, 0
    for share in (0.2, 0.5, 0.8):
        with last_attempt_locked(server):
            job = job or ask(server, process, "POST", PROBLEM + "/regrade", json=body).json()["job"]
            while done < share * STUDENTS:
                done = until(shown).json()["done"]
            kill_and_start(cluster, server)
        kills += done < STUDENTS
        assert until(shown).json()["done"] >= done, "what was told as done is done"
    until_done(server, process, job)
    assert kills >= 1, "the first kill at least came in the middle"
    whole(server, STUDENTS)


def test_a_publication_whose_database_is_killed_is_there_with_its_job_or_not_at_all(
    empty, cluster, processes
):
    server = fill(empty)
    process = processes(server.settings, workers=2)
    wait_until_ready(process)
    acknowledged = 1
    for turn, wait in enumerate((0.0, 0.01, 0.03, 0.06, 0.1), 2):
        value = 1 + 5e-5 if turn % 2 == 0 else 1.0
        variant = {"variant": 0, "seed": 100, "values": [encode(value), encode(1.0)]}
        body = {"variants": [variant], "note": f"turn {turn}"}
        with ThreadPoolExecutor(1) as pool:
            sent = pool.submit(ask, server, process, "PUT", PROBLEM + "/revision", json=body)
            time.sleep(wait)
            kill_and_start(cluster, server)
            answer = sent.result()
        until(lambda: ask(server, process, "GET", "api/v1/me"))
        if answer.status_code == 200:
            acknowledged = answer.json()["revision"]
        else:
            assert answer.status_code == 503, answer.text
        assert revisions_are_whole(server) >= acknowledged, "an acknowledged one was lost"
    the_last_publication_counts(server, process)


def test_a_migration_whose_database_is_killed_has_not_happened(settings, cluster, processes):
    first_schema(settings)
    with stopped_migration(settings):
        kill_and_start(cluster)
    nothing_has_happened_and_it_is_made_at_the_next_start(settings, processes)
