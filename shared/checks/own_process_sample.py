"""Three tests that test_inside.py runs in a process of their own."""

import os

import pytest


def test_passes_with_its_variable():
    assert os.environ["NEEDLE_SAMPLE"] == "here"


def test_fails():
    assert 2 == 3


def test_skips():
    pytest.skip("a skip in there must not count as passed out here")
