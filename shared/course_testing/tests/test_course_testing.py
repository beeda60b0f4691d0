"""Each diagnosis of `assert_close` is tested by making the mistake; right results pass."""

import numpy as np
import pytest
from course_testing import (
    any_axes,
    assert_close,
    assert_directional_gradient,
    assert_gradients_close,
    assert_like,
    device_id,
    numerical_gradients,
)

RANDOM = np.random.RandomState(0)
WANTED = RANDOM.randn(6, 5)
CUBE = RANDOM.randn(3, 4, 5)
SQUARE = RANDOM.randn(4, 4)
BROKEN = WANTED.copy()
BROKEN[2, 3] = np.inf
SIGNS = np.where(np.arange(5) % 2, 1, -1)
GARBAGE = WANTED.copy()
GARBAGE[1, 1] = 4.3e32
LAST_ROWS = WANTED.copy()
LAST_ROWS[4:] += 0.5
POSITIVE = RANDOM.rand(4, 3) + 0.5


def failure(actual, desired, **options):
    with pytest.raises(AssertionError) as caught:
        assert_close(actual, desired, **options)
    return str(caught.value)


MISTAKES = {
    "transposed shape": (WANTED.T, WANTED, "transpose of the expected"),
    "transposed square": (SQUARE.T, SQUARE, "transpose of the expected"),
    "axes in another order": (CUBE.transpose(1, 0, 2), CUBE, "another order"),
    "last axes swapped": (CUBE[:, :, :4].swapaxes(1, 2), CUBE[:, :, :4], "last two axes"),
    "flipped rows": (WANTED[::-1], WANTED, "axis 0 of the expected value is reversed"),
    "flipped columns": (WANTED[:, ::-1], WANTED, "axis 1 of the expected value is reversed"),
    "flipped everywhere": (WANTED[::-1, ::-1], WANTED, "all axes"),
    "negated": (-WANTED, WANTED, "negated"),
    "negated number": (-0.3, 0.3, "negated"),
    "twice": (2 * WANTED, WANTED, "twice the expected value"),
    "twice a number": (0.6, 0.3, "twice the expected value"),
    "half": (WANTED / 2, WANTED, "half the expected value"),
    "some multiple": (0.37 * WANTED, WANTED, "0.37 times the expected value"),
    "sum instead of mean": (6 * WANTED, WANTED, "a sum where a mean is asked"),
    "mean instead of sum": (WANTED / 6, WANTED, "a mean where a sum is asked"),
    "sum of a number": (7 * 0.3, 0.3, "a sum where a mean is asked"),
    "not summed over the broadcast axis": (WANTED, WANTED.sum(0, keepdims=True), "not summed over"),
    "axis not reduced": (WANTED, WANTED.sum(axis=1), "not summed over axis (1,)"),
    "broadcast and not reduced": (np.ones((6, 5)), np.full((1, 5), 3.0), "broadcast shape (6, 5)"),
    "reduced too far": (WANTED.sum(0), WANTED, "reduced too far"),
    "keepdims forgotten": (WANTED.sum(0), WANTED.sum(0, keepdims=True), "keepdims"),
    "reshape missing": (WANTED.ravel(), WANTED, "reshape"),
    "off by a constant": (WANTED + 0.25, WANTED, "off by a constant: +0.25"),
    "nearly right": (WANTED * (1 + 3e-5 * SIGNS), WANTED, "right to about four digits"),
    "NaN": (WANTED * np.nan, WANTED, "NaN"),
    "infinity": (BROKEN, WANTED, "overflow"),
    "all zeros": (np.zeros_like(WANTED), WANTED, "every entry is 0"),
    "uninitialized": (GARBAGE, WANTED, "never initialized"),
    "subnormal rubbish": (np.full((2, 2), 1e-41), np.ones((2, 2)), "never initialized"),
    "permuted rows": (WANTED[[1, 0, 2, 5, 4, 3]], WANTED, "rows are permuted"),
    "shifted": (np.roll(WANTED, 1, axis=1), WANTED, "shifted by one along axis 1"),
    "column by column": (WANTED.ravel(order="F").reshape(6, 5), WANTED, "column by column"),
    "shuffled entries": (RANDOM.permutation(WANTED.ravel()).reshape(6, 5), WANTED, "other places"),
    "some signs": (WANTED * SIGNS, WANTED, "the sign is wrong in some"),
    "integers": (WANTED.astype(int), WANTED, "integer type"),
    "squared": (POSITIVE**2, POSITIVE, "square root missing"),
    "square root": (POSITIVE**0.5, POSITIVE, "is a square missing"),
    "upside down": (1 / POSITIVE, POSITIVE, "exchanged"),
    "exp": (np.exp(WANTED), WANTED, "is a logarithm missing"),
    "log": (np.log(POSITIVE), POSITIVE, "is an exp missing"),
    "accumulator not reset": (np.cumsum(WANTED, 0), WANTED, "reset the accumulator"),
    "summed and broadcast back": (
        np.broadcast_to(POSITIVE.sum(0), POSITIVE.shape),
        POSITIVE,
        "every entry is the sum",
    ),
    "the last rows": (LAST_ROWS, WANTED, "only the end of axis 0 is wrong, from 4 on"),
    "the first rows": (LAST_ROWS[::-1], WANTED[::-1], "only the start of axis 0"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_known_mistake_is_named(mistake):
    actual, desired, words = MISTAKES[mistake]
    assert words in failure(actual, desired)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_right_result_passes(mistake):
    desired = np.asarray(MISTAKES[mistake][1])
    assert_close(desired.astype(np.float32), desired, dtype="float32")
    assert_close(desired.tolist(), desired)


def test_every_mistake_of_the_list_gives_one_hint_only():
    for actual, desired, _ in MISTAKES.values():
        assert failure(actual, desired).count("hint:") == 1


def test_the_report_shows_problem_op_shapes_types_and_first_wrong_entry():
    wrong = WANTED.copy()
    wrong[3, 2] += 1
    text = failure(
        wrong.astype(np.float32), WANTED, problem="hw1/backward", op="EWiseDiv", dtype="float32"
    )
    assert text.startswith("hw1/backward: EWiseDiv: wrong values")
    assert "got       shape (6, 5), float32" in text
    assert "first difference at index (3, 2): got " in text
    assert f"expected {WANTED[3, 2]:.9g}" in text
    assert "1 of 30 entries differ" in text


def test_an_unknown_mistake_gets_no_invented_hint():
    assert "hint" not in failure(RANDOM.randn(6, 5), WANTED)


def test_float64_is_refused_where_float32_is_asked():
    text = failure(WANTED, WANTED, dtype="float32")
    assert "wrong type" in text and "some step left float32" in text


def test_an_integer_result_is_refused_where_a_float_is_asked():
    assert "integer type" in failure(np.arange(3), np.arange(3), dtype="float32")


def test_wrong_values_and_wrong_type_are_both_reported():
    text = failure(2 * WANTED, WANTED, dtype="float32")
    assert "twice" in text and "some step left float32" in text


def test_the_type_is_not_looked_at_unless_asked():
    assert_close(np.float32(1.5), 1.5)


def test_a_given_length_explains_the_factor_of_a_number():
    assert "50 times" in failure(50 * 0.7, 0.7, lengths=(50, 10))
    assert "divided by 10" in failure(0.07, 0.7, lengths=(50, 10))


def test_whole_numbers_are_compared_exactly():
    assert_close([5, 0, 4], [5, 0, 4])
    failure([5, 0, 5], [5, 0, 4])
    failure([10**8 + 1], [10**8])


def test_the_default_tolerance_passes_float32_rounding_and_no_more():
    assert_close((WANTED * (1 + 3e-7)).astype(np.float32), WANTED)
    failure(WANTED * (1 + 1e-4), WANTED)


def test_the_tolerance_grows_with_the_number_of_terms():
    failure(WANTED * (1 + 3e-5), WANTED)
    assert_close(WANTED * (1 + 3e-5), WANTED, terms=1000)


def test_equal_nans_and_infinities_are_equal():
    assert_close([np.nan, np.inf, 1.0], [np.nan, np.inf, 1.0])
    failure([np.nan, -np.inf, 1.0], [np.nan, np.inf, 1.0])


def test_a_missing_result_is_an_assertion_error():
    assert "is a `return` missing" in failure(None, 1.0)
    assert "is a `return` missing" in failure(None, WANTED)
    assert "not numbers" in failure("three", 3.0)


def test_empty_arrays_are_compared():
    assert_close(np.zeros((0, 3)), np.zeros((0, 3)))
    assert "wrong shape" in failure(np.zeros((0, 3)), WANTED)


@pytest.mark.parametrize(
    "named, head",
    [
        ({}, "result: wrong values"),
        ({"op": "exp"}, "exp: wrong values"),
        ({"problem": "hw0/softmax_loss"}, "hw0/softmax_loss: wrong values"),
        ({"problem": "hw1/forward", "op": "exp"}, "hw1/forward: exp: wrong values"),
    ],
)
def test_a_failure_is_headed_by_problem_and_operator(named, head):
    assert failure(WANTED + 1, WANTED, **named).splitlines()[0] == head


def test_objects_with_a_numpy_method_are_asked_for_it():
    class Tensor:
        def numpy(self):
            return WANTED

    assert_close(Tensor(), WANTED)


def test_assert_like_checks_shape_and_type_only():
    assert_like(WANTED.astype("float32"), (6, 5), "float32")
    with pytest.raises(AssertionError, match="wrong shape"):
        assert_like(WANTED, (5, 5))
    with pytest.raises(AssertionError, match="wrong type"):
        assert_like(WANTED, (6, 5), "float32")


# ------------------------------------------------------------------------------------- gradients

A, B = RANDOM.randn(3, 4) * 0.3, RANDOM.randn(4, 2) * 0.3
WEIGHTS = RANDOM.randn(3, 2)


def function(a, b):
    return np.exp(a @ b)


def right_gradients(a, b, weights):
    inner = weights * np.exp(a @ b)
    return [inner @ b.T, a.T @ inner]


def test_numerical_gradients_agree_with_the_formula():
    measured = numerical_gradients(function, [A, B], WEIGHTS)
    for got, wanted in zip(measured, right_gradients(A, B, WEIGHTS), strict=True):
        assert_close(got, wanted, rtol=1e-7)


def test_numerical_gradients_leave_their_inputs_alone():
    a, b = A.copy(), B.copy()
    numerical_gradients(function, [a, b])
    np.testing.assert_array_equal(a, A)
    np.testing.assert_array_equal(b, B)


@pytest.mark.parametrize("check", [assert_gradients_close, assert_directional_gradient])
def test_right_gradients_pass_in_float32_too(check):
    gradients = [g.astype(np.float32) for g in right_gradients(A, B, WEIGHTS)]
    check(function, [A, B], gradients, weights=WEIGHTS, dtype="float32")


@pytest.mark.parametrize("check", [assert_gradients_close, assert_directional_gradient])
@pytest.mark.parametrize("factor", [-1, 2, 1.01])
def test_wrong_gradients_fail(check, factor):
    first, second = right_gradients(A, B, WEIGHTS)
    with pytest.raises(AssertionError):
        check(function, [A, B], [first, factor * second], weights=WEIGHTS)


@pytest.mark.parametrize("check", [assert_gradients_close, assert_directional_gradient])
def test_a_gradient_of_the_wrong_shape_or_type_fails(check):
    first, second = right_gradients(A, B, WEIGHTS)
    with pytest.raises(AssertionError, match="wrong shape"):
        check(function, [A, B], [first[:1], second], weights=WEIGHTS)
    with pytest.raises(AssertionError, match="float64"):
        check(function, [A, B], [first, second], weights=WEIGHTS, dtype="float32")


def test_device_ids_are_names():
    class Device:
        name = "cpu_numpy"

    class Bare:
        def __repr__(self):
            return "cuda()"

    assert [device_id(Device()), device_id(Bare())] == ["cpu_numpy", "cuda"]


def test_an_int_that_was_taken_for_a_tuple_of_axes_is_told_so():
    told = "^hw1/forward: sum: 'int' object is not iterable: axes are an int, a tuple or None$"
    with pytest.raises(AssertionError, match=told), any_axes("hw1/forward", "sum"):
        tuple(1)
    with pytest.raises(TypeError, match="unsupported"), any_axes("hw1/forward", "sum"):
        sum(["number"])
