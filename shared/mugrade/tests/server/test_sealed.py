"""Sealed answers: what is within the tolerance always passes, what is far off does not, nothing reads."""

from __future__ import annotations

import base64
import json

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from mugrade.compare import Tolerance, compare
from mugrade.encoding import EncodingError, decode, encode
from mugrade.server.services.sealed import seal, unseal_tree

from .test_compare import tolerances, values

DEFAULT = Tolerance()


def sealed(value, tolerance=DEFAULT, salt=None):
    return unseal_tree(json.loads(json.dumps(seal(decode(encode(value)), tolerance, salt))))


def verdict(expected, claim, tolerance=DEFAULT):
    return compare(sealed(expected, tolerance), decode(encode(claim))).kind


@given(values, values, tolerances)
def test_total_and_never_stricter_than_the_comparator(r, v, tolerance):
    assume(tolerance.rtol <= 0.1)
    tree = unseal_tree(seal(r, tolerance))
    open_verdict, sealed_verdict = compare(r, v, tolerance), compare(tree, v)
    if open_verdict.correct:
        assert sealed_verdict.correct
    elif open_verdict.kind in ("length", "type", "shape", "dtype"):
        assert sealed_verdict == open_verdict


floats = hnp.arrays(np.float64, hnp.array_shapes(max_dims=2), elements=st.floats(-1e3, 1e3))


@given(floats, st.data())
def test_within_one_tolerance_passes_and_beyond_eight_fails(r, data):
    assume(np.abs(r).max() > 1e-3)
    index = data.draw(st.tuples(*(st.integers(0, n - 1) for n in r.shape)))
    allowed = 1e-5 * abs(r[index]) + 1e-6 * np.abs(r).max()
    sign = data.draw(st.sampled_from([-1, 1]))
    tree = sealed(r, salt=b"0123456789abcdef")
    for factor, correct in ((0.99, True), (8.0, False)):
        v = r.copy()
        v[index] += sign * factor * allowed
        assert compare(tree, decode(encode(v))).correct == correct


def test_a_learning_rate_one_percent_wrong_fails():
    r = np.linspace(0.5, 1.5, 50)
    assert verdict(r, r * (1 + 1e-6)) == "ok"
    assert verdict(r, r * (1 + 2e-4)) == "values"
    assert verdict(1.0, 1.0 + 2e-4) == "values"


@pytest.mark.parametrize(
    "expected, claim, kind",
    [
        (7, 7, "ok"),
        (7, 7.0, "ok"),
        (7, 8, "values"),
        (7, 7.5, "values"),
        (7, True, "type"),
        (True, True, "ok"),
        ("abc", "abc", "ok"),
        ("abc", "abd", "values"),
        ("abc", 3, "type"),
        (None, None, "ok"),
        (None, 0, "type"),
        (np.float32, "float32", "ok"),
        ("float32", np.dtype("float32"), "ok"),
        (np.float32, np.float64, "values"),
        (np.arange(5), np.arange(5.0), "ok"),
        (np.zeros(3), np.zeros(3), "ok"),
        (np.zeros(3), np.array([0, 0, 1e-300]), "values"),
        (np.array([1.0, np.nan]), np.array([1.0, np.nan]), "ok"),
        (np.array([1.0, np.nan]), np.array([np.nan, 1.0]), "non-finite"),
        (np.array([1.0, np.inf]), np.array([1.0, -np.inf]), "non-finite"),
        (np.ones((2, 3)), np.ones((3, 2)), "shape"),
        ([1, {"a": 2.5}], [1, {"a": 2.5}], "ok"),
        ([1, {"a": 2.5}], [1, {"b": 2.5}], "type"),
        ([1, 2], [1], "length"),
    ],
)
def test_kinds(expected, claim, kind):
    assert verdict(expected, claim) == kind


def test_guessing_one_number_succeeds_about_never():
    """A scalar is the worst case: two cells of 65536 pass."""
    tree = sealed(0.73211, salt=b"0123456789abcdef")
    guesses = np.random.RandomState(0).rand(20_000)
    hits = sum(compare(tree, float(g)).correct and abs(g - 0.73211) > 1e-4 for g in guesses)
    assert hits <= 6  # 20000 * 2 / 65536 = 0.6 expected


def test_equal_numbers_and_equal_cases_do_not_look_equal():
    first, second = (
        seal(decode(encode(np.full(8, 0.3))), DEFAULT),
        seal(decode(encode(np.full(8, 0.3))), DEFAULT),
    )
    cells = np.frombuffer(base64.b64decode(first["tree"]["cells"]), dtype="<u2")
    assert len(set(cells.tolist())) == 8
    assert first["tree"]["cells"] != second["tree"]["cells"]


def test_loose_tolerances_and_broken_files_are_refused():
    with pytest.raises(EncodingError, match="rtol"):
        seal(1.0, Tolerance(rtol=0.5))
    for broken in ({}, {"salt": "x", "tree": 1}, {"salt": "AAAA"}, {"salt": "AAAA", "tree": None}):
        with pytest.raises(EncodingError, match="malformed"):
            unseal_tree(broken)
