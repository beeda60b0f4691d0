"""An attempt's rarer ways: sources beside it, sizes, keys used twice, answers that change under it."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from mugrade.server import coursefile
from mugrade.server.errors import Refusal
from mugrade.server.models import Attempt, SourceBundle
from mugrade.server.schemas import AttemptIn
from mugrade.server.services import (
    answers,
    attempts,
    course_edit,
    courses,
    signing,
    tokens,
)
from sqlalchemy import select

from .conftest import COURSE, NOON
from .test_api import problem_document


def test_sources_that_are_sent_along_are_kept_with_the_attempt(server):
    server.staff.publish("hw0/add", [1.0])
    text = "def add(x, y):\n    return x + y\n"
    file = {"path": "src/work.py", "sha256": hashlib.sha256(text.encode()).hexdigest()}
    sent = server.student.attempt("hw0/add", 1.0, source=[{**file, "text": text}]).json()
    with server.database.read() as session:
        row = session.scalar(select(Attempt).where(Attempt.id == sent["id"]))
        bundle = session.get_one(SourceBundle, row.pk)
    assert answers.unpack(bundle.body) == [{**file, "text": text}]
    assert row.stored_bytes > len(bundle.body)


def test_a_case_that_is_too_large_is_named_and_several_that_fit_are_not_refused(lite):
    noise = np.random.default_rng(0).standard_normal
    lite.staff.publish("hw0/add", [noise(40_000), noise(60_000), noise(100)])
    object.__setattr__(lite.app.state.settings, "max_case_bytes", 700_000)
    fits = lite.student.attempt("hw0/add", noise(40_000), noise(60_000))
    assert fits.status_code == 201, "more than the limit together, each below it"
    large = lite.student.attempt("hw0/add", noise(100), noise(80_000))
    assert (
        "Case 1 has more than 700000 bytes" in problem_document(large, 413, "too_large")["detail"]
    )


def test_a_key_of_another_attempt_is_refused_also_after_the_answers_have_changed(server):
    """The attempt itself would be refused as stale by then; the key's fault is what is told."""
    server.staff.publish("hw0/add", [1.0])
    assert server.student.attempt("hw0/add", 1.0, key="k-00000001", revision=1).status_code == 201
    server.staff.publish("hw0/add", [2.0])
    same = server.student.attempt("hw0/add", 1.0, key="k-00000001", revision=1)
    assert same.status_code == 200 and same.headers["Idempotency-Replayed"] == "true"
    other = server.student.attempt("hw0/add", 3.0, key="k-00000001", revision=1)
    problem_document(other, 409, "idempotency_conflict")


def test_the_database_itself_refuses_a_key_twice(server):
    """What two workers that both found the key unused would meet."""
    server.staff.publish("hw0/add", [1.0])
    server.student.attempt("hw0/add", 1.0, key="k-00000001")
    with server.database.read() as session:
        row = session.scalars(select(Attempt)).one()
    values = {c.key: getattr(row, c.key) for c in Attempt.__table__.columns if c.key != "pk"}
    with pytest.raises(Refusal) as refused, server.database.write() as session:
        attempts._insert(session, {**values, "id": "a_other"})
    assert refused.value.code == "idempotency_conflict"


def graded(server, given):
    with server.database.read() as session:
        actor = tokens.authenticate(session, server.student.token, NOON)
        place = attempts.find_place(session, actor, "hw0", "add")
        return actor, attempts.grade(session, actor, place, given)


def test_an_attempt_compared_with_answers_that_were_replaced_meanwhile_is_not_stored(server):
    server.staff.publish("hw0/add", [1.0])
    given = AttemptIn(cases=[{"value": 1.0}])
    actor, compared = graded(server, given)
    server.staff.publish("hw0/add", [2.0])
    with pytest.raises(Refusal) as refused, server.database.write() as session:
        attempts.store(session, NOON, actor, compared, given, None)
    assert refused.value.code == "stale_revision" and "a newer revision" in refused.value.detail
    with server.database.read() as session:
        assert session.scalars(select(Attempt)).all() == []


def test_points_that_changed_between_comparing_and_storing_are_those_that_count(server):
    server.staff.publish("hw0/add", [1.0])
    given = AttemptIn(cases=[{"value": 1.0}])
    actor, compared = graded(server, given)
    changed = coursefile.parse(COURSE.replace("points = 5", "points = 8"))
    with server.database.write() as session:
        course_edit.apply_file(session, NOON, changed, actor="test")
    with server.database.write() as session:
        assert attempts.store(session, NOON, actor, compared, given, None).score == 8


def test_a_problem_of_another_course_is_none_of_this_one(lite):
    with lite.database.read() as session:
        course = courses.view(session, lite.staff.account.course_pk)
    with pytest.raises(Refusal) as refused:
        attempts.place_of(course, 10**6)
    assert refused.value.code == "not_found"


def test_secrets_are_made_once(lite):
    def secrets_now():
        with lite.database.read() as session:
            return signing.public_keys(session), signing._secret(session, "variants")

    before = secrets_now()
    with lite.database.write() as session:
        signing.ensure(session, NOON)
    assert secrets_now() == before
