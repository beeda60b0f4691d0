"""A problem is added by the steps that CONTRIBUTING.md tells, and no others."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from coursekit.core import syllabus
from coursekit.staff import new

ROOT = syllabus.find_root(Path(__file__).parent)
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SECTION = TEXT.split("## To add a problem")[1].split("\n## ")[0]
COMMANDS = [
    line.removeprefix("hw ").split()
    for block in re.findall(r"```bash\n(.*?)```", SECTION, re.S)
    for line in block.splitlines()
]
PLACES = re.findall(r"^\d\. .*?`((?:shared|hw1)/[^`]*)`", SECTION, re.M | re.S)

LIBRARY = "shared/reference/python/needle/ops/ops_mathematic.py"
SOLUTION = '''

def cube(a):
    """The third power of each element; shape and dtype of `a`."""
    ### BEGIN SOLUTION hw1/cube
    return a * a * a
    ### END SOLUTION
'''
TESTS = """
import mugrade
import numpy as np
from needle import Tensor
from needle.ops.ops_mathematic import cube


def test_cube():
    a = np.array([-2.0, 0.5, 3.0])
    np.testing.assert_allclose(cube(Tensor(a)).numpy(), a**3)


def submit_cube():
    mugrade.submit(cube(Tensor(mugrade.rng().randn(3))))
"""
MUTANT = """
[[mutant]]
name = "{0}"
file = "python/needle/ops/ops_mathematic.py"
find = "    return a * a * a\\n"
replace = "    return {0}\\n"
why = "not the third power"
"""


@pytest.fixture
def copy(world, tmp_path):
    """A copy of the whole course, as far as homework 1 needs it."""
    made = type(world)(tmp_path / "course")

    def ignored(folder: str, names: list[str]) -> set[str]:
        left = {"build", "__pycache__", "data" if Path(folder).parent == ROOT else ""}
        return left & set(names)

    for name in (
        "course.toml",
        "shared/problems",
        "shared/reference",
        *(homework.folder for homework in syllabus.load(ROOT).homeworks),
    ):
        place = made.root / name
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, place, ignore=ignored)
        else:
            made.write(name, (ROOT / name).read_text(encoding="utf-8"))
    for package in sorted((ROOT / "shared").glob("course_testing")):
        shutil.copytree(package, made.root / "shared" / package.name, ignore=ignored)
    return made


def test_a_problem_is_added_in_the_four_places_that_contributing_names(copy):
    assert [words[0] for words in COMMANDS] == ["new", "render", "check", "prove"]
    assert len(PLACES) == 4
    begin, *rest = COMMANDS
    assert copy.hw(*begin).returncode == 0
    edited = {
        LIBRARY: copy.read(LIBRARY) + SOLUTION,
        "hw1/tests/hw1/test_cube.py": copy.read("hw1/tests/hw1/test_cube.py").split(
            "import pytest"
        )[0]
        + TESTS,
        "shared/problems/hw1/cube.toml": copy.read("shared/problems/hw1/cube.toml").split(
            "# Wrong"
        )[0]
        + "".join(
            MUTANT.format(wrong) for wrong in ("a * a", "a * 3", "a + a + a", "a * a * a * a")
        ),
        "shared/reference/texts/hw1.md": copy.read("shared/reference/texts/hw1.md").replace(
            "cube: TITLE", "cube: the third power"
        ),
    }
    for path, place in zip(edited, PLACES):
        assert path == place or path.startswith(place.removesuffix("...")), (path, place)
    for path, text in edited.items():
        copy.write(path, text)
    neighbour = "shared/problems/hw1/nn_epoch_ndl.toml"
    copy.edit(neighbour, "points = 10\n", "points = 9\n")
    for words in rest:
        done = copy.hw(*words)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "1 problems, 0 with holes; of 4 mutants 4 killed by tests" in done.stdout
    readme = copy.read("hw1/README.md")
    assert "| `hw1/cube` | TITLE | 1 | `hw test hw1/cube` |" in readme
    assert readme.index("### cube: the third power (hw1/cube)") < readme.index("## 5. Testing")
    assert "hw1/cube: cube is yours to write" in copy.read(
        "hw1/python/needle/ops/ops_mathematic.py"
    )


def test_the_skeletons_are_no_proof_yet(world):
    done = world.hw("new", "hw0/halve")
    assert done.returncode == 0 and "### BEGIN SOLUTION hw0/halve" in done.stdout
    assert [p.name for p in world.course().homework("hw0").problems] == ["add", "scale", "halve"]
    assert "add up to 101" in world.hw("check").stdout
    done = world.hw("prove", "hw0/halve")
    assert done.returncode == 1 and "HOLE hw0/halve: solved" in done.stdout
    assert "## halve: TITLE" in world.read("shared/reference/texts/hw0.md")


@pytest.mark.parametrize(
    ("problem", "says"),
    [
        ("hw0/add", "shared/problems/hw0/add.toml: is there already"),
        ("hw7/add", "there is no homework 'hw7'"),
        ("hw0", "expected hwN/problem"),
        ("hw0/A-b", "expected hwN/problem"),
    ],
)
def test_what_cannot_begin_changes_nothing(world, problem, says):
    before = world.snapshot()
    done = world.hw("new", problem)
    assert done.returncode == 2 and says in done.stderr
    assert world.snapshot() == before


def test_the_heading_stands_behind_the_last_problems_part(world):
    homework = world.course().homework("hw1")
    text = "# T\n\n### negate (hw1/negate)\n\n```bash\n# no head\n```\n\n#### More\n\n## Next\n"
    rows = new.with_heading(text, homework, "hw1/half").split("\n")
    at = rows.index("### half: TITLE (hw1/half)")
    assert rows[at - 2] == "#### More" and rows[at + 4] == "## Next"
