"""What the documents promise about certificates, times, projects, overrides and receipts exists."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from mugrade.client import receipts
from mugrade.client.settings import Folders
from mugrade.server.models import Account
from mugrade.server.services import accounts, sessions
from sqlalchemy import select

from .browser import Browser, text
from .conftest import NOON
from .test_api import give

FULL = {"hw0": ("add", "softmax"), "hw1": ("backward",)}
TOLERANCE = "/assignments/hw0/problems/add/regrade"


def full_marks(server, name):
    for assignment, problems in FULL.items():
        for problem in problems:
            give(server, name, assignment, problem, server.staff)


def project(server, *names, marks=None):
    """A group's project, handed in and (with marks) graded; returns the group's id."""
    first, *others = [server.person(name) for name in names]
    group = first.post("/project/group").json()["id"]
    for name, other in zip(names[1:], others):
        first.post("/project/invitations", {"email": f"{name}@example.org"})
        assert other.post(f"/project/invitations/{group}/accept").status_code == 200
    first.call("PUT", "/project/proposal", json={"title": "Flash", "text": "We build it."})
    server.staff.post(f"/projects/{group}/decision", {"accept": True})
    first.call("PUT", "/project/report", json={"report": "https://x.org/r"})
    if marks:
        grade(server, group, *marks)
    return group


def grade(server, group, idea, result):
    body = {"marks": {"idea": str(idea), "result": str(result)}}
    answer = server.staff.call("PUT", f"/projects/{group}/grade", json=body)
    assert answer.status_code == 200, answer.text


def boss(server, email="teacher@example.org"):
    """A browser signed in as the course's first instructor."""
    with server.database.write() as session:
        account = session.scalars(select(Account).where(Account.email == email)).one()
        code = sessions.one_time_link(session, server.clock(), account)
    made = Browser(server)
    assert made.post("/link", code=code).status_code == 303
    return made


def book(server, name="ann"):
    rows = server.staff.get("/grades").json()["students"]
    return next(row for row in rows if row["email"] == f"{name}@example.org")


# -------------------------------------------------------------------------------- certificates


def test_a_revoked_certificate_is_told_to_whoever_verifies_it(server):
    """H5: with both scores set to 0 the certificate stayed valid, and nobody could take it back."""
    project(server, "ann", "bob", marks=(40, 60))
    full_marks(server, "ann")
    issued = server.person("ann").post("/me/certificate").json()
    public = f"/api/v1/certificates/{issued['id']}"
    assert server.client.get(public).json()["valid"]
    body = {"student": "ann@example.org", "reason": "copied"}
    assert server.person("helper", "grader").post("/revocations", body).status_code == 403
    assert server.staff.post("/revocations", body).json()["id"] == issued["id"]
    told = server.client.get(public).json()
    assert not told["valid"] and told["revoked_at"] == "2026-10-01T12:00:00Z"
    assert told["name"] is None and told["signed"] is None
    page = Browser(server).get(f"/certificates/{issued['id']}")
    assert page.status_code == 404 and "was revoked" in text(page) and "Ann" not in text(page)
    assert server.person("ann").post("/me/certificate").status_code == 403
    assert server.staff.post("/revocations", body).status_code == 404, "once"
    assert book(server)["certificate_state"] == "revoked"
    assert (
        server.staff.post("/revocations", {**body, "reinstate": True}).json()["revoked_at"] is None
    )
    assert server.client.get(public).json()["name"] == "Ann"
    actions = [e["action"] for e in server.staff.get("/audit").json()["entries"][:2]]
    assert actions == ["certificate-reinstated", "certificate-revoked"]


def test_a_score_that_falls_after_issue_is_shown_to_staff_and_changes_nothing_by_itself(lite):
    project(lite, "ann", "bob", marks=(40, 60))
    full_marks(lite, "ann")
    assert book(lite)["certificate_state"] == "earned"
    issued = lite.person("ann").post("/me/certificate").json()
    assert book(lite)["certificate_state"] == "issued"
    body = {"student": "ann@example.org", "assignment": "hw1", "problem": "backward", "points": "0"}
    lite.staff.post("/overrides", {**body, "reason": "oral"})
    assert lite.client.get(f"/api/v1/certificates/{issued['id']}").json()["valid"]
    assert book(lite)["certificate_state"] == "issued, no longer earned"
    page = boss(lite)
    assert "Ann" in text(page.get("/staff/grades?show=doubtful"))
    assert "No student fits" in text(page.get("/staff/grades?show=certificate"))


def test_the_certificate_waits_for_the_projects_grade_and_its_minimum(lite):
    """M6: a project that was only handed in, or graded 0, was enough."""
    group = project(lite, "ann", "bob")
    full_marks(lite, "ann")
    ann = lite.person("ann")
    claim = lambda: ann.post("/me/certificate")
    assert claim().status_code == 403 and "waits for its grade" in claim().json()["detail"]
    grade(lite, group, 20, "29.99")
    assert "graded 49.99%; 50% are needed" in claim().json()["detail"]
    grade(lite, group, 20, 30)
    assert claim().status_code == 200


def test_staffs_page_revokes_with_a_reason_only(lite):
    project(lite, "ann", "bob", marks=(40, 60))
    full_marks(lite, "ann")
    issued = lite.person("ann").post("/me/certificate").json()["id"]
    page, ann = boss(lite), lite.person("ann").account.id
    target = f"/staff/students/{ann}/certificate"
    assert page.post(target, reason=" ").status_code == 422
    assert page.post(target, reason="copied").status_code == 303
    assert "Let it stand again" in page.get(f"/staff/students/{ann}").text
    assert not lite.client.get(f"/api/v1/certificates/{issued}").json()["valid"]
    assert page.post(target, reason="a mistake", reinstate="yes").status_code == 303
    assert lite.client.get(f"/api/v1/certificates/{issued}").json()["valid"]


# ------------------------------------------------------------------------------------- projects


@pytest.mark.parametrize("report", ["", "   \n "])
def test_an_empty_report_is_refused_on_the_page_too(lite, report):
    """M6: the page took it, and with the average reached the certificate was issued at once."""
    browser = Browser(lite)
    browser.sign_up("ann")
    browser.post("/project/form")
    lite.person("bob")
    browser.post("/project/invite", email="bob@example.org")
    group = lite.person("bob").get("/project").json()["invitations"][0]["id"]
    lite.person("bob").post(f"/project/invitations/{group}/accept")
    empty = browser.post("/project/propose", title="Flash", text=report)
    assert empty.status_code == 422 and "proposal is empty" in text(empty)
    browser.post("/project/propose", title="Flash", text="We build it.")
    lite.staff.post(f"/projects/{group}/decision", {"accept": True})
    answer = browser.post("/project/hand-in", report=report)
    assert answer.status_code == 422 and "report is empty" in text(answer)
    assert lite.person("bob").get("/project").json()["group"]["state"] == "accepted"


def test_projects_stand_in_gradebook_and_exports(server):
    project(server, "ann", "bob", marks=(30, "50.5"))
    server.person("cem")
    assert book(server)["project"] == {"state": "graded", "grade": "80.5", "of": "100"}
    assert book(server, "cem")["project"] is None
    lines = {
        r["email"]: r for r in csv.DictReader(io.StringIO(server.staff.get("/grades.csv").text))
    }
    ann = lines["ann@example.org"]
    assert (ann["project"], ann["project_state"], ann["project_grade"]) == ("yes", "graded", "80.5")
    assert (ann["project_points"], ann["certificate_state"]) == ("100", "not earned")
    assert lines["cem@example.org"]["project_grade"] == ""
    assert "80.5" in text(boss(server).get("/staff/grades"))


def test_staff_forms_no_group_and_who_is_invited_sees_no_work(lite):
    """L4: the page let staff form a group; invitations carried proposal and feedback."""
    answer = boss(lite).post("/project/form")
    assert answer.status_code == 403 and "for students" in text(answer)
    ann, bob, cem = (lite.person(name) for name in ("ann", "bob", "cem"))
    group = ann.post("/project/group").json()["id"]
    ann.post("/project/invitations", {"email": "bob@example.org"})
    bob.post(f"/project/invitations/{group}/accept")
    ann.call("PUT", "/project/proposal", json={"title": "Flash", "text": "secret idea"})
    lite.staff.post(f"/projects/{group}/decision", {"accept": False, "feedback": "too narrow"})
    ann.post("/project/invitations", {"email": "cem@example.org"})
    (seen,) = cem.get("/project").json()["invitations"]
    assert seen["title"] == "Flash" and len(seen["members"]) == 3
    assert seen["proposal"] == seen["feedback"] == ""


# ------------------------------------------------------------------- times, decisions, tolerance


def test_times_are_moved_by_command_and_scores_follow(server):
    server.staff.publish("hw0/add", [1])
    server.clock.forward(days=8)  # a day after hw0 was due
    assert server.student.attempt("hw0/add", 1, accept_late=True).status_code == 201
    assert server.student.get("/assignments/hw0").json()["score"] == "5.00", "a free day covers it"
    assert server.student.get("/assignments/hw0").json()["late_days_left"] == 1
    move = lambda who=server.staff, **times: who.post("/times", {"assignment": "hw0", **times})
    assert move(server.person("helper", "grader"), due_at=None).status_code == 403
    moved = move(due_at="2026-10-20T12:00:00+02:00").json()
    assert moved["due_at"] == "2026-10-20T10:00:00Z" and moved["opens_at"] is None
    assert server.student.get("/assignments/hw0").json()["late_days_left"] == 2
    assert server.staff.get("/audit").json()["entries"][0]["detail"]["before"]["due_at"]
    assert move(due_at=None).json()["due_at"] is None
    for wrong in (
        {},
        {"due_at": "2026-10-20T12:00:00"},
        {"opens_at": "2026-12-01T00:00:00Z", "due_at": "2026-11-01T00:00:00Z"},
    ):
        assert move(**wrong).status_code == 400, wrong


def test_times_are_moved_on_the_homeworks_page(lite):
    page = boss(lite)
    assert 'value="2026-10-08T12:00"' in page.get("/staff/homework/hw0").text
    target = "/staff/homework/hw0/times"
    assert page.post(target, due_at="2026-10-09T18:30").status_code == 303
    assert lite.student.get("/assignments/hw0").json()["due_at"] == "2026-10-09T18:30:00Z"
    assert page.post(target, due_at="soon").status_code == 400
    assert (
        page.post(target, opens_at="2026-10-09T18:30", due_at="2026-10-08T18:30").status_code == 400
    )
    assert page.get("/staff/homework/none").status_code == 404


def test_scores_and_times_are_decided_for_students_only(lite):
    """M10: a grader could give themselves points."""
    helper = lite.person("helper", "grader")
    own = {"student": "helper@example.org", "assignment": "hw0", "reason": "r"}
    score = helper.post("/overrides", {**own, "problem": "add", "points": "5"})
    assert score.status_code == 400 and "only a student" in score.json()["detail"]
    assert helper.post("/extensions", {**own, "days": 1}).status_code == 400


def test_pages_ask_for_the_reason_of_a_decision(lite):
    """L5: `required` is only a word to the browser."""
    page, student = boss(lite), f"/staff/students/{lite.student.account.id}"
    extension = {"homework": "hw0", "days": "1"}
    assert page.post(f"{student}/extend", **extension).status_code == 422
    assert page.post(f"{student}/extend", **extension, reason="ill").status_code == 303
    score = {"problem": "hw0/add", "points": "1"}
    assert page.post(f"{student}/override", **score, reason="").status_code == 422
    assert page.post(f"{student}/override", **score, reason="oral").status_code == 303


def test_a_tolerance_is_applied_by_who_may_publish(lite):
    """M10: a grader could give everybody full marks."""
    lite.staff.publish("hw0/add", [100.0])
    helper = lite.person("helper", "grader")
    change = {"tolerance": {"rtol": 1e-3}}
    assert helper.post(TOLERANCE, {**change, "dry_run": True}).status_code == 200
    refused = helper.post(TOLERANCE, {**change, "dry_run": False})
    assert refused.status_code == 403 and "publish" in refused.json()["detail"]
    assert helper.post(TOLERANCE, {"dry_run": False}).status_code == 200, (
        "comparing again is theirs"
    )
    assert lite.staff.post(TOLERANCE, {**change, "dry_run": False}).status_code == 200


@pytest.mark.parametrize(
    "tolerance, taken",
    [
        ({"rtol": 1e-2}, True),
        ({"rtol": 0.02}, False),
        ({"ascale": 1.0}, False),
        ({"atol": 0.9}, True),  # the largest value is 100
        ({"atol": 1.1}, False),
        ({"atol": 1e300}, False),
    ],
)
def test_a_tolerance_that_takes_nearly_everything_is_refused(lite, tolerance, taken):
    lite.staff.publish("hw0/add", [[1.0, -100.0], 3])
    answer = lite.staff.post(TOLERANCE, {"tolerance": tolerance, "dry_run": True})
    assert (answer.status_code == 200) == taken, answer.text
    by_case = {"case_tolerances": {"0": tolerance}, "dry_run": True}
    assert (lite.staff.post(TOLERANCE, by_case).status_code == 200) == taken


def test_the_page_of_a_late_homework_says_what_a_try_costs_and_how_to_send_it(lite):
    """L11: it still said `mugrade submit hw0`, which refuses."""
    lite.staff.publish("hw0/add", [1])
    browser = Browser(lite)
    browser.sign_up("ada")
    assert "--late" not in text(browser.get("/homework/hw0"))
    lite.clock.now = NOON
    lite.clock.forward(days=9)
    page = text(browser.get("/homework/hw0"))
    assert "mugrade submit hw0 --late" in page
    assert "2 days late; it would take 2 of your free late days and lose nothing" in page
    lite.clock.forward(days=2)
    page = text(browser.get("/homework/hw0"))
    assert re.search(r"4 days late; it would take 2 of your free late days and lose \d+%", page)
    assert "--late" in text(browser.get("/homework/hw0/add"))


# ------------------------------------------------------------------------------------ receipts


@pytest.fixture
def known(lite, tmp_path):
    """The keys of this server as a client keeps them."""
    keys = lite.client.get("/api/v1/meta").json()["receipt_keys"]
    folders = Folders(tmp_path, tmp_path)
    place = folders.memory("http://here/")
    place.mkdir(parents=True)
    (place / "meta.json").write_text(json.dumps({"receipt_keys": keys}))
    return receipts.known_keys(folders)


def test_a_certificate_is_verified_as_one(lite, known):
    """L3: `ok None/None, None of None cases, - points`."""
    project(lite, "ann", "bob", marks=(40, 60))
    full_marks(lite, "ann")
    signed = lite.person("ann").post("/me/certificate").json()["signed"]
    payload = receipts.unpack(signed)[0]
    assert payload["type"] == "certificate"
    good, words = receipts.check(signed, known)
    assert good and re.match(r"certificate c_\w+ of Ann for Demonstration, average 100%", words)


def test_receipts_tell_their_type_and_old_ones_still_verify(lite, known):
    lite.staff.publish("hw0/add", [1])
    receipt = lite.student.attempt("hw0/add", 1).json()["receipt"]
    assert receipts.unpack(receipt)[0]["type"] == "receipt"
    good, words = receipts.check(receipt, known)
    assert good and words.startswith("hw0/add, 1 of 1 cases, 5 points, 2026-10-01 12:00")
    from mugrade.server.services import signing

    with lite.database.read() as session:
        old = [
            signing.sign(session, payload)
            for payload in (
                {"assignment": "hw0", "problem": "add", "correct": 1, "total": 1, "at": "2026"},
                {"certificate": "c_1", "name": "Ann", "title": "T", "average": "90", "at": "2026"},
            )
        ]
    told = [receipts.check(text, known) for text in old]
    assert all(good for good, _ in told)
    assert "points" not in told[0][1], "the public client's receipt has no score"
    assert told[1][1].startswith("certificate c_1 of Ann for T, average 90%")


@pytest.mark.parametrize(
    "spoil, reason",
    [
        (lambda r: r[:-4] + "AAAA", "signature does not fit"),
        (lambda r: r.replace("mgr1", "mgr2"), "not have the form"),
        (lambda r: "mgr1.!.!", "no receipt"),
        (lambda r: "mgr1.bnVsbA.bnVsbA", "payload is no object"),
    ],
)
def test_what_was_changed_does_not_verify(lite, known, spoil, reason):
    lite.staff.publish("hw0/add", [1])
    receipt = lite.student.attempt("hw0/add", 1).json()["receipt"]
    good, words = receipts.check(spoil(receipt), known)
    assert not good and reason in words
    assert "never seen" in receipts.check(receipt, {})[1]


# ------------------------------------------------------------------------------- staff's pages


def test_the_roster_page_invites_everybody_who_has_not_come_in(lite):
    lines = "email,name\nada@example.org,Ada\nbob@example.org,Bob"
    lite.staff.post("/roster", {"csv": lines, "dry_run": False})
    page = boss(lite)
    assert "not come in yet" in text(page.get("/staff/roster"))
    answer = page.post("/staff/roster/invite", action="show")
    codes = re.findall(r"invitation\?code=([a-z2-9-]{24})", answer.text)
    assert len(codes) >= 2
    claimed = Browser(lite).post("/invitation", code=codes[0], password="correct horse")
    assert claimed.status_code == 303
    assert "No mail server" in text(page.post("/staff/roster/invite", action="mail"))


def test_the_students_page_gives_a_link_and_shuts_an_account(lite):
    ada = Browser(lite)
    ada.sign_up("ada")
    with lite.database.read() as session:
        person = accounts.find(session, lite.staff.account.course_pk, "ada@example.org")
    page, target = boss(lite), f"/staff/students/{person.id}"
    shown = page.post(f"{target}/link")
    assert shown.status_code == 200, text(shown)
    code = re.search(r"link\?code=([\w-]+)", shown.text)[1]
    assert Browser(lite).post("/link", code=code).status_code == 303
    assert page.post(f"{target}/account", active="no").status_code == 422, "a reason is needed"
    assert page.post(f"{target}/account", active="no", reason="left").status_code == 303
    assert not ada.signed_in and "deactivated" in text(page.get(target))
    assert page.post(f"{target}/link").status_code == 400
    assert page.post(f"{target}/account", active="yes", reason="back").status_code == 303
    with lite.database.read() as session:
        assert session.get_one(Account, person.pk).active


def test_graders_see_no_buttons_that_they_may_not_press(lite):
    helper = lite.person("helper", "grader")
    with lite.database.write() as session:
        code = sessions.one_time_link(
            session, lite.clock(), session.get_one(Account, helper.account.pk)
        )
    page, target = Browser(lite), f"/staff/students/{lite.student.account.id}"
    page.post("/link", code=code)
    assert "Deactivate" not in page.get(target).text
    for path, fields in (
        (f"{target}/account", {"active": "no", "reason": "r"}),
        (f"{target}/certificate", {"reason": "r"}),
        (f"{target}/link", {}),
        ("/staff/roster/invite", {}),
        ("/staff/homework/hw0/times", {}),
    ):
        assert page.post(path, **fields).status_code == 403, path
