"""What is given to every homework: it knows nobody, goes along, and is asked for in one sentence."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from coursekit.core import syllabus, toolchain, tree
from coursekit.staff import render

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT / "shared"
ALONE = {key: value for key, value in os.environ.items() if key != "NEEDLE_SHARED"}


def given_sources():
    names = tree.given(syllabus.load(ROOT))
    return [name for name in names if name.endswith((".cc", ".h", ".py", ".cmake"))]


@pytest.mark.parametrize("name", given_sources())
def test_no_arrow_goes_back_from_what_is_given(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    package = (ROOT / name).parent
    for included in re.findall(r'^#include "(.*)"', text, re.M):
        own = (package / included).is_file() or (SHARED / included).is_file()
        assert own, f"{name} includes {included}, which no given package has"
    imported = re.findall(r"^\s*(?:from|import) (\w+)", text, re.M) if name.endswith(".py") else []
    assert not {"needle", "coursekit", "mugrade"} & set(imported)


def test_it_lies_beside_rendered_trees(tmp_path):
    render.render_out(syllabus.load(ROOT), tmp_path, ["hw0"])
    for package in tree.GIVEN:
        assert (tmp_path / package / "README.md").is_file()
        assert not (tmp_path / package / "tests").exists()


def configure(homework, **variables):
    """CMake's first step, with a Python that knows nothing of the course."""
    command = [toolchain.tool("cmake"), "-S", homework, "-B", homework / "build"]
    bare = [f"-DPython_EXECUTABLE={sys.executable}", "-DNEEDLE_CUDA_BUILDS=emulated"]
    return subprocess.run(
        [*map(str, command), *bare],
        env={**ALONE, "PYTHONNOUSERSITE": "1", **variables},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def alone(tmp_path):
    """Homework 3 in a folder by itself."""
    files = render.whole_tree(syllabus.load(ROOT), "hw3")
    tree.write(files, tmp_path / "hw3")
    return tmp_path / "hw3"


def test_a_homework_that_was_copied_alone_asks_for_it_in_one_sentence(alone):
    lists = alone / "CMakeLists.txt"  # this Python has the course: look for one that nobody has
    lists.write_text(lists.read_text(encoding="utf-8").replace("'coursekit'", "'nobody'"), "utf-8")
    done = configure(alone)
    assert done.returncode != 0
    said = " ".join(done.stderr.split())
    assert f"shared/ is not beside {alone}: copy it there, or name it by" in said
    assert said.count("CMake Error") == 1


def test_a_variable_and_the_installed_course_say_where_it_is(alone):
    assert configure(alone, NEEDLE_SHARED=str(SHARED)).returncode == 0
    (alone / "build" / "CMakeCache.txt").unlink()
    assert configure(alone).returncode == 0


def test_the_tests_of_a_homework_that_was_copied_alone_ask_for_it_in_one_sentence(alone):
    code = (
        "import sys; sys.modules['course_testing'] = None; import pytest; sys.exit(pytest.main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=alone, env=ALONE, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert done.stderr.strip().endswith("or name that by NEEDLE_SHARED")
    assert "Traceback" not in done.stderr


def test_an_edit_of_the_students_file_compiles_nothing_else(alone):
    configure(alone, NEEDLE_SHARED=str(SHARED))
    folder = alone / "build" / "CMakeFiles" / "kernels_cpu.dir"
    rules = (folder / "build.make").read_text(encoding="utf-8")
    assert set(re.findall(r"(\w+\.cc)\.o:", rules)) == {"ndarray_backend_cpu.cc"}
