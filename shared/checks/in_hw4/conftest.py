"""These tests run inside the solved homework 4."""

import pickle

import inside
import numpy as np
import pytest

inside.enter("hw4")

WORDS = [f"w{k}" for k in range(20)]


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Small data sets in the true formats: images/ and text/."""
    folder = tmp_path_factory.mktemp("data")
    random = np.random.RandomState(0)
    (folder / "images").mkdir()
    for name in [*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]:
        content = {
            b"data": random.randint(0, 256, (8, 3072)).astype("uint8"),
            b"labels": [int(k) for k in random.randint(0, 10, 8)],
        }
        (folder / "images" / name).write_bytes(pickle.dumps(content, protocol=2))
    for text in ("text", "other"):
        (folder / text).mkdir()
        for name in ("train.txt", "test.txt"):
            lines = [" ".join(random.choice(WORDS, 8)) for _ in range(40)]
            (folder / text / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
