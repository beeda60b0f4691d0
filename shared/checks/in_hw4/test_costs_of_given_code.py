"""What the course gives costs what it must, counted in arrays, bytes and calls, never in seconds."""

import tracemalloc

import needle as ndl
import numpy as np
import pytest
from needle import init, ops
from needle.backend_ndarray import NDArray, ndarray

DEVICES = [device for device in ndl.all_devices() if device.enabled()]
on_devices = pytest.mark.parametrize("device", DEVICES, ids=repr)


@pytest.fixture
def calls(monkeypatch):
    """How often arrays are made, and how often they cross over to NumPy and back."""
    counted = {"make": 0, "numpy": 0, "from_numpy": 0}

    def count(owner, name, label):
        original = getattr(owner, name)

        def counting(*args, **kwargs):
            counted[label] += 1
            return original(*args, **kwargs)

        static = isinstance(vars(owner)[name], staticmethod)
        monkeypatch.setattr(owner, name, staticmethod(counting) if static else counting)

    count(ndarray, "_make", "make")
    count(NDArray, "_view", "make")
    count(NDArray, "numpy", "numpy")
    count(NDArray, "__init__", "from_numpy")
    return counted


@on_devices
def test_a_one_hot_matrix_takes_the_memory_of_its_rows_only(device):
    ids = ndl.Tensor(np.array([3.0, 9_999.0]), device=device, dtype="float32")
    tracemalloc.start()
    rows = init.one_hot(10_000, ids, device=device)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * rows.numpy().nbytes  # an identity matrix would be 5,000 times the result
    assert rows.numpy().argmax(axis=1).tolist() == [3, 9_999]
    assert rows.numpy().sum() == 2


@on_devices
@pytest.mark.parametrize("part_of_all", [False, True])
def test_the_gradient_of_a_tuples_parts_makes_arrays_in_proportion_to_their_number(
    device, calls, part_of_all
):
    def arrays_made(parts):
        x = ndl.Tensor(np.ones((parts, 2)), device=device, dtype="float32")
        total = None
        for part in ops.split(x, 0).tuple():
            term = (part * part).sum()
            total = term if total is None or part_of_all else total + term
        calls["make"] = 0
        total.backward()
        return calls["make"]

    ten, forty = arrays_made(10), arrays_made(40)
    assert forty <= 4.5 * ten


@on_devices
def test_parts_nobody_used_have_gradient_zero(device):
    x = ndl.Tensor(np.arange(6.0).reshape(3, 2), device=device, dtype="float32")
    parts = ops.split(x, 0)
    (parts[1] * parts[1]).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [[0, 0], [4, 6], [0, 0]])
    np.testing.assert_array_equal(parts.grad[0].numpy(), [0, 0])
    slope = x.grad
    (slope * slope).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [[0, 0], [16, 24], [0, 0]])


@on_devices
@pytest.mark.parametrize("make", [init.zeros, init.ones, init.constant], ids=lambda f: f.__name__)
def test_a_constant_never_leaves_its_device(device, calls, make):
    value = make(4, 5, device=device)
    assert (calls["numpy"], calls["from_numpy"]) == (0, 0)
    assert value.dtype == "float32" and not value.requires_grad


@on_devices
def test_a_backward_pass_never_leaves_its_device(device, calls):
    x = ndl.Tensor(np.ones((3, 4)), device=device, dtype="float32")
    y = (x * x).sum()
    calls.update(numpy=0, from_numpy=0)
    y.backward()
    assert (calls["numpy"], calls["from_numpy"]) == (0, 0)


OPERATIONS = {
    "add": lambda a: a + a,
    "multiply by a number": lambda a: a * 2.0,
    "compare": lambda a: a >= 0.5,
    "exp": lambda a: a.exp(),
    "compact": lambda a: a.permute((1, 0)).compact(),
    "product": lambda a: a @ a,
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_numpy_device_writes_results_where_they_belong(name):
    """No second array of the same size, which is then copied."""
    a = NDArray(np.ones((512, 512)), device=ndl.cpu_numpy())
    nbytes = 4 * a.size
    tracemalloc.start()
    OPERATIONS[name](a)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * nbytes
