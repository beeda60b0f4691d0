"""How many attempts a second the server takes: real HTTP, real workers, generator included.

    python bench/load.py                          PostgreSQL, two workers, 20 cases an attempt
    python bench/load.py --database sqlite --workers 1

A private PostgreSQL cluster (durable, as in production) and the server are started and stopped
here. Every attempt is a right one by one of many students, so that no limit is met. The exit status
is 1 when any attempt was not acknowledged with 201, or the stored count differs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from mugrade.encoding import encode
from mugrade.server import coursefile
from mugrade.server.clock import utc_now
from mugrade.server.db import Database
from mugrade.server.models import Account, Attempt, Course
from mugrade.server.schemas import RevisionIn, VariantIn
from mugrade.server.services import accounts, course_edit, publishing, signing, tokens
from mugrade.server.settings import Settings
from mugrade.server.testing import private_postgres
from sqlalchemy import func, select

COURSE = """
[course]
id = "load"
title = "Load"
[[assignment]]
id = "hw"
[[assignment.problem]]
id = "p"
points = 10
[[person]]
email = "staff@example.org"
name = "Staff"
role = "instructor"
"""
MARK = "MUGRADE_LOAD_TEST=1"
PER_STUDENT = 18  # below the limit of 20 an hour


def values(cases: int) -> list[object]:
    """A mixture as in a homework: matrices, vectors, losses, integers."""
    draw = np.random.RandomState(0)
    make = (
        lambda: draw.randn(10, 10).astype(np.float32),
        lambda: draw.randn(8),
        lambda: float(draw.rand()),
        lambda: int(draw.randint(1000)),
    )
    return [make[i % 4]() for i in range(cases)]


def prepare(settings: Settings, students: int, cases: list[object]) -> list[str]:
    """Course, published problem, and a token for every student."""
    database, now = Database(settings), utc_now()
    database.migrate()
    keys = []
    with database.write() as session:
        signing.ensure(session, now)
        course = course_edit.apply_file(session, now, coursefile.parse(COURSE), actor="load")
        staff = accounts.find(session, course.pk, "staff@example.org")
        text, _ = tokens.issue(session, now, staff, name="load")
        actor = tokens.authenticate(session, text, now)
        variant = VariantIn(variant=0, seed=0, values=[encode(v) for v in cases])
        given = RevisionIn(variants=[variant])
        publishing.commit(session, now, actor, publishing.prepare(session, actor, "hw", "p", given))
        row = session.get_one(Course, course.pk)
        for i in range(students):
            account = Account(
                course_pk=row.pk, email=f"s{i}@x.org", name=f"S{i}", role="student", created_at=now
            )
            session.add(account)
            session.flush()
            keys.append(tokens.issue(session, now, account, name="load")[0])
    database.close()
    return keys


@contextlib.contextmanager
def running(settings: Settings, workers: int) -> Iterator[str]:
    """The server as `mugrade serve` starts it; yields its address."""
    name, _, value = MARK.partition("=")
    environment = {**os.environ, "MUGRADE_DATA_DIR": str(settings.data_dir), name: value}
    if settings.database_url:
        environment["MUGRADE_DATABASE_URL"] = settings.database_url
    code = "from mugrade.server.commands import serve; import typer; typer.run(serve)"
    log = settings.data_dir / "server.log"
    with log.open("w", encoding="utf-8") as lines:
        process = subprocess.Popen(
            [sys.executable, "-c", code, "--port", "0", "--json", "--workers", str(workers)],
            stdout=subprocess.PIPE,
            stderr=lines,
            text=True,
            env=environment,
        )
    try:
        assert process.stdout is not None
        told = process.stdout.readline()
        if not told:
            raise SystemExit(f"The server did not start:\n{log.read_text('utf-8')[-2000:]}")
        yield json.loads(told)["address"]
    finally:
        process.terminate()
        process.wait(30)


def processor_seconds(word: str) -> float:
    """User and system time so far of all processes with `word` in their environment or working
    folder (Linux); tells what an attempt costs even on a machine that is busy with other things."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            about = (folder / "environ").read_bytes() + os.fsencode(os.readlink(folder / "cwd"))
            if word.encode() in about:
                fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
                total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


class Generator:
    """A small HTTP/1.1 client on keep-alive connections: the machine's cores belong to the server."""

    def __init__(self, address: str, tokens: list[str], body: bytes) -> None:
        host, port = address.removeprefix("http://").rstrip("/").split(":")
        self.host, self.port, self.body = host, int(port), body
        self.work = iter([t for _ in range(PER_STUDENT) for t in tokens])
        self.seconds: list[float] = []
        self.bad: list[str] = []

    async def run(self, connections: int, duration: float) -> float:
        started = time.perf_counter()
        until = started + duration
        await asyncio.gather(*(self._connection(until) for _ in range(connections)))
        return time.perf_counter() - started

    async def until_ready(self) -> None:
        for _ in range(1200):
            with contextlib.suppress(OSError, ValueError):
                reader, writer = await asyncio.open_connection(self.host, self.port)
                writer.write(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                if b"200" in await asyncio.wait_for(reader.readline(), 20):
                    return
            await asyncio.sleep(0.2)
        raise RuntimeError("the server did not become ready")

    async def _connection(self, until: float) -> None:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        while time.perf_counter() < until:
            token = next(self.work, None)
            if token is None:
                break
            begun = time.perf_counter()
            writer.write(
                b"POST /api/v1/assignments/hw/problems/p/attempts HTTP/1.1\r\nHost: x\r\n"
                b"Content-Type: application/json\r\nAuthorization: Bearer %b\r\nIdempotency-Key: %b\r\n"
                b"Content-Length: %d\r\n\r\n%b"
                % (token.encode(), uuid.uuid4().hex.encode(), len(self.body), self.body)
            )
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            answer = await reader.readexactly(length)
            self.seconds.append(time.perf_counter() - begun)
            if b" 201 " not in head.split(b"\r\n")[0]:
                self.bad.append(answer[:200].decode())
        writer.close()


def measure(settings: Settings, arguments: argparse.Namespace) -> bool:
    cases = values(arguments.cases)
    students = max(50, round(arguments.seconds * 400 / PER_STUDENT))
    tokens = prepare(settings, students, cases)
    body = json.dumps({"cases": [{"label": None, "value": encode(v)} for v in cases]}).encode()
    with running(settings, arguments.workers) as address:
        generator = Generator(address, tokens, body)
        asyncio.run(generator.until_ready())
        before = processor_seconds(MARK), processor_seconds("mugrade-pg-"), time.process_time()
        seconds = asyncio.run(generator.run(arguments.connections, arguments.seconds))
        after = processor_seconds(MARK), processor_seconds("mugrade-pg-"), time.process_time()
    database = Database(settings)
    with database.read() as session:
        stored = session.scalar(select(func.count()).select_from(Attempt))
    database.close()
    good = len(generator.seconds) - len(generator.bad)
    quantiles = statistics.quantiles(generator.seconds, n=100)
    print(
        f"{arguments.database}, {arguments.workers} workers, {arguments.cases} cases, {len(body)} bytes an attempt: "
        f"{good / seconds:.0f} attempts/s over {seconds:.1f} s; {good} acknowledged, {stored} stored, "
        f"{len(generator.bad)} errors; median {quantiles[49] * 1000:.0f} ms, 99% {quantiles[98] * 1000:.0f} ms"
    )
    server, cluster, own = (1000 * (b - a) / len(generator.seconds) for a, b in zip(before, after))
    print(
        f"processor time an attempt: server {server:.1f} ms, database {cluster:.1f} ms, generator {own:.1f} ms"
    )
    for line in generator.bad[:3]:
        print("  ", line)
    return not generator.bad and stored == good


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--database", choices=["postgresql", "sqlite"], default="postgresql")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--cases", type=int, default=20)
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mugrade-load-")))
        url = None
        if arguments.database == "postgresql":
            url = stack.enter_context(private_postgres(durable=True)) + "postgres"
        return 0 if measure(Settings(data_dir=folder, database_url=url), arguments) else 1


if __name__ == "__main__":
    sys.exit(main())
