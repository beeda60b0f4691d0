"""A device is a table: one way to ask what it can; and one file knows which array library it is."""

import ast
from pathlib import Path

import needle as ndl
import numpy as np
import pytest
from needle import backend_ndarray as nd

NEEDLE = Path(ndl.__file__).parent


def test_a_device_tells_what_it_can_and_answers_none_otherwise():
    assert ndl.cpu().kernel("matmul", views=True) is not None
    assert ndl.cpu_numpy().kernel("matmul") is not None
    assert ndl.cpu_numpy().kernel("matmul", views=True) is None
    assert ndl.cpu().kernel("no such kernel") is None


def test_a_kernel_given_to_a_device_is_the_one_that_works(monkeypatch):
    device, seen = ndl.cpu(), []
    table, compiled = dict(device._table), device.kernel("ewise_add", views=True)
    monkeypatch.setattr(device, "_table", table)
    device.add_kernel("ewise_add_views", lambda *given: (seen.append(1), compiled(*given)))
    a = nd.array(np.arange(6.0).reshape(2, 3), device=device).permute((1, 0))
    assert np.array_equal((a + a).numpy(), 2 * a.numpy())
    assert seen == [1]


@pytest.mark.parametrize("name", ["add", "sub", "mul", "truediv", "eq", "ge"])
def test_a_view_goes_to_the_kernel_for_views_where_there_is_one(name, monkeypatch):
    device, seen = ndl.cpu(), []
    key = "ewise_" + {"truediv": "div"}.get(name, name)
    compiled = device.kernel(key, views=True)
    spy = lambda *given: (seen.append(1), compiled(*given))
    monkeypatch.setattr(device, "_table", {**device._table, key + "_views": spy})
    a = nd.array(np.arange(1.0, 7).reshape(2, 3), device=device).permute((1, 0))
    method = f"__{name}__"
    assert np.allclose(getattr(a, method)(a).numpy(), getattr(a.numpy(), method)(a.numpy()))
    assert seen == [1]


def test_one_file_asks_which_array_library_it_is():
    asking = [p.name for p in NEEDLE.rglob("*.py") if "BACKEND ==" in p.read_text("utf-8")]
    assert asking == ["backend_selection.py"]


def imports_of(file, names):
    """Which of its neighbours `names` a file imports, anywhere in it."""
    tree = ast.parse((NEEDLE / "backend_ndarray" / f"{file}.py").read_text("utf-8"))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            found |= {node.module} if node.module else {alias.name for alias in node.names}
    return found & names


def test_device_functions_and_ndarray_import_in_one_direction():
    names = {"device", "functions", "ndarray"}
    assert imports_of("device", names) == set()
    assert imports_of("ndarray", names) == {"device"}
    assert imports_of("functions", names) == {"device", "ndarray"}


def test_the_functions_are_found_beside_ndarray_as_in_the_public_course():
    from needle.backend_ndarray import ndarray

    assert ndarray.array is nd.array and ndarray.sum is nd.sum
    with pytest.raises(AttributeError):
        _ = ndarray.nothing
