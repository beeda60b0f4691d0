"""What a regrade costs those who hand in meanwhile: attempts a second, and a student's longest wait.

    python bench/regrade.py                           PostgreSQL, two workers, 25,000 attempts
    python bench/regrade.py --database sqlite --workers 1

500 students' 50 attempts each are put into the database at once; then, without and with a regrade
of all of them under way, the server is asked as fast as it can take it (16 connections), and by one
student alone, one attempt after another. The exit status is 1 when an attempt was not
acknowledged, was stored twice, or the regrade did not compare all of the attempts.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import requests
from load import Generator, prepare, running, values
from mugrade.encoding import encode
from mugrade.server.clock import utc_now
from mugrade.server.db import Database
from mugrade.server.models import Account, Attempt, Claim, Revision, new_id
from mugrade.server.services import accounts, answers, tokens
from mugrade.server.settings import Settings
from mugrade.server.testing import private_postgres
from sqlalchemy import func, insert, select

OWNERS = 500
PATH = "api/v1/assignments/hw/problems/p/"


@dataclass
class Phase:
    """One row of the table; waits in milliseconds."""

    name: str
    regrade: str
    acknowledged: int
    rate: float
    median: float
    last_percent: float
    longest: float
    bad: list[str]


def fill(settings: Settings, many: int, cases: list[object]) -> str:
    """Attempts that are wrong by a little in one case, straight into the tables; a staff key."""
    database, now = Database(settings), utc_now()
    near = [encode(v) for v in cases]
    near[2] = encode(cases[2] * (1 + 5e-5))  # type: ignore[operator]
    body = answers.pack(near)
    with database.write() as session:
        revision = session.scalars(select(Revision)).one()
        course_pk = session.scalar(select(Account.course_pk))
        staff = accounts.find(session, course_pk, "staff@example.org")
        key, _ = tokens.issue(session, now, staff, name="bench")
        owners = [
            Account(
                course_pk=course_pk,
                email=f"o{i}@x.org",
                name=f"O{i}",
                role="student",
                created_at=now,
            )
            for i in range(OWNERS)
        ]
        session.add_all(owners)
        session.flush()
        verdicts = ["ok"] * len(cases)
        verdicts[2] = "values"
        common = {
            "problem_pk": revision.problem_pk, "revision_pk": revision.pk, "graded_pk": revision.pk,
            "variant": 0, "origin": "api", "created_at": now, "at": now, "digest": "",
            "request_digest": "", "correct": len(cases) - 1, "total": len(cases),
            "verdicts": verdicts, "stored_bytes": len(body),
        }  # fmt: skip
        for start in range(0, many, 1000):
            rows = [
                {**common, "id": new_id("a"), "account_pk": owners[i % OWNERS].pk}
                for i in range(start, min(start + 1000, many))
            ]
            pks = session.scalars(insert(Attempt).returning(Attempt.pk), rows).all()
            session.execute(
                insert(Claim), [{"attempt_pk": pk, "first": 0, "body": body} for pk in pks]
            )
    database.close()
    return key


def ask(
    name: str, address: str, keys: list[str], body: bytes, connections: int, seconds: float
) -> Phase:
    generator = Generator(address, keys, body)
    took = asyncio.run(generator.run(connections, seconds))
    waits = sorted(1000 * s for s in generator.seconds)
    good = len(waits) - len(generator.bad)
    cuts = statistics.quantiles(waits, n=100)
    return Phase(name, "none", good, good / took, cuts[49], cuts[98], waits[-1], generator.bad)


def measure(settings: Settings, arguments: argparse.Namespace) -> bool:
    cases = values(20)
    students = max(100, round(arguments.seconds * 400 / 18))
    everybody = prepare(settings, students, cases)
    key = fill(settings, arguments.attempts, cases)
    body = json.dumps({"cases": [{"label": None, "value": encode(v)} for v in cases]}).encode()
    quarter = students // 4
    keys = [everybody[i * quarter : (i + 1) * quarter] for i in range(4)]
    headers = {"Authorization": f"Bearer {key}"}
    phases = []
    with running(settings, arguments.workers) as address:
        asyncio.run(Generator(address, [], b"").until_ready())
        for name, connections, part in (("16 connections", 16, 0), ("one student", 1, 1)):
            phases.append(ask(name, address, keys[part], body, connections, arguments.seconds))
        given = {"dry_run": False, "tolerance": {"rtol": 1e-4}}
        job = requests.post(
            address + PATH + "regrade", json=given, headers=headers, timeout=60
        ).json()
        url = f"{address}api/v1/jobs/{job['job']}"
        for name, connections, part in (("16 connections", 16, 2), ("one student", 1, 3)):
            before = requests.get(url, headers=headers, timeout=60).json()
            found = ask(name, address, keys[part], body, connections, arguments.seconds)
            after = requests.get(url, headers=headers, timeout=60).json()
            pace = (after["done"] - before["done"]) / arguments.seconds
            found.regrade = f"{before['done']} to {after['done']} ({pace:.0f}/s)"
            phases.append(found)
        while (shown := requests.get(url, headers=headers, timeout=60).json())["state"] != "done":
            time.sleep(0.5)
    show(phases, arguments)
    return check(settings, phases, shown, arguments)


def show(phases: list[Phase], arguments: argparse.Namespace) -> None:
    load = ", ".join(f"{x:.1f}" for x in os.getloadavg())
    print(
        f"{arguments.database}, {arguments.workers} workers, {arguments.attempts} attempts to regrade, "
        f"20 cases each; load average {load} on {os.cpu_count()} cores"
    )
    print(
        f"{'':16} {'regrade':>26} {'attempts/s':>10} {'median':>8} {'99%':>8} {'longest':>8}  errors"
    )
    for p in phases:
        print(
            f"{p.name:16} {p.regrade:>26} {p.rate:10.0f} {p.median:6.0f}ms {p.last_percent:6.0f}ms "
            f"{p.longest:6.0f}ms  {len(p.bad)}"
        )


def check(
    settings: Settings, phases: list[Phase], job: dict, arguments: argparse.Namespace
) -> bool:
    database = Database(settings)
    with database.read() as session:
        stored = session.scalar(select(func.count()).select_from(Attempt))
        right = session.scalar(select(func.count()).where(Attempt.correct == 20))
    database.close()
    print(f"regraded: {job['up']} up of {job['total']}; stored {stored}, all right {right}")
    for line in [line for p in phases for line in p.bad][:3]:
        print("  ", line)
    handed_in = arguments.attempts + sum(p.acknowledged for p in phases)
    whole = job["up"] == arguments.attempts and stored == right == handed_in
    return whole and not any(p.bad for p in phases)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--database", choices=["postgresql", "sqlite"], default="postgresql")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--attempts", type=int, default=25_000)
    parser.add_argument("--seconds", type=float, default=12)
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mugrade-regrade-")))
        url = None
        if arguments.database == "postgresql":
            url = stack.enter_context(private_postgres(durable=True)) + "postgres"
        return 0 if measure(Settings(data_dir=folder, database_url=url), arguments) else 1


if __name__ == "__main__":
    sys.exit(main())
