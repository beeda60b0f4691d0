"""What homework 0 gives: the safe wrapper of the C++ function, clear errors, the training loops."""

import numpy as np
import pytest
import simple_ml
from simple_ml_ext import softmax_regression_epoch_cpp as epoch


def arguments(**changes):
    random = np.random.RandomState(0)
    values = {
        "X": random.rand(20, 6).astype(np.float32),
        "y": (np.arange(20) % 4).astype(np.uint8),
        "theta": np.zeros((6, 4), np.float32),
        "lr": 0.1,
        "batch": 5,
    }
    return {**values, **changes}


X, Y, THETA, *_ = arguments().values()
READ_ONLY = np.zeros((6, 4), np.float32)
READ_ONLY.flags.writeable = False

WRONG = {
    "X float64": ({"X": X.astype(float)}, TypeError, "X must be float32, got float64"),
    "X a list": ({"X": X.tolist()}, TypeError, "X must be a float32 NumPy array, got list"),
    "y int64": ({"y": Y.astype(int)}, TypeError, "y must be uint8, got int64"),
    "theta float64": ({"theta": np.zeros((6, 4))}, TypeError, "theta must be float32"),
    "swapped bytes": ({"X": X.astype(">f4")}, TypeError, "X must be float32"),
    "X one-dimensional": ({"X": X[0]}, ValueError, "X must have shape"),
    "too few labels": ({"y": Y[:-1]}, ValueError, "20 rows of X, got shape .19,"),
    "labels as a column": ({"y": Y[:, None]}, ValueError, "got shape .20, 1"),
    "theta too short": ({"theta": THETA[:-1].copy()}, ValueError, "6 columns of X"),
    "theta one-dimensional": ({"theta": THETA[:, 0].copy()}, ValueError, "6 columns of X"),
    "theta transposed view": ({"theta": np.zeros((4, 6), np.float32).T}, ValueError, "row by row"),
    "theta read-only": ({"theta": READ_ONLY}, ValueError, "writeable"),
    "a label too large": ({"y": Y + np.uint8(1)}, ValueError, r"y\[3\] is 4, but theta has"),
    "no classes": ({"theta": np.zeros((6, 0), np.float32)}, ValueError, "only 0 columns"),
    "batch zero": ({"batch": 0}, ValueError, "batch must be at least 1, got 0"),
    "batch negative": ({"batch": -5}, ValueError, "batch must be at least 1, got -5"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_are_one_sentence_and_change_nothing(case):
    changes, error, words = WRONG[case]
    given = arguments(**changes)
    before = np.array(given["theta"])
    with pytest.raises(error, match=words) as caught:
        epoch(**given)
    assert "\n" not in str(caught.value)
    assert (np.array(given["theta"]) == before).all()


def test_a_huge_batch_and_no_examples_are_fine():
    one, all_rows = arguments(batch=2**62), arguments(batch=20)
    epoch(**one)
    epoch(**all_rows)
    assert (one["theta"] == all_rows["theta"]).all() and one["theta"].any()
    empty = arguments(X=X[:0], y=Y[:0])
    epoch(**empty)
    assert not empty["theta"].any()


def test_views_of_examples_are_read_right():
    wide = np.random.RandomState(1).rand(6, 40).astype(np.float32)
    view, plain = arguments(X=wide.T[::2]), arguments(X=np.ascontiguousarray(wide.T[::2]))
    epoch(**view)
    epoch(**plain)
    assert (view["theta"] == plain["theta"]).all()


def test_missing_and_broken_data_are_one_sentence(tmp_path):
    labels, images = (f"data/train-{n}-ubyte.gz" for n in ("labels-idx1", "images-idx3"))
    cut, text = tmp_path / "cut.gz", tmp_path / "text.gz"
    with open(images, "rb") as whole:
        cut.write_bytes(whole.read(5000))
    text.write_text("no gzip file", encoding="utf-8")
    for image, words in (
        (tmp_path / "absent.gz", "there is no file"),
        (cut, "is broken"),
        (text, "is broken"),
        (labels, "magic number"),
        ("data/t10k-images-idx3-ubyte.gz", "1000 images"),
    ):
        with pytest.raises((OSError, ValueError), match=words) as caught:
            simple_ml.parse_mnist(str(image), labels)
        assert len(str(caught.value).splitlines()) == 1


def test_both_trainings_print_a_row_for_each_epoch_and_learn(capsys):
    y = (np.arange(600) % 3).astype("uint8")
    X = (np.eye(3)[y] + np.random.RandomState(0).randn(600, 3) / 5).astype("float32")
    simple_ml.train_softmax(X, y, X, y, epochs=3)
    simple_ml.train_softmax(X, y, X, y, epochs=3, cpp=True)
    simple_ml.train_nn(X, y, X, y, hidden_dim=20, epochs=3)
    output = capsys.readouterr().out
    rows = [line.split("|")[1:-1] for line in output.splitlines() if line.startswith("|  ")]
    assert len(rows) == 9
    assert rows[:3] == rows[3:6], "C++ and NumPy learn the same"
    assert all(float(row[4]) < 0.05 for row in rows[2::3])
