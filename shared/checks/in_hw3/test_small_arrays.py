"""What an operation on a small array costs besides its arithmetic: calls, buffers and copies, counted.

The clock's side of it is the table "Overhead" of `hw bench hw3`.
"""

import sys

import numpy as np
import pytest
from needle import backend_ndarray as nd
from needle.backend_ndarray import ndarray

A = nd.array(np.arange(1024.0).reshape(32, 32))
ROW = A[3, :]

# Functions of Python that run in one operation, itself included. What is remembered of a shape the first
# time (its strides, how it is broadcast or reduced) is not worked out again.
CALLS = {
    "a + a": (lambda: A + A, 3),
    "a * 2": (lambda: A * 2.0, 6),
    "exp": (lambda: A.exp(), 4),
    "a row added to all": (lambda: A + ROW.broadcast_to(A.shape), 5),
    "broadcast_to": (lambda: ROW.broadcast_to((4, 32, 32)), 2),
    "a slice": (lambda: A[1:3, :], 6),
    "sum of rows": (lambda: A.sum(axis=1), 8),
}


def python_calls(function):
    """Names of the functions of Python that run in `function`, when it runs a second time."""
    function()
    names = []

    def watch(frame, event, argument):
        if event == "call":
            names.append(frame.f_code.co_name)

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        function()
    finally:
        sys.setprofile(before)
    return names[1:]  # without `function` itself


@pytest.mark.parametrize("name", CALLS)
def test_an_operation_is_a_handful_of_calls(name):
    operation, most = CALLS[name]
    names = python_calls(operation)
    assert len(names) <= most, names


@pytest.fixture
def work(monkeypatch):
    """How many buffers are made, and which kernels run."""
    seen, device = [], nd.cpu()

    def spy(name, function):
        return lambda *given: (seen.append(name), function(*given))[1]

    for name in ("Array", "compact"):
        monkeypatch.setattr(device, name, spy(name, getattr(device, name)))
    table = {name: spy(name, kernel) for name, kernel in device._table.items() if callable(kernel)}
    monkeypatch.setattr(device, "_table", table)
    return seen


def test_a_row_is_added_to_all_where_it_lies(work):
    a, rows = A + 0.0, A[3:4, :].broadcast_to((32, 32))
    work.clear()
    total = a + rows
    assert work == ["Array", "ewise_add_views"]
    assert np.array_equal(total.numpy(), a.numpy() + A.numpy()[3])


@pytest.mark.parametrize("rows", [slice(None), slice(0, 31), slice(1, 32)], ids=str)
def test_only_what_fills_its_buffer_goes_to_the_kernel_for_compact_arrays(work, rows):
    part, same = A[rows, :], nd.array(A.numpy()[rows])
    work.clear()
    total = part + same
    assert work == ["Array", "ewise_add" if rows == slice(None) else "ewise_add_views"]
    assert np.array_equal(total.numpy(), 2 * same.numpy())


def test_an_operator_of_no_elements_or_one_has_its_shape():
    for shape in [(0, 3), (3, 0, 2), (), (1,), (1, 1)]:
        a = nd.array(np.full(shape, 2.0))
        for result in (a + a, a * 2, a - a.permute(range(len(shape))), a >= a):
            assert result.shape == shape and result.strides == nd.NDArray.compact_strides(shape)


def test_what_is_remembered_of_shapes_does_not_grow_for_ever():
    """A training on sequences of ever new lengths, say."""
    known = [ndarray._layout, ndarray._broadcast, ndarray._reduction]
    for n in range(10_000):
        a = nd.empty((n % 100, n // 100))
        a.broadcast_to((1, *a.shape))
    sizes = [len(known[0]), *[cache.cache_info().currsize for cache in known[1:]]]
    assert max(sizes) <= 4096, sizes
    assert nd.empty((7, 3)).strides == (3, 1)


# --------------------------------------------------------------------- how a kernel is called


@pytest.mark.parametrize(
    "shape", [(2, 3), [2, 3], (np.int64(2), 3), range(2, 4), np.array([2, 3])], ids=str
)
def test_a_kernel_takes_any_sequence_of_ints_as_a_shape(shape):
    d, turned = nd.cpu(), nd.cpu().Array(6)
    d.compact(nd.array(np.arange(6.0))._handle, turned, shape, (1, 2), 0)
    assert d.to_numpy(turned, (6,), (1,), 0).tolist() == [0, 2, 4, 1, 3, 5]


@pytest.mark.parametrize("shape", [6, None, "23", (2.0, 3), (2, None), (2, 2**70)], ids=str)
def test_a_kernel_refuses_what_is_no_shape(shape):
    d = nd.cpu()
    with pytest.raises(TypeError, match="incompatible function arguments"):
        d.compact(d.Array(6), d.Array(6), shape, (3, 1), 0)


def test_a_kernel_counts_its_arguments_and_wants_them_in_order():
    d, a = nd.cpu(), nd.cpu().Array(6)
    for given, names in [((), {}), ((a, a), {}), ((a, a, a, a), {}), ((a, a), {"out": a})]:
        with pytest.raises(TypeError, match="ewise_add"):
            d.ewise_add(*given, **names)
    with pytest.raises(ValueError, match="ewise_add: arrays of 6 and 7 elements"):
        d.ewise_add(a, a, d.Array(7))
