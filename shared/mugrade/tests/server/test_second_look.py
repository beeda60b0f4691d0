"""An attempt looked at by staff and by its student: values, what has changed, and what both write."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from mugrade.compare import MISSING, Tolerance, compare
from mugrade.encoding import Array, decode, encode
from mugrade.server.models import Account
from mugrade.server.services import inspection, sessions
from sqlalchemy import select

from .browser import Browser, text
from .test_cockpit import Queries
from .test_promises import boss

floats = arrays.arrays(
    np.float64,
    arrays.array_shapes(max_dims=2, max_side=5),
    elements=st.floats(allow_nan=True, allow_infinity=True, width=32),
)


@given(floats, st.data())
def test_elements_are_marked_exactly_where_the_comparison_finds_a_difference(left, data):
    right = left.copy()
    for index in np.ndindex(left.shape):
        if data.draw(st.booleans()):
            right[index] = data.draw(st.sampled_from([right[index], 1.0, np.nan, -np.inf]))
    right_as_sent = Array(right, "float64", True)
    same = compare(Array(left, "float64", True), right_as_sent, Tolerance()).correct
    assert inspection.differing(left, right, Tolerance()).any() == (not same)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(json_like, json_like)
def test_any_two_values_can_be_shown_and_notes_mean_that_they_differ(left, right):
    pair = decode(encode(left)), decode(encode(right))
    leaves = inspection.beside(*pair, Tolerance())
    notes = any(leaf.note for leaf in leaves)
    assert notes == (not compare(*pair, Tolerance()).correct)
    assert inspection.beside(MISSING, pair[1], Tolerance())


def test_large_arrays_are_summarized_and_their_differences_told():
    left = np.arange(6000.0).reshape(60, 100)
    right = left.copy()
    right[3, 7] += 1
    (leaf,) = inspection.beside(
        Array(left, "float64", True), Array(right, "float64", True), Tolerance()
    )
    assert leaf.note == "differs: values, 1 of 6000 elements"
    assert leaf.elements == (inspection.Element("[3, 7]", "307", "308"),)
    assert "shape (60, 100)" in leaf.left and len(leaf.left) < 200


SECRET = 31.25


@pytest.fixture
def school(server):
    """Ann's two attempts at a published problem, the second nearer; Bob has one."""
    server.staff.publish(
        "hw0/add", [np.array([[1.0, 2.0], [3.0, SECRET]]), 5.0], labels=["sum", "loss"]
    )
    wrong = np.array([[1.0, 2.0], [3.5, 4.5]])
    server.attempts = {}
    for name, values, source in (
        ("ann", [wrong, 6.0], "return x"),
        ("ann", [wrong, 5.0], "return x + y"),
        ("bob", [wrong, 7.0], "pass"),
    ):
        server.clock.forward(minutes=1)
        file = {"path": "work.py", "sha256": hashlib.sha256(source.encode()).hexdigest()}
        sent = server.person(name).attempt(
            "hw0/add", *values, source=[{**file, "text": source}], environment={"python": "3.11<b>"}
        )
        server.attempts.setdefault(name, []).append(sent.json()["id"])
    return server


def signed_in(server, name):
    with server.database.write() as session:
        account = session.scalars(
            select(Account).where(Account.email == f"{name}@example.org")
        ).one()
        code = sessions.one_time_link(session, server.clock(), account)
    made = Browser(server)
    assert made.post("/link", code=code).status_code == 303
    return made


def test_staff_sees_submitted_beside_published_values_with_the_differences_marked(school):
    page = boss(school).get(f"/staff/attempts/{school.attempts['ann'][0]}")
    shown = text(page)
    assert "31.25" in shown and "4.5" in shown
    assert "differs: values, 2 of 4 elements" in shown and "[1, 1]" in shown
    assert "<mark>4.5</mark>" in page.text and "return x" in shown
    assert "3.11<b>" in shown and "3.11<b>" not in page.text, "escaped"


def test_two_attempts_are_compared_with_their_sources(school):
    first, second = school.attempts["ann"]
    shown = text(boss(school).get(f"/staff/attempts/{second}?with={first}"))
    assert "sum: values - the same in both" in shown and "loss: ok - changed" in shown
    assert "-return x" in shown and "+return x + y" in shown
    other = boss(school).get(f"/staff/attempts/{second}?with={school.attempts['bob'][0]}")
    assert other.status_code == 404, "of another person"


def test_a_student_sees_their_own_values_and_never_the_published_ones(school):
    ann = signed_in(school, "ann")
    page = ann.get(f"/attempts/{school.attempts['ann'][0]}")
    assert page.status_code == 200 and "4.5" in page.text
    assert "31.25" not in page.text and "2 of 4 elements" not in page.text
    assert "mugrade run hw0 add --case 1 --pdb" in text(page)


def test_attempts_are_their_students_and_staffs_alone(school):
    ann, bob = signed_in(school, "ann"), school.attempts["bob"][0]
    own = school.attempts["ann"][0]
    stranger = Browser(school)
    for path in (f"/attempts/{bob}", f"/staff/attempts/{bob}", f"/staff/attempts/{own}"):
        assert ann.get(path).status_code == 404
        assert stranger.get(path).status_code == 303, "to the sign-in page"
    assert ann.post(f"/attempts/{bob}/request", text="why?").status_code == 404
    assert ann.post(f"/staff/attempts/{own}/remarks", text="fine").status_code == 404
    assert ann.get(f"/attempts/{own}?with={bob}").status_code == 404
    assert boss(school).post(f"/attempts/{bob}/request", text="why?").status_code == 404
    grader = signed_in(school, "grader")
    assert grader.get(f"/staff/attempts/{bob}").status_code == 200


def test_a_request_waits_on_the_course_page_until_it_is_answered(school):
    own = school.attempts["ann"][0]
    ann, staff = signed_in(school, "ann"), boss(school)
    assert "asks for a second look" not in text(staff.get("/staff"))
    assert ann.post(f"/attempts/{own}/request", text="   ").status_code == 422
    asked = ann.post(f"/attempts/{own}/request", text="My 6.0 is <right>")
    assert asked.status_code == 303
    assert ann.post(f"/attempts/{own}/request", text="again").status_code == 409
    assert "hw0/add : Ann asks for a second look" in text(staff.get("/staff"))
    assert "My 6.0 is <right>" in text(staff.get(f"/staff/attempts/{own}"))
    assert staff.post(f"/staff/attempts/{own}/remarks", text="It is 5.").status_code == 303
    assert "asks for a second look" not in text(staff.get("/staff"))
    assert "(staff) answers" in text(ann.get(f"/attempts/{own}"))
    assert staff.post(f"/staff/attempts/{own}/remarks", text="PS").status_code == 303
    assert ann.post(f"/attempts/{own}/request", text="But why?").status_code == 303
    mine = ann.get("/data.json").json()["remarks"]
    assert [(r["kind"], r["by"]) for r in mine] == [
        ("request", "you"), ("answer", "staff"), ("comment", "staff"), ("request", "you"),
    ]  # fmt: skip
    assert {r["attempt"] for r in mine} == {own}


def test_a_student_can_have_five_requests_open(school):
    ann = signed_in(school, "ann")
    for _ in range(4):
        school.clock.forward(minutes=1)
        sent = school.person("ann").attempt("hw0/add", 0.0)
        school.attempts["ann"].append(sent.json()["id"])
    answers = [ann.post(f"/attempts/{a}/request", text="?") for a in school.attempts["ann"]]
    assert [a.status_code for a in answers] == [303] * 5 + [409]


def test_the_page_of_a_student_asks_no_more_with_more_attempts(school):
    staff = boss(school)
    path = f"/staff/students/{school.person('ann').account.id}"

    def queries():
        staff.get(path)
        with Queries(school.database) as seen:
            assert staff.get(path).status_code == 200
        return len(seen)

    before = queries()
    for _ in range(5):
        school.clock.forward(minutes=1)
        school.person("ann").attempt("hw0/add", 0.0, 0.0)
    assert queries() == before <= 30


def test_an_attempt_whose_values_were_pruned_still_has_its_page(school):
    from mugrade.server.models import Claim, SourceBundle
    from sqlalchemy import delete

    with school.database.write() as session:
        session.execute(delete(Claim))
        session.execute(delete(SourceBundle))
    shown = text(boss(school).get(f"/staff/attempts/{school.attempts['ann'][0]}"))
    assert "nothing" in shown and "values" in shown
