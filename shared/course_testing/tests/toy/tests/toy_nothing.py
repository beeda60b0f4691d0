"""Programs that return nothing: the functions here are a student's."""

import pytest


class Array:
    _handle = 0

    def __init__(self, returns=False):
        self.returns = returns

    def compact(self):
        if self.returns:
            return self

    def __getitem__(self, index):
        if self.returns:
            return self

    def kernel(self):
        return self.compact()._handle

    def __matmul__(self, other):
        check(other)


def check(other):
    return other._device


def test_a_method():
    Array().kernel()


def test_a_slice():
    assert Array()[1:, 2]._handle == 0


def test_a_variable():
    view = Array()
    view = view[3]
    assert view._handle == 0


def test_an_operand():
    Array(returns=True) @ Array()[5:]


def test_an_argument():
    check(Array().compact())


def test_an_item_of_nothing():
    Array().compact()[0]


class Node:
    grad = None


def test_a_value_that_no_function_gave():
    Node().grad.numpy()


def test_an_expected_error():
    with pytest.raises(AttributeError):
        Array().kernel()
