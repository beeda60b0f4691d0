"""Tests of a module that lacks names which this file takes from it while it is imported."""

import pytest
import toylib
from toy_table import FUNCTIONS
from toylib import Box


class Labelled(Box):
    pass


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function(name):
    function, wanted = FUNCTIONS[name]
    assert function(3) == wanted


@pytest.mark.parametrize("shape", [toylib.shapes.square, "plain"], ids=str)
def test_shape(shape):
    assert shape == "plain" or shape()


def test_box():
    Labelled(1)


def test_name_inside_a_test():
    toylib.nowhere()
