"""What several test files of this homework share."""

import gc

import pytest


@pytest.fixture
def no_collector():
    """Python's cyclic garbage collector is off: only reference counts free memory."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()
