"""Real processes: kill -9 amid concurrent attempts, writers that queue, memory that stays bounded."""

from __future__ import annotations

import contextlib
import re
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from mugrade.encoding import encode
from mugrade.server.models import Attempt, Claim
from mugrade.server.settings import Settings
from serving import Process
from sqlalchemy import select

from .conftest import COURSE, Server, make_settings

TIMELESS = re.sub(r"(?m)^(opens|due)_at.*$", "", COURSE)  # the processes have the clock of today
ATTEMPTS = 400
STUDENTS = 40
THREADS = 16


@pytest.fixture
def processes():
    made = []

    def make(settings, workers=1):
        made.append(Process(settings, workers))
        return made[-1].start()

    yield make
    for process in made:
        if process.runs:
            process.kill()


def post(session, process, token, key, value):
    """One attempt; None where no answer came."""
    try:
        return session.post(
            process.address + "api/v1/assignments/hw0/problems/add/attempts",
            json={"cases": [{"label": None, "value": encode(value)}]},
            headers={"Authorization": f"Bearer {token}", "Idempotency-Key": key},
            timeout=60,
        )
    except requests.RequestException:
        return None


def wait_until_ready(process):
    for _ in range(1200):
        with contextlib.suppress(requests.RequestException):
            if requests.get(process.address + "readyz", timeout=20).status_code == 200:
                return
        time.sleep(0.1)
    raise AssertionError("the server did not become ready")


def test_every_acknowledged_attempt_survives_kill_9_exactly_once(database_settings, processes):
    settings = Settings(**database_settings)
    server = Server(settings).load(TIMELESS)
    server.staff.publish("hw0/add", [7])
    tokens = [server.person(f"s{i}").token for i in range(STUDENTS)]
    workers = 1 if server.database.is_sqlite else 2
    process = processes(settings, workers)
    wait_until_ready(process)

    jobs = [(tokens[i % STUDENTS], uuid.uuid4().hex, 7 if i % 3 else i) for i in range(ATTEMPTS)]
    acknowledged: dict[str, str] = {}
    enough = threading.Event()

    def send(job):
        token, key, value = job
        answer = post(requests, process, token, key, value)
        if answer is not None and answer.status_code == 201:
            acknowledged[key] = answer.json()["id"]
            if len(acknowledged) >= ATTEMPTS // 4:
                enough.set()
        return answer

    with ThreadPoolExecutor(THREADS) as pool:
        futures = [pool.submit(send, job) for job in jobs]
        assert enough.wait(120)
        process.kill()  # in the middle, with requests in flight
        for future in futures:
            future.result()
    before = dict(acknowledged)
    assert ATTEMPTS // 4 <= len(before) < ATTEMPTS

    process.start()
    wait_until_ready(process)
    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(lambda job: post(requests, process, *job), jobs))
    assert {a.status_code for a in answers} <= {200, 201}, [
        a.text for a in answers if a.status_code > 201
    ][:3]
    by_key = {job[1]: answer.json()["id"] for job, answer in zip(jobs, answers)}
    assert all(by_key[key] == attempt for key, attempt in before.items()), (
        "an acknowledged attempt was lost"
    )

    with server.database.read() as session:
        rows = session.execute(select(Attempt.idempotency_key, Attempt.id, Attempt.pk)).all()
        claims = set(session.scalars(select(Claim.attempt_pk)))
    server.close()
    assert {key: attempt for key, attempt, _ in rows} == by_key and len(rows) == ATTEMPTS
    assert claims == {pk for _, _, pk in rows}, "every attempt has its values"


def test_sqlite_never_says_database_is_locked(request, tmp_path, processes):
    """Two processes write the same file at once: eight threads in each, no error."""
    settings = Settings(**make_settings(request, "sqlite", tmp_path))
    server = Server(settings).load(TIMELESS)
    server.staff.publish("hw0/add", [7])
    tokens = [server.person(f"s{i}").token for i in range(16)]
    both = [processes(settings), processes(settings)]
    for process in both:
        wait_until_ready(process)
    jobs = [(both[i % 2], tokens[i % 16], uuid.uuid4().hex, 7) for i in range(240)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda job: post(requests, *job), jobs))
    assert [a.status_code for a in answers] == [201] * 240
    logs = [process.kill() for process in both]
    assert not any("locked" in log for log in logs)
    server.close()


def test_limits_hold_with_two_workers_at_once(request, tmp_path, processes):
    """Forty attempts of one student at the same moment: exactly twenty are taken."""
    settings = Settings(**make_settings(request, "postgresql", tmp_path))
    server = Server(settings).load(TIMELESS)
    server.staff.publish("hw0/add", [7])
    token = server.student.token
    process = processes(settings, workers=2)
    wait_until_ready(process)
    with ThreadPoolExecutor(THREADS) as pool:
        jobs = [(process, token, uuid.uuid4().hex, 7) for _ in range(40)]
        statuses = [a.status_code for a in pool.map(lambda job: post(requests, *job), jobs)]
    assert sorted(statuses) == [201] * 20 + [429] * 20
    server.close()


def test_memory_is_bounded_while_large_and_deep_bodies_are_refused(request, tmp_path, processes):
    settings = Settings(**make_settings(request, "sqlite", tmp_path))
    server = Server(settings).load(TIMELESS)
    token = server.student.token
    process = processes(settings)
    wait_until_ready(process)
    url = process.address + "api/v1/assignments/hw0/problems/add/attempts"
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def resident():
        with open(f"/proc/{process.process.pid}/status") as file:
            return next(int(line.split()[1]) >> 10 for line in file if line.startswith("VmHWM"))

    def flood():
        for _ in range(1600):
            yield b"[" * 65536

    before = resident()
    bodies = (
        flood,
        lambda: b"[" * (4 << 20),
        lambda: b"[" + b"[]," * (1 << 20) + b"[]]",
        lambda: b'"' + b"," * (4 << 20),
    )
    for make in bodies:
        with contextlib.suppress(requests.ConnectionError):  # the server may hang up mid-way
            answer = requests.post(url, data=make(), headers=headers, timeout=60)
            assert answer.status_code in (400, 413)
    assert requests.get(process.address + "healthz", timeout=20).status_code == 200
    assert resident() - before < 150, "megabytes"
    server.close()
