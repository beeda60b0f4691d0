"""None where an array is wanted: the message names the function that did not return."""

import re

import pytest
from test_names import run_toy


@pytest.fixture(scope="module")
def said():
    """{test: the line of its failure} of the toy tests."""
    output = run_toy("toy_nothing.py", "--tb=short", "-rN")
    parts = re.split(r"^_+ (\S+) _+$", output, flags=re.M)
    return {
        name: re.findall(r"^E +(.*)$", text, flags=re.M)[-1]
        for name, text in zip(parts[1::2], parts[2::2])
    }


@pytest.mark.parametrize(
    "test, call, function, python",
    [
        ("test_a_method", "self.compact()", "compact", "has no attribute '_handle'"),
        ("test_a_slice", "Array()[1:, 2]", "__getitem__", "has no attribute '_handle'"),
        ("test_a_variable", "view[3]", "__getitem__", "has no attribute '_handle'"),
        ("test_an_operand", "Array()[5:]", "__getitem__", "has no attribute '_device'"),
        ("test_an_argument", "Array().compact()", "compact", "has no attribute '_device'"),
        ("test_an_item_of_nothing", "Array().compact()", "compact", "is not subscriptable"),
    ],
)
def test_the_function_that_returned_nothing_is_named(said, test, call, function, python):
    kind = "TypeError" if "subscriptable" in python else "AttributeError"
    assert said[test] == (
        f"{kind}: `{call}` is None: does `{function}` return its result? "
        f"('NoneType' object {python})"
    )


def test_what_no_function_gave_is_told_in_pythons_words(said):
    message = "AttributeError: 'NoneType' object has no attribute 'numpy'"
    assert said["test_a_value_that_no_function_gave"] == message
    assert "test_an_expected_error" not in said
