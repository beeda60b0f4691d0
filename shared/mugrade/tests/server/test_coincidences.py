"""Coincidences that staff may look at, and leaderboards that rank what cannot lie."""

from __future__ import annotations

import hashlib
import re

import pytest

from .browser import text
from .test_promises import boss
from .test_second_look import signed_in


def source(text):
    return [{"path": "work.py", "text": text, "sha256": hashlib.sha256(text.encode()).hexdigest()}]


HONEST = source("def add(a, b):\n    return a + b\n")


def many_variants(server, problem, right=(1.0, 2.0, 3.0, 4.0)):
    server.staff.publish(problem, *[[value] for value in right])


def variant(server, name, problem):
    homework, hook = problem.split("/")
    problems = server.person(name).get(f"/assignments/{homework}").json()["problems"]
    return next(p["variant"] for p in problems if p["id"] == hook)


def of_other_variants(server, problem, count=2):
    """Names of students, and their variants: all others have another than the first."""
    held = {f"p{i}": variant(server, f"p{i}", problem) for i in range(6 * count)}
    first = next(iter(held))
    others = [name for name in held if held[name] != held[first]]
    return [first, *others][:count], held


def later(server):
    server.clock.forward(minutes=2)  # attempts of the last minute are not settled


def report(server):
    return text(boss(server).get("/staff/coincidences"))


def section(shown, heading, following):
    return shown.split(heading)[1].split(following)[0]


def test_the_values_of_another_variant_are_found_and_right_ones_are_not(server):
    many_variants(server, "hw0/softmax")
    (ann, bob, cyd), held = of_other_variants(server, "hw0/softmax", 3)
    assert "sent the same values" not in report(server)
    mine = held[ann] + 1.0
    assert server.person(ann).attempt("hw0/softmax", mine).json()["correct"] == 1
    assert server.person(cyd).attempt("hw0/softmax", held[cyd] + 1.0).json()["correct"] == 1
    later(server)
    assert "sent the same values" not in report(server)
    assert server.person(bob).attempt("hw0/softmax", mine).json()["correct"] == 0
    later(server)
    found = section(report(server), "Equal values where variants differ", "Equal sources")
    assert "2 students with 2 variants sent the same values, which are right for 1" in found
    assert ann.title() in found and bob.title() in found and cyd.title() not in found


def test_a_mistake_that_many_share_is_no_finding(lite):
    many_variants(lite, "hw0/softmax")
    names, _ = of_other_variants(lite, "hw0/softmax", 6)
    for name in names:
        lite.person(name).attempt("hw0/softmax", 0.0)
    later(lite)
    assert "sent the same values" not in report(lite)


def test_equal_sources_are_found_whatever_their_spaces_and_once_for_all_problems(server):
    server.staff.publish("hw0/add", [1.0])
    server.staff.publish("hw0/softmax", [1.0])
    spaced = source("def add(a, b):\r\n\treturn a  +  b")
    other = source("def add(x, y): return x + y")
    for name, sent in (("ann", HONEST), ("bob", spaced), ("cyd", other)):
        for problem in ("hw0/add", "hw0/softmax"):
            assert server.person(name).attempt(problem, 1.0, source=sent).status_code == 201
    server.person("dan").attempt("hw0/add", 2.0, source=HONEST)  # sent, but not right
    later(server)
    found = section(report(server), "Equal sources", "Much at once")
    assert found.count("sent the same source") == 1
    assert "Ann , Bob : 2 students" in found and "Bob, hw0/softmax" in found


def six_problems(server):
    added = "".join(f'\n[[assignment.problem]]\nid = "q{i}"\npoints = 1' for i in range(6))
    text = boss(server).get("/staff/course.toml").text
    text = text.replace('\n[[assignment]]\nid = "hw1"', f'{added}\n\n[[assignment]]\nid = "hw1"')
    assert boss(server).post("/staff/course/file", file=text, action="import").status_code == 303
    names = [f"hw0/q{i}" for i in range(6)]
    for name in names:
        server.staff.publish(name, [1.0])
    return names


def test_a_burst_is_what_the_class_finds_hard(lite):
    problems = six_problems(lite)
    for number in range(8):
        for problem in problems:  # the class needs a second attempt
            lite.person(f"s{number}").attempt(problem, 0.0)
            lite.clock.forward(minutes=30)
            lite.person(f"s{number}").attempt(problem, 1.0)
    for problem in problems:
        lite.clock.forward(seconds=40)
        lite.person("quick").attempt(problem, 1.0)
    later(lite)
    found = section(report(lite), "Much at once", "Side by side")
    assert (
        "Quick : 6" in found
        and "Attempts: hw0/q0 ;" in found
        and "6 problems right at the first attempt within 4" in found
    )
    assert "S1" not in found


def test_two_who_hand_in_side_by_side_again_and_again_are_named(lite):
    problems = six_problems(lite)[:4]
    for number, problem in enumerate(problems):
        lite.clock.forward(hours=20)
        for name in ("ann", "bob"):
            lite.clock.forward(seconds=50)
            lite.person(name).attempt(problem, 1.0)
        lite.clock.forward(hours=2)
        lite.person("cyd").attempt(problem, 1.0)
        if number == 0:
            lite.person("dan").attempt(problem, 1.0)
    later(lite)
    found = section(report(lite), "Side by side", "Verify a certificate")
    assert "Ann , Bob : handed in right work within two minutes of each other 4 times" in found
    assert "Cyd" not in found


def test_what_staff_has_looked_at_is_listed_below_with_its_note(server):
    server.staff.publish("hw0/add", [1.0])
    for name in ("ann", "bob"):
        server.person(name).attempt("hw0/add", 1.0, source=HONEST)
    later(server)
    page = boss(server)
    key = re.search(r"/staff/coincidences/(\w+)", page.get("/staff/coincidences").text)[0]
    assert page.post(key, note=" ").status_code == 422
    assert page.post("/staff/coincidences/none", note="x").status_code == 404
    assert page.post(key, note="They are a pair <b>").status_code == 303
    shown = report(server)
    assert "They are a pair <b> (Tea Cher" in section(shown, "Looked at what who", "Verify")
    assert "sent the same source" not in shown.split("Looked at what who")[0]
    assert page.post(key, note="Both asked").status_code == 303
    assert "They are a pair" not in report(server)
    for name in ("/data.json", "/dashboard"):
        assert "They are a pair" not in signed_in(server, "ann").get(name).text


# ---------------------------------------------------------------------------------- leaderboards

BOARD = "/assignments/hw0/problems/softmax/leaderboard"
TIMING = "/assignments/hw0/problems/softmax/timing"


def test_counts_rank_before_seconds_and_the_size_is_measured_here(server):
    server.staff.publish("hw0/softmax", [1.0])
    reports = {
        "ann": {"seconds": 0.001},
        "bob": {"seconds": 9.0, "operations": 200, "bytes": 50},
        "cyd": {"seconds": 5.0, "operations": 200, "bytes": 40},
        "dan": {"seconds": 0.1, "operations": 300},
    }
    for name, body in reports.items():
        sent = {"source": HONEST} if name == "cyd" else {}
        server.person(name).attempt("hw0/softmax", 1.0, **sent)
        assert server.person(name).post(TIMING, body).status_code == 204
        signed_in(server, name).post("/data/pseudonym", pseudonym=name)
    board = server.person("ann").get(BOARD).json()["entries"]
    assert [entry["name"] for entry in board] == ["cyd", "bob", "dan", "ann"]
    assert board[0]["size"] == len("defadd(a,b):returna+b") and board[1]["size"] is None
    server.person("bob").post(TIMING, {"seconds": 0.5, "operations": 100})
    assert server.person("ann").get(BOARD).json()["entries"][0]["name"] == "bob"
    shown = text(server.client.get("/leaderboard/demo/hw0/softmax"))
    assert "Seconds are self-reported" in shown and shown.index("operations") < shown.index("0.5")


@pytest.mark.parametrize("body", [{"seconds": 1, "operations": 0}, {"seconds": 1, "bytes": 1.5}])
def test_a_count_is_a_whole_number(lite, body):
    lite.staff.publish("hw0/softmax", [1.0])
    lite.student.attempt("hw0/softmax", 1.0)
    assert lite.student.post(TIMING, body).status_code == 422
