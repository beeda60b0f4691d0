"""Homework 0's two-layer network once more, now with gradients that nobody had to derive."""

import gzip
import os
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))

import numpy as np

import needle as ndl


def parse_mnist(image_filesname, label_filename):
    """Read gzipped IDX files, as in homework 0.

    Returns:
        (X, y): images (n, 784), float32 in [0, 1], and labels (n,), uint8.
    """
    ### BEGIN YOUR SOLUTION hw1/softmax_loss_ndl
    raise NotImplementedError("hw1/softmax_loss_ndl: parse_mnist is yours to write")
    ### END YOUR SOLUTION


def softmax_loss(Z, y_one_hot):
    """The mean over samples of log(sum(exp(Z))) - Z[true class].

    Args:
        Z: Tensor (samples, classes), the logits.
        y_one_hot: Tensor (samples, classes), 1 at each sample's true class and else 0.

    Returns:
        Tensor of shape (), made by needle's operators.
    """
    ### BEGIN YOUR SOLUTION hw1/softmax_loss_ndl
    raise NotImplementedError("hw1/softmax_loss_ndl: softmax_loss is yours to write")
    ### END YOUR SOLUTION


def nn_epoch(X, y, W1, W2, lr=0.1, batch=100):
    """One epoch of stochastic gradient descent for the network relu(X @ W1) @ W2.

    The batches are taken in the order of the data, without shuffling; the last may be smaller.

    Args:
        X: NumPy array (samples, features), float32.
        y: NumPy array (samples,), the class ids.
        W1, W2: Tensors (features, hidden) and (hidden, classes), the weights.
        lr: the step size.
        batch: the number of samples in a batch.

    Returns:
        (W1, W2): new Tensors, the weights after the epoch; those given are not changed.
    """
    ### BEGIN YOUR SOLUTION hw1/nn_epoch_ndl
    raise NotImplementedError("hw1/nn_epoch_ndl: nn_epoch is yours to write")
    ### END YOUR SOLUTION


def loss_err(h, y):
    """The softmax loss and the error rate of the logits `h`, a Tensor, given the class ids `y`."""
    y_one_hot = np.zeros((y.shape[0], h.shape[-1]))
    y_one_hot[np.arange(y.size), y] = 1
    loss = softmax_loss(h, ndl.Tensor(y_one_hot)).numpy()
    return loss, np.mean(h.numpy().argmax(axis=1) != y)


