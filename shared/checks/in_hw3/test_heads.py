"""A failure in homework 3 is headed by the problem of the device under test."""

import re
from pathlib import Path

import pytest
from needle import backend_ndarray as nd

TESTS = Path(__file__).resolve().parents[3] / "hw3" / "tests" / "hw3"


@pytest.fixture
def problem_of(monkeypatch):
    monkeypatch.syspath_prepend(TESTS)
    from hw3_arrays import problem_of

    return problem_of


def test_the_head_follows_the_device(problem_of):
    assert problem_of("matmul", nd.cuda()) == "hw3/ndarray_cuda_matmul"
    assert problem_of("matmul", nd.cpu()) == "hw3/ndarray_cpu_matmul"


def test_no_test_names_a_devices_problem_by_hand():
    for path in TESTS.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not re.findall(r'problem="hw3/ndarray_c(pu|uda)_', text), path.name
        assert not re.findall(r'= "hw3/ndarray_c', text), path.name
