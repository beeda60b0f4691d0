"""A course of two homeworks, small enough to be rendered, proved and released in a second."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from coursekit import cli
from coursekit.cli import app
from coursekit.core.syllabus import Course
from coursekit.staff import render

COURSE = """\
[course]
id = "mini"
title = "A small course"

[[homework]]
id = "hw0"
title = "Numbers"
path = ["./python"]
files = ["python/minilib/box.py", "python/minilib/given.py"]

[[homework]]
id = "hw1"
title = "More numbers"
path = ["./python"]
files = ["python/minilib/more.py"]
"""

ADD = """\
title = "Adding"
points = 40
tests = "tests/test_numbers.py"
select = "add"
mutants = 1
hints = ["think", "use +", "add both values"]

[[mutant]]
name = "minus"
file = "python/minilib/box.py"
find = "self.value + other.value"
replace = "self.value - other.value"
why = "the sign"
"""

SCALE = """\
title = "Scaling"
points = 60
after = "add"
tests = "tests/test_numbers.py"
select = "scale"
mutants = 1

[[mutant]]
name = "plus"
file = "python/minilib/box.py"
find = "self.value * factor"
replace = "self.value + factor"
why = "product, not sum"
"""

NEGATE = """\
title = "Negating"
points = 100
tests = "tests/test_more.py"
select = "negate"
mutants = 1

[[mutant]]
name = "same"
file = "python/minilib/box.py"
find = "factor=-1"
replace = "factor=1"
why = "the sign"
"""

BOX = '''\
"""Boxes of numbers."""


class Box:
    def __init__(self, value):
        self.value = value

    def add(self, other):
        """The sum in a new box."""
        ### BEGIN SOLUTION hw0/add
        total_of_both = self.value + other.value
        return Box(total_of_both)
        ### END SOLUTION

    def scale(self, factor):
        ### BEGIN SOLUTION hw0/scale
        zero = Box(0)
        return zero.add(Box(self.value * factor))
        ### END SOLUTION

    ### FROM hw1
    def negate(self):
        ### BEGIN SOLUTION hw1/negate
        return self.scale(factor=-1)
        ### END SOLUTION
    ### END


def boxes(values):
    return [Box(value) for value in values]
'''

TEST_NUMBERS = """\
import sys
sys.path.append("./python")
from minilib.box import Box


def test_add():
    assert Box(2).add(Box(3)).value == 5


def test_scale():
    assert Box(2).scale(3).value == 6


def submit_add():
    import mugrade

    mugrade.submit(Box(2).add(Box(3)).value)


def submit_scale():
    import mugrade

    mugrade.submit(Box(2).scale(3).value)
"""

TEST_MORE = """\
import sys
sys.path.append("./python")
from minilib.box import Box


def test_negate():
    assert Box(2).negate().value == -2


def submit_negate():
    import mugrade

    mugrade.submit(Box(2).negate().value)
"""

TEXT = """\
# Numbers

What a box is.

<!-- problems -->

```python
print(1 + 1)
```
"""

FILES = {
    "course.toml": COURSE,
    "shared/reference/python/minilib/box.py": BOX,
    "shared/reference/python/minilib/given.py": '"""Given."""\n\nGIVEN = 1\n',
    "shared/reference/python/minilib/more.py": '"""More."""\n',
    "shared/reference/tests/course_support.py": '"""Support."""\n',
    "shared/problems/hw0/add.toml": ADD,
    "shared/problems/hw0/scale.toml": SCALE,
    "shared/problems/hw1/negate.toml": NEGATE,
    "shared/reference/texts/hw0.md": TEXT,
    "shared/reference/texts/hw1.md": "# More numbers\n",
    "hw0/tests/test_numbers.py": TEST_NUMBERS,
    "hw1/tests/test_more.py": TEST_MORE,
}


class World:
    """The course's folder with short ways to look at it and to run `hw` in it."""

    def __init__(self, root: Path):
        self.root = root

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def read(self, name: str) -> str:
        return (self.root / name).read_text(encoding="utf-8")

    def edit(self, name: str, old: str, new: str) -> None:
        text = self.read(name)
        assert text.count(old) == 1, (name, old, text.count(old))
        self.write(name, text.replace(old, new))

    def course(self) -> Course:
        """As `hw` loads it, with its kept handouts up to date."""
        return app.load(self.root)

    def solve(self, name: str, problem: str, solution: str) -> None:
        """Write a student's solution over the stub of a problem (8 blanks deep)."""
        rows, out, inside = self.read(name).split("\n"), [], False
        for row in rows:
            if "END YOUR SOLUTION" in row:
                inside = False
            if not inside:
                out.append(row)
            if f"BEGIN YOUR SOLUTION {problem}" in row:
                inside = True
                out += [" " * 8 + line for line in dedent(solution).strip().split("\n")]
        self.write(name, "\n".join(out))

    def snapshot(self) -> dict[str, bytes]:
        """Every file outside .hw, to show that a command changed nothing."""
        return {
            path.relative_to(self.root).as_posix(): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and not {".hw", "__pycache__", ".pytest_cache"} & set(path.parts)
        }

    def hw(self, *arguments: str) -> subprocess.CompletedProcess:
        """`hw ARGUMENTS` in the course's folder, inside this process: no import is paid twice."""
        out, err, back, argv = io.StringIO(), io.StringIO(), Path.cwd(), sys.argv
        status = 0
        os.chdir(self.root)
        sys.argv = ["hw", *arguments]
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                cli.main()
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else int(bool(error.code))
        finally:
            sys.argv = argv
            os.chdir(back)
        return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())

    def process(self, *arguments: str, **env: str) -> subprocess.CompletedProcess:
        """The same as a process of its own, as a user has it, without a terminal."""
        shared = str(Path(__file__).resolve().parents[2])
        return subprocess.run(
            [sys.executable, "-m", "coursekit", *arguments],
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": shared, **env},
            capture_output=True,
            text=True,
        )


@pytest.fixture(autouse=True)
def only_pytest_itself(monkeypatch):
    """Test sessions that these tests start need no plugin, and plugins take seconds to load."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


@pytest.fixture(autouse=True)
def no_other_library(monkeypatch):
    """`make test` names the solved homework 4, which is none of the small courses made here."""
    monkeypatch.delenv("NEEDLE_HOME", raising=False)


@pytest.fixture
def end():
    """Ends a program on a pseudo-terminal: pexpect kills it, but gives it a tenth of a second to be gone,
    which on a busy machine is too little."""

    def go(child):
        import pexpect

        try:
            child.close(force=True)
        except pexpect.ExceptionPexpect:
            child.wait()

    return go


@pytest.fixture
def world(tmp_path) -> World:
    """The course with its handouts rendered in place."""
    made = World(tmp_path / "mini")
    for name, text in FILES.items():
        made.write(name, text)
    render.render_in_place(made.course(), made.course().stages)
    return made


BOX0 = "hw0/python/minilib/box.py"
SCALE = "return Box(self.value * factor)"
MORE_TESTS = """

def test_add_of_nothing():
    assert Box(0).add(Box(0)).value == 0


def test_add_of_one():
    assert Box(0).add(Box(1)).value == 2
"""


def add_is(world, body):
    """Begin hw0, with these lines before the solution of add, and two more tests of it."""
    world.hw("start", "hw0")
    world.solve(BOX0, "hw0/add", f"import os, time\n{body}\nreturn Box(self.value + other.value)")
    world.solve(BOX0, "hw0/scale", SCALE)
    world.write(
        "hw0/tests/test_numbers.py",
        world.read("hw0/tests/test_numbers.py").replace("def submit_add", MORE_TESTS + "\n\ndef submit_add"),
    )  # fmt: skip
