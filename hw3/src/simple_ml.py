"""Softmax regression and a two-layer network, in NumPy and (softmax_regression_epoch_cpp) in C++.

Names used throughout: m examples of n values each in k classes; X (m, n) the examples, y (m,) the
labels, Z (m, k) the logits, theta (n, k) the parameters of softmax regression, W1 (n, d) and
W2 (d, k) those of a two-layer network with d hidden units.
"""

import gzip
import struct

import numpy as np

try:  # noqa: SIM105
    from simple_ml_ext import *  # noqa: F403
except ImportError:
    pass  # not built yet: `hw build hw0`, or `make`; only the C++ problem needs it


def add(x, y):
    """The sum of x and y, numbers or NumPy arrays."""
    ### BEGIN YOUR SOLUTION hw0/add
    raise NotImplementedError("hw0/add: add is yours to write")
    ### END YOUR SOLUTION


def read_gzip(filename):
    """The decompressed bytes of a gzipped file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a gzip file, or it was cut off.
    """
    try:
        with gzip.open(filename, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        raise FileNotFoundError(
            f"there is no file {filename}: `hw start hw0` puts the offline sample into data/, "
            "`hw data mnist` downloads MNIST; run from inside the homework's folder"
        ) from None
    except (EOFError, gzip.BadGzipFile, OSError) as error:
        raise ValueError(f"{filename} is broken ({error}): delete it and get it again") from None


def parse_mnist(image_filename, label_filename):
    """Read a set of labelled images in MNIST's IDX format.

    See http://yann.lecun.com/exdb/mnist/ for the format: a header of big-endian 32-bit integers
    (2051, number of images, rows, columns; 2049, number of labels), then one byte a value.

    Args:
        image_filename: a gzipped file of images.
        label_filename: a gzipped file of as many labels.

    Returns:
        (X, y): X float32 (m, rows * columns), one image a row, its values scaled from 0...255 to
        0.0...1.0; y uint8 (m,), the labels.

    Raises:
        ValueError: a magic number is wrong, a file holds fewer or more bytes than its header
            says, or there are not as many labels as images.
    """
    ### BEGIN YOUR SOLUTION hw0/parse_mnist
    raise NotImplementedError("hw0/parse_mnist: parse_mnist is yours to write")
    ### END YOUR SOLUTION


def softmax_loss(Z, y):
    """The mean softmax (cross-entropy) loss over a batch.

    Args:
        Z: float (m, k), the logits: row i holds example i's score for each class.
        y: integers (m,), the true classes.

    Returns:
        A number: the mean over i of log(sum_j exp(Z[i, j])) - Z[i, y[i]].
    """
    ### BEGIN YOUR SOLUTION hw0/softmax_loss
    raise NotImplementedError("hw0/softmax_loss: softmax_loss is yours to write")
    ### END YOUR SOLUTION


def softmax_regression_epoch(X, y, theta, lr=0.1, batch=100):
    """One epoch of softmax regression by stochastic gradient descent; changes theta in place.

    Minibatches are taken in order, X[:batch], X[batch:2*batch], ... without shuffling. The last
    one may be smaller: the gradient is the mean over the rows that it has.

    Args:
        X: float32 (m, n), the examples.
        y: uint8 (m,), the labels.
        theta: float32 (n, k), the parameters, changed in place.
        lr: step size (learning rate).
        batch: number of examples in a minibatch.

    Returns:
        None.
    """
    ### BEGIN YOUR SOLUTION hw0/softmax_regression_epoch
    raise NotImplementedError("hw0/softmax_regression_epoch: softmax_regression_epoch is yours to write")
    ### END YOUR SOLUTION


def nn_epoch(X, y, W1, W2, lr=0.1, batch=100):
    """One epoch of SGD for the network relu(X @ W1) @ W2 with softmax loss; no biases.

    Both weights are changed in place, after both gradients were computed at their old values.
    Minibatches as in `softmax_regression_epoch`.

    Args:
        X: float32 (m, n), the examples.
        y: uint8 (m,), the labels.
        W1: float32 (n, d), weights of the first layer, changed in place.
        W2: float32 (d, k), weights of the second layer, changed in place.
        lr: step size (learning rate).
        batch: number of examples in a minibatch.

    Returns:
        None.
    """
    ### BEGIN YOUR SOLUTION hw0/nn_epoch
    raise NotImplementedError("hw0/nn_epoch: nn_epoch is yours to write")
    ### END YOUR SOLUTION


# --------------------------------------------------------------------- given: training and reporting


def loss_err(h, y):
    """(mean softmax loss, share of wrong predictions) of logits h (m, k) for labels y (m,)."""
    return softmax_loss(h, y), np.mean(h.argmax(axis=1) != y)


def train_softmax(X_tr, y_tr, X_te, y_te, epochs=10, lr=0.5, batch=100, cpp=False):
    """Train softmax regression from zero; print loss and error of each epoch.

    Args:
        X_tr, y_tr: training examples float32 (m, n) and labels uint8 (m,).
        X_te, y_te: test examples and labels.
        epochs, lr, batch: passes over the data, step size, minibatch size.
        cpp: whether to train with the C++ version.
    """
    theta = np.zeros((X_tr.shape[1], y_tr.max() + 1), dtype=np.float32)
    epoch_of = softmax_regression_epoch_cpp if cpp else softmax_regression_epoch  # noqa: F405
    print("| Epoch | Train Loss | Train Err | Test Loss | Test Err |")
    for epoch in range(epochs):
        epoch_of(X_tr, y_tr, theta, lr=lr, batch=batch)
        print_epoch(epoch, loss_err(X_tr @ theta, y_tr), loss_err(X_te @ theta, y_te))


def train_nn(X_tr, y_tr, X_te, y_te, hidden_dim=500, epochs=10, lr=0.5, batch=100):
    """Train the two-layer network from small random weights; print loss and error of each epoch.

    Args:
        X_tr, y_tr: training examples float32 (m, n) and labels uint8 (m,).
        X_te, y_te: test examples and labels.
        hidden_dim: number of hidden units.
        epochs, lr, batch: passes over the data, step size, minibatch size.
    """
    n, k = X_tr.shape[1], y_tr.max() + 1
    np.random.seed(0)
    W1 = np.random.randn(n, hidden_dim).astype(np.float32) / np.sqrt(np.float32(hidden_dim))
    W2 = np.random.randn(hidden_dim, k).astype(np.float32) / np.sqrt(np.float32(k))
    print("| Epoch | Train Loss | Train Err | Test Loss | Test Err |")
    for epoch in range(epochs):
        nn_epoch(X_tr, y_tr, W1, W2, lr=lr, batch=batch)
        train, test = (np.maximum(X @ W1, 0) @ W2 for X in (X_tr, X_te))
        print_epoch(epoch, loss_err(train, y_tr), loss_err(test, y_te))


def print_epoch(epoch, train, test):
    """One line of the training table; train and test are (loss, error)."""
    print(
        f"|  {epoch:>4} |    {train[0]:.5f} |   {train[1]:.5f} |   {test[0]:.5f} |  {test[1]:.5f} |",
        flush=True,
    )


if __name__ == "__main__":
    X_tr, y_tr = parse_mnist("data/train-images-idx3-ubyte.gz", "data/train-labels-idx1-ubyte.gz")
    X_te, y_te = parse_mnist("data/t10k-images-idx3-ubyte.gz", "data/t10k-labels-idx1-ubyte.gz")
    print(f"{len(X_tr)} training and {len(X_te)} test images from data/")

    print("Training softmax regression")
    train_softmax(X_tr, y_tr, X_te, y_te, epochs=10, lr=0.1)

    print("\nTraining a two-layer network with 100 hidden units")
    train_nn(X_tr, y_tr, X_te, y_te, hidden_dim=100, epochs=20, lr=0.2)
