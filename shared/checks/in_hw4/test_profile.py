"""`hw profile` counts what a program does: operators by direction, kernels, steps."""

import inside
import pytest
from coursekit.core import syllabus
from coursekit.core.errors import CourseError
from coursekit.student import profiling

PROGRAM = """
import numpy as np
import needle as ndl
ndl.kernels("own")
x = ndl.Tensor(np.ones((2, 3)), device=ndl.cpu(), dtype="float32", requires_grad=False)
w = ndl.Tensor(np.ones((3, 4)), device=ndl.cpu(), dtype="float32")
opt = ndl.optim.SGD([w], lr=0.1)
for _ in range(5):
    opt.reset_grad()
    ((x @ w) * 2.0).sum().backward()
    opt.step()
"""


GIVEN = """
import numpy as np
import needle as ndl
ndl.kernels("given")
model = ndl.nn.Linear(3, 4, device=ndl.cpu())
x = ndl.Tensor(np.ones((2, 3)), device=ndl.cpu(), dtype="float32", requires_grad=False)
y = ndl.Tensor(np.array([0, 1]), device=ndl.cpu(), dtype="float32", requires_grad=False)
for kind in (ndl.optim.SGD, ndl.optim.Adam):
    opt = kind(model.parameters(), lr=0.1)
    ndl.nn.SoftmaxLoss()(model(x), y).backward()
    opt.step()
"""


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    program = tmp_path_factory.mktemp("profile") / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    return measured(["python3", str(program)])


def measured(command):
    course = syllabus.load(inside.ROOT)
    return profiling.measure(course, course.homework("hw4"), inside.place, command)


def test_operators_are_counted_by_direction(profile):
    rows = {row.name: row for row in profile.operators}
    assert profile.steps == 5
    assert rows["MatMul"].calls == 10 and set(rows["MatMul"].seconds) == {"forward", "backward"}
    assert rows["SGD.step"].calls == 5 and set(rows["SGD.step"].seconds) == {"optimizer"}
    # A gradient's own operators count for it: the transpose, too, is time of MatMul's backward.
    assert set(rows) == {"MatMul", "MulScalar", "Summation", "SGD.step"}
    assert 0 <= profile.rest < profile.seconds


def test_kernels_are_counted_with_their_work(profile):
    kernels = {kernel.name: kernel for kernel in profile.kernels}
    assert kernels["matmul"].calls == 5 and kernels["matmul"].work == 5 * 2 * 2 * 3 * 4
    turned = kernels["matmul, transposed operand"]  # x^T times the adjoint; x itself is constant
    assert turned.calls == 5 and turned.work == 5 * 2 * 3 * 2 * 4
    assert kernels["reduce_sum"].calls == 5


def test_given_kernels_that_take_settings_are_counted(tmp_path):
    program = tmp_path / "given.py"
    program.write_text(GIVEN, encoding="utf-8")
    of_given = measured(["python3", str(program)])
    assert of_given.status == 0 and of_given.steps == 2
    counted = {kernel.name: kernel.calls for kernel in of_given.kernels}
    assert counted["sgd_step"] == 1 and counted["adam_step"] == 1
    operators = {row.name for row in of_given.operators}
    assert {"kernel linear", "kernel softmax_loss", "SGD.step", "Adam.step"} <= operators


def test_a_program_that_is_none_is_one_sentence(tmp_path):
    with pytest.raises(
        CourseError, match=r"'apps/none\.py' is no program in hw4; give one after --"
    ):
        measured(["apps/none.py"])
    (tmp_path / "empty.py").write_text("print(1)\n", encoding="utf-8")
    with pytest.raises(CourseError, match="no operator of needle ran"):
        measured([str(tmp_path / "empty.py")])
