"""A byte-pair tokenizer, an extra: tokens between letters, of which a text needs many, and words, of
which there are too many.

    python apps/bpe.py --merges 200            learn from a novel, and see what became a token

Tokens are numbers: 0 to 255 are the bytes of UTF-8, 256 + k is what the k-th merge (from 0) made. So
every text can be encoded, and decoded again without a loss. Source: Sennrich, Haddow and Birch,
"Neural Machine Translation of Rare Words with Subword Units", 2016; with bytes as in GPT-2.
"""

import argparse
import os
import sys
from collections import Counter
from itertools import pairwise

BYTES = 256
HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TEXT = os.path.join(HOME, "data", "austen", "train.txt")
LETTERS = 100_000  # of the text are read


def merged(ids, pair, token):
    """The list `ids` with `token` in place of each `pair`, from left to right, none overlapping.

    merged([1, 1, 1, 2], (1, 1), 9) is [9, 1, 2].
    """
    ### BEGIN SOLUTION hw4/bpe
    out, k = [], 0
    while k < len(ids):
        found = tuple(ids[k : k + 2]) == pair
        out.append(token if found else ids[k])
        k += 2 if found else 1
    return out
    ### END SOLUTION


def learn_merges(text, count):
    """The pairs that become tokens 256, 257, ..., in this order: a list of (int, int).

    Again and again the pair of neighbours that is most frequent becomes a token; of equally frequent
    ones the smallest pair. Every place counts, also where two overlap: (1, 1) stands twice in 1, 1, 1.

    Args:
        text: str.
        count: how many merges at most; it ends sooner when no pair stands there twice.
    """
    ### BEGIN SOLUTION hw4/bpe
    ids, merges = list(text.encode("utf-8")), []
    while len(merges) < count:
        counts = Counter(pairwise(ids))
        pair = min(counts, key=lambda pair: (-counts[pair], pair), default=None)
        if pair is None or counts[pair] < 2:
            break
        ids = merged(ids, pair, BYTES + len(merges))
        merges.append(pair)
    return merges
    ### END SOLUTION


def encode(text, merges):
    """The tokens of a text, a list of ints: its bytes, with the merges made in their order."""
    ### BEGIN SOLUTION hw4/bpe
    ids = list(text.encode("utf-8"))
    for k, pair in enumerate(merges):
        ids = merged(ids, pair, BYTES + k)
    return ids
    ### END SOLUTION


def decode(ids, merges):
    """The text of some tokens; bytes that are no UTF-8, as a cut text may have, become U+FFFD."""
    ### BEGIN SOLUTION hw4/bpe
    parts = [bytes([byte]) for byte in range(BYTES)]
    for first, second in merges:
        parts.append(parts[first] + parts[second])
    return b"".join(parts[token] for token in ids).decode("utf-8", errors="replace")
    ### END SOLUTION


def main(arguments=None):
    """Learn, and show what was learnt."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--merges", type=int, default=200)
    parser.add_argument("--text", default=TEXT, help="a file; default: data/austen/train.txt")
    args = parser.parse_args(arguments)
    try:
        with open(args.text, encoding="utf-8") as file:
            text = file.read(LETTERS)
    except OSError as error:
        sys.exit(f"bpe.py: {args.text} cannot be read: {error.strerror}")
    merges = learn_merges(text, args.merges)
    tokens = [decode([BYTES + k], merges) for k in range(len(merges))]
    print(f"{len(merges)} merges of {len(text)} letters; the first and the last ones are:")
    print(" ", *map(repr, tokens[:12]))
    print(" ", *map(repr, tokens[-12:]))
    sentence = "it is a truth universally acknowledged"
    ids = encode(sentence, merges)
    print("|".join(decode([token], merges) for token in ids))
    print(f"{len(sentence)} letters, {len(ids)} tokens; back again: {decode(ids, merges)}")


if __name__ == "__main__":
    main()
