"""A whole class at once, straight into the tables: 300 students with 50 attempts each, some late."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any

import numpy as np
from mugrade.encoding import encode
from mugrade.server.db import Database
from mugrade.server.models import Account, Attempt, Claim, Revision, new_id
from mugrade.server.services import answers, courses
from sqlalchemy import insert

STUDENTS, ATTEMPTS = 300, 50
PROBLEMS = 9
FIRST = [
    "Ada",
    "Alan",
    "Emmy",
    "Grace",
    "Kurt",
    "Sofia",
    "Carl",
    "Maria",
    "Leonhard",
    "Julia",
    "Paul",
    "Rosa",
    "John",
    "Mary",
    "Henri",
    "Olga",
]
LAST = [
    "Lovelace",
    "Turing",
    "Noether",
    "Hopper",
    "Goedel",
    "Kovalevskaya",
    "Gauss",
    "Agnesi",
    "Euler",
    "Robinson",
    "Erdos",
    "Peter",
]


def course(now: dt.datetime) -> str:
    """A course file with five homeworks: three were due, one is, one is not open yet."""
    lines = ['[course]\nid = "deep"\ntitle = "Deep learning from scratch"\ncode = "abcde-fghij"\n']
    lines.append("[late]\npercent_per_day = 10\npooled_days = 6\ncutoff_days = 7\n")
    for number in range(5):
        opens = now + dt.timedelta(days=14 * (number - 3) - 10)
        due = now + dt.timedelta(days=14 * (number - 3) + 4)
        lines.append(
            f'[[assignment]]\nid = "hw{number}"\ntitle = "Homework {number}"\n'
            f"opens_at = {opens:%Y-%m-%dT%H:%M:%SZ}\ndue_at = {due:%Y-%m-%dT%H:%M:%SZ}\n"
        )
        for problem in range(PROBLEMS):
            lines.append(f'[[assignment.problem]]\nid = "p{problem}"\npoints = 10\n')
    lines.append('[[rubric]]\nid = "idea"\ntitle = "Idea"\npoints = 40\n')
    lines.append(
        '[[person]]\nemail = "staff@example.org"\nname = "Grace Hopper"\nrole = "instructor"\n'
    )
    return "\n".join(lines)


def publish(database: Database, course_pk: int, now: dt.datetime) -> None:
    """Answers of four cases for every problem of the first four homeworks."""
    values = [encode(np.arange(6.0).reshape(2, 3) + i) for i in range(3)] + [encode(2.5)]
    body = answers.pack(values)
    from mugrade.server.models import Expected, Problem

    with database.write() as session:
        view = courses.view(session, course_pk)
        for assignment in view.assignments[:4]:
            for problem in assignment.problems:
                row = Revision(
                    problem_pk=problem.pk,
                    number=1,
                    labels=["shapes", "one batch", "two batches", "loss"],
                    tolerance={"rtol": 1e-5, "ascale": 1e-6, "atol": 0.0, "dtype": False},
                    case_tolerances={},
                    digest=f"{problem.pk}",
                    created_at=now,
                )
                session.add(row)
                session.flush()
                session.add(
                    Expected(revision_pk=row.pk, variant=0, seed=problem.pk, inputs=[], body=body)
                )
                session.get_one(Problem, problem.pk).current_pk = row.pk
        courses.changed(session, course_pk)


def enrol(
    database: Database,
    course_pk: int,
    now: dt.datetime,
    students: int = STUDENTS,
    first: int = 0,
) -> list[int]:
    """Students, and the attempts of each; returns their primary keys."""
    dice = random.Random(7)
    with database.write() as session:
        people = [
            Account(
                course_pk=course_pk,
                email=f"s{i}@example.org",
                name=f"{FIRST[i % len(FIRST)]} {LAST[i // len(FIRST) % len(LAST)]} {i}",
                role="student",
                created_at=now - dt.timedelta(days=60),
            )
            for i in range(first, first + students)
        ]
        session.add_all(people)
        session.flush()
        view = courses.view(session, course_pk)
        places = [(a, p) for a in view.assignments for p in a.problems if p.revision is not None]
        rows = []
        for person in people:
            skill = dice.random() ** 0.5
            for turn in range(ATTEMPTS):
                rows.append(_attempt(dice, person.pk, *places[turn % len(places)], skill, now))
        pks = session.scalars(insert(Attempt).returning(Attempt.pk), rows).all()
        wrong = answers.pack([encode(np.arange(6.0).reshape(2, 3) * 1.5)] * 3 + [encode(2.25)])
        session.execute(
            insert(Claim), [{"attempt_pk": pk, "first": 0, "body": wrong} for pk in pks]
        )
        return [person.pk for person in people]


def _attempt(
    dice: random.Random, account: int, assignment: Any, problem: Any, skill: float, now: dt.datetime
) -> dict[str, Any]:
    verdicts = ["ok" if dice.random() < skill else "values" for _ in range(4)]
    early = dt.timedelta(hours=dice.expovariate(1 / 60) - 20)
    at = min(assignment.due_at - early, now - dt.timedelta(minutes=5))
    common = {"created_at": at, "at": at, "digest": "", "request_digest": "", "variant": 0}
    return {
        **common,
        "id": new_id("a"),
        "account_pk": account,
        "problem_pk": problem.pk,
        "revision_pk": problem.revision.pk,
        "graded_pk": problem.revision.pk,
        "origin": "api",
        "correct": verdicts.count("ok"),
        "total": 4,
        "verdicts": verdicts,
        "stored_bytes": 100,
    }
