"""An oracle with slips, and programs that make some of them; run by test_slips.py."""

import numpy as np
import pytest
from course_testing import assert_close, slip


def oracle(x):
    mean = slip("the sum is taken: the mean is asked", x.mean(), x.sum())
    scale = slip("the factor 3 is missing", 3.0, 1.0)
    scale = slip("the factor is squared", scale, lambda: 9.0)
    return scale * (x - mean)


def right(x):
    return 3 * (x - x.mean())


def sums(x):
    print("this is printed once")
    return 3 * (x - x.sum())


def no_factor(x):
    return x - x.mean()


def squared(x):
    return 9 * (x - x.mean())


def something_else(x):
    return np.sin(x)


calls = []


def sometimes(x):
    calls.append(1)
    return right(x) if len(calls) > 1 else no_factor(x)


PROGRAMS = [right, sums, no_factor, squared, something_else, sometimes]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_program(program):
    x = np.array([1.0, 2.0, 6.0])
    assert_close(program(x), oracle(x), problem="hw0/toy")


def test_two_slips_that_fit_are_none():
    x = np.array([1.0, 2.0])
    wanted = slip("this or that: this", x + 1, x)
    assert_close(x, slip("this or that: that", wanted, x))


def test_a_plain_assert():
    wanted = slip("they come the other way round", [1, 2], [2, 1])
    assert wanted == [2, 1], "hw0/toy: the order is wrong"


def test_fits_here_and_fails_later():
    x = np.array([1.0, 2.0])
    assert_close(x, slip("one is missing", x + 1, x))
    raise ValueError("something else is wrong too")


def test_a_slip_that_breaks_what_held():
    x = np.array([1.0, 2.0])
    wanted = slip("twice", x, 2 * x)
    assert_close(x, wanted)
    assert_close(2 * x, wanted)
