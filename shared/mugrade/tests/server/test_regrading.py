"""Regrading and publishing: previews without a lock, jobs in batches, inputs as identity.

Queries and locks are counted; no test looks at the time.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
from types import SimpleNamespace

import pytest
from mugrade.encoding import encode
from mugrade.server.errors import Refusal
from mugrade.server.models import Attempt, Job, JobChange
from mugrade.server.services import jobs, regrading
from mugrade.server.settings import Settings
from sqlalchemy import event, select, update

from .conftest import Server

PROBLEM = "/assignments/hw0/problems/add"
NEAR = 1 + 5e-5
WIDE = {"rtol": 1e-4}


@pytest.fixture
def slow(database_settings):
    """A server that leaves its jobs to the lane (which no test client starts), in batches of 10."""
    made = Server(
        Settings(**database_settings, job_batch=10, job_seconds_in_request=0, job_lease_seconds=30)
    ).load()
    yield made
    made.close()


def near_attempts(server, many):
    """One attempt each by `many` students, wrong by a little."""
    server.staff.publish("hw0/add", [1.0, 1.0])
    for i in range(many):
        assert server.person(f"s{i}").attempt("hw0/add", NEAR, 1.0).status_code == 201


def regrade(server, dry_run=False, **tolerance):
    body = {"dry_run": dry_run, "tolerance": tolerance or None}
    answer = server.staff.post(PROBLEM + "/regrade", body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def work(server, worker="w", batches=None):
    """Work as the lane does, so many batches."""
    left = iter(range(batches or 1000))
    return jobs.run(
        server.database,
        server.clock,
        worker,
        pause=lambda _: next(left, None) == (batches or 0) - 1,
    )


def score(server, name):
    return server.people[name].get("/assignments/hw0").json()["score"]


def counts(job):
    return tuple(job[name] for name in ("attempts", "changed", "up", "down", "skipped"))


class Watch:
    """Counts statements and write transactions, and finds comparisons inside one."""

    def __init__(self, server, monkeypatch):
        self.statements, self.writes, self.inside, self._writing = 0, 0, 0, False
        event.listen(server.database.engine, "before_cursor_execute", self._statement)
        write, compare = server.database.write, regrading.compare

        @contextlib.contextmanager
        def watched():
            self.writes += 1
            with write() as session:
                self._writing = True
                try:
                    yield session
                finally:
                    self._writing = False

        def compared(*arguments):
            self.inside += self._writing
            return compare(*arguments)

        monkeypatch.setattr(server.database, "write", watched)
        for module in ("regrading", "answers", "public", "publishing"):
            monkeypatch.setattr(f"mugrade.server.services.{module}.compare", compared)

    def _statement(self, *unused):
        self.statements += 1


# ------------------------------------------------------------------------------------- previews


def test_a_preview_is_answered_while_somebody_holds_the_write_lock(server):
    near_attempts(server, 3)
    token = server.staff
    with server.database.write():
        assert counts(regrade(server, dry_run=True, **WIDE)) == (3, 3, 3, 0, 0)
        dry = token.publish("hw0/add", [NEAR, 1.0], dry_run=True).json()
    assert dry["regraded"] == {"attempts": 3, "changed": 3}
    assert [s["after"] for s in dry["moves"]["students"]] == ["5.00"] * 3


def test_a_previews_queries_do_not_grow_with_the_students(lite, monkeypatch):
    def asked(many):
        for i in range(many):
            lite.person(f"s{i}").attempt("hw0/add", NEAR, 1.0)
        watch = Watch(lite, monkeypatch)
        found = regrade(lite, dry_run=True, **WIDE)
        assert len(found["students"]) == many
        return watch.statements

    lite.staff.publish("hw0/add", [1.0, 1.0])
    assert asked(2) == asked(15)


def test_nothing_is_compared_in_a_write_transaction(lite, monkeypatch):
    near_attempts(lite, 2)
    watch = Watch(lite, monkeypatch)
    regrade(lite, **WIDE)
    lite.staff.publish("hw0/add", [1.0, 2.0])
    lite.student.attempt("hw0/add", 1.0, 2.0)
    key = {"user_key": lite.student.token}
    opened = lite.client.post("/submit", params={**key, "assignment": "hw0", "problem": "add"})
    case = {**key, "submission_id": opened.json()["submission_id"], "test_case_index": 0}
    assert lite.client.post("/submit_test", params=case, json=1.0).json() == {"correct": True}
    assert watch.writes > 4 and watch.inside == 0


def test_the_dry_run_of_a_publication_tells_what_publishing_then_does(server):
    """The review's H4: it answered `0 attempts` and took the points all the same."""
    server.staff.publish("hw0/add", [1.0])
    server.student.attempt("hw0/add", 1.0)
    dry = server.staff.publish("hw0/add", [2.0], dry_run=True).json()
    moved = dry["moves"]["students"]
    assert dry["regraded"] == {"attempts": 1, "changed": 1} and dry["moves"]["down"] == 1
    assert [(s["before"], s["after"]) for s in moved] == [("5.00", "0.00")]
    assert score(server, "student") == "5.00"
    done = server.staff.publish("hw0/add", [2.0]).json()
    assert done["regraded"] == dry["regraded"] and done["moves"] == dry["moves"]
    assert done["state"] == "done" and score(server, "student") == "0.00"


def test_publishing_is_refused_when_another_revision_stands_than_was_previewed(lite):
    lite.staff.publish("hw0/add", [1.0])
    lite.staff.publish("hw0/add", [2.0])
    answer = lite.staff.publish("hw0/add", [3.0], base=1)
    assert answer.status_code == 409 and "Revision 2 stands now" in answer.json()["detail"]
    assert lite.staff.publish("hw0/add", [3.0], base=2).json()["revision"] == 3


# ------------------------------------------------------------------------------------------ jobs


def test_a_regrade_works_in_batches_with_the_lock_released_between(slow, monkeypatch):
    near_attempts(slow, 25)
    watch = Watch(slow, monkeypatch)
    job = regrade(slow, **WIDE)
    assert job["state"] == "waiting" and job["attempts"] == 0
    assert work(slow)
    # begin, take, three batches, the end
    assert watch.writes == 1 + 1 + 3 + 1 and watch.inside == 0
    shown = slow.staff.get(f"/jobs/{job['job']}").json()
    assert shown["state"] == "done" and shown["done"] == shown["total"] == 25
    assert counts(shown) == (25, 25, 25, 0, 0)
    assert {s["before"] for s in shown["students"]} == {"2.50"} and len(shown["students"]) == 25
    assert not work(slow), "there is no second job"


def test_a_job_can_be_stopped_and_goes_on_where_it_was(slow):
    near_attempts(slow, 25)
    job = regrade(slow, **WIDE)["job"]
    work(slow, batches=1)
    assert slow.staff.get(f"/jobs/{job}").json()["done"] == 10
    assert slow.staff.post(f"/jobs/{job}/stop").json()["state"] == "stopped"
    assert slow.staff.post(f"/jobs/{job}/stop").status_code == 409
    assert not work(slow)
    assert [score(slow, f"s{i}") for i in (9, 10)] == ["5.00", "2.50"]
    assert slow.staff.post(f"/jobs/{job}/resume").json()["state"] == "waiting"
    work(slow)
    assert counts(slow.staff.get(f"/jobs/{job}").json()) == (25, 25, 25, 0, 0)
    actions = [e["action"] for e in slow.staff.get("/audit").json()["entries"]]
    assert {"regrade", "regrade-stopped", "regrade-resumed"} <= set(actions)


def test_a_job_of_a_dead_worker_is_another_workers_after_its_lease_and_nothing_is_twice(slow):
    near_attempts(slow, 25)
    job = regrade(slow, **WIDE)["job"]
    with contextlib.suppress(KeyboardInterrupt):
        jobs.run(slow.database, slow.clock, "dies", pause=_die)
    with slow.database.write() as session:  # what a kill leaves: the lease was not given back
        until = slow.clock() + dt.timedelta(seconds=30)
        session.execute(update(Job).values(worker="dies", lease_until=until, state="running"))
    assert not work(slow), "its lease holds"
    slow.clock.forward(seconds=31)
    assert work(slow)
    assert counts(slow.staff.get(f"/jobs/{job}").json()) == (25, 25, 25, 0, 0)
    with slow.database.read() as session:
        assert len(session.scalars(select(JobChange)).all()) == 25


def _die(worked):
    raise KeyboardInterrupt


def test_a_worker_whose_job_was_taken_from_it_writes_nothing(slow, monkeypatch):
    """It slept between comparing and writing, longer than its lease; another has done the batch."""
    near_attempts(slow, 25)
    job = regrade(slow, **WIDE)["job"]
    compare_batch, slept = jobs._next_batch, []

    def and_sleep(session, row):
        found = compare_batch(session, row)
        if not slept:
            slept.append(True)
            slow.clock.forward(seconds=60)
            assert work(slow, "other", batches=1)
        return found

    monkeypatch.setattr(jobs, "_next_batch", and_sleep)
    jobs.run(slow.database, slow.clock, "sleeper")
    assert slow.staff.get(f"/jobs/{job}").json()["done"] == 10, "the other's batch, once"
    work(slow)
    assert counts(slow.staff.get(f"/jobs/{job}").json()) == (25, 25, 25, 0, 0)


def test_a_clock_that_was_set_back_does_not_hold_a_job_for_days(slow):
    near_attempts(slow, 2)
    job = regrade(slow, **WIDE)["job"]
    slow.clock.forward(days=30)
    with slow.database.write() as session:
        until = slow.clock() + dt.timedelta(seconds=30)
        session.execute(update(Job).values(worker="dead", lease_until=until, state="running"))
    slow.clock.forward(days=-30)
    assert work(slow) and slow.staff.get(f"/jobs/{job}").json()["state"] == "done"


def test_asking_twice_is_one_job_and_a_newer_revision_supersedes_it(slow):
    near_attempts(slow, 2)
    first, again = regrade(slow), regrade(slow)
    assert first["job"] == again["job"]
    slow.staff.publish("hw0/add", [NEAR, 1.0])
    assert slow.staff.get(f"/jobs/{first['job']}").json()["state"] == "superseded"
    work(slow)
    assert [score(slow, f"s{i}") for i in range(2)] == ["5.00"] * 2
    states = [j["state"] for j in slow.staff.get("/jobs").json()["jobs"]]
    assert states == ["done", "superseded"]


def test_an_attempt_against_the_revision_before_that_commits_late_is_compared_too(slow):
    """On PostgreSQL its primary key may be behind the job's cursor already."""
    near_attempts(slow, 3)
    slow.staff.publish("hw0/add", [NEAR, 1.0])
    with slow.database.write() as session:
        last = session.scalar(select(Job.last_pk).order_by(Job.pk.desc()))
        session.execute(update(Job).values(cursor=last))  # passed, before they were seen
    work(slow)
    assert [score(slow, f"s{i}") for i in range(3)] == ["5.00"] * 3


def test_a_case_that_comes_between_comparing_and_writing_is_not_lost(slow):
    """The public client sends one case at a time, while its attempt is being regraded."""
    slow.staff.publish("hw0/add", [1.0, 1.0])
    key = {"user_key": slow.student.token}
    opened = slow.client.post("/submit", params={**key, "assignment": "hw0", "problem": "add"})
    case = {**key, "submission_id": opened.json()["submission_id"]}
    slow.client.post("/submit_test", params={**case, "test_case_index": 0}, json=NEAR)
    regrade(slow, **WIDE)
    compare_batch = jobs._next_batch

    def and_then(session, job):
        found = compare_batch(session, job)
        answer = slow.client.post("/submit_test", params={**case, "test_case_index": 1}, json=1.0)
        assert answer.json() == {"correct": True}
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "_next_batch", and_then)
        work(slow, batches=1)
    work(slow)
    assert score(slow, "student") == "5.00"


def test_what_is_published_counts_at_once_and_the_answer_says_that_the_rest_goes_on(slow):
    near_attempts(slow, 3)
    done = slow.staff.publish("hw0/add", [NEAR, 1.0]).json()
    assert done["state"] == "waiting" and done["job"].startswith("j_")
    assert slow.person("new").attempt("hw0/add", NEAR, 1.0).json()["correct"] == 2
    work(slow)
    assert slow.staff.get(f"/jobs/{done['job']}").json()["changed"] == 3


# ---------------------------------------------------------------------------------------- inputs

ONE, TWO, OTHER = "1" * 32, "2" * 32, "f" * 32


def publish(server, values, inputs, seed=7, **fields):
    variant = {"variant": 0, "seed": seed, "values": [encode(v) for v in values], "inputs": inputs}
    body = {"variants": [variant], **fields}
    answer = server.staff.call("PUT", PROBLEM + "/revision", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def hand_in(who, values, inputs):
    cases = [{"value": encode(v), "inputs": i} for v, i in zip(values, inputs)]
    return who.post(PROBLEM + "/attempts", {"cases": cases})


def test_values_of_other_inputs_are_never_compared_though_the_seed_is_the_same(server):
    publish(server, [1.0, 2.0], [ONE, TWO])
    assert hand_in(server.student, [1.0, 2.0], [ONE, TWO]).json()["correct"] == 2
    server.person("old").attempt("hw0/add", 1.0, 2.0)  # an older client, which sends no digests
    changed = ([5.0, 2.0], [OTHER, TWO])
    dry = publish(server, *changed, dry_run=True)
    assert dry["regraded"] == {"attempts": 2, "changed": 0}, "case 1 is compared, case 0 kept"
    assert publish(server, *changed)["moves"]["students"] == []
    assert regrade(server, rtol=1e-3)["changed"] == 0, "nor by a later regrade"
    assert score(server, "student") == score(server, "old") == "5.00"
    everything = publish(server, [5.0, 6.0], [OTHER, OTHER])
    assert everything["moves"]["skipped"] == 2 and everything["regraded"]["attempts"] == 0
    assert score(server, "student") == "5.00"


def test_without_digests_the_seed_tells(server):
    server.staff.publish("hw0/add", [1.0])
    server.student.attempt("hw0/add", 1.0)
    variant = {"variant": 0, "seed": 999, "values": [encode(3.0)]}
    server.staff.call("PUT", PROBLEM + "/revision", json={"variants": [variant]})
    assert counts(regrade(server)) == (0, 0, 0, 0, 1)
    assert score(server, "student") == "5.00"


def test_an_attempt_from_other_inputs_is_refused_and_costs_no_try(lite):
    publish(lite, [1.0], [ONE], labels=["a sum"])
    answer = hand_in(lite.student, [1.0], [OTHER])
    assert answer.status_code == 409 and answer.json()["code"] == "other_inputs"
    assert "Case 0 (a sum)" in answer.json()["detail"]
    assert lite.student.get("/assignments/hw0").json()["problems"][0]["tries_left"] == 20
    assert hand_in(lite.student, [1.0], [ONE]).json()["correct"] == 1


def test_digests_must_be_one_a_case(lite):
    variant = {"variant": 0, "seed": 1, "values": [1, 2], "inputs": [ONE]}
    answer = lite.staff.call("PUT", PROBLEM + "/revision", json={"variants": [variant]})
    assert answer.status_code == 400 and "1 digests of inputs for 2 cases" in answer.text


# -------------------------------------------------------------------------------------- rollback


def test_rolling_back_restores_answers_and_scores_as_a_new_revision(server):
    server.staff.publish("hw0/add", [1.0])
    server.student.attempt("hw0/add", 1.0)
    server.staff.publish("hw0/add", [2.0], note="a slip")
    dry = server.staff.post(PROBLEM + "/rollback", {}).json()
    assert [(s["before"], s["after"]) for s in dry["students"]] == [("0.00", "5.00")]
    assert score(server, "student") == "0.00"
    done = server.staff.post(PROBLEM + "/rollback", {"dry_run": False, "base": 2}).json()
    assert done["state"] == "done" and done["up"] == 1 and score(server, "student") == "5.00"
    known = server.staff.get(PROBLEM + "/revisions").json()
    assert [(r["revision"], r["current"]) for r in known["revisions"]] == [
        (3, True),
        (2, False),
        (1, False),
    ]
    assert known["revisions"][0]["note"] == "back to revision 1" and known["attempts"] == 1
    assert server.staff.publish("hw0/add", [1.0]).json()["unchanged"]
    stale = server.staff.post(PROBLEM + "/rollback", {"dry_run": False, "base": 2})
    assert stale.status_code == 409


def test_there_must_be_something_to_roll_back_to(lite):
    lite.staff.publish("hw0/add", [1.0])
    for body, words in (({}, "no earlier revision"), ({"revision": 1}, "the current one already")):
        answer = lite.staff.post(PROBLEM + "/rollback", body)
        assert answer.status_code == 409 and words in answer.json()["detail"]
    assert lite.staff.post(PROBLEM + "/rollback", {"revision": 9}).status_code == 404
    assert lite.person("gra", "grader").post(PROBLEM + "/rollback", {}).status_code == 403


# -------------------------------------------------------------------------------- time of arrival


def test_an_attempt_is_stamped_when_it_arrives_not_when_its_turn_comes(lite):
    lite.staff.publish("hw0/add", [1.0])
    student, arrived = lite.student, lite.clock.now
    waiting, answers = threading.Event(), []
    acquire = lite.database._turn.acquire

    def observed(*arguments, **named):
        waiting.set()
        return acquire(*arguments, **named)

    with lite.database.write(), pytest.MonkeyPatch.context() as patch:
        turn = SimpleNamespace(acquire=observed, release=lite.database._turn.release)
        patch.setattr(lite.database, "_turn", turn)
        thread = threading.Thread(target=lambda: answers.append(student.attempt("hw0/add", 1.0)))
        thread.start()
        assert waiting.wait(20)
        lite.clock.forward(days=8)  # past the due time while a regrade holds the lock
    thread.join(20)
    assert answers[0].status_code == 201, answers[0].text
    assert answers[0].json()["late_days"] == 0
    with lite.database.read() as session:
        assert session.scalar(select(Attempt.at)) == arrived


def test_who_waited_behind_others_is_judged_by_the_time_after_the_wait(server):
    """An attempt that arrived first and comes last must count those that were stored meanwhile."""
    from mugrade.server.schemas import AttemptIn
    from mugrade.server.services import attempts, tokens

    server.staff.publish("hw0/add", [1.0])
    student, arrived = server.student, server.clock.now
    server.clock.forward(minutes=5)
    for _ in range(20):
        assert student.attempt("hw0/add", 1.0).status_code == 201
    given = AttemptIn(cases=[{"value": 1.0}])
    with server.database.read() as session:
        actor = tokens.authenticate(session, student.token, arrived)
        place = attempts.find_place(session, actor, "hw0", "add")
        graded = attempts.grade(session, actor, place, given)
    with pytest.raises(Refusal) as refused, server.database.write() as session:
        attempts.store(session, arrived, actor, graded, given, None, clock=server.clock)
    assert "20 attempts an hour" in refused.value.detail
