"""The one next step, and the word of a verdict: unwritten, wrong, or stopped by another's stub."""

from __future__ import annotations

import errno
import shutil
import sys

import pytest
from coursekit.core.report import Outcome, Report
from coursekit.staff import render
from coursekit.student import progress, work
from coursekit.student.written import called, is_stub, stubs

BOX0 = "hw0/python/minilib/box.py"
REFERENCE = "shared/reference/python/minilib/box.py"
ADD, SCALE = "return Box(self.value + other.value)", "return Box(self.value * factor)"
STUB = 'raise NotImplementedError("hw0/add: Box.add is yours to write")'


def following(world):
    return world.hw().stdout.strip().splitlines()[-1]


def line_of(world, name, text):
    rows = world.read(name).splitlines()
    return next(number for number, row in enumerate(rows, 1) if text in row)


@pytest.fixture
def helped(world):
    """The small course with a helper of hw0/add that nobody must write."""
    helper = (
        "def both(values):\n    ### BEGIN SOLUTION hw0/add optional\n    return sum(values)\n"
        "    ### END SOLUTION\n\n\ndef boxes(values):"
    )
    world.edit(REFERENCE, "def boxes(values):", helper)
    render.render_in_place(world.course(), world.course().stages)
    world.hw("start", "hw0")
    return world


@pytest.fixture
def twofold(world):
    """The small course where hw0/scale asks for two functions."""
    half = "    def half(self):\n        ### BEGIN SOLUTION hw0/scale\n        return Box(self.value / 2)\n"
    world.edit(
        REFERENCE, "    ### FROM hw1\n", f"{half}        ### END SOLUTION\n\n    ### FROM hw1\n"
    )
    name = "hw0/tests/test_numbers.py"
    more = "def test_scale_by_half():\n    assert Box(2).half().value == 1\n\n\ndef submit_add"
    world.edit(name, "def submit_add", more)
    render.render_in_place(world.course(), world.course().stages)
    world.hw("start", "hw0")
    return world


# ------------------------------------------------------------------------------- what is unwritten


def test_a_helper_that_written_code_calls_is_to_be_written(helped):
    """Not mended: the problem itself is written, and every test stops at the helper's stub."""
    helped.solve(BOX0, "hw0/scale", SCALE)
    helped.edit(BOX0, STUB, "return Box(both([self.value, other.value]))")
    done = helped.process("test", "hw0/add")
    place = f"{BOX0}:{line_of(helped, BOX0, 'both is yours to write or not')}"
    assert "| to write" in done.stdout
    assert f"{place}: hw0/add (both) is not written yet: 1 test stops there" in done.stdout
    step = f"next: write both in {place}, where its tests stop, then: hw test hw0/add"
    assert done.stdout.rstrip().endswith(step) and following(helped) == step
    helped.edit(
        BOX0, 'raise NotImplementedError("hw0/add: both is yours to write or not")', "return 0"
    )
    assert following(helped) == "next: test hw0/add: hw test hw0/add", "its verdict is of old code"
    assert "next: mend hw0/add" in helped.process("test", "hw0/add").stdout


def test_a_helper_of_another_problem_is_told_by_its_name(helped):
    helped.edit(BOX0, STUB, ADD)
    helped.solve(BOX0, "hw0/scale", "return Box(both([self.value * factor]))")
    done = helped.process("test", "hw0/scale")
    place = f"{BOX0}:{line_of(helped, BOX0, 'both is yours to write or not')}"
    assert "needs hw0/add" in done.stdout
    step = f"write hw0/add (both) in {place}, which hw0/scale needs, then: hw test hw0/scale"
    assert done.stdout.rstrip().endswith(step)
    helped.edit(
        BOX0, 'raise NotImplementedError("hw0/add: both is yours to write or not")', "return 0"
    )
    assert "test hw0/scale" in following(helped)


def test_hw_open_shows_what_must_be_written_and_then_what_was(helped):
    helped.write(
        BOX0, helped.read(BOX0).replace("class Box:", "class Boxed:\n    pass\n\n\nclass Box:")
    )
    assert helped.hw("open", "hw0/add").stdout == f"{BOX0}:{line_of(helped, BOX0, STUB)}\n"
    helped.edit(BOX0, STUB, ADD)
    assert helped.hw("open", "hw0/add").stdout == f"{BOX0}:{line_of(helped, BOX0, ADD)}\n"


def test_what_is_wrong_is_mended_before_the_rest_is_written(twofold):
    twofold.solve(BOX0, "hw0/add", ADD)
    twofold.edit(BOX0, "Box.scale is yours to write", "?")
    twofold.edit(BOX0, 'raise NotImplementedError("hw0/scale: ?")', "return Box(0)")
    done = twofold.process("test", "hw0/scale")
    rest = f"{BOX0}:{line_of(twofold, BOX0, 'Box.half is yours')}"
    assert "FAIL" in done.stdout
    assert (
        f"mend hw0/scale (0 of 2 tests pass), then write the rest in {rest}: hw test" in done.stdout
    )
    twofold.edit(BOX0, "return Box(0)", SCALE)
    done = twofold.process("test", "hw0/scale")
    assert "| to write" in done.stdout and f"next: write hw0/scale in {rest}, then" in done.stdout


def test_an_unwritten_problem_is_to_be_written_whatever_it_stumbles_over(world):
    """Also where a problem before it is wrong, so that the stub is never reached."""
    world.hw("start", "hw0")
    world.edit(
        "hw0/tests/test_numbers.py", "assert Box(2).scale(3)", "assert Box(2).add(Box(0)).scale(3)"
    )
    world.solve(BOX0, "hw0/add", "return None")
    done = world.process("test", "hw0/scale")
    assert "| to write" in done.stdout and "next: write hw0/scale in " in done.stdout


@pytest.mark.parametrize(
    "body",
    [
        f"# {STUB}\n{ADD}",
        f"{ADD}\n{STUB}",
        f"if other is None:\n    {STUB}\n{ADD}",
    ],
    ids=["made a comment", "left below", "reached by nobody"],
)
def test_what_is_left_of_a_stub_beside_written_code_is_none(world, body):
    world.hw("start", "hw0")
    world.solve(BOX0, "hw0/add", body)
    add = progress.standings(world.course(), "hw0")[0]
    assert add.stub == "written"
    assert world.process("test", "hw0/add").returncode == 0
    assert "| written | passed" in world.hw().stdout and "write hw0/scale" in following(world)
    world.edit(BOX0, ADD, "return Box(0)")
    assert "next: mend hw0/add" in world.process("test", "hw0/add").stdout
    world.hw("start", "hw1")
    world.edit(BOX0, "return Box(0)", ADD)
    world.hw("start", "hw1")
    assert ADD in world.read("hw1/python/minilib/box.py"), "it is carried like any other code"


def test_a_stub_that_written_code_comes_to_is_where_the_tests_stop(world):
    world.hw("start", "hw0")
    world.solve(BOX0, "hw0/add", f"if other is None:\n    {ADD}\n{STUB}")
    done = world.process("test", "hw0/add")
    place = f"{BOX0}:{line_of(world, BOX0, STUB)}"
    assert f"next: write hw0/add in {place}, then: hw test hw0/add" in done.stdout


def test_remarks_beside_a_stub_leave_it_one():
    region = b"### BEGIN YOUR SOLUTION hw0/add\n    # think\n\n    %s\n### END YOUR SOLUTION"
    stub = b'raise NotImplementedError("hw0/add: add is yours to write")'
    assert is_stub(region % stub, "hw0/add")
    assert not is_stub(region % (b"x = 1\n    " + stub), "hw0/add")
    assert not is_stub(region % b"pass", "hw0/add")


# ---------------------------------------------------------------- CUDA's device code, which cannot throw

KERNELS = b"""\
__global__ void AddKernel() {
  /// BEGIN YOUR SOLUTION hw0/add
  // hw0/add: AddKernel is yours to write or not
  /// END YOUR SOLUTION
}
void Add() {
  /// BEGIN YOUR SOLUTION hw0/add
  AddKernel<<<1, 1>>>();
  /// END YOUR SOLUTION
}
"""


def test_a_kernel_that_is_launched_and_not_written_is_to_be_written(world):
    problem, files = world.course().problem("hw0/add"), {"src/k.cu": KERNELS}
    (stub,) = stubs(files, "hw0")
    assert stub.silent and called(files, stub) and stub.place == "hw0/src/k.cu:3"
    need = progress.waits_for(world.course(), problem, "", 2, files)
    assert need and (need.what, need.place) == ("AddKernel", "hw0/src/k.cu:3")
    other = {"src/k.cu": KERNELS.replace(b"  AddKernel<<<1, 1>>>();", b"  return;")}
    assert progress.waits_for(world.course(), problem, "", 2, other) is None


def test_compiled_code_of_an_earlier_homework_can_be_done_without(world):
    """Tests of arrays run on cpu_numpy too, which needs none of it."""
    course, words = world.course(), "hw0/add: Add is yours to write"
    files = {"src/k.cc": b'throw NotImplemented("hw0/add: Add is yours to write");'}
    need = progress.waits_for(course, course.problem("hw1/negate"), words, 0, files)
    assert need and need.other_way == "hw test hw1/negate --device cpu_numpy"
    own = progress.waits_for(course, course.problem("hw0/add"), words, 0, files)
    assert own and not own.other_way


def test_the_verdict_of_a_checked_run_knows_stubs_too(world):
    course = world.course()
    world.solve(BOX0, "hw0/add", ADD)
    stop = Outcome("t", ["hw0/add"], "failed", f"NotImplementedError: {STUB.split(chr(34))[1]}")
    wrong = Outcome("u", ["hw0/add"], "failed", "AssertionError: wrong values")
    word = lambda *tests: work.verdict(course, course.problem("hw0/add"), Report(tests=[*tests]))[0]
    assert word(stop) == "to write" and word(stop, wrong) == "FAIL" and word(wrong) == "FAIL"


# ------------------------------------------------------------------------------------ other sources


def test_a_submission_of_what_is_not_written_leads_to_writing(world):
    world.hw("start", "hw0")
    course = world.course()
    message = "NotImplementedError: hw0/add: Box.add is yours to write"
    row = {"problem": "add", "word": "ERR", "message": message}
    step = work.mending(course, course.homework("hw0"), [row])
    assert step == f"write hw0/add in {BOX0}:{line_of(world, BOX0, STUB)}, then: hw test hw0/add"


def test_what_is_no_python_is_the_next_step_wherever_one_asks(world):
    world.hw("start", "hw0")
    world.solve(BOX0, "hw0/add", "return Box(")
    line = line_of(world, BOX0, "return Box(")
    told = f"{BOX0}:{line}: SyntaxError: '(' was never closed"
    assert following(world) == f"next: {told}"
    assert told in world.hw("doctor").stdout


@pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler")
def test_what_does_not_compile_is_what_is_next(world):
    world.edit("course.toml", 'title = "Numbers"', 'title = "Numbers"\nbuild = "make"')
    world.edit("shared/problems/hw0/scale.toml", "points = 60", "points = 60\nbuild = true")
    world.write("hw0/src/tiny_ext.cpp", "int one() {\n  return two;\n}\n")
    assert "hw0 does not compile" in world.hw("start", "hw0").stderr
    assert world.process("test", "hw0/scale").returncode == 2
    step = "next: mend hw0/src/tiny_ext.cpp:2 ('two' was not declared in this scope), then: hw test hw0/scale"
    assert following(world) == step
    assert "unreadable" in world.hw().stdout
    world.solve(BOX0, "hw0/scale", SCALE)
    assert "hw0/src" not in following(world), "the fault is of other code"


def test_an_extra_that_fails_is_what_is_next(world):
    world.edit("shared/problems/hw0/add.toml", "points = 40", "points = 100")
    world.edit("shared/problems/hw0/scale.toml", "points = 60", "points = 0")
    assert world.hw("render").returncode == 0
    world.hw("start", "hw0")
    world.solve(BOX0, "hw0/add", ADD)
    world.solve(BOX0, "hw0/scale", "return Box(0)")
    assert "hw0/scale" not in world.process("test", "hw0").stdout.splitlines()[-1]
    assert "next: mend hw0/scale" in world.process("test", "hw0/scale").stdout
    world.edit(BOX0, "return Box(0)", SCALE)
    assert "next: all of hw0 is written" in world.process("test", "hw0/scale").stdout


def test_a_problem_of_this_name_is_meant_where_a_homework_is_asked_for(world):
    assert "did you mean the problem hw1/negate?" in world.hw("test", "negate").stderr


# ------------------------------------------------------------------------------- what editors leave


@pytest.mark.parametrize("how", ["CRLF", "BOM", "both"])
def test_line_ends_and_byte_order_marks_change_nothing(world, how):
    world.hw("start", "hw0")
    world.solve(BOX0, "hw0/add", ADD)
    assert world.process("test", "hw0/add").returncode == 0
    plain = (world.root / BOX0).read_bytes()
    begin = b"\xef\xbb\xbf" if how != "CRLF" else b""
    content = begin + (plain.replace(b"\n", b"\r\n") if how != "BOM" else plain)
    (world.root / BOX0).write_bytes(content)
    assert "hw0/add: 1 not written in what hw start brought" in world.hw("diff", "hw0").stdout
    assert "outside the marks" not in world.hw("diff", "hw0").stdout
    assert "hw0/scale" not in world.hw("diff", "hw0").stdout
    assert "| written | passed" in world.hw().stdout, "the verdict is still of this code"
    world.hw("start", "hw1")
    assert ADD in world.read("hw1/python/minilib/box.py")
    world.hw("reset", "hw0/add")
    assert STUB in world.read(BOX0)


def test_a_file_in_another_encoding_is_told_and_not_a_traceback(world):
    world.hw("start", "hw0")
    world.solve(BOX0, "hw0/add", ADD)
    (world.root / BOX0).write_bytes(
        (world.root / BOX0).read_bytes().replace(b"Boxes of", "Schränke of".encode("latin-1"))
    )
    done = world.process("test", "hw0/add")
    assert done.returncode == 2 and "box.py:1: SyntaxError: " in done.stderr
    assert "Traceback" not in done.stderr and len(done.stderr.splitlines()) == 1
    assert (
        world.hw("reset", "hw0/add").returncode == 0
        and STUB.encode() in (world.root / BOX0).read_bytes()
    )


# ------------------------------------------------------------------------- what the system refuses


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_a_file_that_cannot_be_written_is_one_sentence(world, monkeypatch, number):
    def refused(*_):
        raise OSError(number, "no", "/course/.hw/state.json")

    monkeypatch.setattr(progress, "save", refused)
    done = world.hw("start", "hw0")
    assert done.returncode == 2
    assert done.stderr.startswith("hw: /course/.hw/state.json: no; ")
    assert len(done.stderr.splitlines()) == 1


def test_ctrl_c_while_the_tool_is_loaded_leaves_no_traceback(world, tmp_path):
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt\n", encoding="utf-8")
    shared = str(render.__file__).rsplit("/coursekit/", 1)[0]
    done = world.process(PYTHONPATH=f"{tmp_path}:{shared}") if sys.platform != "win32" else None
    assert done is None or (done.stderr == "" and done.returncode)
