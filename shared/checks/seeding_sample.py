"""A small suite that test_hw0.py puts beside a homework's conftest.py: who seeds NumPy, and when."""

import numpy as np
import pytest


@pytest.fixture
def seeded():
    np.random.seed(42)


class TestOfAClass:
    def setup_method(self):
        np.random.seed(42)

    def test_setup_method(self):
        assert np.random.rand() == np.random.RandomState(42).rand()


def test_fixture(seeded):
    assert np.random.rand() == np.random.RandomState(42).rand()


@pytest.mark.parametrize("time", range(2))
def test_nothing(time):
    assert np.random.rand() == np.random.RandomState(0).rand()
