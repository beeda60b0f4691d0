"""Homework 4, extras that are not graded: byte pairs, the k likeliest, keys and values that are kept."""

from collections import Counter
from itertools import pairwise

import bpe
import numpy as np
import pytest
from apps.generation import CachedModel, top_k
from apps.models import LanguageModel
from course_testing import assert_close, slip
from hw4_oracles import cases, every_device, ndl, tensor
from needle import nn

# -------------------------------------------------------------------------------------- byte pairs

TEXTS = [
    "",
    "a",
    "aaaaaaa",
    "low lower lowest",
    "na\u00efve caf\u00e9, \u732b \U0001f408",
    "\x00\n\xff",
]


def test_bpe_merged_replaces_from_left_to_right_without_overlap():
    assert bpe.merged([1, 1, 1, 2], (1, 1), 9) == [9, 1, 2], "pairs overlap: go on behind the pair"
    assert bpe.merged([3, 1, 2, 1, 2], (1, 2), 9) == [3, 9, 9]
    assert bpe.merged([1, 2], (2, 1), 9) == [1, 2] and bpe.merged([], (1, 1), 9) == []


def test_bpe_merged_leaves_its_argument():
    ids = [1, 1]
    bpe.merged(ids, (1, 1), 9)
    assert ids == [1, 1]


def test_bpe_learns_the_most_frequent_pair_first():
    a, b, c = b"abc"
    assert bpe.learn_merges("abcbcbc", 1) == [(b, c)]
    assert bpe.learn_merges("abababcc", 2) == [(a, b), (256, 256)]


def test_bpe_of_equally_frequent_pairs_the_smallest_is_taken():
    a, b = b"ab"
    found = bpe.learn_merges("zyzyabab", 1)
    assert found == [(a, b)], "a tie: the smallest pair is to be taken"


def test_bpe_ends_when_no_pair_stands_there_twice():
    assert bpe.learn_merges("abcd", 10) == [], "a pair that stands there once is no token"
    assert bpe.learn_merges("", 10) == [] and bpe.learn_merges("a", 10) == []


def test_bpe_works_on_bytes():
    merges = bpe.learn_merges("\u00e9\u00e9\u00e9\u00e9", 1)
    assert merges == [(0xC3, 0xA9)], "tokens begin as bytes of UTF-8, not as letters"


def test_bpe_encodes_by_the_merges_in_their_order():
    a, b, c = b"abc"
    merges = [(b, c), (a, b), (a, 256)]
    assert bpe.encode("abc", merges) == [258], "the merge that was learnt first is made first"
    assert bpe.encode("ab", merges) == [257] and bpe.encode("", merges) == []


@pytest.mark.parametrize("text", TEXTS)
def test_bpe_decodes_what_it_encoded(text):
    merges = bpe.learn_merges("low lower lowest caf\u00e9 caf\u00e9 aaaa", 20)
    ids = bpe.encode(text, merges)
    assert all(isinstance(token, int) and 0 <= token < 256 + len(merges) for token in ids)
    assert bpe.decode(ids, merges) == text


def test_bpe_decodes_half_a_letter_as_the_replacement_character():
    assert bpe.decode([ord("a"), 0xC3], []) == "a\ufffd", "bytes that are no UTF-8 become U+FFFD"


def test_bpe_needs_fewer_tokens_for_a_text_like_the_one_it_learnt():
    text = "the cat sat on the mat and the dog sat on the cat " * 3
    merges = bpe.learn_merges(text, 30)
    assert len(bpe.encode("the dog on the mat", merges)) <= 9 < len("the dog on the mat")
    ids = list(text.encode())
    for k, pair in enumerate(merges):  # each merge was a most frequent one when it was made
        stands = Counter(pairwise(ids))
        assert stands[pair] == max(stands.values())
        ids = bpe.merged(ids, pair, 256 + k)


# ----------------------------------------------------------------------------------- the k likeliest


def chances(scores, k, temperature):
    """Softmax over the k largest scores, in the plainest way."""
    scores = slip(
        "scores are multiplied by the temperature", scores / temperature, scores * temperature
    )
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    chosen = slip("one token too many", order[:k], order[: k + 1])
    found = np.zeros(len(scores))
    found[chosen] = np.exp(scores[chosen] - scores.max())
    whole = np.exp(scores - scores.max()).sum()
    return found / slip(
        "divided by the sum over all tokens: it is over those k", found.sum(), whole
    )


@cases("k", [1, 2, 5, 12, 40])
@cases("temperature", [1.0, 0.5, 2.5])
def test_top_k_is_softmax_over_the_k_largest(k, temperature):
    scores = 3 * np.random.randn(12)
    given = scores.copy()
    found = top_k(scores, k, temperature)
    assert_close(
        found,
        chances(given, k, temperature),
        problem="hw4/top_k",
        op=f"top_k of 12 scores, k = {k}, temperature = {temperature}",
    )
    assert found.dtype == np.float64 and found.sum() == pytest.approx(1, abs=1e-12)
    assert np.count_nonzero(found) == min(k, 12)
    assert (scores == given).all(), "the scores that were given have changed"


def test_top_k_of_equal_scores_takes_the_smaller_ids():
    found = top_k(np.array([1.0, 5.0, 5.0, 5.0]), 2)
    assert found.tolist() == [0, 0.5, 0.5, 0], (
        "of equal scores those with the smaller ids are taken"
    )


def test_top_k_takes_float32_and_large_scores():
    found = top_k(np.array([1000, -1000, 999], dtype="float32"), 2)
    assert found.dtype == np.float64 and found[1] == 0
    assert found[0] == pytest.approx(1 / (1 + np.exp(-1)))


def test_top_k_never_takes_what_is_forbidden():
    found = top_k(np.array([-np.inf, 0.0, -np.inf]), 3)
    assert found.tolist() == [0, 1, 0]


# --------------------------------------------------------------------------------- keys and values

WORDS, LIMIT = 11, 10


def language_model(device, layers=2):
    np.random.seed(5)
    return LanguageModel(
        8, WORDS, 12, layers, seq_model="transformer", seq_len=LIMIT, device=device
    )


def words(*shape):
    return np.random.RandomState(3).randint(0, WORDS, shape)


def whole(model, ids, device, positions=None):
    """The model's logits (T, B, words) for all places at once, with these positions."""
    (table,) = [p for p in model.parameters() if p.shape == (LIMIT, 8)]
    kept = table.numpy()
    if positions is not None:
        rows = kept[np.array(positions)]
        changed = np.concatenate([rows, kept[len(rows) :]])
        table.data = tensor(changed, device, requires_grad=False)
    logits = model(tensor(ids, device, requires_grad=False))[0].numpy()
    table.data = tensor(kept, device, requires_grad=False)
    return logits.reshape(*ids.shape, WORDS)


@every_device
def test_kv_cache_sees_what_came_before(device):
    model = language_model(device)
    last = []
    for before in (1, 2):
        cached = CachedModel(model)
        cached(np.array([[before]]))
        last.append(cached(np.array([[3]])).numpy())
    assert not np.allclose(*last, atol=1e-4), (
        "the last token's logits are the same after another first token: are older keys and values "
        "kept, and seen?"
    )


@every_device
@cases("stretches", [[1, 1, 1, 1], [4, 1, 1], [2, 3, 1, 4], [10]])
@cases("batch", [1, 3])
def test_kv_cache_gives_the_logits_of_the_whole_text(stretches, batch, device):
    model, ids = language_model(device), words(sum(stretches), batch)
    model.eval()
    right, wrong = list(range(len(ids))), [k for length in stretches for k in range(length)]
    places = slip("each call begins at position 0: it is the number of tokens before", right, wrong)
    desired = whole(model, ids, device, places)
    cached, start = CachedModel(model), 0
    for length in stretches:
        found = cached(ids[start : start + length])
        assert isinstance(found, ndl.Tensor) and found.shape == (length * batch, WORDS)
        assert_close(
            found,
            desired[start : start + length].reshape(-1, WORDS),
            problem="hw4/kv_cache",
            op=f"CachedModel on tokens {start} to {start + length - 1}, {len(ids)} in all",
            dtype="float32",
            terms=64,
            rtol=1e-3,
            atol=1e-4,
        )
        start += length
        assert cached.seen == start, f"seen is {cached.seen} after {start} tokens"


@every_device
def test_kv_cache_computes_new_tokens_only(device, monkeypatch):
    model, ids, rows, plain = language_model(device), words(6, 2), [], nn.Linear.forward

    def counted(self, x):
        rows.append(int(np.prod(x.shape[:-1])))
        return plain(self, x)

    monkeypatch.setattr(nn.Linear, "forward", counted)
    cached = CachedModel(model)
    for start, stop in ((0, 4), (4, 5), (5, 6)):
        rows.clear()
        cached(ids[start:stop])
        new = 2 * (stop - start)
        assert max(rows, default=0) <= new, (
            f"a Linear layer was given {max(rows)} rows for {new} new tokens: older ones are "
            "computed again"
        )


@every_device
def test_kv_cache_two_texts_do_not_mix(device):
    model, ids = language_model(device), words(4, 1)
    first, second = CachedModel(model), CachedModel(model)
    for k in range(4):
        first(ids[k : k + 1])
        found = second(ids[k : k + 1])
    desired = whole(model, ids, device)[3]
    assert_close(
        found, desired, problem="hw4/kv_cache", op="the second of two", rtol=1e-3, atol=1e-4
    )


def test_kv_cache_refuses_more_tokens_than_positions():
    cached = CachedModel(language_model(None))
    cached(words(LIMIT - 1, 1))
    with pytest.raises(ValueError, match="9 tokens and 2 more"):
        cached(words(2, 1))
    cached(words(1, 1))
