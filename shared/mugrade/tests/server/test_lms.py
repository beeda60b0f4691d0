"""A gradebook of Canvas and one of Moodle come back with nothing changed but grades."""

from __future__ import annotations

import csv
import io
from decimal import Decimal

import pytest
from mugrade.server.errors import Refusal
from mugrade.server.services import lms

from .browser import Browser, text
from .test_promises import boss
from .test_second_look import signed_in

CANVAS = (
    "\ufeffStudent,ID,SIS User ID,SIS Login ID,Section,hw0 (1101),Essay (77),hw1: Autodiff (1102),"
    "Current Score\r\n"
    "    Points Possible,,,,,100,10,100,(read only)\r\n"
    '"Lovelace, Ada",11,u1,ada,"Sec, A",,9,50,=1+1\r\n'
    '"Turing, Alan",12,u2,alan@example.org,B,1,8,EX,\r\n'
    '"Nobody, ""N""",13,u3,nobody,B,2,7,3,\r\n'
    '"Student, Test",14,,,B,,,,\r\n'
)
MOODLE = (
    '"First name";Surname;"ID number";"Email address";"Assignment: Softmax (Real)";'
    '"Assignment: Softmax (Percentage)";"Quiz: hw9 (Real)";"Last downloaded from this course"\n'
    "Ada;Lovelace;1;Ada@Example.org;-;-;5.00;1795763751\n"
    'Alan;Turing;2;alan@example.org;"7,5";-;4.00;1795763751\n'
)
NAMES = {"hw0": "Softmax", "hw1": "Autodiff"}
PEOPLE = [
    lms.Graded("ada@example.org", {"hw0": Decimal("87.50")}),
    lms.Graded("alan@example.org", {"hw0": Decimal("60.00"), "hw1": Decimal("70.00")}),
    lms.Graded("emmy@example.org", {"hw0": Decimal("99.00")}),
]


def cells(given, delimiter):
    return list(csv.reader(io.StringIO(given, newline=""), delimiter=delimiter))


def changed(before, after, delimiter):
    one, other = cells(before, delimiter), cells(after, delimiter)
    assert [len(row) for row in one] == [len(row) for row in other]
    return {
        (r, c): (one[r][c], other[r][c])
        for r in range(len(one))
        for c in range(len(one[r]))
        if one[r][c] != other[r][c]
    }


def test_canvas_comes_back_with_nothing_changed_but_grades():
    filled = lms.fill(CANVAS, NAMES, PEOPLE)
    assert filled.system == "Canvas" and filled.text.startswith("\ufeffStudent,ID")
    assert changed(CANVAS, filled.text, ",") == {(2, 5): ("", "87.50"), (3, 5): ("1", "60.00")}
    assert filled.text.count("\r\n") == CANVAS.count("\r\n")
    assert (filled.excused, filled.unknown, filled.absent) == (1, ["nobody"], ["emmy@example.org"])
    assert filled.columns == [("hw0 (1101)", "hw0"), ("hw1: Autodiff (1102)", "hw1")]


def test_moodle_comes_back_with_nothing_changed_but_grades():
    filled = lms.fill(MOODLE, NAMES, PEOPLE)
    assert filled.system == "Moodle"
    assert changed(MOODLE, filled.text, ";") == {(1, 4): ("-", "87.50"), (2, 4): ("7,5", "60.00")}
    assert lms.fill(filled.text, NAMES, PEOPLE).text == filled.text, "twice is once"


@pytest.mark.parametrize("given, words", [("", "no gradebook"), ("a,b\n1,2\n", "no gradebook"),
    ("Student,SIS Login ID,Essay\n", "named as a homework")])  # fmt: skip
def test_other_files_are_refused_with_what_was_expected(given, words):
    with pytest.raises(Refusal, match=words):
        lms.fill(given, NAMES, PEOPLE)


def test_who_is_excused_here_is_so_in_canvas_and_moodle_keeps_the_cell():
    people = [*PEOPLE[1:], lms.Graded("ada@example.org", {}, frozenset({"hw0"}))]
    filled = lms.fill(CANVAS, NAMES, people)
    assert changed(CANVAS, filled.text, ",") == {(2, 5): ("", "EX"), (3, 5): ("1", "60.00")}
    assert filled.excused == 2
    assert (1, 4) not in changed(MOODLE, lms.fill(MOODLE, NAMES, people).text, ";")


PARTICIPANTS = (
    '"First name",Surname,"Email address",Groups\n'
    "Ada,Lovelace,Ada@Example.org,Tuesday\n"
    'Emmy,"Noether, Prof.",emmy@example.org,\n'
)


@pytest.mark.parametrize(
    "text, domain, found",
    [
        (CANVAS, "example.org", [("ada@example.org", "Ada Lovelace", "Sec, A"),
            ("alan@example.org", "Alan Turing", "B"), ("nobody@example.org", '"N" Nobody', "B")]),
        (MOODLE, "", [("Ada@Example.org", "Ada Lovelace", ""), ("alan@example.org", "Alan Turing", "")]),
        (PARTICIPANTS, "", [("Ada@Example.org", "Ada Lovelace", "Tuesday"),
            ("emmy@example.org", "Emmy Noether, Prof.", "")]),
    ],
)  # fmt: skip
def test_the_people_of_an_export(text, domain, found):
    assert [(one.email, one.name, one.section) for one in lms.people(text, domain)] == found


def test_the_roster_takes_an_export_and_keeps_the_roles_of_those_it_knows(server):
    server.person("alan", "grader")
    staff = boss(server)
    logins = staff.post("/staff/roster", csv=CANVAS, action="preview")
    assert logins.status_code == 400 and "Line 3 names 'ada', which is a login" in text(logins)
    given = {"csv": CANVAS, "domain": "@example.org"}
    assert "2 would be added, 1 changed" in text(
        staff.post("/staff/roster", action="preview", **given)
    )
    assert staff.post("/staff/roster", action="import", **given).status_code == 303
    rows = {p["email"]: p for p in server.staff.get("/roster").json()["people"]}
    ada, alan = rows["ada@example.org"], rows["alan@example.org"]
    assert (ada["name"], ada["role"], ada["section"]) == ("Ada Lovelace", "student", "Sec, A")
    assert (alan["name"], alan["role"], alan["section"]) == ("Alan Turing", "grader", "B")


def test_a_roster_file_may_give_sections_and_extra_days(lite):
    lines = "email,name,role,section,extra_days\nann@example.org,Ann,,A,3\n"
    answer = lite.staff.post("/roster", {"csv": lines, "dry_run": False}).json()
    assert answer["added"] == 1 and answer["errors"] == []
    again = "email,name,section\nann@example.org,Ann,B\n"
    assert lite.staff.post("/roster", {"csv": again, "dry_run": False}).json()["changed"] == 1
    ann = next(p for p in lite.staff.get("/roster").json()["people"] if p["name"] == "Ann")
    assert (ann["section"], ann["extra_days"]) == ("B", 3)
    wrong = lite.staff.post("/roster", {"csv": lines.replace(",3", ",soon")}).json()["errors"]
    assert wrong[0]["line"] == 2 and "whole number" in wrong[0]["detail"]


def test_a_login_that_two_have_is_nobodys():
    twins = [*PEOPLE, lms.Graded("ada@other.org", {"hw0": Decimal(1)})]
    assert "ada" in lms.fill(CANVAS, NAMES, twins).unknown


def test_staff_fills_a_file_in_the_browser_and_others_cannot(server):
    server.staff.publish("hw0/add", [1.0])
    server.person("ada").attempt("hw0/add", 1.0)
    staff = boss(server)
    assert "Canvas" in text(staff.get("/staff/grades/lms"))
    shown = text(staff.post("/staff/grades/lms", csv=CANVAS, action="preview"))
    assert "1 grade is written" in shown and "alan@example.org" in shown
    answer = staff.post("/staff/grades/lms", csv=CANVAS, action="download")
    assert answer.headers["content-type"].startswith("text/csv")
    assert '"Lovelace, Ada",11,u1,ada,"Sec, A",5.00,9,50,=1+1' in answer.text
    assert staff.post("/staff/grades/lms", csv="x", action="preview").status_code == 400
    ada = signed_in(server, "ada")
    assert ada.get("/staff/grades/lms").status_code == 404
    assert ada.post("/staff/grades/lms", csv=CANVAS, action="download").status_code == 404
    assert Browser(server).get("/staff/grades/lms").status_code == 303
