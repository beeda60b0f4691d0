"""A student's pages: the first day, what late costs, and from a failed case to the next command."""

from __future__ import annotations

import re

from mugrade.server.pages import charts

from .browser import Browser, text
from .test_second_look import signed_in


def test_after_sign_up_come_the_three_commands_of_the_first_day(lite):
    lite.staff.publish("hw0/add", [1.0])
    ada = Browser(lite)
    answer = ada.sign_up("ada")
    assert answer.headers["location"] == "/welcome"
    shown = text(ada.get("/welcome"))
    commands = ["mugrade login --server http", "mugrade submit hw0", "mugrade status hw0"]
    places = [shown.index(command) for command in commands]
    assert places == sorted(places)
    assert "three commands" in text(ada.get("/dashboard"))
    assert Browser(lite).get("/welcome").status_code == 303, "for those who are signed in"


def test_head_is_answered_as_get_without_a_body(lite):
    assert lite.student
    student, stranger = signed_in(lite, "student"), Browser(lite)
    pages = ["/", "/healthz", "/login", "/dashboard", "/homework/hw0?x=1", "/staff", "/nowhere"]
    for path in pages:
        for browser in (student, stranger):
            full, head = browser.get(path), browser.head(path)
            assert (head.status_code, head.headers) == (full.status_code, full.headers), path
            assert not head.content
    assert stranger.head("/logout").headers["allow"] == "POST"


def test_staff_who_come_in_are_shown_their_own_command(lite):
    assert "--scope grade" in text(signed_in(lite, "grader").get("/welcome"))


def test_the_dashboard_says_what_late_costs_and_where_free_days_went(server):
    server.staff.publish("hw0/add", [1.0])
    assert server.student
    student = signed_in(server, "student")
    before = text(student.get("/dashboard"))
    assert "costs 10% of an attempt's points" in before
    assert "2 of your 2 free late days are left" in before and "hw0 takes" not in before
    server.clock.forward(days=7, hours=1)
    server.student.attempt("hw0/add", 1.0, accept_late=True)
    after = text(signed_in(server, "student").get("/dashboard"))
    assert "1 of your 2 free late days are left. hw0 takes 1." in after
    assert "three commands" not in after


def test_a_failed_case_leads_to_the_command_that_runs_it(server):
    server.staff.publish("hw0/add", [1.0, 2.0, 3.0], labels=["one", "two", "three"])
    server.student.attempt("hw0/add", 1.0, 5.0, 3.0)
    student = signed_in(server, "student")
    shown = text(student.get("/homework/hw0/add"))
    assert "failed in two" in shown and "mugrade run hw0 add --case 2 --pdb" in shown
    server.clock.forward(minutes=1)
    server.student.attempt("hw0/add", 1.0, 2.0, 3.0)
    assert "--case 1 --pdb" in text(student.get("/homework/hw0/add"))


def test_the_homeworks_page_names_the_next_problem(server):
    server.staff.publish("hw0/add", [1.0])
    server.staff.publish("hw0/softmax", [1.0])
    assert server.student
    student = signed_in(server, "student")
    assert "Next: add , mugrade submit hw0 add" in text(student.get("/homework/hw0"))
    server.student.attempt("hw0/add", 1.0)
    assert "Next: softmax , mugrade submit hw0 softmax" in text(student.get("/homework/hw0"))
    server.student.attempt("hw0/softmax", 1.0)
    assert "All points." in text(student.get("/homework/hw0"))


def test_every_problem_stands_in_one_picture(server):
    server.staff.publish("hw0/add", [1.0])
    server.staff.publish("hw0/softmax", [1.0])
    server.student.attempt("hw0/add", 1.0)
    page = signed_in(server, "student").get("/dashboard").text
    assert 'aria-label="Your problems' in page and 'class="f4"' in page


def test_equal_neighbours_in_the_strip_stay_apart():
    """One piece over all solved problems would tell nobody which they are."""
    drawn = charts.strip([("hw0", "a"), ("hw0", "b"), ("hw1", "c")], [4, 4, None], "Yours")
    assert drawn.count('<rect class="f4"') == 2 and 'class="none"' in drawn
    assert "<title>hw0/b: all</title>" in drawn and "hw1/c: nothing handed in" in drawn


def test_what_a_projects_form_refuses_needs_not_be_typed_again(lite):
    """Neither by students nor by staff."""
    ann, bob, staff = lite.person("ann"), lite.person("bob"), signed_in(lite, "teacher")
    student = signed_in(lite, "ann")
    student.post("/project/form")
    alone = student.post("/project/propose", title="Sparse", text="We build")
    assert (
        alone.status_code == 409 and 'value="Sparse"' in alone.text and ">We build<" in alone.text
    )
    wrong = student.post("/project/invite", email="nobody@example.org")
    assert wrong.status_code == 404 and 'value="nobody@example.org"' in wrong.text
    again = student.post("/project/invite", email="ann@example.org")
    assert again.status_code == 409 and "ann@example.org is in this group already" in text(again)
    many = staff.post("/staff/projects", emails="nobody@example.org")
    assert many.status_code == 404 and ">nobody@example.org<" in many.text
    assert "<details open>" in many.text, "and it is seen"
    group = ann.post("/project/invitations", {"email": "bob@example.org"}).json()["id"]
    bob.post(f"/project/invitations/{group}/accept")
    ann.call("PUT", "/project/proposal", json={"title": "Sparse", "text": "We build"})
    lite.staff.post(f"/projects/{group}/decision", {"accept": True})
    ann.call("PUT", "/project/report", json={"report": "https://x.org/r"})
    marks = {"mark-idea": "35", "mark-result": "61", "feedback": "Well done"}
    refused = staff.post(f"/staff/projects/{group}/grade", **marks)
    assert refused.status_code == 400 and "result has at most 60 points" in text(refused)
    assert 'value="35"' in refused.text and ">Well done<" in refused.text


def test_a_line_end_counts_once_as_browsers_count_it(lite):
    assert lite.person("ann")
    student = signed_in(lite, "ann")
    student.post("/project/form")
    full = "x\r\n" * 10_000  # 20,000 characters to `maxlength`
    lite.person("bob")
    student.post("/project/invite", email="bob@example.org")
    other = signed_in(lite, "bob")
    group = re.search(r"/project/answer/(\w+)", other.get("/project").text)[1]
    other.post(f"/project/answer/{group}", answer="accept")
    assert student.post("/project/propose", title="Sparse", text=full).status_code == 303
