import numpy as np
import pytest
from gpt import ALPHABET, GPT, Writer, decode, encode, pick, write


@pytest.fixture(scope="module")
def model():
    np.random.seed(0)
    model = GPT(embedding=32, layers=2, heads=4, hidden=48, context=24)
    model.eval()
    return model


def test_encoding_round_trips_and_drops_foreign_characters():
    assert decode(encode("she said N times\n")) == "she said N times\n"
    assert decode(encode("caf\u00e9 42")) == "caf "


def test_the_cache_gives_the_logits_of_the_full_forward_pass(model):
    ids = np.random.RandomState(1).randint(len(ALPHABET), size=20)
    writer = Writer(model)
    for t, i in enumerate(ids):
        full = model(ids[None, : t + 1]).numpy()[-1]
        np.testing.assert_allclose(writer.feed([int(i)]), full, rtol=1e-4, atol=1e-5)
    several = Writer(model)
    several.feed(ids[:7])
    np.testing.assert_allclose(several.feed(ids[7:]), full, rtol=1e-4, atol=1e-5)


def test_the_past_does_not_see_the_future(model):
    a = np.random.RandomState(2).randint(len(ALPHABET), size=(1, 12))
    b = a.copy()
    b[0, 7:] = (b[0, 7:] + 1) % len(ALPHABET)
    before, after = model(a).numpy(), model(b).numpy()
    np.testing.assert_allclose(before[:7], after[:7], rtol=1e-5, atol=1e-6)
    assert np.abs(before[7:] - after[7:]).max() > 1e-3


def test_the_same_seed_writes_the_same_text_with_and_without_cache(model):
    assert write(model, "she ", 15, 0.8, seed=3) == write(
        model, "she ", 15, 0.8, seed=3, cache=False
    )
    assert write(model, "she ", 15, 1.0, seed=3) != write(model, "she ", 15, 1.0, seed=4)


def test_temperature_zero_takes_the_best_and_high_temperature_is_nearly_uniform():
    logits, rng = np.array([0.0, 3.0, 1.0]), np.random.RandomState(0)
    assert pick(logits, 0, rng) == 1
    hot = np.bincount([pick(logits, 100.0, rng) for _ in range(3000)], minlength=3) / 3000
    np.testing.assert_allclose(hot, 1 / 3, atol=0.05)


def test_text_never_outgrows_the_context(model):
    assert len(write(model, "she ", 1000)) == model.context


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda m: write(m, "42", 5), "prompt"),
        (lambda m: pick(np.zeros(3), -1, None), "temperature"),
        (lambda m: m(np.zeros((1, 25), dtype=int)), "context"),
        (lambda m: Writer(m).feed([1] * 25), "context"),
        (lambda m: GPT(embedding=30, heads=4), "multiple"),
    ],
)
def test_bad_input_is_refused_in_words(model, call, words):
    with pytest.raises(ValueError, match=words):
        call(model)
