"""Every form that needle runs in computes the same, and `NEEDLE_RUNG` really changes the rung."""

import json
import os
import subprocess
import sys

import inside
import pytest

sys.path.append(str(inside.ROOT / "shared" / "bench"))
import forms

SMALL = {
    "resnet9": "--data {data}/images --batch-size 8",
    "lstm": "--data {data}/text --batch-size 4 --seq-len 10 --embedding 8 --hidden 8",
    "transformer": "--data {data}/text --batch-size 4 --seq-len 10 --embedding 8 --hidden 8",
}
RUNGS = ("naive", "rows", "registers", "packed_b", "slices", "packed_a", "threads")


@pytest.mark.parametrize("kind", SMALL)
def test_a_short_training_in_every_form_has_the_same_losses(data, kind):
    # SGD's step is proportional to the gradient; Adam's first one is its sign, of noise too.
    training = f"{kind} {SMALL[kind].format(data=data)} --optimizer SGD --lr 0.1"
    sides = [forms.Side(form, training, inside.place, threads=2) for form in forms.ALL]
    for side in sides:
        side.go_on(0)
        side.end()
        assert side.process.returncode == 0 and side.samples > 0, side.form
    expected = sides[0].first["losses"]
    assert expected[1] != expected[0]
    for side in sides:
        assert side.first["losses"] == pytest.approx(expected, rel=1e-5), side.form


PRODUCT = """
import json, numpy, needle as ndl
rng = numpy.random.RandomState(0)
a, b = rng.randn(19, 33).astype("float32"), rng.randn(33, 21).astype("float32")
A, B = ndl.NDArray(a), ndl.NDArray(b)
turned = ndl.NDArray(b.T.copy()).permute((1, 0))
print(json.dumps([(A @ B).numpy().tolist(), (A @ turned).numpy().tolist(), (a @ b).tolist()]))
"""


def products(rung):
    """(a @ b, the same with b transposed in memory, NumPy's), by this rung."""
    done = subprocess.run(
        [sys.executable, "-c", PRODUCT],
        env={**os.environ, "PYTHONPATH": "python", "NEEDLE_BACKEND": "nd", "NEEDLE_RUNG": rung},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_each_rung_can_be_the_one_that_multiplies():
    seen = set()
    for rung in RUNGS:
        plain, turned, expected = products(f"matmul_{rung}")
        for result in (plain, turned):
            for row, wanted in zip(result, expected):
                assert row == pytest.approx(wanted, rel=1e-4, abs=1e-5), rung
        seen.add(str(plain))
    assert len(seen) > 1  # they add in different orders: had nothing changed, all bits were equal


def test_a_rung_that_is_none_is_refused():
    done = subprocess.run(
        [sys.executable, "-c", PRODUCT],
        env={**os.environ, "PYTHONPATH": "python", "NEEDLE_BACKEND": "nd", "NEEDLE_RUNG": "rows"},
        capture_output=True,
        text=True,
    )
    assert "cpu() cannot be used: NEEDLE_RUNG is 'rows'; it may be matmul_naive" in done.stderr
    assert "not built" not in done.stderr
