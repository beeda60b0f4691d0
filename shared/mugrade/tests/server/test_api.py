"""/api/v1 as docs/api.md promises it."""

from __future__ import annotations

import hashlib
import json

import nacl.signing
import numpy as np
import pytest
from mugrade.encoding import canonical_json, encode

from .conftest import NOON

PROBLEM = "/assignments/hw0/problems/softmax"


def problem_document(answer, status, code):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status and body["code"] == code
    assert body["type"] == "about:blank" and body["title"] and body["detail"]
    return body


# ------------------------------------------------------------------------------- open and account


def test_meta_me_and_revocation(server):
    meta = server.client.get("/api/v1/meta").json()
    assert meta["name"] == "mugrade" and meta["api"] == 1 and meta["time"] == "2026-10-01T12:00:00Z"
    me = server.student.get("/me").json()
    assert me["role"] == "student" and me["scopes"] == ["read", "submit"]
    assert me["course"] == {"id": "demo", "title": "Demonstration"}
    assert server.student.call("DELETE", "/me/token").status_code == 204
    problem_document(server.student.get("/me"), 401, "bad_token")


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic x", "Bearer mug_no", "Bearer é"]
)
def test_without_a_good_token(lite, header):
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    answer = lite.client.get("/api/v1/me", headers=headers)
    problem_document(answer, 401, "bad_token")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_token_in_the_query_is_no_token(lite):
    answer = lite.client.get("/api/v1/me", params={"user_key": lite.student.token})
    problem_document(answer, 401, "bad_token")


def test_device_login(server):
    from mugrade.server.services import devices, tokens

    started = server.client.post("/api/v1/device/code", json={"client": "laptop"}).json()
    assert started["interval"] == 5 and started["expires_in"] == 900
    assert started["user_code"] in started["verification_uri_complete"]
    poll = lambda: server.client.post(
        "/api/v1/device/token", json={"device_code": started["device_code"]}
    )
    problem_document(poll(), 400, "authorization_pending")
    problem_document(poll(), 400, "slow_down")
    server.clock.forward(seconds=6)
    token = server.student.token
    with server.database.write() as session:
        actor = tokens.authenticate(session, token, server.clock())
        devices.decide(session, server.clock(), actor, started["user_code"].lower(), approve=True)
    answer = poll().json()
    assert answer["account"]["email"] == "student@example.org"
    headers = {"Authorization": f"Bearer {answer['token']}"}
    assert server.client.get("/api/v1/me", headers=headers).status_code == 200
    problem_document(poll(), 400, "expired_device_code")


def test_device_login_refused_and_expired(lite):
    from mugrade.server.services import devices, tokens

    first, second = (lite.client.post("/api/v1/device/code", json={}).json() for _ in "ab")
    token = lite.student.token
    with lite.database.write() as session:
        actor = tokens.authenticate(session, token, lite.clock())
        devices.decide(session, lite.clock(), actor, first["user_code"], approve=False)
    answer = lite.client.post("/api/v1/device/token", json={"device_code": first["device_code"]})
    problem_document(answer, 400, "access_denied")
    lite.clock.forward(minutes=16)
    answer = lite.client.post("/api/v1/device/token", json={"device_code": second["device_code"]})
    problem_document(answer, 400, "expired_device_code")


# ------------------------------------------------------------------------------------ assignments


def test_an_assignment_before_and_after_publication(server):
    before = server.student.get("/assignments/hw0").json()
    problem = before["problems"][1]
    assert not problem["published"] and problem["variant"] is None and problem["cases"] == []
    server.staff.publish("hw0/softmax", *([np.arange(3) + i] for i in range(4)), labels=["three"])
    after = server.student.get("/assignments/hw0").json()
    problem = after["problems"][1]
    assert problem["published"] and problem["revision"] == 1 and problem["cases"] == ["three"]
    assert problem["seed"] == 100 + problem["variant"] and problem["best"] is None
    assert problem["tries_left"] == 20 and problem["retry_after"] == 0
    assert problem["pool"] is None and problem["tolerance"] is None, "for staff only"
    assert after["points"] == "20" and after["score"] == "0.00" and after["state"] == "open"
    assert (
        after["due_at"] == "2026-10-08T12:00:00Z" and after["cutoff_at"] == "2026-10-15T12:00:00Z"
    )
    assert after["late_days_left"] == 2 and after["late_penalty_percent"] == 0
    shown = server.staff.get("/assignments/hw0").json()["problems"][1]
    assert shown["pool"] == 4 and shown["tolerance"]["rtol"] == 1e-5
    listed = server.student.get("/assignments").json()["assignments"]
    assert [a["id"] for a in listed] == ["hw0", "hw1"] and listed[0]["problems"] is None
    assert listed[1]["state"] == "not_open"


def test_variants_are_spread_fixed_and_asked_for(lite):
    lite.staff.publish("hw0/softmax", *([np.arange(3) + i] for i in range(4)))
    seen = {}
    for i in range(40):
        who = lite.person(f"s{i}")
        seen[who.account.id] = who.get("/assignments/hw0").json()["problems"][1]["variant"]
    assert set(seen.values()) == {0, 1, 2, 3}
    who = lite.person("s0")
    mine = seen[who.account.id]
    assert who.get("/assignments/hw0").json()["problems"][1]["variant"] == mine
    other = (mine + 1) % 4
    problem_document(
        who.attempt("hw0/softmax", np.arange(3) + other, variant=other), 409, "stale_revision"
    )
    assert who.attempt("hw0/softmax", np.arange(3) + other).json()["correct"] == 0
    assert (
        who.attempt("hw0/softmax", np.arange(3) + mine, variant=mine, revision=1).json()["correct"]
        == 1
    )


# --------------------------------------------------------------------------------------- attempts


def test_an_attempt_field_by_field(server):
    server.staff.publish(
        "hw0/add", [np.ones((2, 3)), 7, [1, 2]], labels=["matrix", "number", "list"]
    )
    answer = server.student.attempt(
        "hw0/add", np.ones((2, 3)), 8, client={"name": "mugrade", "version": "1"}
    )
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert [c["kind"] for c in body["cases"]] == ["ok", "values", "missing"]
    assert body["cases"][1] == {
        "index": 1,
        "label": "number",
        "correct": False,
        "kind": "values",
        "submitted_shape": None,
        "expected_shape": None,
    }
    assert (body["correct"], body["total"], body["score"], body["points"]) == (1, 3, "1.67", "5")
    assert body["best"]["score"] == "1.67" and body["best"]["attempt"] == body["id"]
    assert body["late_days"] == 0 and body["penalty_percent"] == 0 and body["tries_left"] == 19
    assert body["assignment_score"] == "1.67" and body["assignment_points"] == "20"
    assert body["at"] == "2026-10-01T12:00:00Z" and body["revision"] == 1 and body["variant"] == 0
    assert server.student.get(f"/attempts/{body['id']}").json() == body


def test_a_shape_verdict_shows_shapes_and_nothing_shows_the_answer(lite):
    lite.staff.publish("hw0/add", [np.full((2, 3), 123.4567)])
    answer = lite.student.attempt("hw0/add", np.full((3, 2), 1.0))
    case = answer.json()["cases"][0]
    assert case["submitted_shape"] == [3, 2] and case["expected_shape"] == [2, 3]
    assert (
        "123.4" not in answer.text and "123.4" not in lite.student.get(PROBLEM + "/attempts").text
    )
    assert "123.4" not in lite.student.get("/me/data").text


def test_the_receipt_verifies_offline_and_covers_the_cases(lite):
    import base64

    lite.staff.publish("hw0/add", [1.5])
    cases = [{"label": "half", "value": encode(1.5)}]
    answer = lite.student.post("/assignments/hw0/problems/add/attempts", {"cases": cases}).json()
    prefix, payload, signature = answer["receipt"].split(".")
    raw = base64.urlsafe_b64decode(payload + "==")
    content = json.loads(raw)
    key = lite.client.get("/api/v1/meta").json()["receipt_keys"][0]
    verify_key = nacl.signing.VerifyKey(base64.b64decode(key["public"]))
    verify_key.verify(raw, base64.urlsafe_b64decode(signature + "=="))
    assert prefix == "mgr1" and canonical_json(content) == raw and content["key"] == key["id"]
    assert content["digest"] == hashlib.sha256(canonical_json(cases)).hexdigest()
    assert {k: content[k] for k in ("course", "account", "assignment", "problem", "attempt")} == {
        "course": "demo",
        "account": lite.student.account.id,
        "assignment": "hw0",
        "problem": "add",
        "attempt": answer["id"],
    }
    assert (content["correct"], content["total"], content["score"]) == (1, 1, "5.00")


def test_a_repeated_key_makes_one_attempt(server):
    server.staff.publish("hw0/add", [1])
    first = server.student.attempt("hw0/add", 1, key="key-number-1")
    again = server.student.attempt("hw0/add", 1, key="key-number-1")
    assert (first.status_code, again.status_code) == (201, 200)
    assert (
        again.headers["idempotency-replayed"] == "true" and again.json()["id"] == first.json()["id"]
    )
    problem_document(
        server.student.attempt("hw0/add", 2, key="key-number-1"), 409, "idempotency_conflict"
    )
    assert len(server.student.get("/assignments/hw0/problems/add/attempts").json()["attempts"]) == 1
    assert server.person("other").attempt("hw0/add", 1, key="key-number-1").status_code == 201


def test_a_repeated_key_is_answered_after_closing_and_after_a_new_revision(lite):
    lite.staff.publish("hw0/add", [1])
    first = lite.student.attempt("hw0/add", 1, key="key-number-1", revision=1).json()
    lite.staff.publish("hw0/add", [1, 2])
    assert (
        lite.student.attempt("hw0/add", 1, key="key-number-1", revision=1).json()["id"]
        == first["id"]
    )
    lite.clock.forward(days=60)
    replay = lite.student.attempt("hw0/add", 1, key="key-number-1", revision=1)
    assert replay.status_code == 200 and replay.json()["id"] == first["id"]
    problem_document(
        lite.student.attempt("hw0/add", 9, key="key-number-1"), 409, "idempotency_conflict"
    )


def test_stale_revision_too_many_cases_unknown_fields(lite):
    lite.staff.publish("hw0/add", [1])
    problem_document(lite.student.attempt("hw0/add", 1, revision=2), 409, "stale_revision")
    problem_document(lite.student.attempt("hw0/add", 1, 2), 400, "invalid")
    problem_document(lite.student.attempt("hw0/add", 1, colour="red"), 422, "invalid")
    problem_document(lite.student.attempt("hw0/add", 1, key="short"), 422, "invalid")
    problem_document(lite.student.attempt("hw0/nope", 1), 404, "not_found")
    problem_document(lite.student.attempt("hw0/softmax", 1), 403, "not_open")


def test_an_attempt_that_stopped_early_keeps_the_better_score(lite):
    lite.staff.publish("hw0/add", [1, 2])
    assert lite.student.attempt("hw0/add", 1, 2).json()["best"]["score"] == "5.00"
    error = {"kind": "exception", "message": "ZeroDivisionError: division by zero"}
    answer = lite.student.attempt("hw0/add", 1, error=error).json()
    assert (
        answer["score"] == "2.50" and answer["best"]["score"] == "5.00" and answer["error"] == error
    )


def test_limits_by_hour_and_by_misses(server):
    server.staff.publish("hw0/add", [1])
    for _ in range(10):
        assert server.student.attempt("hw0/add", 0).status_code == 201
        server.clock.forward(seconds=1)
    body = problem_document(server.student.attempt("hw0/add", 0), 429, "cool_down")
    assert body["retry_after"] == 59
    shown = server.student.get("/assignments/hw0").json()["problems"][0]
    assert shown["retry_after"] == 59 and shown["tries_left"] == 10
    server.clock.forward(seconds=60)
    server.student.attempt("hw0/add", 0)
    assert (
        problem_document(server.student.attempt("hw0/add", 0), 429, "cool_down")["retry_after"]
        == 120
    )
    server.clock.forward(seconds=121)
    assert server.student.attempt("hw0/add", 1).status_code == 201
    for _ in range(8):
        assert server.student.attempt("hw0/add", 1).status_code == 201
    body = problem_document(server.student.attempt("hw0/add", 1), 429, "rate_limited")
    assert 3300 < body["retry_after"] <= 3600
    assert server.person("other").attempt("hw0/add", 1).status_code == 201, "limits are personal"


def test_windows_extensions_and_late_days(server):
    server.staff.publish("hw0/add", [1])
    server.staff.publish("hw1/backward", [1])
    problem_document(server.student.attempt("hw1/backward", 1), 403, "not_open")
    server.clock.now = NOON.replace(day=8, hour=12, minute=15)
    assert server.student.attempt("hw0/add", 0).json()["late_days"] == 0, "within the grace"
    server.clock.now = NOON.replace(day=11, hour=11)
    problem_document(server.student.attempt("hw0/add", 1), 403, "late")
    answer = server.student.attempt("hw0/add", 1, accept_late=True).json()
    assert (answer["late_days"], answer["penalty_percent"], answer["score"]) == (3, 10, "4.50")
    extended = {"student": "student@example.org", "assignment": "hw0", "days": 3, "reason": "ill"}
    due = server.staff.post("/extensions", extended).json()["due_at"]
    assert due == "2026-10-11T12:00:00Z"
    assert server.student.get("/assignments/hw0").json()["score"] == "5.00"
    server.clock.now = NOON.replace(day=18, hour=13)
    problem_document(server.student.attempt("hw0/add", 1, accept_late=True), 403, "closed")
    server.staff.post("/extensions", {**extended, "days": 0})
    assert server.student.get("/assignments/hw0").json()["score"] == "4.50"


# ------------------------------------------------------------------------------------------ staff


def test_regrade_dry_run_then_real(server):
    server.staff.publish("hw0/add", [1.0, 1.0])
    near = 1 + 5e-5
    server.student.attempt("hw0/add", near, 1.0)
    server.person("other").attempt("hw0/add", 1.0, 1.0)
    path = "/assignments/hw0/problems/add/regrade"
    dry = server.staff.post(path, {"dry_run": True, "tolerance": {"rtol": 1e-4}}).json()
    assert (dry["attempts"], dry["changed"], dry["up"], dry["down"]) == (2, 1, 1, 0)
    assert dry["students"] == [
        {"id": server.student.account.id, "name": "Student", "before": "2.50", "after": "5.00"}
    ]
    assert server.student.get("/assignments/hw0").json()["score"] == "2.50"
    real = server.staff.post(path, {"dry_run": False, "tolerance": {"rtol": 1e-4}}).json()
    assert real["changed"] == 1
    shown = server.student.get("/assignments/hw0").json()
    assert shown["score"] == "5.00" and shown["problems"][0]["revision"] == 2
    again = server.staff.post(path, {"dry_run": False}).json()
    assert again["changed"] == 0
    down = server.staff.post(path, {"dry_run": True, "tolerance": {"rtol": 0, "ascale": 0}}).json()
    assert (down["up"], down["down"]) == (0, 1)


def test_gradebook_json_and_csv(server):
    server.staff.publish("hw0/add", [1])
    server.student.attempt("hw0/add", 1)
    grades = server.staff.get("/grades").json()
    assert [a["id"] for a in grades["assignments"]] == ["hw0", "hw1"]
    row = grades["students"][0]
    assert row["scores"] == {"hw0": "5.00", "hw1": "0.00"} and row["average"] == "12.50"
    assert row["certificate"] is False
    only = server.staff.get("/grades", params={"assignment": "hw0"}).json()
    assert only["students"][0]["scores"] == {"hw0": "5.00"}
    answer = server.staff.get("/grades.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    header, line = answer.text.splitlines()
    assert header.split(",")[7:12] == ["hw0", "hw0/add", "hw0/softmax", "hw1", "hw1/backward"]
    assert header.split(",")[12:] == [
        "project_state",
        "project_grade",
        "project_points",
        "certificate_state",
    ]
    assert line.split(",")[3] == "12.50" and line.split(",")[7] == "5.00"


def test_csv_cells_cannot_be_formulas(lite):
    csv = 'email,name,role\nevil@example.org,"=HYPERLINK(1)",student\n'
    assert lite.staff.post("/roster", {"csv": csv, "dry_run": False}).json()["added"] == 1
    assert "'=HYPERLINK" in lite.staff.get("/grades.csv").text


def test_override_and_lift(server):
    server.staff.publish("hw0/add", [1])
    body = {
        "student": "student@example.org",
        "assignment": "hw0",
        "problem": "add",
        "reason": "oral",
    }
    server.student.get("/me")
    assert server.staff.post("/overrides", {**body, "points": "4.25"}).json() == {"score": "4.25"}
    shown = server.student.get("/assignments/hw0").json()
    assert shown["score"] == "4.25" and shown["problems"][0]["overridden"]
    assert server.staff.post("/overrides", {**body, "points": None}).json() == {"score": "0.00"}
    problem_document(server.staff.post("/overrides", {**body, "points": "6"}), 400, "invalid")
    problem_document(server.staff.post("/overrides", {**body, "points": "NaN"}), 422, "invalid")


def test_roster_preview_import_and_errors(server):
    csv = "email,name,role\na@x.org,Ann,\nb@x.org,Bob,grader\nteacher@example.org,Tea Cher,instructor\n"
    preview = server.staff.post("/roster", {"csv": csv}).json()
    assert preview == {"added": 2, "changed": 0, "unchanged": 1, "errors": []}
    assert len(server.staff.get("/roster").json()["people"]) == 3
    server.staff.post("/roster", {"csv": csv, "dry_run": False})
    assert [p["role"] for p in server.staff.get("/roster").json()["people"]].count("grader") == 2
    bad = "email,name\nnobody,X\na@x.org,Ann\na@x.org,Ann\n"
    errors = server.staff.post("/roster", {"csv": bad, "dry_run": False}).json()["errors"]
    assert [e["line"] for e in errors] == [2, 4]
    assert server.staff.post("/roster", {"csv": "name\nx"}).json()["errors"][0]["line"] == 1


def test_statistics_tell_the_case_that_fails_first(lite):
    lite.staff.publish("hw0/add", [1, 2], labels=["easy", "hard"])
    for i in range(3):
        lite.person(f"s{i}").attempt("hw0/add", 1, 0)
    lite.person("s0").attempt("hw0/add", 1, 2)
    found = lite.staff.get("/statistics", params={"assignment": "hw0"}).json()["problems"][0]
    assert (found["students"], found["solved"], found["attempts"]) == (3, 1, 4)
    assert found["median_attempts_to_solve"] == 2.0
    hard = found["cases"][1]
    assert (hard["first_tries"], hard["failed_first"], hard["kinds"]) == (3, 3, {"values": 3})


def test_leaderboard_is_opt_in_and_for_solvers(lite):
    from mugrade.server.services import accounts

    path = PROBLEM + "/timing"
    lite.staff.publish("hw0/softmax", [1])
    time = {"seconds": 0.5, "device": "laptop"}
    problem_document(lite.student.post(path, time), 403, "forbidden")
    lite.student.attempt("hw0/softmax", 1)
    assert lite.student.post(path, time).status_code == 204
    assert lite.student.get(PROBLEM + "/leaderboard").json()["entries"] == []
    with lite.database.write() as session:
        account = session.get_one(type(lite.student.account), lite.student.account.pk)
        accounts.set_pseudonym(session, account, "speedy")
    board = lite.student.get(PROBLEM + "/leaderboard").json()
    assert board["self_reported"] and [e["name"] for e in board["entries"]] == ["speedy"]
    assert "student@" not in json.dumps(board)
    problem_document(
        lite.student.get("/assignments/hw0/problems/add/leaderboard"), 404, "not_found"
    )


# ------------------------------------------------------------------------- project, certificate


def test_project_from_group_to_grade_and_certificate(server):
    ann, bob = server.person("ann"), server.person("bob")
    server.staff.publish("hw0/add", [1])
    assert ann.post("/project/group").json()["state"] == "forming"
    problem_document(ann.post("/project/group"), 409, "conflict")
    proposal = {"title": "Flash", "text": "We build it."}
    problem_document(ann.call("PUT", "/project/proposal", json=proposal), 409, "conflict")
    group = ann.post("/project/invitations", {"email": "bob@example.org"}).json()["id"]
    assert bob.get("/project").json()["invitations"][0]["id"] == group
    assert bob.post(f"/project/invitations/{group}/accept").status_code == 200
    assert ann.call("PUT", "/project/proposal", json=proposal).json()["state"] == "proposed"
    decide = f"/projects/{group}/decision"
    assert (
        server.staff.post(decide, {"accept": False, "feedback": "narrower"}).json()["state"]
        == "returned"
    )
    bob.call("PUT", "/project/proposal", json=proposal)
    assert server.staff.post(decide, {"accept": True}).json()["state"] == "accepted"
    missing = ann.get("/me/certificate").json()
    assert not missing["earned"] and len(missing["missing"]) == 2
    assert (
        ann.call("PUT", "/project/report", json={"report": "https://x.org/r"}).json()["state"]
        == "submitted"
    )
    problem_document(ann.post("/me/certificate"), 403, "not_earned")
    marks = {"marks": {"idea": "30", "result": "50.5"}, "feedback": "good"}
    graded = server.staff.call("PUT", f"/projects/{group}/grade", json=marks).json()
    assert graded["state"] == "graded" and graded["grade"] == "80.5"
    over = {"marks": {"idea": "41", "result": "1"}}
    problem_document(
        server.staff.call("PUT", f"/projects/{group}/grade", json=over), 400, "invalid"
    )

    for problem in ("add", "softmax"):
        give(server, "ann", "hw0", problem, server.staff)
    give(server, "ann", "hw1", "backward", server.staff)
    issued = ann.post("/me/certificate").json()
    assert issued["earned"] and issued["id"] and issued["missing"] == []
    public = server.client.get(f"/api/v1/certificates/{issued['id']}").json()
    assert public["valid"] and public["name"] == "Ann" and public["course"] == "Demonstration"
    assert ann.post("/me/certificate").json()["id"] == issued["id"], "issued once"
    assert not server.client.get("/api/v1/certificates/c_0000000000000000").json()["valid"]


def give(server, name, assignment, problem, staff):
    points = {"add": "5", "softmax": "15", "backward": "20"}[problem]
    body = {
        "student": f"{name}@example.org",
        "assignment": assignment,
        "problem": problem,
        "points": points,
    }
    assert staff.post("/overrides", body).status_code == 200


def test_groups_keep_to_their_size_and_owners(lite):
    names = ["ann", "bob", "cem", "dee"]
    people = [lite.person(name) for name in names]
    group = people[0].post("/project/group").json()["id"]
    for name in names[1:3]:
        assert (
            people[0].post("/project/invitations", {"email": f"{name}@example.org"}).status_code
            == 200
        )
    problem_document(
        people[0].post("/project/invitations", {"email": "dee@example.org"}), 409, "conflict"
    )
    problem_document(people[3].post(f"/project/invitations/{group}/accept"), 404, "not_found")
    problem_document(
        people[3].call("PUT", "/project/report", json={"report": "x"}), 404, "not_found"
    )
    assert people[1].post(f"/project/invitations/{group}/decline").status_code == 204
    assert people[2].post(f"/project/invitations/{group}/accept").status_code == 200
    assert people[0].call("DELETE", "/project/group").status_code == 204
    assert [m["name"] for m in people[2].get("/project").json()["group"]["members"]] == ["Cem"]
    problem_document(lite.staff.post("/project/group"), 403, "forbidden")


# ------------------------------------------------------------------------------ audit and health


def test_audit_log_is_chained_and_locked(server):
    import sqlalchemy
    from mugrade.server.models import Audit
    from mugrade.server.services import audit

    server.staff.publish("hw0/add", [1])
    shown = server.staff.get("/audit").json()
    assert shown["intact"] and shown["entries"][0]["action"] == "publish"
    for statement in ("UPDATE audit SET actor = 'x'", "DELETE FROM audit"):
        with pytest.raises(sqlalchemy.exc.DBAPIError), server.database.write() as session:
            session.execute(sqlalchemy.text(statement))
    with server.database.read() as session, session.no_autoflush:
        last = session.get_one(Audit, shown["entries"][0]["seq"])
        last.detail = {"changed": True}
        assert audit.first_broken(session) == last.seq


def test_health_readiness_metrics(server):
    assert server.client.get("/healthz").json() == {"status": "ok"}
    assert server.client.get("/readyz").json() == {"status": "ok"}
    server.staff.publish("hw0/add", [1])
    server.student.attempt("hw0/add", 1)
    text = server.client.get("/metrics").text
    assert 'mugrade_attempts_total{outcome="right"} 1.0' in text
    assert "mug_" not in text
    server.client.request("BREW", "/healthz")
    text = server.client.get("/metrics").text
    assert 'method="other"' in text and "BREW" not in text, "who asks does not name the counters"
