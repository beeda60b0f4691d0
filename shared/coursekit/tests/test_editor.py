"""Beside an editor: VS Code's matchers on our real output, places by file and line, HW_PLAIN."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest
import typer
from coursekit.cli.app import app
from coursekit.core import build, compiling
from coursekit.core.errors import CourseError
from coursekit.student import editor

ROOT = Path(__file__).resolve().parents[3]
BOX0 = "hw0/python/minilib/box.py"
ADD = "return Box(self.value + other.value)"


def settings(name):
    """A JSON file of .vscode, whose comments are lines of their own."""
    text = (ROOT / ".vscode" / f"{name}.json").read_text(encoding="utf-8")
    return json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.M))


MATCHERS = {made["owner"]: made for made in settings("tasks")["problemMatcher"]}


def matched(owner, text):
    """(file, line, message) of each line that VS Code's matcher takes."""
    pattern = MATCHERS[owner]["pattern"]
    found = (re.search(pattern["regexp"], line) for line in text.splitlines())
    return [
        (f[pattern["file"]], int(f[pattern["line"]]), f[pattern["message"]]) for f in found if f
    ]


def line_of(world, name, text):
    return world.read(name).splitlines().index(text) + 1


# ------------------------------------------------------------------------------------ the matchers


def test_a_failing_problem_and_a_stub_are_found_where_they_are(world):
    world.solve(BOX0, "hw0/scale", "return Box(self.values)")
    said = world.process("test", "hw0").stdout
    at = line_of(world, BOX0, "        return Box(self.values)")
    told = "hw0/scale fails: AttributeError: 'Box' object has no attribute 'values'"
    assert matched("hw", said) == [(BOX0, at, f"{told} (1 of 1 tests fail)")]
    stub = '        raise NotImplementedError("hw0/add: Box.add is yours to write")'
    waiting = "hw0/add is not written yet: 1 test stops there"
    assert matched("hw-stubs", said) == [(BOX0, line_of(world, BOX0, stub), waiting)]


def test_a_wrong_value_is_found_in_the_test(world):
    world.solve(BOX0, "hw0/add", "return Box(0)")
    said = world.process("test", "hw0/add").stdout
    name = "hw0/tests/test_numbers.py"
    at = line_of(world, name, "    assert Box(2).add(Box(3)).value == 5")
    assert matched("hw", said) == [
        (name, at, "hw0/add fails: assert 0 == 5 (1 of 1 tests fail)")
    ] and not matched("hw-stubs", said)


def test_what_a_test_says_in_its_own_words_is_found_where_it_was_raised(world):
    world.solve(BOX0, "hw0/add", "return Box(self.values)")
    name = "hw0/tests/test_numbers.py"
    world.edit(
        name,
        "    assert Box(2).add(Box(3)).value == 5",
        "    try:\n        Box(2).add(Box(3))\n    except AttributeError as error:\n"
        "        raise AssertionError('look at the value\\n  hint: or at its name') from error",
    )
    said = world.process("test", "hw0/add").stdout
    at = line_of(world, BOX0, "        return Box(self.values)")
    told = "hw0/add fails: look at the value; or at its name (1 of 1 tests fail)"
    assert matched("hw", said) == [(BOX0, at, told)]


def test_a_line_of_cuda_that_the_words_name_is_the_place(world):
    world.write("hw0/src/kernels.cu", "one\ntwo\n")
    world.solve(
        BOX0, "hw0/add", 'raise RuntimeError("AddKernel, kernels.cu:2: reads, x.cu:9: too")'
    )
    said = world.process("test", "hw0/add").stdout
    assert [place[:2] for place in matched("hw", said)] == [("hw0/src/kernels.cu", 2)]


def test_what_is_no_python_and_what_is_in_conflict_is_found(world):
    world.solve(BOX0, "hw0/add", "return Box(")
    for spoilt, told in (("", "SyntaxError"), ("<<<<<<< yours\n", "two versions stand here")):
        world.write(BOX0, spoilt + world.read(BOX0))
        ((file, line, message),) = matched("hw", world.process("test", "hw0").stderr)
        assert file == BOX0 and line and told in message


@pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler")
def test_a_compilers_error_is_found(world):
    world.edit("course.toml", 'title = "Numbers"', 'title = "Numbers"\nbuild = "make"')
    world.write("hw0/src/tiny_ext.cpp", "int one() {\n  return two;\n}\n")
    with pytest.raises(compiling.BuildError) as error:
        build.build(world.root / "hw0", world.course().homework("hw0"))
    ((file, line, message),) = matched("hw", f"hw: {error.value}")
    assert (file, line) == ("hw0/src/tiny_ext.cpp", 2) and "'two' was not declared" in message


def test_paths_of_cmake_are_told_from_the_root(tmp_path):
    tree = tmp_path / "hw3"
    for row in (f"{tree}/src/a.cc:3:4: error: no", "../src/a.cc:3:4: error: no"):
        assert compiling.from_root(row, tree) == "hw3/src/a.cc:3:4: error: no"
    said = "  hw3/src/a.cc:3:4: warning: unused"
    assert matched("hw-warnings", said) == [("hw3/src/a.cc", 3, "unused")] and not matched(
        "hw", said
    )


def test_places_in_labs_are_found_too():
    place = "project/labs/lab_one/python/inuse.py"
    fails, stub = (
        "lab-one/double fails: no",
        "lab-one/double (half) is not written yet: 1 test stops there",
    )
    assert matched("hw", f"{place}:7: {fails}\n{place}:8: {stub}") == [(place, 7, fails)]
    assert matched("hw-stubs", f"{place}:7: {fails}\n{place}:8: {stub}") == [(place, 8, stub)]
    assert re.search(
        MATCHERS["hw"]["background"]["beginsPattern"], f"{place}: testing lab-one/double"
    )


def test_nothing_else_that_we_print_is_a_problem(world):
    world.hw("start", "hw0")
    world.solve(BOX0, "hw0/add", ADD)
    for words in ((), ("test", "hw0/add"), ("doctor",), ("hint", "hw0/add"), ("diff", "hw0/add")):
        done = world.process(*words)
        for owner in MATCHERS:
            assert not matched(owner, done.stdout + done.stderr), words


def test_vs_code_knows_when_the_watch_begins_and_ends_a_test(world, end):
    pexpect = pytest.importorskip("pexpect", reason="Windows has no pseudo-terminals")
    child = terminal(pexpect, world, "watch", "hw0", HW_PLAIN="1")
    marks = [MATCHERS["hw"]["background"][name] for name in ("beginsPattern", "endsPattern")]
    child.expect_exact("(")
    child.expect(re.compile(marks[1], re.M))
    world.solve(BOX0, "hw0/add", ADD)
    for mark in marks:
        child.expect(re.compile(mark, re.M))
    end(child)


def test_every_task_and_launch_asks_for_a_verb_that_exists():
    verbs = set(vars(typer.main.get_command(app))["commands"])
    tasks = [task["args"][:1] for task in settings("tasks")["tasks"]]
    launches = [made["args"][:1] for made in settings("launch")["configurations"] if "args" in made]
    assert {word for words in tasks + launches for word in words} <= verbs and len(tasks) > 5
    assert settings("extensions") and settings("settings")


# --------------------------------------------------------------------------- places and the editor


def test_file_and_line_stand_for_the_problem_around_them(world):
    world.solve(BOX0, "hw0/add", ADD)
    at = line_of(world, BOX0, f"        {ADD}")
    assert "hw0/add, hint 1 of 3" in world.hw("hint", f"{BOX0}:{at}").stdout
    done = world.process("test", f"{world.root / BOX0}:{at}")
    assert done.returncode == 0 and "hw0/add" in done.stdout and "hw0/scale |" not in done.stdout
    course, path = world.course(), world.root / BOX0
    assert editor.at_line(course, path, 1).id == "hw0/add"
    assert editor.at_line(course, path, 9999).id == "hw0/scale"
    assert "hw0/add, hint 2 of 3" in world.hw("hint", f"{BOX0}:{at}:9").stdout, "with a column"
    assert "hw0/add, hint 3 of 3" in world.hw("hint", BOX0).stdout, "without a line"
    for wrong in (f"{BOX0}x:3", "hw0/python/minilib/given.py:1", "course.toml:1"):
        done = world.hw("hint", wrong)
        assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1


def test_a_line_of_a_test_stands_for_the_problem_that_it_tests(world):
    """Where a fault is a link into the tests, the cursor stands there next."""
    name = "hw0/tests/test_numbers.py"
    at = line_of(world, name, "    assert Box(2).scale(3).value == 6")
    course, path = world.course(), world.root / name
    assert [editor.at_line(course, path, n).id for n in (at, 1)] == ["hw0/scale", "hw0/add"]
    assert "hw0/scale |" in world.process("test", f"{name}:{at}").stdout


def test_open_names_the_first_stub_and_then_the_solution(world):
    stub = line_of(
        world, BOX0, '        raise NotImplementedError("hw0/add: Box.add is yours to write")'
    )
    assert world.hw("open", "hw0/add").stdout == f"{BOX0}:{stub}\n"
    world.solve(BOX0, "hw0/add", ADD)
    assert (
        world.hw("open", "hw0/add").stdout == f"{BOX0}:{line_of(world, BOX0, f'        {ADD}')}\n"
    )
    world.edit(BOX0, "BEGIN YOUR SOLUTION hw0/add", "mine")
    done = world.hw("open", "hw0/add")
    assert done.returncode == 2 and "the marks of hw0/add are gone" in done.stderr
    (world.root / BOX0).unlink()
    done = world.hw("open", "hw0/add")
    assert done.returncode == 2 and f"{BOX0}: the file is missing; hw start hw0" in done.stderr


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ("vim", ["vim", "+7", "a.py"]),
        ("code --wait", ["code", "--wait", "-g", "a.py:7"]),
        ("/usr/bin/hx", ["/usr/bin/hx", "a.py:7"]),
        ("ed", ["ed", "a.py"]),
    ],
)
def test_each_editor_is_told_the_line_in_its_own_way(monkeypatch, wish, words):
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", wish)
    assert editor.command(Path("a.py"), 7) == words
    monkeypatch.setenv("VISUAL", "nano")
    assert editor.command(Path("a.py"), 7) == ["nano", "+7", "a.py"]


def test_an_editor_may_stand_in_a_folder_with_blanks(monkeypatch):
    for name in ("VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(shutil, "which", lambda _: "/opt/VS Code/bin/code")
    assert editor.command(Path("a.py"), 7) == ["/opt/VS Code/bin/code", "-g", "a.py:7"]
    monkeypatch.setenv("EDITOR", '"/opt/my editors/nano" -w')
    assert editor.command(Path("a.py"), 7) == ["/opt/my editors/nano", "-w", "+7", "a.py"]
    monkeypatch.setenv("EDITOR", "'nano")
    with pytest.raises(CourseError, match="the editor's command \"'nano\" cannot be read"):
        editor.command(Path("a.py"), 7)


def test_on_a_terminal_the_editor_is_started(world, end):
    pexpect = pytest.importorskip("pexpect", reason="Windows has no pseudo-terminals")
    for name, said in (
        ("echo", rf"{BOX0}:\d+\r\n\S*{BOX0}\r\n"),
        ("no-such-editor", "set EDITOR to"),
    ):
        child = terminal(pexpect, world, "open", "hw0/add", VISUAL=name)
        child.expect(said)
        end(child)


# ---------------------------------------------------------------------------------------- HW_PLAIN


def terminal(pexpect, world, *words, **env):
    return pexpect.spawn(
        sys.executable,
        ["-m", "coursekit", *words],
        cwd=str(world.root),
        env={**os.environ, "PYTHONPATH": str(ROOT / "shared"), "TERM": "xterm-256color", **env},
        encoding="utf-8",
        timeout=120,
    )


@pytest.mark.parametrize(
    "words", [(), ("test", "hw0"), ("doctor",), ("diff", "hw0"), ("start", "hw1")]
)
def test_plain_output_has_no_colour_no_box_and_redraws_nothing(world, words):
    pexpect = pytest.importorskip("pexpect", reason="Windows has no pseudo-terminals")
    world.solve(BOX0, "hw0/add", "return Box(0)")
    said = {}
    for plain in ("", "1"):
        child = terminal(pexpect, world, *words, HW_PLAIN=plain)
        child.expect(pexpect.EOF)
        said[plain] = child.before
        child.close()
    text = said["1"].replace("\r\n", "\n")
    assert not re.search(r"[\x1b\r\x08]|\+--|\|", text), text
    assert len(text) > 20
    if words in ((), ("test", "hw0"), ("doctor",)):
        assert "--" in said[""], "without HW_PLAIN there is a table"
    if not words:
        assert "hw0/add: yours written, tests not run, pts 40, sent no" in text
