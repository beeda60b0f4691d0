"""Homeworks 1 and 2 beyond the students' tests: tuples, files, copies, budget.

needle cannot be imported twice into one process, so each check is a small script that runs inside
the solved tree of its homework.
"""

import os
import subprocess
import sys

import pytest
from coursekit.staff import count

START = """
import sys
sys.path[:0] = ["./python", "./apps", "./tests"]
import numpy as np
from course_testing import assert_close
import needle as ndl
from needle import nn, optim
"""


def run(tree, script, *arguments):
    """Run a script in a tree; it must end well."""
    env = {**os.environ, "NEEDLE_BACKEND": "np", "PYTHONPATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", START + script, *map(str, arguments)],
        cwd=tree,
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "Exception ignored" not in done.stderr, done.stderr
    return done.stdout


@pytest.fixture
def hw2(solved):
    return solved / "hw2"


def test_needle_of_homeworks_1_and_2_stays_under_1300_lines(solved):
    files = sorted((solved / "hw2" / "python" / "needle").rglob("*.py"))
    assert sum(count.count(path.read_text(encoding="utf-8")) for path in files) < 1300


def test_tuples_have_gradients_and_can_be_iterated(hw2):
    run(
        hw2,
        """
x = ndl.Tensor([1.0, 2.0])
for lazy in (False, True):
    ndl.autograd.LAZY_MODE = lazy
    pair = ndl.ops.fused_add_scalars(x, 1, 2)
    assert len(pair) == 2 and len(list(pair)) == 2 and isinstance(pair, ndl.TensorTuple)
    (pair[0] * pair[1]).sum().backward()
    assert_close(x.grad, np.array([5.0, 7.0]))
    assert isinstance(pair.grad, ndl.TensorTuple)
    (x.grad * x).sum().backward()
    assert_close(x.grad, np.array([7.0, 11.0]))
ndl.autograd.LAZY_MODE = False
made = ndl.ops.make_tuple(x, x * 2)
assert made[0] is x and made.tuple()[1].shape == (2,)
total = made + pair
assert_close(total[1], np.array([5.0, 8.0]))
(made.detach()[1] * x).sum().backward()
assert_close(x.grad, np.array([2.0, 4.0]))
assert "TensorTuple" in repr(made)
""",
    )


def test_tensors_can_be_copied_and_pickled(hw2):
    run(
        hw2,
        """
import copy, pickle
model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
    assert [type(p) for p in other.parameters()] == [nn.Parameter] * 4
    assert all(p.requires_grad for p in other.parameters())
    other.parameters()[0].data = ndl.init.zeros(3, 2)
    assert model.parameters()[0].numpy().any()
""",
    )


def test_the_counter_counts_only_values_that_came_to_life(hw2):
    run(
        hw2,
        """
import gc
gc.disable()
before = ndl.autograd.TENSOR_COUNTER
for wrong in (lambda: ndl.Tensor([[1.0], [1.0, 2.0]]), lambda: ndl.Tensor(), lambda: ndl.ops.add(1, 2)):
    try:
        wrong()
    except (ValueError, TypeError):
        pass
    else:
        raise AssertionError("no error")
assert ndl.autograd.TENSOR_COUNTER == before
y = ndl.Tensor([1.0])
for _ in range(100_000):
    y = y + 1
y.backward()
del y, wrong
assert ndl.autograd.TENSOR_COUNTER == before
late = ndl.Tensor([1.0]) * 2
""",
    )


def test_a_node_without_data_says_so(hw2):
    run(
        hw2,
        """
value = ndl.Tensor([1.0])
value.cached_data = None
try:
    value + 1
except RuntimeError as error:
    assert "never computed" in str(error)
else:
    raise AssertionError("no error")
""",
    )


def test_shared_parameters_are_listed_once(hw2):
    run(
        hw2,
        """
shared = nn.Linear(3, 3)
model = nn.Sequential(shared, nn.ReLU(), shared)
assert len(model.parameters()) == 2
""",
    )


def test_saved_states_are_read_by_the_safetensors_library_and_theirs_by_us(hw2, tmp_path):
    run(
        hw2,
        """
from safetensors.numpy import load_file, save_file
model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
model(ndl.Tensor(np.random.randn(4, 3), dtype="float32"))
path = sys.argv[1]
nn.save(model, path)
theirs = load_file(path)
state = model.state_dict()
assert list(sorted(theirs)) == sorted(state) and "modules.1.running_var" in theirs
for name, value in state.items():
    assert_close(theirs[name], value, dtype="float32")
arrays = {"a": np.arange(6, dtype="int64").reshape(2, 3), "b": np.array(True), "c": np.zeros((0, 2))}
save_file(arrays, path, metadata={"format": "np"})
for name, value in nn.load(path).items():
    assert value.dtype == arrays[name].dtype and (value == arrays[name]).all()
nn.save(arrays, path)
assert load_file(path)["a"].tolist() == arrays["a"].tolist()
""",
        tmp_path / "state.safetensors",
    )


def test_loading_a_wrong_state_names_the_parameter_and_changes_nothing(hw2, tmp_path):
    run(
        hw2,
        """
model = nn.Sequential(nn.Linear(3, 2))
good = model.state_dict()
before = good["modules.0.weight"].numpy()

def refused(state, word, kind):
    try:
        model.load_state_dict(state)
    except kind as error:
        assert word in str(error), error
    else:
        raise AssertionError("no error")
    assert_close(model.modules[0].weight, before)

zeros = {name: value * 0 for name, value in good.items()}
refused({**zeros, "modules.0.bias": ndl.init.zeros(2, 1)}, "modules.0.bias", ValueError)
refused({"modules.0.weight": zeros["modules.0.weight"]}, "modules.0.bias", KeyError)
refused({**zeros, "extra": zeros["modules.0.bias"]}, "extra", KeyError)
path = sys.argv[1]
nn.save(model, path)
open(path, "r+b").truncate(60)
try:
    nn.load(path)
except ValueError as error:
    assert path in str(error)
else:
    raise AssertionError("no error")
""",
        tmp_path / "state.safetensors",
    )
