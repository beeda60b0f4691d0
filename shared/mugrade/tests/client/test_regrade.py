"""What staff is shown and asked before scores move, and that no command of theirs is sent twice."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from live import live_grader
from mugrade.draws import WatchedStream, describe
from mugrade.recorder import Recording
from mugrade.server.services import accounts, tokens


@pytest.fixture
def real(homework, tmp_path, monkeypatch):
    with live_grader(tmp_path / "server") as grader:
        monkeypatch.setenv("MUGRADE_SERVER", grader.url)
        yield grader


@pytest.fixture
def staff(real, monkeypatch, mugrade):
    """Run a command as staff."""

    def run(*words):
        monkeypatch.setenv("MUGRADE_KEY", real.staff_key)
        return mugrade(*words)

    return run


@pytest.fixture
def student(real, monkeypatch, mugrade):
    """Run a command as a student."""
    from mugrade.server.clock import utc_now
    from mugrade.server.models import Course

    with real.database.write() as session:
        course = session.get_one(Course, real.pk)
        account = accounts.add_account(
            session, utc_now(), course, email="ada@example.org", name="Ada", role="student"
        )
        key, _ = tokens.issue(session, utc_now(), account, name="test")

    def run(*words):
        monkeypatch.setenv("MUGRADE_KEY", key)
        return mugrade(*words)

    return run


def points(student):
    return " ".join(student("status", "hw0").out.split())


def change_hooks(homework, old, new):
    path = homework / "tests" / "test_work.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_publish_shows_who_would_lose_points_and_refuses_without_yes(staff, student, rewrite):
    assert staff("publish", "hw0", "double").status == 0
    assert student("submit", "hw0", "double").status == 0
    rewrite("return 2 * x", "return 3 * x")
    refused = staff("publish", "hw0", "double")
    assert refused.status == 2, refused.out
    assert "1 student would lose points" in " ".join(refused.err.split())
    assert "Ada" in refused.out and "down" in refused.out and "10 of 20" in points(student)
    done = staff("publish", "hw0", "double", "--yes")
    assert done.status == 0 and "revision 2" in done.out, done.out + done.err
    assert "0 of 20" in points(student)
    back = staff("rollback", "hw0", "double")
    assert back.status == 0 and "1 up, 0 down" in back.out, back.out + back.err
    assert "10 of 20" in points(student)


@pytest.mark.parametrize("answer, status", [("n", 2), ("y", 0)])
def test_at_a_terminal_it_asks(staff, student, rewrite, monkeypatch, answer, status):
    staff("publish", "hw0", "double")
    student("submit", "hw0", "double")
    rewrite("return 2 * x", "return 3 * x")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("mugrade.cli.regrade.typer.confirm", _answering(answer))
    assert staff("publish", "hw0", "double").status == status
    assert ("0 of 20" if answer == "y" else "10 of 20") in points(student)


def _answering(answer):
    import typer

    def confirm(question, **options):
        assert "published" in question
        if answer == "n":
            raise typer.Abort

    return confirm


def test_other_inputs_under_the_same_seed_take_nobodys_points(staff, student, homework):
    """The review's H4: the seed is a function of names, so it is the same."""
    staff("publish", "hw0", "double")
    student("submit", "hw0", "double")
    change_hooks(homework, "rng().randn(3, 4)", "rng().randn(4, 3)")
    done = staff("publish", "hw0", "double")
    assert done.status == 0 and "revision 2" in done.out, done.out + done.err
    assert "10 of 20" in points(student)


def test_a_student_with_yesterdays_hooks_is_told_so_and_loses_no_try(staff, student, homework):
    change_hooks(homework, "rng().randn(3, 4)", "rng().randn(4, 3)")
    staff("publish", "hw0", "double")
    change_hooks(homework, "rng().randn(4, 3)", "rng().randn(3, 4)")
    told = student("submit", "hw0", "double")
    assert told.status == 2 and "from other inputs" in " ".join(told.out.split()), told.out
    assert student("status", "hw0", "--json").out.count('"attempts": 0') == 2


def test_a_regrade_tells_its_progress_and_is_only_watched(staff, student, real, monkeypatch):
    staff("publish", "hw0", "double")
    student("submit", "hw0", "double")
    monkeypatch.setattr(real.app.state.settings, "job_seconds_in_request", 0.0)
    monkeypatch.setattr("mugrade.cli.regrade.POLL_SECONDS", 0.05)
    done = staff("regrade", "hw0", "double", "--rtol", "1e-4")
    assert done.status == 0, done.err
    assert "1 attempt compared, 0 changed: 0 up, 0 down" in done.out
    assert "goes on comparing" in done.err
    listed = staff("jobs")
    assert "done" in listed.out and "1/1" in listed.out


@pytest.mark.parametrize("fault", ["cut", 503, 500])
@pytest.mark.parametrize(
    "path, words",
    [
        ("regrade", ["regrade", "hw0", "double"]),
        ("extensions", ["extend", "a@x.org", "hw0", "--days", "1", "--reason", "ill"]),
        ("overrides", ["override", "a@x.org", "hw0", "double", "1", "--reason", "oral"]),
    ],
)
def test_a_command_of_staff_is_sent_once_whatever_happens(
    grader, mugrade, homework, path, words, fault
):
    grader.publish()
    grader.faults[path] = [fault] * 4
    done = mugrade(*words)
    assert done.status == 4
    assert len(grader.paths(path)) == 1
    if fault == "cut":
        assert "`mugrade jobs`" in done.err and "sync" not in done.err


# ------------------------------------------------------------------------------------------ inputs


def digests(hook, seed=5):
    target = Recording(seed)
    hook(target, sys._getframe())
    return [case.inputs for case in target.cases]


def two_cases(draw):
    def hook(target, frame):
        draw(target.rng())
        target.submit(1, None, frame)
        target.rng().rand()
        target.submit(2, None, frame)

    return hook


def test_equal_draws_have_equal_digests_and_others_differ():
    first = digests(two_cases(lambda rng: rng.randn(3, 4)))
    assert first == digests(two_cases(lambda rng: rng.randn(3, 4)))
    others = [
        digests(two_cases(lambda rng: rng.randn(4, 3))),
        digests(two_cases(lambda rng: rng.rand(3, 4))),
        digests(two_cases(lambda rng: None)),
        digests(two_cases(lambda rng: rng.randn(3, 4)), seed=6),
    ]
    for other in others:
        assert all(a != b for a, b in zip(first, other)), "what came before counts for later cases"


def test_the_watched_stream_draws_what_random_state_draws():
    watched, plain, told = WatchedStream(3), np.random.RandomState(3), []
    watched.watch(told.append)
    for draw in (
        lambda r: r.randn(3, 2),
        lambda r: r.randint(0, 9, 4),
        lambda r: r.choice(5, size=3, replace=False),
        lambda r: r.permutation(np.arange(6)),
        lambda r: r.uniform(-1, 1, size=(2,)),
    ):
        assert np.array_equal(draw(watched), draw(plain))
    assert told[0] == "randn(3, 2)" and told[-1] == "uniform(-1, 1, size=(2))"
    assert len(told) == 5, "what a method calls inside is no draw of its own"


def test_arguments_are_described_alike_on_every_machine():
    assert describe(np.arange(3, dtype="int32")) == describe(np.arange(3, dtype="int64"))
    assert describe(np.float32(0.5)) == "0.5" and describe([1, None]) == "(1, None)"
    assert describe(np.array([0.1 + 0.2])) == describe(np.array([0.3]))
