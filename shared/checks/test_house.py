"""The measure of the house sees what it has limits for: each fault is planted once."""

import subprocess
import sys

import pytest
from runners import house


@pytest.fixture
def tree(tmp_path):
    """A checkout with the three packages, each of one empty module."""
    for package, folder in house.PACKAGES.items():
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "__init__.py").write_text(f'"""{package}."""\n')
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    return tmp_path


def limits(tree):
    """(status, output) of `house.py TREE --limits`."""
    subprocess.run(["git", "add", "-A"], cwd=tree, check=True)
    command = [sys.executable, house.__file__, str(tree), "--limits"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def write(tree, package, **modules):
    for name, text in modules.items():
        (tree / house.PACKAGES[package] / f"{name}.py").write_text(text)


def test_a_circle_of_imports_fails(tree):
    write(tree, "coursekit", a="from coursekit import b\n", b="from coursekit.a import x\n")
    status, said = limits(tree)
    assert status == 1 and "coursekit.a, coursekit.b" in said


def test_imports_that_wait_are_no_circle(tree):
    lazy = "def f():\n    from coursekit import a\n"
    typed = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from coursekit import a\n"
    write(tree, "coursekit", a="from . import b, c\n", b=lazy, c=typed)
    assert limits(tree)[0] == 0


def test_autograd_and_ops_may_meet(tree):
    write(tree, "needle", autograd="from . import ops\n", ops="from .autograd import Tensor\n")
    assert limits(tree)[0] == 0


def test_a_line_too_many_kept_from_the_formatter_fails(tree):
    skip = "# fmt: " + "skip\n"
    write(tree, "mugrade", a=f"x = 1  {skip}" * house.MOST_SKIPS)
    assert limits(tree)[0] == 0
    write(tree, "mugrade", b=f"y = 1  {skip}")
    status, said = limits(tree)
    assert status == 1 and "21 lines" in said


def test_lines_are_told_apart_as_rendered_and_by_hand(tree):
    write(tree, "needle", long="x = 1\n" * 401)
    (tree / "hw1" / "src").mkdir(parents=True)
    (tree / "hw1" / "src" / "given.py").write_text("y = 2\n" * 500)
    (tree / "picture.png").write_bytes(b"\x89PNG\r\n\xff\n\n")
    subprocess.run(["git", "add", "-A"], cwd=tree, check=True)
    facts = house.measure(tree)
    assert facts["rendered"] == ["hw1/src/given.py"]
    assert facts["long"] == [f"{house.PACKAGES['needle']}/long.py"]
    assert sum(map(len, facts["texts"].values())) == len(house.PACKAGES) + 401 + 500
