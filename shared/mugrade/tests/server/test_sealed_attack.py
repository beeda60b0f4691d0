"""The attack on sealed answers reads what can be guessed, so that what it does not read means something."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from mugrade.compare import Tolerance
from mugrade.encoding import decode, encode
from mugrade.server.services.sealed import seal

BENCH = Path(__file__).parents[2] / "bench"
sys.path.insert(0, str(BENCH))
import sealed_attack as bench  # noqa: E402


def cases(tmp_path, **values):
    problem = {
        "assignment": "hw0",
        "problem": "p",
        "labels": list(values),
        "tolerance": vars(Tolerance()),
        "case_tolerances": {},
        "variants": [
            {"values": [seal(decode(encode(v)), Tolerance(), cost=1) for v in values.values()]}
        ],
    }
    file = tmp_path / "answers.json.gz"
    file.write_bytes(gzip.compress(json.dumps({"problems": [problem]}).encode()))
    return bench.read(file)


def test_it_reads_what_can_be_guessed_and_nothing_else(tmp_path):
    random = np.random.RandomState(1)
    guessable = {
        "a bool": True,
        "five bools": np.array([True, False, False, True, True]),
        "a small integer": 7,
        "a type and a bool": ["float32", False],
        "zeros": np.zeros((3, 4)),
        "ones": np.ones(5),
    }
    hidden = {
        "a number": 0.73211,
        "two numbers": random.randn(2),
        "one repeated number": np.full(40, 0.34567),
        "an array": random.randn(30).astype("float32"),
        "a layout": [3, 4, 5, 20, 5, 1, 0],
        "twelve bools and a number": [random.rand(12) < 0.5, 1.5],
    }
    found = bench.attack(cases(tmp_path, **guessable, **hidden), count=12, guesses=200)
    assert sorted(found.read) == sorted(f"hw0/p, {name}" for name in guessable)
    assert found.open_median > 50_000, "no cell of an element can be ruled out"
    assert set(found.forged) <= set(found.read)


@pytest.mark.parametrize("value", [np.linspace(-2, 3, 50), np.float32(0.2)])
def test_a_forgery_agrees_with_all_that_is_told_and_is_wrong(tmp_path, value):
    (case,) = cases(tmp_path, value=value)
    claim = bench.forgery(case, np.random.RandomState(0))
    leaf = case.leaves[0]
    place = bench.sealed.place(leaf.data, leaf.salt, claim.values.ravel())
    ways = bench.sealed.hints(leaf.data, claim.values.size) / bench.sealed.WAYS
    assert (np.abs((place + ways) % 1 - 0.5) <= 0.126).all()
    assert not case.is_right(claim)
