"""Tests and submission hooks of homework 0.

The functions are compared with their *definitions*: a loss computed number by number, and
gradients measured by differences of that loss in float64. Run from inside the homework:

    python3 -m pytest -k "softmax_loss"
"""

import gzip
import math
import struct
import sys

import numpy as np
import pytest
from course_testing import assert_close, assert_like, slip
from hw0_definitions import (
    examples,
    linear_loss,
    linear_slips,
    loss_of,
    loss_with_slips,
    network_loss,
    network_slips,
    sgd_by_differences,
    weights,
)

sys.path.append("./src")
import simple_ml

# --------------------------------------------------------------------------------------------- add

SUMS = [(5, 6, 11), (-2, 0.5, -1.5), (1.25, 3, 4.25), (0, 0, 0), (2**40, 1, 2**40 + 1)]


@pytest.mark.parametrize("x, y, total", SUMS)
def test_add_numbers(x, y, total):
    result = simple_ml.add(x, y)
    total = slip("this is the difference", total, x - y)
    total = slip("this is the product", total, x * y)
    assert result == total, f"hw0/add: add({x}, {y}) gave {result}, expected {total}"
    got, wanted = type(result).__name__, type(total).__name__
    assert got == wanted, f"hw0/add: add({x}, {y}) is of type {got}, expected {wanted}: use +"


def test_add_arrays_elementwise():
    a, b = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([10.0, 20.0])
    assert_close(simple_ml.add(a, b), [[11, 22], [13, 24]], problem="hw0/add")
    assert_close(
        a, [[1, 2], [3, 4]], problem="hw0/add", op="the first array afterwards (do not change it)"
    )


def submit_add():
    import mugrade

    random = mugrade.rng()
    whole = random.randint(-100, 100, 4).tolist()
    real = random.randn(4).round(3).tolist()
    total = simple_ml.add(whole[0], whole[1])
    mugrade.submit([total, type(total).__name__], label="two whole numbers, and the sum's type")
    mugrade.submit(simple_ml.add(real[0], real[1]), label="two real numbers")
    mugrade.submit(simple_ml.add(whole[2], real[2]), label="whole and real")
    mugrade.submit(simple_ml.add(random.randn(2, 3), random.randn(3)), label="two arrays")
    first = random.randn(4)
    simple_ml.add(first, random.randn(4))
    mugrade.submit(first, label="the first array afterwards")


# ------------------------------------------------------------------------------------- parse_mnist


def write_images(path, images, magic=2051, count=None):
    """Write uint8 images (m, rows, columns) in MNIST's format; returns the path as a string."""
    header = struct.pack(">IIII", magic, len(images) if count is None else count, *images.shape[1:])
    path.write_bytes(gzip.compress(header + images.tobytes(), 1))
    return str(path)


def write_labels(path, labels, magic=2049, count=None):
    header = struct.pack(">II", magic, len(labels) if count is None else count)
    path.write_bytes(gzip.compress(header + labels.tobytes(), 1))
    return str(path)


def write_stump(path):
    """A file that ends within its magic number."""
    path.write_bytes(gzip.compress(struct.pack(">H", 0)))
    return str(path)


def digits(m=12, rows=4, columns=3, largest=255, seed=2):
    random = np.random.RandomState(seed)
    images = random.randint(0, largest + 1, (m, rows, columns)).astype(np.uint8)
    return images, random.randint(0, 10, m).astype(np.uint8)


def parse(folder, images, labels):
    return simple_ml.parse_mnist(
        write_images(folder / "images.gz", images), write_labels(folder / "labels.gz", labels)
    )


def test_parse_mnist_gives_float32_rows_and_uint8_labels(tmp_path):
    X, y = parse(tmp_path, *digits(12, 4, 3))
    assert_like(X, (12, 12), "float32", problem="hw0/parse_mnist", op="X")
    assert_like(y, (12,), "uint8", problem="hw0/parse_mnist", op="y")


def test_parse_mnist_keeps_pixels_and_labels_in_file_order(tmp_path):
    images, labels = digits(9, 5, 6)
    images[0, 0, :2] = 255, 0
    X, y = parse(tmp_path, images, labels)
    pixels = images.reshape(9, 30) / 255
    pixels = slip("pixels are not scaled: divide by 255", pixels, pixels * 255)
    pixels = slip("divided by 256: white is 255", pixels, pixels * 255 / 256)
    early = np.concatenate([np.array([0, 0, 0, 5, 0, 0, 0, 6], np.uint8), images.ravel()])[:270]
    pixels = slip(
        "the header is read as pixels: it has 16 bytes, not 8", pixels, early.reshape(9, 30) / 255
    )
    turned = images.transpose(0, 2, 1).reshape(9, 30) / 255
    pixels = slip("images are transposed: pixels stand row by row", pixels, turned)
    assert_close(X, pixels, problem="hw0/parse_mnist", op="X", rtol=1e-6)
    assert_close(y, labels, problem="hw0/parse_mnist", op="y")


@pytest.mark.parametrize("largest", [100, 255])
def test_parse_mnist_divides_by_255_whatever_the_images_hold(tmp_path, largest):
    images, labels = digits(6, 4, 4, largest)
    images[0] = 0
    images[1, 2, 3] = largest
    X, _ = parse(tmp_path, images, labels)
    assert_close(X[0], np.zeros(16), problem="hw0/parse_mnist", op="a black image")
    lightest = slip("divided by the largest pixel that there is: by 255", largest / 255, 1.0)
    lightest = slip("divided by 256: white is 255", lightest, largest / 256)
    assert_close(X[1, 11], lightest, problem="hw0/parse_mnist", op="the lightest pixel")


def test_parse_mnist_reads_the_digits_in_data():
    X, y = simple_ml.parse_mnist(
        "data/train-images-idx3-ubyte.gz", "data/train-labels-idx1-ubyte.gz"
    )
    first = {6_000: [9, 0, 2, 5, 2, 8, 5, 6, 2, 3], 60_000: [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]}
    assert len(y) in first, "data/ must hold the MNIST-7k sample or MNIST: run `hw start hw0`"
    assert_like(X, (len(y), 784), "float32", problem="hw0/parse_mnist", op="X of data/")
    assert_close(y[:10], first[len(y)], problem="hw0/parse_mnist", op="the first ten labels")
    assert_close([X.min(), X.max()], [0, 1], problem="hw0/parse_mnist", op="smallest and largest")


def refused(what, images, labels):
    """parse_mnist raises a ValueError of its own."""
    try:
        simple_ml.parse_mnist(images, labels)
    except ValueError:
        return
    pytest.fail(
        f"hw0/parse_mnist: {what}: taken without a word, expected a ValueError that says so"
    )


def test_parse_mnist_refuses_files_of_another_kind(tmp_path):
    images, labels = digits()
    good = write_images(tmp_path / "i.gz", images), write_labels(tmp_path / "l.gz", labels)
    bad = (
        write_images(tmp_path / "bi.gz", images, magic=2052),
        write_labels(tmp_path / "bl.gz", labels, magic=2051),
    )
    for kind, *pair in (("images", bad[0], good[1]), ("labels", good[0], bad[1])):
        refused(f"a file of {kind} with another magic number", *pair)


def test_parse_mnist_refuses_images_and_labels_that_do_not_belong_together(tmp_path):
    images, labels = digits()
    for some_images, some_labels in ((images[:-1], labels), (images, labels[:-1])):
        counts = f"{len(some_images)} images with {len(some_labels)} labels"
        refused(
            counts,
            write_images(tmp_path / "images.gz", some_images),
            write_labels(tmp_path / "labels.gz", some_labels),
        )


def test_parse_mnist_refuses_files_that_are_cut_off(tmp_path):
    images, labels = digits()
    whole = write_images(tmp_path / "i.gz", images), write_labels(tmp_path / "l.gz", labels)
    short = (
        write_images(tmp_path / "si.gz", images[:-1], count=12),
        write_labels(tmp_path / "sl.gz", labels[:-1], count=12),
    )
    refused("a file of images that is cut off", short[0], whole[1])
    refused("a file of labels that is cut off", whole[0], short[1])
    refused("a file of labels of two bytes", whole[0], write_stump(tmp_path / "stump.gz"))


def test_parse_mnist_refuses_files_of_more_bytes_than_announced(tmp_path):
    images, labels = digits()
    whole = (
        write_images(tmp_path / "i.gz", images[:-1]),
        write_labels(tmp_path / "l.gz", labels[:-1]),
    )
    long = (
        write_images(tmp_path / "li.gz", images, count=11),
        write_labels(tmp_path / "ll.gz", labels, count=11),
    )
    refused("a file with more images than its header says", long[0], whole[1])
    refused("a file with more labels than its header says", whole[0], long[1])


def submit_parse_mnist():
    import tempfile
    from pathlib import Path

    import mugrade

    random = mugrade.rng()
    for number, (m, rows, columns, largest) in enumerate([(20, 28, 28, 255), (13, 5, 9, 200)]):
        images = random.randint(0, largest + 1, (m, rows, columns)).astype(np.uint8)
        labels = random.randint(0, 10, m).astype(np.uint8)
        with tempfile.TemporaryDirectory() as folder:
            X, y = parse(Path(folder), images, labels)
        mugrade.submit(X[:, ::11], label=f"every 11th pixel, file {number}")
        mugrade.submit(X.sum(axis=1, dtype=np.float64), label=f"brightness, file {number}")
        mugrade.submit(y, label=f"labels, file {number}")
    images, labels = digits(6, 3, 2, seed=random.randint(1000))
    with tempfile.TemporaryDirectory() as folder:
        good, damaged = whole_and_damaged(Path(folder), images, labels)
        for what, pairs in damaged.items():
            pairs = [*pairs, *[good] * len(pairs)] * 4  # so many that nobody guesses which
            order = random.permutation(len(pairs))
            mugrade.submit(
                np.array([is_refused(*pairs[i]) for i in order]),
                label=f"which of {len(pairs)} are refused for {what}",
            )


def whole_and_damaged(folder, images, labels):
    """A pair of files, and pairs that parse_mnist refuses, by what is wrong with them."""
    good = write_images(folder / "i.gz", images), write_labels(folder / "l.gz", labels)
    few = write_images(folder / "fi.gz", images[:-1]), write_labels(folder / "fl.gz", labels[:-1])
    m = len(images)
    return good, {
        "another magic number": [
            (write_images(folder / "mi.gz", images, magic=2049), good[1]),
            (good[0], write_labels(folder / "ml.gz", labels, magic=2051)),
        ],
        "lengths that do not fit": [
            (good[0], few[1]),
            (good[0], write_labels(folder / "sl.gz", labels[:-1], count=m)),
            (write_images(folder / "li.gz", images, count=m - 1), few[1]),
            (few[0], write_labels(folder / "ll.gz", labels, count=m - 1)),
            (good[0], write_stump(folder / "stump.gz")),
        ],
    }


def is_refused(images, labels):
    try:
        simple_ml.parse_mnist(images, labels)
    except Exception as error:
        return isinstance(error, ValueError)
    return False


# ------------------------------------------------------------------------------------ softmax_loss


@pytest.mark.parametrize("m, k", [(1, 2), (6, 10), (40, 3), (5, 5)])
def test_softmax_loss_agrees_with_its_definition(m, k):
    Z = weights(m, k) * 4
    y = np.random.RandomState(3).randint(0, k, m).astype(np.uint8)
    loss = simple_ml.softmax_loss(Z, y)
    wanted = loss_with_slips(Z, y)
    assert_close(loss, wanted, problem="hw0/softmax_loss", lengths=(m, k), rtol=1e-5)


def test_softmax_loss_of_equal_logits_is_log_k():
    for k in (2, 10):
        loss = simple_ml.softmax_loss(np.zeros((5, k), np.float32), np.zeros(5, np.uint8))
        assert_close(loss, math.log(k), problem="hw0/softmax_loss", op=f"loss of {k} equal logits")


def test_softmax_loss_of_the_example_in_the_text():
    Z, y = np.array([[2.0, 1.0, 0.0], [0.0, 0.0, 3.0]]), np.array([0, 1])
    assert_close(loss_of(Z, y), (0.4076059644 + 3.0949229407) / 2)
    assert_close(simple_ml.softmax_loss(Z, y), loss_with_slips(Z, y), problem="hw0/softmax_loss")


def test_softmax_loss_changes_neither_logits_nor_labels():
    Z, y = weights(6, 3), np.array([0, 1, 2, 0, 1, 2], np.uint8)
    simple_ml.softmax_loss(Z, y)
    assert_close(Z, weights(6, 3), problem="hw0/softmax_loss", op="Z afterwards (do not change it)")
    assert_close(y, [0, 1, 2, 0, 1, 2], problem="hw0/softmax_loss", op="y afterwards")


def submit_softmax_loss():
    import mugrade

    random = mugrade.rng()
    for m, k in ((1, 3), (60, 10), (7, 7)):
        Z = random.randn(m, k).astype(np.float32) * 3
        y = random.randint(0, k, m).astype(np.uint8)
        mugrade.submit(simple_ml.softmax_loss(Z, y), label=f"{m} examples, {k} classes")
    value = [simple_ml.softmax_loss(Z, y), Z]
    mugrade.submit(value, label=f"{m} examples, {k} classes, and the logits afterwards")


# ------------------------------------------------------------------------ softmax_regression_epoch

SIZES = [  # m, n, k, batch, lr
    (12, 5, 3, 12, 1.0),  # a single batch
    (30, 7, 4, 5, 0.3),  # several
    (24, 6, 6, 8, 0.2),
    (10, 4, 2, 1, 0.1),  # one example a batch
    (23, 5, 3, 10, 0.5),  # the last batch is smaller
    (4, 3, 2, 100, 0.5),  # fewer examples than a batch
]


def check_softmax_epoch(epoch, problem, m, n, k, batch, lr):
    X, y = examples(m, n, k)
    theta = weights(n, k)
    result = epoch(X, y, theta, lr, batch)
    assert result is None, f"{problem}: theta is changed in place, nothing is returned"
    (wanted,) = sgd_by_differences(linear_loss, X, y, [weights(n, k)], lr, batch, linear_slips)
    assert_close(
        theta, wanted, problem=problem, op="theta", rtol=1e-4, dtype="float32", lengths=(m, batch)
    )
    assert_close(X, examples(m, n, k)[0], problem=problem, op="X afterwards", rtol=0, atol=0)
    assert_close(y, examples(m, n, k)[1], problem=problem, op="y afterwards")


@pytest.mark.parametrize("m, n, k, batch, lr", SIZES)
def test_softmax_regression_epoch_follows_the_measured_gradient(m, n, k, batch, lr):
    problem = "hw0/softmax_regression_epoch"
    check_softmax_epoch(simple_ml.softmax_regression_epoch, problem, m, n, k, batch, lr)


def test_softmax_regression_epoch_defaults_are_lr_01_and_batch_100():
    X, y = examples(150, 3, 2)
    default, explicit = weights(3, 2), weights(3, 2)
    simple_ml.softmax_regression_epoch(X, y, default)
    simple_ml.softmax_regression_epoch(X, y, explicit, lr=0.1, batch=100)
    assert_close(default, explicit, problem="hw0/softmax_regression_epoch", rtol=0, atol=0)


def test_softmax_regression_epoch_learns_to_separate_classes():
    random = np.random.RandomState(4)
    y = (np.arange(300) % 3).astype(np.uint8)
    X = (np.eye(3)[y] + random.randn(300, 3) * 0.2).astype(np.float32)
    theta = np.zeros((3, 3), np.float32)
    for _ in range(5):
        simple_ml.softmax_regression_epoch(X, y, theta, lr=1.0, batch=50)
    share = np.mean((X @ theta).argmax(axis=1) == y)
    assert share > 0.95, f"hw0/softmax_regression_epoch: only {share:.0%} right after 5 epochs"


def submit_epochs(epoch, sizes):
    import mugrade

    random = mugrade.rng()
    for m, n, k, batch, lr in sizes:
        X = random.rand(m, n).astype(np.float32)
        y = random.randint(0, k, m).astype(np.uint8)
        theta = random.randn(n, k).astype(np.float32) / 2
        epoch(X, y, theta, lr, batch)
        mugrade.submit(theta, label=f"theta, {m} x {n}, {k} classes, batch {batch}")


def submit_softmax_regression_epoch():
    sizes = [(50, 12, 5, 50, 1.0), (60, 20, 10, 10, 0.2), (45, 6, 3, 20, 0.5)]
    submit_epochs(simple_ml.softmax_regression_epoch, sizes)


# ---------------------------------------------------------------------------------------- nn_epoch


@pytest.mark.parametrize(
    "m, n, d, k, batch, lr",
    [
        (12, 4, 5, 3, 12, 0.5),
        (30, 5, 8, 4, 6, 0.2),
        (16, 6, 6, 6, 4, 0.1),
        (23, 4, 3, 2, 10, 0.5),  # the last batch is smaller
        (3, 3, 4, 2, 100, 0.5),
    ],
)
def test_nn_epoch_follows_the_measured_gradient(m, n, d, k, batch, lr):
    X, y = examples(m, n, k, seed=5)
    W1, W2 = weights(n, d, seed=6), weights(d, k, seed=7)
    result = simple_ml.nn_epoch(X, y, W1, W2, lr=lr, batch=batch)
    assert result is None, "hw0/nn_epoch: W1 and W2 are changed in place, nothing is returned"
    first = [weights(n, d, seed=6), weights(d, k, seed=7)]

    def formula(*arrays):
        return network_slips(*arrays, lr=lr)

    wanted = sgd_by_differences(network_loss, X, y, first, lr, batch, formula)
    for name, got, right in zip(("W1", "W2"), (W1, W2), wanted):
        assert_close(
            got,
            right,
            problem="hw0/nn_epoch",
            op=name,
            rtol=1e-4,
            dtype="float32",
            lengths=(batch,),
        )
    assert_close(X, examples(m, n, k, seed=5)[0], op="X afterwards", rtol=0, atol=0)


def test_nn_epoch_a_hidden_unit_at_zero_passes_no_gradient():
    X, y = examples(8, 3, 2)
    W1, W2 = np.zeros((3, 4), np.float32), weights(4, 2)
    simple_ml.nn_epoch(X, y, W1, W2, lr=1.0, batch=8)
    assert_close(W1, np.zeros((3, 4)), problem="hw0/nn_epoch", op="W1, every unit at exactly 0")


def test_nn_epoch_learns_what_no_linear_model_can():
    random = np.random.RandomState(8)
    corners = random.randint(0, 2, (400, 2))
    y = (corners[:, 0] ^ corners[:, 1]).astype(np.uint8)
    X = np.hstack([corners + random.randn(400, 2) * 0.1, np.ones((400, 1))]).astype(np.float32)
    W1, W2 = weights(3, 20, seed=9), weights(20, 2, seed=10)
    for _ in range(60):
        simple_ml.nn_epoch(X, y, W1, W2, lr=0.5, batch=50)
    share = np.mean((np.maximum(X @ W1, 0) @ W2).argmax(axis=1) == y)
    assert share > 0.95, f"hw0/nn_epoch: only {share:.0%} of the exclusive or right"


def submit_nn_epoch():
    import mugrade

    random = mugrade.rng()
    sizes = [(50, 12, 8, 5, 50, 1.0), (60, 10, 15, 10, 12, 0.2), (45, 6, 7, 4, 20, 0.5)]
    for m, n, d, k, batch, lr in sizes:
        X = random.rand(m, n).astype(np.float32)
        y = random.randint(0, k, m).astype(np.uint8)
        W1 = random.randn(n, d).astype(np.float32) / 3
        W2 = random.randn(d, k).astype(np.float32) / 3
        simple_ml.nn_epoch(X, y, W1, W2, lr=lr, batch=batch)
        mugrade.submit(W1, label=f"W1, {m} x {n}, {d} units")
        mugrade.submit(W2, label=f"W2, {m} x {n}, {d} units")


# -------------------------------------------------------------------- softmax_regression_epoch_cpp


def cpp_epoch(X, y, theta, lr, batch):
    try:
        from simple_ml_ext import softmax_regression_epoch_cpp
    except ImportError as error:
        pytest.fail(f"src/simple_ml_ext cannot be imported ({error}): `hw build hw0`, or `make`")
    return softmax_regression_epoch_cpp(X, y, theta, lr, batch)


@pytest.mark.parametrize(
    "m, n, k, batch, lr",
    [*SIZES, (23, 19, 3, 10, 0.5), (9, 11, 12, 3, 0.2), (13, 9, 1, 4, 0.1), (7, 1, 12, 7, 0.4)],
)
def test_softmax_regression_epoch_cpp_follows_the_measured_gradient(m, n, k, batch, lr):
    problem = "hw0/softmax_regression_epoch_cpp"
    check_softmax_epoch(cpp_epoch, problem, m, n, k, batch, lr)


def test_softmax_regression_epoch_cpp_agrees_with_numpy_at_full_width():
    X, y = examples(450, 784, 10)
    theta, wanted = np.zeros((784, 10), np.float32), np.zeros((784, 10), np.float32)
    for _ in range(2):
        cpp_epoch(X, y, theta, lr=0.1, batch=100)
        simple_ml.softmax_regression_epoch(X, y, wanted, lr=0.1, batch=100)
    assert_close(
        theta, wanted, problem="hw0/softmax_regression_epoch_cpp", op="theta", rtol=1e-4, terms=784
    )


def submit_softmax_regression_epoch_cpp():
    sizes = [
        (50, 14, 6, 50, 1.0),
        (60, 25, 10, 10, 0.2),
        (45, 7, 3, 20, 0.5),
        (50, 19, 12, 20, 0.3),
    ]
    submit_epochs(cpp_epoch, sizes)
