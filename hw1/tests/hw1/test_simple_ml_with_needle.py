"""Homework 1: softmax loss as a graph, and training a two-layer network by it."""

import gc
import gzip
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

sys.path.append("./python")
sys.path.append("./apps")

import needle as ndl
import numpy as np
import pytest
from course_testing import assert_close, assert_constant, slip
from hw1_operators import tensors, weights_for
from needle import autograd

# -------------------------------------------------------------------------------- softmax_loss_ndl


def numpy_softmax_loss(logits, y_one_hot):
    peak = logits.max(axis=1, keepdims=True)
    normalizer = np.log(np.exp(logits - peak).sum(axis=1)) + peak[:, 0]
    across = np.log(np.exp(logits).sum(axis=0)).sum() / len(logits)
    name = "exp is summed over the samples: over the classes, axis 1"
    normalizer = slip(name, normalizer, across)
    losses = normalizer - (logits * y_one_hot).sum(axis=1)
    loss = losses.mean()
    loss = slip("the sum over the samples: the mean is asked", loss, losses.sum())
    loss = slip("divided by the number of classes", loss, losses.sum() / logits.shape[1])
    return slip("the loss is negated", loss, -loss)


def logits_and_labels(samples=7, classes=4, seed=0):
    random = np.random.RandomState(seed)
    one_hot = np.eye(classes)[random.randint(classes, size=samples)]
    return random.randn(samples, classes), one_hot


def test_softmax_loss_ndl_is_the_mean_over_the_samples():
    from simple_ml import softmax_loss

    logits, one_hot = logits_and_labels()
    loss = softmax_loss(*tensors([logits, one_hot]))
    assert_close(
        loss,
        numpy_softmax_loss(logits.astype("float32").astype("float64"), one_hot),
        problem="hw1/softmax_loss_ndl",
        dtype="float32",
        lengths=logits.shape,
    )


def test_softmax_loss_ndl_of_equal_logits_is_the_log_of_the_number_of_classes():
    from simple_ml import softmax_loss

    _, one_hot = logits_and_labels(samples=5, classes=10)
    loss = softmax_loss(*tensors([np.zeros((5, 10)), one_hot]))
    assert_close(loss, np.log(10.0), problem="hw1/softmax_loss_ndl", lengths=(5, 10))


def test_softmax_loss_ndl_takes_labels_of_another_dtype():
    from simple_ml import softmax_loss

    logits, one_hot = logits_and_labels()
    loss = softmax_loss(ndl.Tensor(logits, dtype="float32"), ndl.Tensor(one_hot))
    assert_close(loss, numpy_softmax_loss(logits, one_hot), problem="hw1/softmax_loss_ndl")


def test_softmax_loss_ndl_has_a_gradient():
    from simple_ml import softmax_loss

    logits, one_hot = logits_and_labels()
    Z = ndl.Tensor(logits)
    loss = softmax_loss(Z, ndl.Tensor(one_hot))
    assert not loss.is_leaf(), (
        "hw1/softmax_loss_ndl: the loss belongs to no graph and has no gradient: compute it with "
        "needle's operators, not with NumPy"
    )
    loss.backward()
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert_close(
        Z.grad,
        (probabilities - one_hot) / len(logits),
        problem="hw1/softmax_loss_ndl",
        op="gradient",
        lengths=logits.shape,
    )


def test_softmax_loss_ndl_on_the_digits():
    from simple_ml import parse_mnist, softmax_loss

    X, y = parse_mnist("data/train-images-idx3-ubyte.gz", "data/train-labels-idx1-ubyte.gz")
    assert X.dtype == np.float32 and X.shape == (len(y), 784), (
        f"hw1/softmax_loss_ndl: parse_mnist: images {X.dtype} {X.shape} with {len(y)} labels: "
        "the header of images has 16 bytes, that of labels 8"
    )
    assert (X.min(), X.max()) == (0.0, 1.0), (
        f"hw1/softmax_loss_ndl: parse_mnist: pixels from {X.min()} to {X.max()}, expected 0 to 1: "
        "divide by 255"
    )
    one_hot = np.eye(10)[y[:50]]
    logits = X[:50] @ np.random.RandomState(0).randn(784, 10) / 28
    loss = softmax_loss(ndl.Tensor(logits), ndl.Tensor(one_hot))
    assert_close(loss, numpy_softmax_loss(logits, one_hot), problem="hw1/softmax_loss_ndl")


def write_digits(folder, pixels, labels):
    """Images (m, 784) and labels (m,) in two IDX files; returns their paths."""
    header = b"".join(n.to_bytes(4, "big") for n in (2051, len(pixels), 28, 28))
    images = folder / "images.gz", header + pixels.astype(np.uint8).tobytes()
    header = b"".join(n.to_bytes(4, "big") for n in (2049, len(labels)))
    for path, content in (
        images,
        (folder / "labels.gz", header + labels.astype(np.uint8).tobytes()),
    ):
        path.write_bytes(gzip.compress(content, 1))
    return str(folder / "images.gz"), str(folder / "labels.gz")


def test_softmax_loss_ndl_reads_idx_files_of_any_length(tmp_path):
    from simple_ml import parse_mnist

    pixels = np.arange(3 * 784, dtype=np.int64).reshape(3, 784) % 251
    X, y = parse_mnist(*write_digits(tmp_path, pixels, np.array([7, 0, 9])))
    wanted = slip("pixels are not scaled: divide by 255", pixels / 255, pixels)
    assert_close(X, wanted, problem="hw1/softmax_loss_ndl", op="images", dtype="float32")
    assert_close(y, np.array([7, 0, 9]), problem="hw1/softmax_loss_ndl", op="labels", dtype="uint8")


def submit_softmax_loss_ndl():
    import mugrade
    from simple_ml import parse_mnist, softmax_loss

    rng = mugrade.rng()
    for samples, classes in ((8, 10), (3, 5), (1, 2)):
        one_hot = np.eye(classes)[rng.randint(classes, size=samples)]
        Z, y = tensors([rng.randn(samples, classes), one_hot])
        loss = softmax_loss(Z, y)
        loss.backward()
        mugrade.submit(loss.numpy(), label=f"loss of {samples} x {classes}")
        mugrade.submit(Z.grad.numpy(), label=f"gradient of {samples} x {classes}")
    with tempfile.TemporaryDirectory() as folder:
        pixels, labels = rng.randint(99, size=(6, 784)), rng.randint(10, size=6)
        X, y = parse_mnist(*write_digits(Path(folder), pixels, labels))
    mugrade.submit([X[:, ::7], y], label="parse_mnist on dark images")


# ------------------------------------------------------------------------------------ nn_epoch_ndl


def test_nn_epoch_ndl_relu():
    a = np.array([[-2.0, -0.0, 0.0, 0.5], [3.0, -1e-3, 1e-3, -7.0]])
    x = ndl.Tensor(a, dtype="float32")
    y = ndl.relu(x)
    wanted = slip(
        "negative numbers leak through: they become 0", np.maximum(a, 0), np.maximum(a, a / 100)
    )
    assert_close(y, wanted, problem="hw1/nn_epoch_ndl", op="relu", dtype="float32")
    weights = weights_for(a)
    y.backward(ndl.Tensor(weights, dtype="float32"))
    passes = slip("a number at exactly 0 passes a gradient: > 0, not >= 0", a > 0, a >= 0)
    passes = slip(
        "every number passes a gradient: of the input > 0, not of the result >= 0", passes, a < 9
    )
    assert_close(
        x.grad,
        weights * passes,
        problem="hw1/nn_epoch_ndl",
        op="ReLU.gradient (0 at 0)",
        dtype="float32",
    )


def test_nn_epoch_ndl_relu_of_a_number():
    x = ndl.Tensor(np.float32(2.0))
    y = ndl.relu(x) * ndl.relu(x)
    y.backward()
    assert_close(x.grad, np.array(4.0), problem="hw1/nn_epoch_ndl", op="ReLU", dtype="float32")
    x.grad.backward()
    assert_close(x.grad, np.array(2.0), problem="hw1/nn_epoch_ndl", op="ReLU twice")


def numpy_nn_epoch(X, y, W1, W2, lr, batch):
    """The same epoch by hand, in float64."""
    X, W1, W2 = X.astype("float64"), W1.astype("float64"), W2.astype("float64")
    lr = slip("uphill: the gradient is subtracted", lr, -lr)
    lr = slip("the step is a little too long: lr times the gradient", lr, 1.01 * lr)
    name = "the last batch, which is shorter, is left out"
    for first in range(0, slip(name, len(X), len(X) // batch * batch), batch):
        x, labels = X[first : first + batch], y[first : first + batch]
        x = slip("the images of the first batch are used for all", x, X[: len(x)])
        labels = slip("the labels of the first batch are used for all", labels, y[: len(x)])
        hidden = x @ W1
        active = np.maximum(hidden, 0)
        logits = active @ W2
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        p = p / p.sum(axis=1, keepdims=True) - np.eye(W2.shape[1])[labels]
        p = slip("the sum over the batch: the loss is its mean", p, p * len(x))
        dW2 = active.T @ p / len(x)
        dW1 = x.T @ ((p @ W2.T) * (hidden > 0)) / len(x)
        W1, W2 = W1 - lr * dW1, W2 - lr * dW2
    return W1, W2


def small_network(samples=40, features=6, hidden=5, classes=3, seed=0):
    random = np.random.RandomState(seed)
    X = random.randn(samples, features).astype("float32")
    y = random.randint(classes, size=samples).astype("uint8")
    W1 = random.randn(features, hidden).astype("float32") / np.sqrt(np.float32(hidden))
    W2 = random.randn(hidden, classes).astype("float32") / np.sqrt(np.float32(classes))
    return X, y, W1, W2


@pytest.mark.parametrize("lr, batch", [(0.2, 10), (1.0, 40), (0.1, 1), (0.5, 15)])
def test_nn_epoch_ndl_is_gradient_descent(lr, batch):
    from simple_ml import nn_epoch

    X, y, W1, W2 = small_network()
    desired = numpy_nn_epoch(X, y, W1, W2, lr, batch)
    result = nn_epoch(X, y, ndl.Tensor(W1), ndl.Tensor(W2), lr=lr, batch=batch)
    for name, actual, wanted in zip(("W1", "W2"), result, desired):
        assert_close(
            actual, wanted, problem="hw1/nn_epoch_ndl", op=name, dtype="float32", rtol=1e-4
        )


def test_nn_epoch_ndl_has_as_many_classes_as_W2_has_columns():
    from simple_ml import nn_epoch

    X, y, W1, W2 = small_network()
    y = np.minimum(y, 1)  # nobody is of the last class
    desired = numpy_nn_epoch(X, y, W1, W2, 0.5, 10)
    try:
        result = nn_epoch(X, y, ndl.Tensor(W1), ndl.Tensor(W2), lr=0.5, batch=10)
    except (ValueError, IndexError) as error:
        pytest.fail(f"hw1/nn_epoch_ndl: a one-hot row is as long as W2 has columns: {error}")
    for name, actual, wanted in zip(("W1", "W2"), result, desired):
        assert_close(actual, wanted, problem="hw1/nn_epoch_ndl", op=name, rtol=1e-4)


def test_nn_epoch_ndl_returns_new_weights_and_leaves_its_arguments_alone():
    from simple_ml import nn_epoch

    X, y, W1, W2 = small_network()
    first, second = ndl.Tensor(W1), ndl.Tensor(W2)
    kept = [array.copy() for array in (X, y, W1, W2)]
    new_first, new_second = nn_epoch(X, y, first, second, lr=0.5, batch=20)
    assert isinstance(new_first, ndl.Tensor) and isinstance(new_second, ndl.Tensor)
    for name, actual, wanted in zip(("X", "y", "W1", "W2"), (X, y, first, second), kept):
        op = f"{name}, afterwards (leave it, return new weights)"
        assert_close(actual, wanted, problem="hw1/nn_epoch_ndl", op=op)


def test_nn_epoch_ndl_holds_a_constant_number_of_values(no_collector):
    from simple_ml import nn_epoch

    X, y, W1, W2 = small_network()
    alive, weights = [], (ndl.Tensor(W1), ndl.Tensor(W2))
    for _ in range(5):
        weights = nn_epoch(X, y, *weights, lr=0.1, batch=5)
        alive.append(autograd.TENSOR_COUNTER)
    assert_constant(
        alive[1:],
        "hw1/nn_epoch_ndl",
        "the Values of old steps are kept: make new weights of numbers",
    )


def test_nn_epoch_ndl_learns_the_digits():
    from simple_ml import loss_err, nn_epoch, parse_mnist

    X, y = parse_mnist("data/train-images-idx3-ubyte.gz", "data/train-labels-idx1-ubyte.gz")
    X, y = X[:6000], y[:6000]
    random = np.random.RandomState(0)
    W1 = ndl.Tensor(random.randn(784, 50).astype("float32") / np.sqrt(np.float32(50)))
    W2 = ndl.Tensor(random.randn(50, 10).astype("float32") / np.sqrt(np.float32(10)))
    losses = []
    for _ in range(2):
        W1, W2 = nn_epoch(X, y, W1, W2, lr=0.2, batch=100)
        loss, error = loss_err(ndl.relu(ndl.Tensor(X) @ W1) @ W2, y)
        losses.append(loss)
    assert losses[1] < losses[0] < np.log(10) and error < 0.15


def submit_nn_epoch_ndl():
    import mugrade
    from simple_ml import nn_epoch

    rng = mugrade.rng()
    mugrade.submit(ndl.relu(ndl.Tensor(rng.randn(3, 5))).numpy(), label="relu")
    for samples, batch, lr in ((30, 10, 0.2), (24, 24, 1.0), (20, 6, 0.05)):
        X = rng.randn(samples, 6).astype("float32")
        y = rng.randint(3, size=samples).astype("uint8")
        given = tensors([rng.randn(6, 5) / 2, rng.randn(5, 4) / 2])
        W1, W2 = nn_epoch(X, y, *given, lr=lr, batch=batch)
        mugrade.submit(W1.numpy(), label=f"W1 after batches of {batch}")
        mugrade.submit(W2.numpy(), label=f"W2 after batches of {batch}")
    mugrade.submit(given[0].numpy(), label="the given W1 afterwards")
    X, y = rng.randn(12, 6).astype("float32"), rng.randint(4, size=12).astype("uint8")
    weights, alive = tensors([rng.randn(6, 5) / 2, rng.randn(5, 4) / 2]), []
    for _ in range(4):
        weights = nn_epoch(X, y, *weights, lr=0.1, batch=4)
        gc.collect()
        alive.append(autograd.TENSOR_COUNTER)
    growth = [later - earlier for earlier, later in pairwise(alive)]
    mugrade.submit([growth, weights[1].numpy()], label="the memory that an epoch keeps")
