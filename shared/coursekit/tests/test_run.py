"""Programs inside a homework: their environment, and the autograder's client."""

from __future__ import annotations

import importlib.util

import pytest
from coursekit.core import run
from coursekit.core.errors import CourseError


def test_the_client_of_the_course_comes_first_on_the_path(world, monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    course = world.course()
    homework = course.homework("hw0")
    assert run.environment(course, homework)["PYTHONPATH"] == ""
    world.write("shared/mugrade/src/mugrade/__init__.py", "")
    monkeypatch.setenv("PYTHONPATH", "mine")
    first, second = run.environment(course, homework)["PYTHONPATH"].split(":")
    assert first == str(world.root / "shared/mugrade/src") and second == "mine"


def test_a_hook_may_take_as_long_as_a_test(world, monkeypatch):
    course = world.course()
    limit = lambda: run.environment(course, course.homework("hw0")).get("MUGRADE_HOOK_SECONDS")
    assert limit() is None, "the client's own"
    monkeypatch.setenv(run.PATIENCE, "7")
    assert limit() == "7"
    monkeypatch.setenv("MUGRADE_HOOK_SECONDS", "9")
    assert limit() == "9"


def test_the_client_runs_inside_the_homework(world):
    course = world.course()
    world.write(
        "shared/mugrade/src/mugrade/__main__.py",
        "import os, sys\nsys.exit(7 if os.getcwd().endswith('hw0') and sys.argv[1:] == ['a'] else 1)",
    )
    world.write("shared/mugrade/src/mugrade/__init__.py", "")
    assert run.mugrade(course, course.homework("hw0"), ["a"], world.root / "hw0") == 7


def test_without_a_client_the_sentence_says_how_to_install_it(world, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    course = world.course()
    with pytest.raises(CourseError, match=r"client is missing; install it with: .*shared/mugrade"):
        run.mugrade(course, course.homework("hw0"), [], world.root / "hw0")
