"""A failing test says which slip of its oracle the program makes, and only where one alone fits."""

import re

import pytest
from test_names import run_toy

HINT = "hint: "


@pytest.fixture(scope="module")
def said():
    """{test: the hints of its failure} of the toy tests, and all that pytest printed."""
    output = run_toy("toy_slips.py", "--tb=short", "-rN")
    parts = re.split(r"^_+ (\S+) _+$", output, flags=re.M)
    hints = {
        name: re.findall(r"^E +hint: (.*)$", text, flags=re.M)
        for name, text in zip(parts[1::2], parts[2::2])
    }
    return hints, output


@pytest.mark.parametrize(
    "test, hints",
    [
        ("test_program[sums]", ["the sum is taken: the mean is asked"]),
        ("test_program[no_factor]", ["the factor 3 is missing"]),
        ("test_program[squared]", ["the factor is squared"]),
        ("test_a_plain_assert", ["they come the other way round"]),
        ("test_fits_here_and_fails_later", ["one is missing"]),
    ],
)
def test_the_slip_that_fits_is_named_and_nothing_else(said, test, hints):
    assert said[0][test] == hints


@pytest.mark.parametrize(
    "test",
    [
        "test_program[something_else]",
        "test_two_slips_that_fit_are_none",
        "test_a_slip_that_breaks_what_held",
    ],
)
def test_where_none_fits_or_two_no_slip_is_named(said, test):
    sentences = ["the sum is taken", "factor", "this or that", "twice"]
    assert not [h for h in said[0][test] for s in sentences if h.startswith(s) and "value" not in h]


def test_a_program_that_fails_only_sometimes_is_not_explained(said):
    assert "the factor 3 is missing" not in said[0]["test_program[sometimes]"]


def test_right_programs_pass_and_what_a_program_prints_is_printed_once(said):
    assert "test_program[right]" not in said[0]
    assert said[1].count("this is printed once") == 1
