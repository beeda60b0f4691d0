"""The region grammar in every language, and the sentence for each way to get it wrong."""

from __future__ import annotations

import ast
import json
from textwrap import dedent

import pytest
from coursekit.core.errors import CourseError
from coursekit.staff import regions

STAGES = ("hw0", "hw1", "hw2")
IDS = frozenset({"hw0/add", "hw1/neg", "hw1/mul"})


def rendered(text: str, path="lib.py", stage="hw1", solved=lambda problem: False) -> str:
    return regions.render(dedent(text), path, regions.Scope(STAGES, IDS, stage, solved))


def fault(text: str, path="lib.py", stage="hw1") -> str:
    with pytest.raises(CourseError) as caught:
        rendered(text, path, stage)
    return str(caught.value)


PYTHON = """\
class Op:
    def outer(self):
        x = 1
        ### BEGIN SOLUTION hw1/neg
        def inner():
            return -x
        return inner()
        ### END SOLUTION

    async def later(self):
        def helper(y):
            if y:
                ### BEGIN SOLUTION hw1/mul
                return y * 2
                ### END SOLUTION
        return helper
"""


def test_a_python_stub_names_problem_and_function():
    text = rendered(PYTHON)
    assert '        raise NotImplementedError("hw1/neg: Op.outer is yours to write")' in text
    assert 'raise NotImplementedError("hw1/mul: Op.later.helper is yours to write")' in text
    assert "return -x" not in text and "y * 2" not in text
    assert "    ### BEGIN YOUR SOLUTION hw1/neg\n" in text
    ast.parse(text)


def test_solved_keeps_the_solution_between_the_students_marks():
    text = rendered(PYTHON, solved=lambda problem: problem == "hw1/neg")
    assert "return -x" in text and "y * 2" not in text
    assert text.count("### BEGIN YOUR SOLUTION") == 2


def test_a_text_without_marks_stays_as_it_is():
    for text in ("", "x = 1", "x = 1\n\n", "### a comment\nx = 1\n"):
        assert regions.render(text, "a.py", regions.Scope(STAGES, IDS, "hw1", bool)) == text


GUARDED = """\
### FROM hw1
late = 1
### UNTIL hw0
early = 1
### END
### FROM hw2
last = 1
### END
"""


def test_guards_keep_lines_for_their_stages():
    assert rendered(GUARDED, stage="hw0") == "early = 1\n"
    assert rendered(GUARDED, stage="hw1") == "late = 1\n"
    assert rendered(GUARDED, stage="hw2") == "late = 1\nlast = 1\n"


def test_a_block_left_out_leaves_no_gap():
    text = "a = 1\n\n\n### FROM hw2\ndef late():\n    pass\n### END\n\n\nb = 2\n"
    assert rendered(text, stage="hw0") == "a = 1\n\n\nb = 2\n"
    assert rendered(text, stage="hw2") == "a = 1\n\n\ndef late():\n    pass\n\n\nb = 2\n"


def test_a_guard_may_hold_a_whole_region():
    text = """\
    ### FROM hw2
    def f():
        ### BEGIN SOLUTION hw0/add
        return 2
        ### END SOLUTION
    ### END
    """
    everything = {"solved": lambda problem: True}
    assert "return 2" not in rendered(text, stage="hw0", **everything)
    assert "return 2" in rendered(text, stage="hw2", **everything)


CXX = """\
#include <vector>
#define OPEN {
namespace needle {
template <typename T, typename U = std::vector<std::vector<int>>>
struct Array {
  explicit Array(size_t n) : n(n) {}
  /* a { in a comment */
  T Sum(const T* x) const {
    const char* text = "}{\\"}"; char c = '}';
    auto raw = R"(}}})";
    for (size_t i = 0; i < 1'000; i++) {
      /// BEGIN SOLUTION hw1/neg
      if (x[i] > 0) { total += x[i]; }
      /// END SOLUTION
    }
    return 0;
  }
};
__global__ void __launch_bounds__(256) AddKernel(const float* a, size_t n) {
  /// BEGIN SOLUTION hw1/mul
  a[0] = 1;
  /// END SOLUTION
}
void Matmul(const Array<int>& a, std::function<int(int)> f) {
  /// BEGIN SOLUTION hw1/mul
  a.n = f(3);
  /// END SOLUTION
}
}  // namespace needle
PYBIND11_MODULE(extension, m) {
  m.def("f", [](int x) {
    /// BEGIN SOLUTION hw1/mul
    return x;
    /// END SOLUTION
  });
}
"""


def test_a_cxx_stub_throws_and_names_the_function():
    text = rendered(CXX, "lib.cc")
    assert 'throw NotImplemented("hw1/neg: Array::Sum is yours to write");' in text
    assert 'throw NotImplemented("hw1/mul: Matmul is yours to write");' in text
    assert 'throw NotImplemented("hw1/mul: extension is yours to write");' in text


def test_device_code_gets_a_comment_since_it_cannot_throw():
    text = rendered(CXX, "lib.cu")
    assert "\n  // hw1/mul: AddKernel is yours to write\n" in text


def test_markdown_make_and_cmake_have_stubs_too():
    text = "# Part\n<!-- BEGIN SOLUTION hw1/neg -->\nsecret\n<!-- END SOLUTION -->\n"
    assert "*hw1/neg: Part is yours to write.*" in rendered(text, "a.md")
    text = "all: lib\n\t### BEGIN SOLUTION hw1/neg\n\tsecret\n\t### END SOLUTION\n"
    assert '\t@echo "hw1/neg: all is yours' in rendered(text, "Makefile")
    text = "### BEGIN SOLUTION hw1/neg\nsecret()\n### END SOLUTION\n"
    assert 'message(FATAL_ERROR "hw1/neg:' in rendered(text, "CMakeLists.txt")


def test_notebook_cells_are_rendered_one_by_one():
    code = [
        "def f():\n",
        "    ### BEGIN SOLUTION hw1/neg\n",
        "    return 1\n",
        "    ### END SOLUTION",
    ]
    cells = [{"cell_type": "code", "source": code}, {"cell_type": "markdown", "source": "hello"}]
    done = json.loads(rendered(json.dumps({"cells": cells}), "a.ipynb"))
    assert "hw1/neg: f is yours to write" in "".join(done["cells"][0]["source"])
    assert done["cells"][1] == cells[1]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (
            "def f():\n    ### BEGIN SOLUTION hw1/nag\n    x\n    ### END SOLUTION\n",
            2,
            "unknown problem",
        ),
        (
            "def f():\n    ### BEGIN SOLUTION\n    x\n    ### END SOLUTION\n",
            2,
            "unknown problem ''",
        ),
        ("def f():\n    ### BEGIN SOLUTION hw1/neg perhaps\n    x\n", 2, "not 'perhaps'"),
        ("def f():\n    ### BEGIN SOLUTION hw1/neg\n    x\n", 2, "never closed"),
        ("x = 1\n### END SOLUTION\n", 2, "without BEGIN"),
        (
            "def f():\n    ### BEGIN SOLUTION hw1/neg\n    x\n    ### BEGIN SOLUTION hw1/mul\n"
            "    ### END SOLUTION\n",
            4,
            "cannot be nested",
        ),
        ("### BEGIN SOLUTION hw1/neg\nx = 1\n### END SOLUTION\n", 1, "inside a function"),
        (
            "class A:\n    ### BEGIN SOLUTION hw1/neg\n    def f(self):\n        pass\n"
            "    ### END SOLUTION\n",
            2,
            "inside a function",
        ),
        (
            "def f():\n    x\n    ### BEGIN SOLUTION hw1/neg\n    # nothing\n    ### END SOLUTION\n",
            3,
            "no code",
        ),
        ("def f():\n    ## BEGIN SOLUTION hw1/neg\n    x\n", 2, "not a mark"),
        ("def f():\n    ### BEGIN YOUR SOLUTION hw1/neg\n    x\n", 2, "not a mark"),
        (
            "def f():\n    ### BEGIN SOLUTION hw1/neg\n    x\n    ### END SOLUTION hw1/neg\n",
            4,
            "takes no argument",
        ),
        ("### FROM hw7\nx = 1\n### END\n", 1, "expected one of hw0"),
        ("### FROM hw1\nx = 1\n", 1, "never closed"),
        ("x = 1\n### END\n", 2, "without FROM"),
        (
            "### FROM hw1\ndef f():\n    ### BEGIN SOLUTION hw1/neg\n    x\n### END\n",
            5,
            "END stands inside region hw1/neg of line 3",
        ),
        (
            "def f():\n    ### BEGIN SOLUTION hw1/neg\n    ### FROM hw1\n    x\n    ### END\n",
            3,
            "FROM stands inside region hw1/neg of line 2",
        ),
        (
            "def f(:\n    ### BEGIN SOLUTION hw1/neg\n    x\n    ### END SOLUTION\n",
            1,
            "not valid Python",
        ),
    ],
)
def test_a_grammar_fault_names_file_and_line(text, line, says):
    message = fault(text)
    assert message.startswith(f"lib.py:{line}: "), message
    assert says in message


def test_a_region_that_cuts_a_statement_is_refused():
    text = "def f():\n    x = [\n        ### BEGIN SOLUTION hw1/neg\n        1,\n        ### END SOLUTION\n    ]\n"
    assert "whole statements" in fault(text)


def test_a_region_of_a_later_homework_must_be_guarded():
    text = "def f():\n    ### BEGIN SOLUTION hw1/neg\n    return 1\n    ### END SOLUTION\n"
    assert "guard its definition with FROM hw1" in fault(text, stage="hw0")


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("/// BEGIN SOLUTION hw1/neg\nint x;\n/// END SOLUTION\n", 1, "inside a function"),
        (
            "struct A {\n  /// BEGIN SOLUTION hw1/neg\n  int x;\n  /// END SOLUTION\n};\n",
            2,
            "inside a function",
        ),
        (
            "void f() {\n  /// BEGIN SOLUTION hw1/neg\n  if (x) {\n  /// END SOLUTION\n}\n}\n",
            2,
            "balance",
        ),
        (
            "void f() {\n  /// BEGIN SOLUTION hw1/neg\n  }\n  void g() {\n  /// END SOLUTION\n}\n",
            2,
            "balance",
        ),
        ("void f() {\n  // BEGIN SOLUTION hw1/neg\n  x;\n}\n", 2, "not a mark"),
        (
            "void f() {\n  /// BEGIN SOLUTION hw1/neg\n  // nothing\n  /// END SOLUTION\n}\n",
            2,
            "no code",
        ),
    ],
)
def test_a_cxx_fault_names_file_and_line(text, line, says):
    message = fault(text, "lib.cc")
    assert message.startswith(f"lib.cc:{line}: "), message
    assert says in message
