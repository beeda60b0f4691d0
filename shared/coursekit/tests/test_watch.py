"""`hw watch` on a terminal of its own: a save is tested, a key is answered, the terminal is left whole."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from coursekit.cli import watching
from coursekit.cli.watching import Seat
from coursekit.core.report import Outcome, Report
from coursekit.student.warm import Warm
from coursekit.student.watch import Verdict, Watch

pexpect = pytest.importorskip("pexpect", reason="Windows has no pseudo-terminals")

BOX0 = "hw0/python/minilib/box.py"
ADD, SCALE = "return Box(self.value + other.value)", "return Box(self.value * factor)"
PATIENCE = 120
KEYS = "h hint   n next problem"


@pytest.fixture
def terminal(world, end):
    """Starts `hw watch ...` on a pseudo-terminal; every one is ended."""
    started = []

    def start(*words):
        shared = str(Path(__file__).resolve().parents[2])
        child = pexpect.spawn(
            sys.executable,
            ["-m", "coursekit", "watch", *words],
            cwd=str(world.root),
            env={**os.environ, "PYTHONPATH": shared, "TERM": "xterm", "COLUMNS": "80"},
            encoding="utf-8",
            timeout=PATIENCE,
            # As on a terminal: what a shell starts in the background is deaf to Ctrl-C.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        )
        started.append(child)
        child.expect_exact("watching hw0")
        return child

    world.hw("start", "hw0")
    yield start
    for child in started:
        end(child)


def verdict(child, problem, word):
    child.expect(rf"{problem}: {word}, [^\r\n]*\(\d+\.\d s\)")
    child.expect_exact(KEYS)
    return child.before


def test_each_save_tests_the_problem_of_the_changed_region(world, terminal):
    child = terminal("hw0")
    verdict(child, "hw0/add", "to write")
    world.solve(BOX0, "hw0/add", ADD)
    verdict(child, "hw0/add", "ok")
    world.solve(BOX0, "hw0/scale", "return Box(7)")
    child.expect_exact(f"{BOX0}: testing hw0/scale")
    verdict(child, "hw0/scale", "FAIL")
    world.edit(BOX0, "return Box(7)", SCALE)
    assert "all of hw0 is written and tested" in verdict(child, "hw0/scale", "ok")
    assert "| passed" in world.hw().stdout, "a verdict of the watch counts"


def test_what_cannot_run_is_one_line_and_the_watch_goes_on(world, terminal):
    child = terminal("hw0/add")
    verdict(child, "hw0/add", "to write")
    world.solve(BOX0, "hw0/add", "return Box(")
    child.expect(rf"{re.escape(BOX0)}:\d+: SyntaxError: ")
    world.edit(BOX0, "return Box(\n", ADD + "\n")
    verdict(child, "hw0/add", "ok")


def test_the_keys(world, terminal):
    world.solve(BOX0, "hw0/add", ADD)
    child = terminal("hw0")
    verdict(child, "hw0/add", "ok")
    child.send("h")
    child.expect_exact("hw0/add, hint 1 of 3:")
    child.send("d")
    child.expect_exact("hw0/add: 1 not written in what hw start brought into hw0")
    child.send("r")
    child.expect_exact("y or n")
    child.send("n")
    child.expect_exact("nothing was changed")
    assert ADD in world.read(BOX0)
    child.send("ry")
    child.expect_exact("your version is in .hw/backups/")
    verdict(child, "hw0/add", "to write")
    assert ADD not in world.read(BOX0)
    child.send("n")
    verdict(child, "hw0/scale", "to write")
    child.send("t")
    verdict(child, "hw0/scale", "to write")
    child.send("?")
    child.expect_exact(KEYS)
    child.send("q")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_ctrl_c_ends_it_without_a_traceback(world, terminal):
    child = terminal("hw0")
    verdict(child, "hw0/add", "to write")
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0 and "Traceback" not in child.before


def test_which_problem_a_save_means(world):
    course = world.course()
    watch = Watch(course, course.homework("hw0"))
    assert watch.at.id == "hw0/add" and watch.saved() == []
    world.solve(BOX0, "hw0/scale", SCALE)
    assert watch.saved() == ["python/minilib/box.py"] and watch.at.id == "hw0/scale"
    world.edit(BOX0, '"""Boxes of numbers."""', '"""Boxes."""')
    assert watch.saved() and watch.at.id == "hw0/scale", "what belongs to no problem changes none"
    only = Watch(course, course.homework("hw0"), course.problem("hw0/add"))
    world.edit(BOX0, SCALE, "return 1")
    assert only.saved() and only.at.id == "hw0/add" and not only.step()
    assert watch.step() and watch.at.id == "hw0/add"


def test_a_file_that_goes_while_it_is_read_ends_no_watch(world, monkeypatch, capsys):
    """As where an editor puts a new file in the place of the old one."""
    course = world.course()
    seat = Seat(Watch(course, course.homework("hw0")))
    gone, is_file = world.root / BOX0, Path.is_file
    gone.unlink()
    with monkeypatch.context() as patched:
        patched.setattr(Path, "is_file", lambda path: path == gone or is_file(path))
        assert BOX0.removeprefix("hw0/") not in seat.watch._files()
    seat.job = Future()
    seat.job.set_exception(FileNotFoundError(2, "No such file or directory", BOX0))
    with ThreadPoolExecutor(1) as pool:
        seat.answer(pool)
    assert BOX0 in capsys.readouterr().out and not seat.busy


def test_a_verdict_without_counts_is_told_without_them(world, capsys):
    course = world.course()
    seat = Seat(Watch(course, course.homework("hw0")))
    seat.job = Future()
    seat.job.set_result(Verdict(course.problem("hw0/add"), "cannot be read", "", 0.5))
    with ThreadPoolExecutor(1) as pool:
        seat.answer(pool)
    assert "hw0/add: cannot be read (0.5 s)" in capsys.readouterr().out


def test_ctrl_c_at_once_ends_it_too(world, monkeypatch):
    course, stopped = world.course(), []

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Seat, "test", interrupted)
    monkeypatch.setattr(Warm, "stop", lambda self: stopped.append(self))
    watching.run(course, course.homework("hw0"), None)
    assert stopped


def test_only_code_concerns_it(world):
    course = world.course()
    watch = Watch(course, course.homework("hw0"))
    there = lambda name: watch.concerns(str(world.root / "hw0" / name))
    assert there("python/minilib/box.py") and there("python/minilib/mine.py") and there("src/a.cu")
    for name in ("README.md", "tests/test_numbers.py", ".box.py.swp", "python/x.so", "data/a.py"):
        assert not there(name), name
    assert not watch.concerns(str(world.root / "hw1" / "python" / "minilib" / "box.py"))


# ------------------------------------------------------------------------ what the checked build says


def test_a_failure_of_cuda_is_looked_at_again_unless_a_newer_test_began(world, monkeypatch):
    course = world.course()
    watch = Watch(course, course.homework("hw0"))
    test = Outcome(
        "tests/t.py::test[cuda-3]", ["hw0/add"], "failed", "AssertionError: wrong values"
    )
    verdict = Verdict(course.problem("hw0/add"), "FAIL", "1 failed", 0.1, Report(tests=[test]))
    assert verdict.is_open and not Verdict(verdict.problem, "ok", "1 passed", 0.1).is_open
    look = lambda _, report: [f"about {report.tests[0].test}"]
    monkeypatch.setattr(watch.warm, "apart", look)
    assert watch.look_again(watch.turn, verdict).said == ["about tests/t.py::test[cuda-3]"]
    turn = watch.turn
    watch.newer()
    verdict.report.said = []
    assert watch.look_again(turn, verdict).said == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_what_runs_apart_ends_with_what_it_has_started():
    warm = Warm()
    assert warm.apart(len, "four") == 4
    assert warm._running is None, "its number may be another process's by now"
    began, found = time.monotonic(), []
    look = threading.Thread(
        target=lambda: found.append(warm.apart(subprocess.run, ["sleep", "3600"]))
    )
    look.start()
    while not children(warm):
        assert time.monotonic() < began + PATIENCE
        time.sleep(0.05)
    (child,) = children(warm)
    warm.stop()
    look.join()
    assert found == [None]
    while (
        Path(f"/proc/{child}").exists()
        and "(sleep) Z" not in Path(f"/proc/{child}/stat").read_text()
    ):
        assert time.monotonic() < began + PATIENCE
        time.sleep(0.05)


def children(warm):
    """The processes that the process apart has started."""
    running = warm._running
    if running is None or not running.pid:
        return []
    try:
        return Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    except OSError:
        return []
