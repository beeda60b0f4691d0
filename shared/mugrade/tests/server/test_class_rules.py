"""Staff's rules in the browser: many students at once, standing extra time, groups, the course itself."""

from __future__ import annotations

import re

import pytest
from mugrade.server import coursefile
from mugrade.server.models import Account, Audit
from mugrade.server.pages import STAFF, attempt
from mugrade.server.services import course_edit, courses, groups, tokens
from mugrade.server.settings import Settings
from sqlalchemy import select
from sqlalchemy import text as sql
from sqlalchemy.exc import OperationalError

from .browser import Browser, text
from .conftest import COURSE, Server, make_settings
from .test_promises import book, boss, project
from .test_second_look import signed_in


def roster(browser, **query):
    """The names that the page lists."""
    shown = browser.client.get("/staff/roster", params=query).text
    return re.findall(r'name="who" value="\w+" aria-label="([^"]+)"', shown)


def change(server, action, *names, **fields):
    """Press a button of the form that changes many."""
    assert server.staff
    ticked = [server.person(name).account.id for name in names]
    page = boss(server)
    headers = {"Origin": "http://testserver"}
    body = {"action": action, "who": ticked, "reason": "because", **fields}
    return page.client.post("/staff/roster/change", data=body, headers=headers)


def due(server, name, homework="hw0"):
    return server.person(name).get(f"/assignments/{homework}").json()["due_at"]


# ---------------------------------------------------------------------------------- many at once


def test_the_roster_is_searched_by_name_section_role_and_state(lite):
    for name in ("ann", "bob", "cyd"):
        lite.person(name)
    assert change(lite, "section", "ann", "bob", new_section=" Tuesday  9 ").status_code == 303
    assert change(lite, "deactivate", "bob").status_code == 303
    page = boss(lite)
    assert roster(page, text="ANN@") == ["Ann"]
    assert roster(page, section="Tuesday 9") == ["Ann", "Bob"]
    assert roster(page, section="Tuesday 9", show="inactive") == ["Bob"]
    assert roster(page, role="grader") == ["Gra Der"]
    assert "Nobody fits the filter" in text(page.get("/staff/roster?text=nobody"))


def test_an_extension_for_many_is_one_step_and_one_line_in_the_audit_log(server):
    for name in ("ann", "bob", "cyd"):
        server.person(name)
    assert change(server, "extend", "ann", "bob", homework="hw0", days="3").status_code == 303
    assert [due(server, n)[:10] for n in ("ann", "bob", "cyd")] == [
        "2026-10-11", "2026-10-11", "2026-10-08",
    ]  # fmt: skip
    with server.database.read() as session:
        lines = session.scalars(select(Audit).where(Audit.action == "extension")).all()
    assert [line.object for line in lines] == ["2 people hw0"]
    assert lines[0].detail["students"] == ["ann@example.org", "bob@example.org"]


def test_everybody_whom_the_filter_lists_can_be_meant(lite):
    for name in ("ann", "bob"):
        lite.person(name)
    change(lite, "section", "ann", new_section="A")
    assert change(lite, "extra", whom="listed", section="A", extra_days="2").status_code == 303
    assert due(lite, "ann")[:10] == "2026-10-10" and due(lite, "bob")[:10] == "2026-10-08"


@pytest.mark.parametrize(
    "action, names, fields, words",
    [
        ("extend", [], {"homework": "hw0", "days": "3"}, "Nobody is ticked"),
        ("extend", ["ann", "staff"], {"homework": "hw0", "days": "3"}, "only a student"),
        ("extend", ["ann"], {"homework": "hw0", "days": "x"}, "whole number"),
        ("excuse", ["ann"], {"homework": "hw0", "reason": " "}, "reason"),
        ("deactivate", ["ann", "teacher"], {}, "yourself"),
        ("", ["ann"], {}, "Choose what"),
    ],
)
def test_what_cannot_be_done_to_all_is_done_to_none(lite, action, names, fields, words):
    lite.person("ann")
    if "teacher" in names:
        with lite.database.read() as session:
            row = session.scalars(select(Account).where(Account.email == "teacher@example.org"))
            lite.people["teacher"] = type(lite.staff)(lite, row.one(), "")
    answer = change(lite, action, *names, **fields)
    assert answer.status_code in (400, 422) and words in text(answer)
    assert due(lite, "ann")[:10] == "2026-10-08" and roster(boss(lite), show="inactive") == []
    typed = {"homework", "days"} & set(fields)
    assert all(f'value="{fields[name]}"' in answer.text for name in typed - {"homework"})
    if names:
        assert f'value="{lite.person("ann").account.id}" aria-label="Ann" checked' in answer.text


def test_standing_extra_time_moves_every_due_time_and_the_later_of_two_counts(server):
    server.staff.publish("hw0/add", [1.0])
    change(server, "extra", "ann", extra_days="2")
    assert (
        due(server, "ann")[:10] == "2026-10-10" and due(server, "ann", "hw1")[:10] == "2026-10-22"
    )
    change(server, "extend", "ann", homework="hw0", days="1")
    assert due(server, "ann")[:10] == "2026-10-10"
    change(server, "extend", "ann", homework="hw0", days="5")
    assert due(server, "ann")[:10] == "2026-10-13"
    change(server, "extend", "ann", homework="hw0", days="0")
    server.clock.forward(days=8, hours=20)
    assert server.person("ann").attempt("hw0/add", 1.0).json()["late_days"] == 0
    assert book(server)["scores"]["hw0"] == "5.00"
    mine = signed_in(server, "ann").get("/data.json").json()["account"]
    assert mine["extra_days"] == 2
    page = boss(server).get(f"/staff/students/{server.person('ann').account.id}")
    assert "every homework is due 2 days later" in text(page)


def test_a_students_page_sets_section_and_extra_time(lite):
    target = f"/staff/students/{lite.person('ann').account.id}"
    page = boss(lite)
    fields = {"section": "B", "extra_days": "4", "reason": "letter"}
    assert page.post(f"{target}/standing", **fields).status_code == 303
    assert "section B" in text(page.get(target)) and due(lite, "ann")[:10] == "2026-10-12"
    assert page.post(f"{target}/standing", **{**fields, "extra_days": "400"}).status_code == 400


# --------------------------------------------------------------------------- weights and excuses


def test_an_excused_homework_does_not_count_and_says_so(server):
    server.staff.publish("hw0/add", [1.0])
    server.staff.publish("hw0/softmax", [1.0])
    ann = server.person("ann")
    ann.attempt("hw0/add", 1.0)
    ann.attempt("hw0/softmax", 1.0)
    assert book(server)["average"] == "50.00"
    target = f"/staff/students/{ann.account.id}/extend"
    page = boss(server)
    assert page.post(target, action="excuse", homework="hw1", reason="ill").status_code == 303
    assert book(server)["average"] == "100.00"
    assert "excused" in text(page.get("/staff/grades"))
    assert "excused" in text(signed_in(server, "ann").get("/dashboard"))
    assert page.get("/staff/grades.csv").text.splitlines()[1].endswith("hw1")
    assert page.post(target, homework="hw1", days="0", reason="was here").status_code == 303
    assert book(server)["average"] == "50.00"


def test_weights_and_the_lowest_dropped_come_from_the_rules(lite):
    lite.staff.publish("hw0/add", [1.0])
    lite.person("ann").attempt("hw0/add", 1.0)
    assert book(lite)["average"] == "12.50"  # 5 of 20, and nothing
    page = boss(lite)
    assert page.post("/staff/homework/hw0/times", weight="3").status_code == 303
    assert book(lite)["average"] == "18.75"
    assert (
        page.post("/staff/course", **rules(page, **{"average.drop_lowest": "1"})).status_code == 303
    )
    assert book(lite)["average"] == "25.00"
    assert "Left out of your average as the lowest: hw1" in text(
        signed_in(lite, "ann").get("/dashboard")
    )


# ------------------------------------------------------------------------------------ the course


def rules(page, **changed):
    """What the form of the rules holds, with some of it changed."""
    shown = page.get("/staff/course").text
    form = shown[shown.index('action="/staff/course"') : shown.index("Change the rules")]
    held = dict(re.findall(r'<input name="([\w.]+)"[^>]* value="([^"]*)"', form))
    return {**held, "certificate.project": "yes", **changed}


def test_the_rules_form_changes_what_was_typed_and_nothing_else(lite):
    page = boss(lite)

    def file():
        with lite.database.read() as session:
            pk = lite.staff.account.course_pk
            return course_edit.as_file(courses.view(session, pk))

    before = file()
    assert page.post("/staff/course", **rules(page)).status_code == 303
    assert file() == before
    answer = page.post("/staff/course", **rules(page, **{"late.pooled_days": "5", "title": "New"}))
    assert answer.status_code == 303
    assert list(course_edit.differences(before, file())) == [
        "course.title changes from Demonstration to New",
        "late.pooled_days changes from 2 to 5",
    ]
    wrong = page.post("/staff/course", **rules(page, timezone="Mars/Base"))
    assert wrong.status_code == 400 and "course.timezone" in text(wrong)
    assert text(wrong).count("no time zone") == 1


def test_a_homeworks_page_changes_titles_points_and_times(lite):
    page = boss(lite)
    lite.staff.publish("hw0/add", [1.0])
    lite.person("ann").attempt("hw0/add", 1.0)
    fields = {"title.add": "Sums", "points.add": "7.5"}
    assert page.post("/staff/homework/hw0/problems", **fields).status_code == 303
    assert book(lite)["scores"]["hw0"] == "7.50"
    wrong = page.post("/staff/homework/hw0/problems", **{"points.add": "-1"})
    assert wrong.status_code == 400 and "assignment.hw0.problem.add.points" in text(wrong)
    given = {"opens_at": "", "due_at": "2026-10-09T08:00", "cutoff_at": "2026-10-08T08:00"}
    wrong = page.post("/staff/homework/hw0/times", **given)
    assert wrong.status_code == 400 and "must open before it is due" in text(wrong)
    assert page.post("/staff/course/homework", id="hw2", title="More").status_code == 303
    assert "hw2: More" in text(page.get("/staff/homework/hw2"))


def test_the_exported_file_makes_the_same_course_and_says_what_another_would_change(server):
    page = boss(server)
    answer = page.get("/staff/course.toml")
    assert "course.toml" in answer.headers["content-disposition"]
    given = coursefile.parse(COURSE)
    again = coursefile.parse(answer.text)
    told = list(course_edit.differences(given, again))
    assert [line for line in told if ".title changes from  to " not in line] == []
    assert answer.text.count("[[assignment.problem]]") == 3 and "points = 20\n" in answer.text
    assert "nothing would change" in text(
        page.post("/staff/course/file", file=answer.text, action="preview")
    )
    other = answer.text.replace('title = "Adding"', 'title = "Sums"').replace(
        "percent_per_day = 10", "percent_per_day = 20"
    )
    shown = text(page.post("/staff/course/file", file=other, action="preview"))
    assert "assignment.hw0.problem.add.title changes from Adding to Sums" in shown
    assert "late.percent_per_day changes from 10 to 20" in shown
    assert page.get("/staff/course.toml").text == answer.text, "a preview changes nothing"
    assert page.post("/staff/course/file", file=other, action="import").status_code == 303
    assert page.get("/staff/course.toml").text == other


@pytest.mark.parametrize(
    "file, words",
    [
        ("[course", "no TOML"),
        ('[course]\nid = "other"\ntitle = "x"', "the file of the course 'other'"),
        ('[course]\nid = "demo"\ntitle = "x"\n[[person]]\nemail = "a@b.org"\nname = "A"', "person"),
        ('[course]\nid = "demo"\ntitle = "x"\nspeed = 1', "course.speed"),
    ],
)
def test_a_file_that_is_none_of_this_course_changes_nothing(lite, file, words):
    for action in ("preview", "import"):
        answer = boss(lite).post("/staff/course/file", file=file, action=action)
        assert answer.status_code == 400 and words in text(answer)
    assert "Demonstration" in text(boss(lite).get("/staff/course"))


# --------------------------------------------------------------------------------------- groups


def test_staff_puts_groups_together_and_changes_their_members(server):
    for name in ("ann", "bob", "cyd", "dan"):
        server.person(name)
    page = boss(server)
    made = page.post("/staff/projects", emails="ann@example.org\nbob@example.org")
    assert made.status_code == 303
    group = re.search(r"/staff/projects/(g_\w+)", page.get("/staff/projects").text)[0]
    again = page.post("/staff/projects", emails="ann@example.org cyd@example.org")
    assert again.status_code == 409 and "ann@example.org is in another group" in text(again)
    assert page.post(f"{group}/add", email="cyd@example.org").status_code == 303
    assert page.post(f"{group}/add", email="dan@example.org").status_code == 409
    assert page.post(f"{group}/add", email="nobody@example.org").status_code == 404
    for name in ("cyd", "bob"):
        assert page.post(f"{group}/remove", email=f"{name}@example.org").status_code == 303
    last = page.post(f"{group}/remove", email="ann@example.org")
    assert last.status_code == 409 and "Ann is the last" in text(last)
    assert "Ann (ann@example.org)" in text(page.get(group))
    assert "Bob" not in text(page.get("/staff/projects"))


def test_whoever_was_invited_does_not_make_a_group_larger_than_staff_has_made_it(lite):
    ann, bob, cyd = (lite.person(name) for name in ("ann", "bob", "cyd"))
    group = ann.post("/project/group").json()["id"]
    for invited in (bob, cyd):
        ann.post("/project/invitations", {"email": invited.account.email})
    lite.person("dan")
    assert (
        boss(lite).post(f"/staff/projects/{group}/add", email="dan@example.org").status_code == 303
    )
    assert bob.post(f"/project/invitations/{group}/accept").status_code == 200
    late = cyd.post(f"/project/invitations/{group}/accept")
    assert late.status_code == 409 and "at most 3 members" in late.json()["detail"]
    assert len(ann.get("/project").json()["group"]["members"]) == 4, "the invitation stands"
    assert cyd.post(f"/project/invitations/{group}/decline").status_code == 204


def test_staff_decides_and_grades_in_turn_with_the_students_changes(request, tmp_path):
    """Else a report that is handed in beside the grade would replace the one that was graded."""
    server = Server(Settings(**make_settings(request, "postgresql", tmp_path))).load()
    group = project(server, "ann", "bob")
    decided = {"accept": True, "feedback": ""}
    for act, words in ((groups.decide, decided), (groups.grade, {"marks": {}, "feedback": ""})):
        with server.database.write() as held, pytest.raises(OperationalError, match="lock timeout"):
            groups._take_turn(held, tokens.authenticate(held, server.staff.token, server.clock()))
            with server.database.write() as session:
                session.execute(sql("SET LOCAL lock_timeout = '20ms'"))
                staff = tokens.authenticate(session, server.staff.token, server.clock())
                act(session, server.clock(), staff, group, **words)
    server.close()


# ------------------------------------------------------------------------------------ ownership


STAFFS = [
    (method.lower(), re.sub(r"\{\w+\}", "x", route.path))
    for module in (*STAFF, attempt)
    for route in module.router.routes
    if route.endpoint.mugrade_page == "staff"
    for method in route.methods
]


def test_every_page_of_staff_is_staffs_alone(lite):
    lite.person("ann")
    ann, stranger = signed_in(lite, "ann"), Browser(lite)
    assert ("post", "/staff/roster/change") in STAFFS and len(STAFFS) > 30
    for method, path in STAFFS:
        assert getattr(ann, method)(path).status_code == 404, path
        assert getattr(stranger, method)(path).status_code == 303, path


def test_another_courses_people_and_groups_are_not_found(lite):
    other = COURSE.replace('"demo"', '"other"').replace("demo-code", "other-code")
    lite.load(other.replace("teacher@", "professor@"))
    lite.person("ann")
    page = boss(lite)
    page.post("/staff/projects", emails="ann@example.org")
    group = re.search(r"/staff/projects/(g_\w+)", page.get("/staff/projects").text)[0]
    foreign = lite.person("eve", "instructor", course="other")
    assert foreign.account.course_pk != lite.person("ann").account.course_pk
    eve, ann = signed_in(lite, "eve"), lite.person("ann").account.id
    reason = {"reason": "r"}
    assert eve.post(f"/staff/students/{ann}/standing", extra_days="1", **reason).status_code == 404
    assert eve.post(f"{group}/add", email="eve@example.org").status_code == 404
    body = {"action": "extra", "who": ann, "extra_days": "9", **reason}
    assert "Nobody is ticked" in text(eve.post("/staff/roster/change", **body))
    assert due(lite, "ann")[:10] == "2026-10-08"


def test_graders_extend_and_excuse_but_arrange_nothing(lite):
    ann = lite.person("ann").account.id
    page = signed_in(lite, "grader")
    body = {"who": ann, "reason": "r", "homework": "hw0", "days": "1", "extra_days": "1"}
    assert page.post("/staff/roster/change", action="extend", **body).status_code == 303
    for action in ("extra", "section", "deactivate", "activate"):
        assert page.post("/staff/roster/change", action=action, **body).status_code == 403, action
    for path in ("/staff/course", "/staff/course/homework", "/staff/course/file"):
        assert page.post(path, file="").status_code == 403, path
    shown = text(page.get("/staff/course")) + text(page.get("/staff/roster"))
    assert "Instructors change this" in shown and "Give extra time" not in shown
