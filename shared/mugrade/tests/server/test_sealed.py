"""Sealed answers: what is within the tolerance always passes, what is beyond two does not, and what a
guess costs. How far they can be read is measured by bench/sealed_attack.py."""

from __future__ import annotations

import json

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from mugrade.compare import Tolerance, compare
from mugrade.encoding import EncodingError, decode, encode
from mugrade.server.services import sealed as sealing
from mugrade.server.services.sealed import seal, unseal_tree

from .test_compare import tolerances, values

DEFAULT = Tolerance()
CHEAP = 1  # what a guess costs is not the subject of most tests


def sealed(value, tolerance=DEFAULT, salt=None):
    return unseal_tree(json.loads(json.dumps(seal(decode(encode(value)), tolerance, salt, CHEAP))))


def verdict(expected, claim, tolerance=DEFAULT):
    return compare(sealed(expected, tolerance), decode(encode(claim))).kind


@given(values, values, tolerances)
def test_total_and_never_stricter_than_the_comparator(r, v, tolerance):
    assume(tolerance.rtol <= 0.1)
    tree = unseal_tree(seal(r, tolerance, None, CHEAP))
    open_verdict, sealed_verdict = compare(r, v, tolerance), compare(tree, v)
    if open_verdict.correct:
        assert sealed_verdict.correct
    elif open_verdict.kind in ("length", "type", "shape", "dtype"):
        assert sealed_verdict == open_verdict


floats = hnp.arrays(np.float64, hnp.array_shapes(max_dims=2), elements=st.floats(-1e3, 1e3))


@given(floats, st.data())
def test_within_one_tolerance_passes_and_beyond_four_fails(r, data):
    """5/3 of a tolerance, whose share of the largest element can be doubled."""
    assume(np.abs(r).max() > 1e-3)
    index = data.draw(st.tuples(*(st.integers(0, n - 1) for n in r.shape)))
    allowed = 1e-5 * abs(r[index]) + 1e-6 * np.abs(r).max()
    sign = data.draw(st.sampled_from([-1, 1]))
    tree = sealed(r, salt=b"0123456789abcdef")
    for factor, correct in ((0.99, True), (4.0, False)):
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


@pytest.mark.parametrize("atol", [0.0, 1e-8])
def test_an_array_of_zeros_does_not_show(atol):
    """Neither by its facts nor by hints that are all alike."""
    zeros = seal(decode(encode(np.zeros(64))), Tolerance(atol=atol), None, CHEAP)["tree"]
    others = seal(decode(encode(np.full(64, 1.0))), Tolerance(atol=atol), None, CHEAP)["tree"]
    assert zeros.keys() == others.keys() and zeros["rtol"] == others["rtol"]
    assert len(set(sealing.hints(zeros, 64).tolist())) == sealing.WAYS


def test_every_cell_fits_the_hints_and_one_wrong_element_fails_the_case():
    """No element can be guessed by itself: of 20,000 claims that fit each hint none is right."""
    r = np.array([0.73211, -1.5])
    random = np.random.RandomState(0)
    case = seal(decode(encode(r)), DEFAULT, b"0123456789abcdef", CHEAP)
    tree = unseal_tree(json.loads(json.dumps(case)))
    assert compare(tree, decode(encode(r * (1 + 1e-6)))).kind == "ok"
    for _ in range(20_000):
        guess = np.array([r[0], random.randn()])
        assert abs(guess[1] - r[1]) < 1e-4 or not compare(tree, decode(encode(guess))).correct


def test_a_claim_of_the_right_structure_costs_one_dear_hash_and_another_none(monkeypatch):
    made = []
    hard = sealing.scrypt
    monkeypatch.setattr(sealing, "scrypt", lambda *a, n, **k: made.append(n) or hard(*a, n=n, **k))
    value = [np.arange(5.0), {"a": 2, "b": "text"}, True]
    tree = unseal_tree(seal(decode(encode(value)), DEFAULT))
    assert made == [2**15], "sealing"
    for claim, kind, guesses in (
        (value, "ok", 1),
        ([np.arange(5.0) * 1.1, {"a": 2, "b": "text"}, True], "values", 1),
        ([np.arange(4.0), {"a": 2, "b": "text"}, True], "shape", 0),
        ([np.full(5, np.nan), {"a": 2, "b": "text"}, True], "non-finite", 0),
    ):
        made.clear()
        assert (compare(tree, decode(encode(claim))).kind, made) == (kind, [2**15] * guesses)


def test_equal_numbers_and_equal_cases_do_not_look_equal():
    first, second = (seal(decode(encode(np.full(64, 0.3))), DEFAULT, None, CHEAP) for _ in "ab")
    assert first["content"] != second["content"]
    assert first["tree"]["hints"] != second["tree"]["hints"]


def test_loose_tolerances_and_broken_files_are_refused():
    with pytest.raises(EncodingError, match="rtol"):
        seal(1.0, Tolerance(rtol=0.5))
    whole = seal(1.0, DEFAULT, None, CHEAP)
    for broken in (
        {},
        {"salt": "AAAA"},
        {**whole, "salt": "x"},
        {**whole, "tree": None},
        {**whole, "tree": {"_sealed": "array"}},
        {**whole, "tree": {"_sealed": "other"}},
        {**whole, "cost": 99},
    ):
        with pytest.raises(EncodingError, match="malformed"):
            unseal_tree(broken)
