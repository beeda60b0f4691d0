"""`hw test` where the code under test takes the process down, or never comes back."""

from __future__ import annotations

import platform
import re
import sys
from pathlib import Path

import pytest
from conftest import BOX0, add_is
from coursekit.core.report import Outcome, Report
from coursekit.student import checked, deaths


def row(done, problem):
    """[passed, failed, skipped] of a problem in the table of verdicts."""
    line = next(line for line in done.stdout.splitlines() if line.startswith(f"| {problem} "))
    return [int(cell) for cell in line.split("|")[2:5]]


def test_a_crash_costs_one_test_and_is_one_sentence(world):
    add_is(world, "if other.value == 3: os.abort()")
    done = world.process("test", "hw0")
    assert done.returncode == 1
    assert row(done, "hw0/add") == [1, 2, 0] and row(done, "hw0/scale") == [1, 0, 0]
    said = "the code under test crashed in test_add, called by `if other.value == 3: os.abort()` (box.py:"
    assert f"{said}12): SIGABRT: something gave up" in done.stdout
    assert "pluggy/" not in done.stdout + done.stderr and "Fatal Python" not in done.stdout
    assert "assert 1 == 2" in done.stdout, "the others fail as always"


def test_a_crash_that_only_the_session_sees_still_fails_its_test(world):
    add_is(
        world,
        "world = Box.__dict__\nif other.value == 1 and hasattr(Box, 'was'): os.abort()\nBox.was = 1",
    )
    done = world.process("test", "hw0/add")
    assert "crashed in test_add_of_one" in done.stdout
    assert row(done, "hw0/add") == [2, 1, 0]


def test_a_crash_of_damage_done_before_costs_the_test_that_did_it(world):
    add_is(
        world,
        "import sys\nif hasattr(sys, 'damaged'): os.abort()\n"
        "if other.value == 3: sys.damaged = True; raise ValueError('damage')",
    )
    done = world.process("test", "hw0/add")
    assert "crashed in test_add_of_nothing" in done.stdout
    assert row(done, "hw0/add") == [1, 2, 0], "test_add_of_nothing is right; test_add_of_one is not"


def test_a_test_that_does_not_end_costs_one_test(world):
    add_is(world, "while other.value == 3: time.sleep(0.01)")
    done = world.process("test", "hw0", HW_TEST_SECONDS="1")
    assert row(done, "hw0/add") == [1, 2, 0] and row(done, "hw0/scale") == [1, 0, 0]
    assert "test_add did not end within 1 s (HW_TEST_SECONDS), called by `while" in done.stdout


def test_one_endless_loop_makes_the_next_ones_short(world):
    add_is(world, "while True: time.sleep(0.01)")
    done = world.process("test", "hw0", HW_TEST_SECONDS="5")
    assert row(done, "hw0/add") == [0, 3, 0] and row(done, "hw0/scale") == [1, 0, 0]
    assert "each test in a process of its own and with less time" in done.stdout
    said = re.findall(r"did not end within (\S+) s", done.stdout)
    assert said[:3] == ["5", "2", "2"]


def test_a_crash_is_told_at_its_place(world):
    """As every fault is, so that an editor makes a link of it."""
    add_is(world, "if other.value == 3: os.abort()")
    said = f"{BOX0}:12: hw0/add fails: the code under test crashed in test_add"
    assert any(line.startswith(said) for line in world.process("test", "hw0").stdout.splitlines())
    add_is(world, "while other.value == 3: time.sleep(0.01)")
    done = world.process("test", "hw0/add", HW_TEST_SECONDS="1")
    assert f"{BOX0}:12: hw0/add fails: test_add did not end" in done.stdout


def test_every_endless_test_is_told_with_its_line(world):
    add_is(world, "while True: time.sleep(0.01)")
    done = world.process("test", "hw0/add", HW_TEST_SECONDS="1")
    assert done.stdout.count("called by `while True: time.sleep(0.01)` (box.py:12)") >= 3


def test_a_session_that_never_begins_says_what_to_do(world):
    world.hw("start", "hw0")
    test = world.read("hw0/tests/test_numbers.py")
    world.write("hw0/tests/test_numbers.py", f"import os\nos._exit(1)\n{test}")
    done = world.process("test", "hw0/add")
    said = (
        "hw: the test session ended with status 1 before its first test; the lines above say why\n"
    )
    assert done.returncode == 2 and done.stderr == said
    world.edit("course.toml", 'title = "Numbers"', 'title = "Numbers"\nbuild = "make"')
    assert "hw build hw0 makes it anew" in world.process("test", "hw0/add").stderr


def test_an_endless_loop_in_a_module_is_one_sentence(world):
    add_is(world, "pass")
    endless = "while True: time.sleep(1)"
    world.edit(BOX0, '"""Boxes of numbers."""\n', f"import time\n{endless}\n")
    done = world.process("test", "hw0/add", HW_TEST_SECONDS="2")
    assert done.returncode == 2 and done.stderr == (
        "hw: reading the tests did not end within 10 s (HW_TEST_SECONDS), "
        f"called by `{endless}` (box.py:2): does a loop never end?\n"
    )


def test_python_that_dies_after_the_last_test_is_a_failure(world):
    add_is(world, "import atexit; atexit.register(os.abort)")
    done = world.process("test", "hw0/scale")
    assert row(done, "hw0/scale") == [1, 0, 0], "scale does not come to add here"
    done = world.process("test", "hw0/add")
    assert done.returncode == 1 and "Python crashed after the last test: SIGABRT" in done.stdout
    assert row(done, "hw0/add")[1] >= 1


# Without pybind11, whose headers take a compiler seconds for each of two builds.
DIVIDES = """\
#include <Python.h>
static int divided(int all, int parts) {
  return all / parts;
}
static PyObject* part(PyObject*, PyObject* given) {
  int all, parts;
  if (!PyArg_ParseTuple(given, "ii", &all, &parts)) return nullptr;
  return PyLong_FromLong(divided(all, parts));
}
static PyMethodDef methods[] = {{"part", part, METH_VARARGS, nullptr}, {}};
static PyModuleDef tiny = {PyModuleDef_HEAD_INIT, "tiny_ext", nullptr, -1, methods};
PyMODINIT_FUNC PyInit_tiny_ext() { return PyModule_Create(&tiny); }
"""


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="others divide by zero")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="GCC's sanitizers, preloaded")
def test_an_integer_that_is_divided_by_zero_in_cpp_is_one_sentence(world):
    world.edit("course.toml", 'title = "Numbers"', 'title = "Numbers"\nbuild = "make"')
    world.write("hw0/src/tiny_ext.cpp", DIVIDES)
    world.hw("start", "hw0")
    body = "import sys; sys.path.append('src'); import tiny_ext"
    world.solve(BOX0, "hw0/add", f"{body}\nreturn Box(tiny_ext.part(5, 3 - other.value))")
    for name in ("add", "scale"):
        problem = f"shared/problems/hw0/{name}.toml"
        world.write(problem, world.read(problem).replace("select", "build = true\nselect", 1))
    done = world.process("test", "hw0/add", CXXFLAGS="-O1")
    said = "the code under test crashed in test_add, called by `return Box(tiny_ext.part(5, 3 - other.value))`"
    assert said in done.stdout and row(done, "hw0/add") == [0, 1, 0]
    end = "SIGFPE: it divided an integer by zero; hw test --checked hw0/add names the line"
    assert end in done.stdout and "Fatal Python" not in done.stdout + done.stderr
    done = world.process("test", "--checked", "hw0/add")
    assert "src/tiny_ext.cpp:3: division by zero" in done.stdout, done.stdout + done.stderr
    assert row(done, "hw0/add") == [0, 1, 0]


def test_patience_is_a_number(world):
    done = world.process("test", "hw0", HW_TEST_SECONDS="soon")
    said = "hw: HW_TEST_SECONDS is 'soon'; expected a number of seconds\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)


def test_a_crash_after_very_many_tests_costs_one_too(world):
    """Their names are told to the session after it, and have no room in a variable."""
    add_is(world, "if other.value == 3: os.abort()")
    name = "hw0/tests/test_numbers.py"
    many = "@pytest.mark.parametrize('n', [f'{n:01000}' for n in range(200)])"
    first = f"import pytest\n\n\n{many}\ndef test_scale_many(n):\n    pass\n\n\ndef test_add():"
    world.write(name, world.read(name).replace("def test_add():", first))
    done = world.process("test", "hw0", "--", "-q")
    assert row(done, "hw0/scale") == [201, 0, 0] and row(done, "hw0/add") == [1, 2, 0]


def test_the_words_of_a_death():
    assert deaths.death(-8) == "SIGFPE: it divided an integer by zero"
    assert deaths.death(3) == "it ended Python with status 3"


# ------------------------------------------------------------------------- the checked builds

RACE = (
    "RuntimeError: AddKernel, block (0, 0, 0), thread (1, 0, 0): a.cu:2: race on element 0 of out"
)


def failed(error, *names):
    return [Outcome(f"tests/t.py::test[cuda-{name}]", ["hw3/x"], "failed", error) for name in names]


def test_one_fault_is_told_once_with_its_line(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.cu").write_text("one\n  out[i] = 1;\n")
    tests = failed("AssertionError: wrong values", "a", "b", "c")
    again = failed(RACE, "a") + failed(RACE.replace("block (0", "block (7"), "b")
    again += failed("AssertionError: wrong values", "c")
    assert checked.explain(tests, Report(tests=again), tmp_path) == [
        f"{RACE[14:]}\n  2 | out[i] = 1;\n  (in 2 failing tests)"
    ]
    wrong = failed("AssertionError: wrong values", "a", "b", "c")
    assert "look at what is computed" in checked.explain(tests, Report(tests=wrong), tmp_path)[0]


def test_what_needs_no_second_look_gets_none():
    assert all(
        checked.knows_more(test) for test in failed(RACE, "a") + failed("AssertionError", "b")
    )
    endless = failed(
        "RuntimeError: K, block (0, 0, 0), thread (0, 0, 0): a.cu:2: still in this loop", "a"
    )
    assert not checked.knows_more(endless[0])


def test_only_written_kernels_of_cuda_are_looked_at():
    stub = failed("NotImplementedError: hw3/x: K is yours to write", "a")
    cpu = [Outcome("tests/t.py::test[cpu-cuda_like]", ["hw3/x"], "failed", "AssertionError: x")]
    mine = failed("AssertionError: wrong values", "b")
    assert checked.worth_a_look(Report(tests=stub + cpu + mine)) == mine


ASAN = """\
==5==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x60a0000004c0 at pc 0x7f bp 0x7f sp 0x7f
WRITE of size 4 at 0x60a0000004c0 thread T0
    #0 0x7f in std::copy<float*>(float*, float*, float*) /usr/include/c++/12/bits/stl_algobase.h:500
    #1 0x7f in needle::cpu::EwiseMul(needle::cpu::AlignedArray const&, needle::cpu::AlignedArray*) {tree}/src/a.cc:2
0x60a0000004c0 is located {where} of 64-byte region [0x60a000000480,0x60a0000004c0)
"""


@pytest.mark.parametrize(
    "where, said",
    [
        ("0 bytes to the right", "right behind the end of"),
        ("8 bytes after", "8 bytes behind the end of"),
        ("4 bytes before", "4 bytes before the beginning of"),
    ],
)
def test_address_sanitizers_report_in_one_sentence(tmp_path, where, said):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.cc").write_text("one\n  x[i] = 1;\n")
    text = ASAN.format(tree=tmp_path, where=where)
    assert checked.sentence(text, tmp_path) == (
        f"EwiseMul, src/a.cc:2: writes 4 bytes, {said} a buffer of 64 bytes (16 floats)\n  2 | x[i] = 1;"
    )


def test_a_report_may_name_files_from_the_build_folder(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.cc").write_text("one\n  x[i] = 1;\n")
    text = ASAN.format(tree="..", where="8 bytes after").replace("src/a.cc:2", "src/a.cc:2:7")
    assert checked.sentence(text, tmp_path).startswith("EwiseMul, src/a.cc:2: writes 4 bytes")


def test_undefined_behaviour_in_one_sentence(tmp_path):
    text = f"{tmp_path}/src/a.cc:2:17: runtime error: division by zero\n"
    assert checked.sentence(text, Path(tmp_path)) == "src/a.cc:2: division by zero"
    assert checked.sentence("all is well", tmp_path) == ""
