"""Staff's pages for a large class: the same numbers as everywhere, and few queries."""

from __future__ import annotations

import datetime as dt

import crowd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mugrade.server import coursefile
from mugrade.server.models import Account, Attempt
from mugrade.server.pages import charts
from mugrade.server.services import course_edit, courses, follow, ledger, policies, sheet, standing
from mugrade.server.settings import Settings
from sqlalchemy import event, select

from .browser import text
from .conftest import NOON, Server, make_settings
from .test_promises import boss

attempts = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 4), st.integers(1, 4)), max_size=12
)


@given(attempts, st.randoms())
def test_only_attempts_better_than_all_before_them_are_kept_and_scores_are_the_same(made, dice):
    """Whatever the order in which they are read."""
    due = NOON
    window = policies.window(None, due, None, None, policies.LatePolicy())
    task = policies.Task("hw", {"p": policies.Decimal(7)}, window)
    late = policies.LatePolicy(policies.Decimal(10), pooled_days=2)
    tries = [
        policies.Try(f"a{i}", "p", due + dt.timedelta(hours=6 * (hours - 20)), min(right, of), of)
        for i, (hours, right, of) in enumerate(sorted(made))
    ]
    whole = policies.course_results([task], {"hw": tries}, late)["hw"]
    front: ledger.Front = []
    for attempt in dice.sample(tries, len(tries)):
        ledger.put(front, attempt)
    kept = policies.course_results([task], {"hw": front}, late)["hw"]
    assert (kept.score, kept.days_used) == (whole.score, whole.days_used)
    assert (kept.problems["p"].best is None) == (whole.problems["p"].best is None)
    shares = [attempt.correct / attempt.total for attempt in front]
    assert shares == sorted(set(shares)), "each is better than those before it"


@pytest.fixture
def crowded(request, tmp_path):
    """Thirty students with fifty attempts each, on SQLite."""
    made = Server(Settings(**make_settings(request, "sqlite", tmp_path)))
    with made.database.write() as session:
        file = coursefile.parse(crowd.course(NOON))
        row = course_edit.apply_file(session, NOON, file, actor="test")
    made.course_pk = row.pk
    crowd.publish(made.database, row.pk, NOON - dt.timedelta(days=60))
    made.pks = crowd.enrol(made.database, row.pk, NOON, students=30)
    yield made
    made.close()


def compare(server):
    with server.database.read() as session:
        course = courses.view(session, server.course_pk)
        fast = ledger.everybody(session, course, server.pks, server.clock())
        exact = standing.of_everybody(session, course, server.pks)
    for pk in server.pks:
        assert fast[pk].average == exact[pk].average
        assert fast[pk].late_days_left == exact[pk].late_days_left
        for name, result in exact[pk].results.items():
            assert fast[pk].results[name].score == result.score
    return fast


def test_the_ledger_says_what_standing_says_and_reads_only_what_is_new(crowded, monkeypatch):
    compare(crowded)
    read = []
    rows = follow._rows

    def counted(*arguments):
        for row in rows(*arguments):
            read.append(row)
            yield row

    monkeypatch.setattr(follow, "_rows", counted)
    before = compare(crowded)
    assert read == [], "all of them are settled"
    with crowded.database.write() as session:
        course = courses.view(session, crowded.course_pk)
        old = session.scalars(select(Attempt).where(Attempt.account_pk == crowded.pks[0])).first()
        values = {c.key: getattr(old, c.key) for c in Attempt.__table__.columns if c.key != "pk"}
        more = {"id": "a_new", "created_at": NOON, "at": NOON, "correct": 4}
        session.add(
            Attempt(**{**values, **more, "problem_pk": course.assignments[3].problems[0].pk})
        )
    after = compare(crowded)
    assert len(read) == 1 and after[crowded.pks[0]] is not before[crowded.pks[0]]
    assert after[crowded.pks[1]] is before[crowded.pks[1]], "nobody else is derived anew"


def test_an_extension_shows_at_once(crowded):
    compare(crowded)
    with crowded.database.write() as session:
        staff = session.scalar(select(Account).where(Account.role == "instructor"))
        from mugrade.server.models import Extension

        course = courses.view(session, crowded.course_pk)
        session.add(
            Extension(
                account_pk=crowded.pks[3],
                assignment_pk=course.assignments[0].pk,
                due_at=NOON + dt.timedelta(days=30),
                reason="ill",
                author_pk=staff.pk,
                created_at=NOON,
            )
        )
    compare(crowded)
    with crowded.database.read() as session:
        found = sheet.sheet(session, crowded.course_pk, NOON)
    marked = [row.email for row in found.rows if row.cells["hw0"].extended]
    assert marked == ["s3@example.org"]
    assert not any(row.cells["hw0"].late_days for row in found.rows if row.email in marked)


class Queries:
    """The statements that a block sends."""

    def __init__(self, database):
        self.engine, self.seen = database.engine, []

    def __enter__(self):
        event.listen(self.engine, "before_cursor_execute", self.note)
        return self.seen

    def __exit__(self, *_):
        event.remove(self.engine, "before_cursor_execute", self.note)

    def note(self, connection, cursor, statement, parameters, context, executemany):
        if not statement.startswith(("BEGIN", "PRAGMA")):
            self.seen.append(statement)


PAGES = [
    "/staff",
    "/staff/grades",
    "/staff/grades?homework=hw2",
    "/staff/roster",
    "/staff/course",
    "/staff/homework/hw0",
    "/staff/projects",
    "/staff/coincidences",
]


@pytest.mark.parametrize("path", PAGES)
def test_no_page_reads_every_attempt_and_its_queries_do_not_grow_with_the_class(
    request, tmp_path, crowded, path
):
    def queries(server):
        browser = boss(server, "staff@example.org")
        assert browser.get(path).status_code == 200  # what is kept per process is there then
        with Queries(server.database) as seen:
            assert browser.get(path).status_code == 200
        return seen

    few = queries(crowded)
    crowd_pks = crowd.enrol(crowded.database, crowded.course_pk, NOON, students=2, first=1000)
    assert len(crowd_pks) == 2
    many = queries(crowded)
    assert len(many) == len(few) <= 30, "\n".join(many)
    for statement in many:
        if "FROM attempt" in statement:
            one = (
                "WHERE attempt.account_pk = account.pk" in statement
            )  # by the index, of each account
            assert "attempt.pk > ?" in statement or one, statement


def test_the_gradebook_tells_why_there_are_no_points(server):
    """Not published, not open, nothing handed in and wrong are four things."""
    server.staff.publish("hw0/add", [1.0])
    for name, value in (("ann", 1.0), ("bob", 2.0)):
        assert server.person(name).attempt("hw0/add", value).status_code == 201
    server.person("cyd")
    server.staff.publish("hw1/backward", [1.0])
    with server.database.read() as session:
        found = sheet.sheet(session, server.staff.account.course_pk, NOON, "hw0")
        whole = sheet.sheet(session, server.staff.account.course_pk, NOON)
    cells = {row.name: row.cells for row in found.rows}
    words = {name: row["hw0/add"].state for name, row in cells.items()}
    assert words == {"Ann": "points", "Bob": "points", "Cyd": "nothing"}
    assert (cells["Ann"]["hw0/add"].heat, cells["Bob"]["hw0/add"].heat) == (4, 0)
    assert cells["Ann"]["hw0/softmax"].state == "unpublished"
    assert {row.cells["hw1"].state for row in whole.rows} == {"not open"}
    assert dict(whole.distributions[0].bins)["none"] == 1
    shown = text(boss(server).get("/staff/grades?homework=hw0"))
    assert "none" in shown and "not published yet" in shown


def test_the_course_page_names_who_is_stuck_and_what_is_due_next(server):
    server.staff.publish("hw0/add", [1.0, 2.0], labels=["small", "large"])
    for name, values in (("ann", [1.0, 0.0]), ("bob", [1.0, 2.0])):
        for _ in range(5):
            assert server.person(name).attempt("hw0/add", *values).status_code == 201
            server.clock.forward(minutes=1)
    server.person("cyd").attempt("hw0/add", 0.0, 0.0)
    shown = text(boss(server).get("/staff"))
    stuck = shown.split("Stuck now")[1].split("Due next")[0]
    assert "Ann hw0/add 5 large" in stuck and "Bob" not in stuck and "Cyd" not in stuck
    assert "3 of 3 have begun, 0 have all points" in shown
    assert shown.index("Stuck now") < shown.index("Attempts a day") < shown.index("Sign-up code")
    server.clock.forward(days=3)
    assert "Nobody: no student has tried" in text(boss(server).get("/staff"))


def test_the_matrix_joins_equal_neighbours_of_one_homework():
    columns = [("hw0", "a"), ("hw0", "b"), ("hw1", "c")]
    drawn = charts.matrix(columns, [[4, 4, 4], [0, None, 2]], "t")
    assert drawn.count("<path") == 3 and 'class="f4" d="M0 14.0h31' in drawn
    assert "M40 14.0h15" in drawn, "the next homework stands apart"


def test_averages_are_over_what_was_due_and_the_page_says_so(server):
    server.staff.publish("hw0/add", [1.0])
    server.staff.publish("hw1/backward", [1.0])
    server.student.attempt("hw0/add", 1.0)
    before = text(boss(server).get("/staff/grades"))
    assert "Nothing was due so far" in before
    server.clock.forward(days=8)
    after = text(boss(server).get("/staff/grades"))
    assert "over what was due so far: hw0." in after and "25%" in after
