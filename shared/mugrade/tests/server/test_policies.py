"""Scores, late days, limits and the certificate rule: pure functions, exact numbers."""

from __future__ import annotations

import datetime as dt
import itertools
import zoneinfo
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mugrade.server.services.earning import Project, certificate_standing
from mugrade.server.services.limits import allowance, cooldown_seconds
from mugrade.server.services.policies import (
    CertificateRule,
    LatePolicy,
    Task,
    Try,
    Window,
    assignment_result,
    average,
    course_results,
    days_left,
    policy_from,
    round_points,
    score_of,
    window,
)

DUE = dt.datetime(2026, 10, 8, 12, tzinfo=dt.timezone.utc)
DAY = dt.timedelta(days=1)
LATE = LatePolicy(Decimal(10), pooled_days=2, cutoff_days=7, grace_minutes=15)
D = Decimal


def task(name="hw0", due=DUE, overrides=None, late=LATE, **points):
    points = {k: D(str(v)) for k, v in (points or {"p": 10, "q": 10}).items()}
    return Task(name, points, window(None, due, None, None, late), overrides or {})


def attempt(problem, correct, total, days=0.0, due=DUE, name="a"):
    return Try(f"{name}{problem}{days}{correct}", problem, due + days * DAY, correct, total)


# --------------------------------------------------------------------------------------- windows


def test_window_states_and_grace():
    w = window(DUE - DAY, DUE, None, None, LATE)
    minute = dt.timedelta(minutes=1)
    moments = {
        DUE - 2 * DAY: ("not_open", 0),
        DUE - minute: ("open", 0),
        DUE + 15 * minute: ("open", 0),
        DUE + 16 * minute: ("late", 1),
        DUE + DAY: ("late", 1),
        DUE + DAY + minute: ("late", 2),
        DUE + 7 * DAY: ("late", 7),
        DUE + 7 * DAY + 16 * minute: ("closed", 8),
    }
    assert {m: (w.state(m), w.late_days(m)) for m in moments} == moments


def test_no_due_time_is_never_late_and_an_extension_moves_both_ends():
    assert Window().state(DUE) == "open" and Window().late_days(DUE) == 0
    moved = window(None, DUE, DUE + 3 * DAY, DUE + 5 * DAY, LATE)
    assert moved.due_at == DUE + 5 * DAY and moved.cutoff_at == DUE + 8 * DAY
    assert window(None, DUE, None, DUE - DAY, LATE).due_at == DUE, "an extension never shortens"


# Zones that change their clocks at different hours, by another amount, southward, at midnight, never.
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Havana", "Asia/Tokyo")
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


def berlin(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=BERLIN)


@pytest.mark.parametrize(
    "due, at, days",
    [
        ("2026-10-24 20:00", "2026-10-25 19:30", 1),  # clocks went back: 24.5 hours
        ("2026-10-24 20:00", "2026-10-25 20:30", 2),
        ("2026-03-28 20:00", "2026-03-29 19:30", 1),  # clocks went forward
        ("2026-03-28 20:00", "2026-03-29 20:30", 2),  # 23.5 hours
        ("2026-03-28 02:30", "2026-03-29 03:20", 1),  # 02:30 is left out: 03:30 stands for it
    ],
)
def test_late_days_are_days_of_the_calendar_across_a_change_of_the_clocks(due, at, days):
    due, at = berlin(due).astimezone(dt.timezone.utc), berlin(at).astimezone(dt.timezone.utc)
    assert window(None, due, None, None, LATE, BERLIN).late_days(at) == days


def test_cut_off_and_extension_keep_the_hour_across_a_change_of_the_clocks():
    due = berlin("2026-10-20 20:00")
    assert window(None, due, None, None, LATE, BERLIN).cutoff_at == berlin("2026-10-27 20:00")
    moved = window(None, due, berlin("2026-10-22 08:00"), berlin("2026-10-27 20:00"), LATE, BERLIN)
    assert moved.cutoff_at == berlin("2026-10-29 08:00")


@given(
    st.sampled_from(ZONES).map(zoneinfo.ZoneInfo),
    st.datetimes(dt.datetime(2024, 1, 1), dt.datetime(2027, 1, 1)),
    st.integers(1, 200),
    st.integers(-3600, 3600),
)
def test_day_n_ends_when_the_clock_shows_the_due_time_again(zone, due, days, seconds):
    due = due.replace(microsecond=0, tzinfo=dt.timezone.utc)
    late = LatePolicy(cutoff_days=days)
    w = window(None, due, None, None, late, zone)
    end = w.cutoff_at
    shown = due.astimezone(zone).replace(tzinfo=None) + dt.timedelta(days=days)
    shown_then = end.astimezone(zone).replace(tzinfo=None)
    there = shown.replace(tzinfo=zone).astimezone(dt.timezone.utc).astimezone(zone)
    left_out = there.replace(tzinfo=None) != shown  # a time that no clock showed
    assert shown_then == shown or (left_out and 0 < (shown_then - shown).total_seconds() <= 3600)
    assert (w.late_days(end), w.late_days(end + dt.timedelta(seconds=1))) == (days, days + 1)
    moment = end + dt.timedelta(seconds=seconds)
    assert w.late_days(moment) == (days if seconds <= 0 else days + 1)
    assert w.state(moment) == ("late" if seconds <= 0 else "closed")


# ---------------------------------------------------------------------------------------- scores


def test_points_are_exact_and_rounded_half_up():
    assert score_of(1, 3, D(5), D(0)) == D("1.67")
    assert score_of(1, 8, D("0.2"), D(0)) == D("0.03")  # 0.025 is rounded up
    assert score_of(3, 3, D("0.1"), D(0)) * 3 == D("0.30")
    assert score_of(0, 0, D(5), D(0)) == 0


def test_the_best_attempt_counts_and_a_worse_one_never_lowers():
    tries = [attempt("p", 4, 4, -3), attempt("p", 0, 4, -2), attempt("q", 1, 4, -1)]
    result = assignment_result(task(), tries, LATE, 2)
    assert result.score == D("12.50") and result.problems["p"].best == tries[0]
    assert result.days_used == 0


def test_of_equal_attempts_the_first_is_best():
    tries = [attempt("p", 2, 4, -1, name="b"), attempt("p", 2, 4, -2, name="a")]
    assert assignment_result(task(), tries, LATE, 2).problems["p"].best == tries[1]


def test_free_days_are_spent_only_where_they_raise_the_score():
    on_time, late = attempt("p", 4, 4, -1), attempt("p", 4, 4, 1.5)
    assert assignment_result(task(), [on_time, late], LATE, 2).days_used == 0
    result = assignment_result(task(), [late], LATE, 2)
    assert (result.score, result.days_used) == (D("10.00"), 2)
    result = assignment_result(task(), [late], LATE, 1)
    assert (result.score, result.days_used) == (D("9.00"), 1)
    assert result.problems["p"].penalty_percent == 10


def test_a_late_gain_is_weighed_against_its_penalty():
    tries = [attempt("p", 3, 4, -1), attempt("p", 4, 4, 6.5)]
    result = assignment_result(task(), tries, LATE, 0)
    assert result.score == D("7.50") and result.problems["p"].late_days == 0, "7 days cost 70%"


def test_the_pool_is_spent_where_it_helps_most():
    first, second = task("hw0", DUE), task("hw1", DUE + 10 * DAY)
    tries = {
        "hw1": [attempt("p", 4, 4, 2, DUE + 10 * DAY), attempt("q", 4, 4, 2, DUE + 10 * DAY)],
        "hw0": [attempt("p", 4, 4, 1.5)],
    }
    results = course_results([second, first], tries, LATE)
    assert (results["hw0"].days_used, results["hw1"].days_used) == (0, 2)
    assert (results["hw0"].score, results["hw1"].score) == (D("8.00"), D("20.00"))
    assert days_left(results, LATE) == 0 and list(results) == ["hw1", "hw0"]
    assert (results["hw0"].pool_before, results["hw1"].pool_before) == (0, 2)


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from("pq"), st.integers(0, 4), st.floats(-3, 6)), max_size=4),
        min_size=3,
        max_size=3,
    )
)
def test_another_attempt_never_lowers_the_average(given_tries):
    tasks = [task(f"hw{i}", DUE + 10 * i * DAY) for i in range(3)]
    tries = {
        t.id: [attempt(p, n, 4, days, DUE + 10 * i * DAY) for p, n, days in given_tries[i]]
        for i, t in enumerate(tasks)
    }
    full = average(course_results(tasks, tries, LATE))
    for name in tries:
        for i in range(len(tries[name])):
            fewer = {**tries, name: tries[name][:i] + tries[name][i + 1 :]}
            assert average(course_results(tasks, fewer, LATE)) <= full


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=5),
    st.integers(0, 3),
)
def test_the_lowest_dropped_are_those_without_which_the_average_is_highest(given_tasks, drop):
    tasks = [
        Task(f"hw{i}", {"p": D(4)}, overrides={"p": D(points)}, weight=D(weight))
        for i, (points, weight) in enumerate(given_tasks)
    ]
    results = course_results(tasks, {}, LATE, drop)
    counted = [(25 * points, weight) for points, weight in given_tasks if weight]
    left = max(1, len(counted) - drop)
    means = [
        Fraction(sum(p * w for p, w in some), sum(w for _, w in some))
        for some in itertools.combinations(counted, left)
    ]
    assert average(results, drop) == round_points(max(means, default=Fraction(0)))


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(1, 2)), min_size=3, max_size=4),
    st.integers(0, 2),
)  # fmt: skip
def test_free_days_go_where_they_help_most_whichever_are_dropped(made, drop):
    """Against every way to spend two days by hand."""
    late = LatePolicy(D(10), pooled_days=2)
    tasks = [
        Task(f"hw{i}", {"p": D(4)}, Window(due_at=DUE), weight=D(weight))
        for i, (_, _, weight) in enumerate(made)
    ]
    tries = {f"hw{i}": [attempt("p", right, 4, days)] for i, (right, days, _) in enumerate(made)}
    reached = average(course_results(tasks, tries, late, drop), drop)
    ways = itertools.product(*(range(min(days, 2) + 1) for _, days, _ in made))
    best = max(
        average({f"hw{i}": assignment_result(t, tries[t.id], late, spent[i]) for i, t in enumerate(tasks)}, drop)
        for spent in ways
        if sum(spent) <= 2
    )  # fmt: skip
    assert reached == best


def test_an_excused_assignment_counts_nowhere():
    tasks = [Task("a", {"p": D(4)}, overrides={"p": D(4)}), Task("b", {"p": D(4)}, excused=True)]
    results = course_results(tasks, {}, LATE)
    assert average(results) == 100 and results["b"].excused
    assert certificate_standing(results, graded(100), CertificateRule()).earned
    assert average(course_results(tasks[1:], {}, LATE, 1), 1) == 0


def test_an_override_stands_above_attempts():
    with_override = task(overrides={"p": D("4.5"), "gone": D(1)})
    result = assignment_result(with_override, [attempt("p", 4, 4, -1)], LATE, 2)
    assert result.score == D("4.50") and result.problems["p"].overridden


tries_strategy = st.lists(
    st.builds(
        lambda p, total, part, days: attempt(p, min(part, total), total, days),
        st.sampled_from("pq"),
        st.integers(1, 5),
        st.integers(0, 5),
        st.floats(-3, 9, allow_nan=False),
    ),
    max_size=8,
)


@given(tries_strategy, st.integers(0, 3), st.data())
def test_scores_are_bounded_monotone_and_do_not_depend_on_order(tries, pool, data):
    result = assignment_result(task(), tries, LATE, pool)
    assert 0 <= result.score <= 20 and 0 <= result.days_used <= pool
    assert (
        assignment_result(task(), data.draw(st.permutations(tries)), LATE, pool).score
        == result.score
    )
    for i in range(len(tries)):
        fewer = assignment_result(task(), tries[:i] + tries[i + 1 :], LATE, pool)
        assert fewer.score <= result.score, "another attempt never lowers a score"
    assert assignment_result(task(), tries, LATE, pool + 1).score >= result.score


# ----------------------------------------------------------------------------------- certificate


def results_of(*percents):
    late = LatePolicy()
    tasks = [
        Task(f"hw{i}", {"p": D(100)}, overrides={"p": D(str(x))}) for i, x in enumerate(percents)
    ]
    return course_results(tasks, {}, late)


def graded(points, of=100):
    return Project("graded", D(points), D(of))


@pytest.mark.parametrize(
    "project, missing",
    [
        (None, "not handed in"),
        (Project("accepted", None, D(100)), "not handed in"),
        (Project("submitted", None, D(100)), "waits for its grade"),
        (Project("graded", D(0), D(100)), "graded 0.00%; 50% are needed"),
        (Project("graded", D("19.99"), D(40)), "graded 49.98%"),
        (Project("graded", D(20), D(40)), None),
        (Project("submitted"), None),  # no rubric, so nothing can be graded
    ],
)
def test_the_project_must_be_graded_at_the_minimum(project, missing):
    standing = certificate_standing(results_of(100), project, CertificateRule())
    assert standing.project_done == (missing is None)
    assert (missing or "") in " ".join(standing.missing)


def test_the_minimum_is_the_courses():
    rule = policy_from({"certificate": {"average": 80, "project": True, "min_grade": "75"}})
    assert not certificate_standing(results_of(100), graded(74), rule.certificate).earned
    assert certificate_standing(results_of(100), graded(75), rule.certificate).earned


def test_the_certificate_needs_the_average_and_the_project():
    rule = CertificateRule(D(80), True)
    good = certificate_standing(results_of(100, 60), graded(50), rule)
    assert good.earned and good.average == D("80.00")
    assert len(certificate_standing(results_of(100, 60), None, rule).missing) == 1
    assert len(certificate_standing(results_of(100, "59.99"), None, rule).missing) == 2
    assert certificate_standing(results_of(0), None, CertificateRule(D(0), False)).earned


def test_the_average_is_not_rounded_before_it_is_compared():
    results = results_of("79.99", 80, 80)
    assert average(results) == D("80.00")
    assert not certificate_standing(results, graded(100), CertificateRule()).earned


def test_homeworks_count_the_same_whatever_their_points():
    tasks = [Task("a", {"p": D(10)}, overrides={"p": D(10)}), Task("b", {"p": D(990)})]
    assert average(course_results(tasks, {}, LatePolicy())) == D("50.00")
    assert average({}) == 0


# ---------------------------------------------------------------------------------------- limits


def test_cooldown_doubles_up_to_its_limit():
    waits = [cooldown_seconds(n, 10, 60, 3600) for n in (0, 9, 10, 11, 12, 15, 16, 10_000)]
    assert waits == [0, 0, 60, 120, 240, 1920, 3600, 3600]


def test_the_hour_slides():
    options = {"per_hour": 3, "free_misses": 99, "first_cooldown": 60, "cooldown_limit": 3600}
    minute = dt.timedelta(minutes=1)
    made = [(DUE - n * minute, True) for n in (10, 30, 59)]
    full = allowance(made, DUE, **options)
    assert (full.tries_left, full.code, full.next_at) == (0, "rate_limited", DUE + minute)
    assert allowance(made, DUE + minute, **options).tries_left == 1


def test_one_right_attempt_ends_a_row_of_misses():
    options = {"per_hour": 99, "free_misses": 2, "first_cooldown": 60, "cooldown_limit": 3600}
    second = dt.timedelta(seconds=1)
    misses = [(DUE - n * second, False) for n in range(3)]
    assert allowance(misses, DUE, **options).code == "cool_down"
    assert allowance([misses[0], (DUE - second, True), misses[2]], DUE, **options).code is None
