"""The comparator: total, reflexive, symmetric in structure, exact at its edges."""

import datetime as dt
import math

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mugrade.compare import MISSING, OK, Tolerance, Verdict, compare
from mugrade.encoding import ARRAY_DTYPES, Array, TypeName, decode, encode
from mugrade.server.services import inspection
from mugrade.server.services.sealed import seal, unseal_tree

arrays = hnp.arrays(
    dtype=st.sampled_from(sorted(ARRAY_DTYPES)),
    shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
)
decoded_arrays = st.builds(
    lambda a, declared: Array(a, a.dtype.name if declared else None, declared),
    arrays,
    st.booleans(),
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=3)
    | st.datetimes()
    | st.sampled_from([TypeName("float32"), TypeName("int8"), "float32"])
    | decoded_arrays,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=6,
)
tolerances = st.builds(
    Tolerance,
    rtol=st.sampled_from([0.0, 1e-5, 1.0]),
    ascale=st.sampled_from([0.0, 1e-6, 1.0]),
    atol=st.sampled_from([0.0, 1e-8, 1e300]),
    dtype=st.booleans(),
)
STRUCTURAL = {"length", "type", "shape", "dtype", "non-finite"}


def verdict(expected, claim, **tolerance):
    return compare(decode(encode(expected)), decode(encode(claim)), Tolerance(**tolerance)).kind


@given(values, values, tolerances)
def test_total_and_symmetric_in_structure(r, v, tolerance):
    there, back = compare(r, v, tolerance), compare(v, r, tolerance)
    assert isinstance(there, Verdict)
    assert {there.kind} & STRUCTURAL == {back.kind} & STRUCTURAL
    assert (there.submitted_shape, there.expected_shape) == (
        back.expected_shape,
        back.submitted_shape,
    )


@given(values, tolerances)
def test_reflexive(value, tolerance):
    assert compare(value, value, tolerance) == OK


@given(
    hnp.arrays(np.float64, hnp.array_shapes(max_dims=2), elements=st.floats(-1e6, 1e6)), st.data()
)
def test_tolerance_edge(r, data):
    """Just inside passes and just outside fails, at the element that the strategy picks."""
    index = data.draw(st.tuples(*(st.integers(0, n - 1) for n in r.shape)))
    allowed = 1e-5 * abs(r[index]) + 1e-6 * np.abs(r).max() + 1e-9
    for factor, kind in ((0.99, "ok"), (1.01, "values")):
        v = r.copy()
        v[index] += factor * allowed
        if abs(v[index] - r[index]) > 1.001 * allowed or factor < 1:
            assert verdict(r, v, atol=1e-9) == kind


def test_a_learning_rate_one_percent_wrong_is_seen_where_a_loose_tolerance_would_not():
    r = np.array([3.0])
    assert verdict(r, r * (1 + 5e-5)) == "values"
    assert verdict(r, r * (1 + 5e-5), rtol=1e-4) == "ok"
    assert verdict(r, r.astype(np.float32) * np.float32(1 + 5e-7)) == "ok"


def test_small_elements_are_judged_by_the_largest():
    r = np.array([1000.0, 0.0])
    assert verdict(r, np.array([1000.0, 9e-4])) == "ok"
    assert verdict(r, np.array([1000.0, 2e-3])) == "values"
    assert verdict(r, np.array([1000.0, 9e-4]), ascale=0) == "values"


@pytest.mark.parametrize(
    "expected, claim, kind",
    [
        ([1, 2], [1, 2, 3], "length"),
        ([1, "a"], ["a"], "length"),
        ({"a": 1}, {"b": 1}, "type"),
        ({"a": 1}, {"a": 1, "b": 1}, "length"),
        ([1, 2], np.array([1, 2]), "type"),
        (1, True, "type"),
        (True, 1.0, "type"),
        (np.array([True]), np.array([1]), "type"),
        (1, "1", "type"),
        (None, 0, "type"),
        (None, None, "ok"),
        (3, 3.0, "ok"),
        (3.0, 3, "ok"),
        (3, 3.0000001, "values"),
        (2**53 + 1, float(2**53), "values"),
        (2**63, 2**63, "ok"),
        (np.array([2**63], dtype=np.uint64), np.array([-(2**63)]), "values"),
        (np.array([-1]), np.array([2**64 - 1], dtype=np.uint64), "values"),
        (np.ones((2, 1)), np.ones((1, 2)), "shape"),
        (np.ones((2, 1)), np.ones(2), "shape"),
        (np.ones((3, 0)), np.ones((0, 3)), "shape"),
        (np.ones(()), 1.0, "ok"),
        (np.ones(1), 1.0, "shape"),
        (np.array([np.nan, 1]), np.array([np.nan, 1]), "ok"),
        (np.array([np.nan, 1]), np.array([1, np.nan]), "non-finite"),
        (np.array([np.inf, 1]), np.array([-np.inf, 1]), "non-finite"),
        (np.array([np.inf, 1]), np.array([np.nan, 1]), "non-finite"),
        (np.array([1, 2]), np.array([1, np.nan]), "non-finite"),
        (math.inf, math.inf, "ok"),
        (math.inf, 1e308, "non-finite"),
        (1e308, -1e308, "values"),
        (1.7e308, 1.7e308 * (1 - 1e-6), "ok"),
        ("a", "b", "values"),
        (np.float32, np.dtype("float32"), "ok"),
        (np.float32, "float32", "ok"),
        (np.float32, np.float64, "values"),
        (np.float32, 1.0, "type"),
        (dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 1), "ok"),
        (dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 2), "values"),
        (dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc), "values"),
        ([np.ones(2), [1]], [np.ones(3), [1, 2]], "length"),
        ([np.ones(2), 1.0], [np.ones(3), 2.0], "shape"),
    ],
)
def test_kinds(expected, claim, kind):
    assert verdict(expected, claim) == kind


def test_a_signalling_nan_is_a_nan_and_warns_nobody():
    """As memory that a program never wrote may hold; this suite makes errors of warnings."""
    bits = np.array([0x7FA00000, 0x3F800000], dtype=np.uint32)
    claim = decode(encode(bits.view(np.float32)))
    right = decode(encode(np.array([np.nan, 1.0], dtype=np.float32)))
    assert compare(right, claim) is OK and compare(claim, claim) is OK
    leaf = inspection.beside(right, claim, Tolerance())[0]
    assert not leaf.note
    assert unseal_tree(seal(claim, Tolerance(), None, 1)).judge(right) is OK


def test_dtype_counts_only_when_asked_and_declared():
    r, v = np.ones(3, dtype=np.float32), np.ones(3, dtype=np.float64)
    assert verdict(r, v) == "ok"
    assert verdict(r, v, dtype=True) == "dtype"
    public = decode(encode(v, public=True))
    assert compare(decode(encode(r)), public, Tolerance(dtype=True)).kind == "ok"


def test_public_form_cannot_say_what_follows_an_empty_axis():
    full = decode(encode(np.ones((0, 5))))
    assert compare(full, decode(encode(np.ones((0, 5)), public=True))) == OK
    assert compare(full, decode(encode(np.ones((1, 5)), public=True))).kind == "shape"


def test_a_shape_verdict_shows_both_shapes_and_other_verdicts_show_nothing():
    wrong = compare(decode(encode(np.ones((2, 3)))), decode(encode(np.ones((3, 2)))))
    assert wrong == Verdict("shape", submitted_shape=(3, 2), expected_shape=(2, 3))
    for claim in (np.zeros((2, 3)), "x", np.full((2, 3), np.nan)):
        seen = compare(decode(encode(np.ones((2, 3)))), decode(encode(claim)))
        assert seen == Verdict(seen.kind)
    assert not MISSING.correct


@pytest.mark.parametrize("field", [{"rtol": -1}, {"rtol": 2}, {"atol": math.nan}, {"ascale": "x"}])
def test_senseless_tolerances_are_refused(field):
    with pytest.raises(ValueError, match="expected a number"):
        Tolerance(**field)
