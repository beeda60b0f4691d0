"""Homework 0's two-layer network once more, now with gradients that nobody had to derive."""

import gzip
import os
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))

import numpy as np

import needle as ndl

from needle import nn

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from apps.models import *

device = ndl.cpu()


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



# ------------------------------------------------------------------ homework 4: images and text


def device_of(model):
    """The device that a model's parameters are on."""
    return model.parameters()[0].device


def epoch_general_cifar10(dataloader, model, loss_fn=nn.SoftmaxLoss(), opt=None):
    """One pass over images: training with `opt`, evaluation without.

    The batches are moved to the device of the model.

    Returns:
        (accuracy, mean loss) over all samples, as floats.
    """
    np.random.seed(4)
    ### BEGIN YOUR SOLUTION hw4/resnet9
    raise NotImplementedError("hw4/resnet9: epoch_general_cifar10 is yours to write")
    ### END YOUR SOLUTION


def train_cifar10(
    model,
    dataloader,
    n_epochs=1,
    optimizer=ndl.optim.Adam,
    lr=0.001,
    weight_decay=0.001,
    loss_fn=nn.SoftmaxLoss,
):
    """Train `model` for `n_epochs` passes; `optimizer` and `loss_fn` are classes.

    Returns:
        (accuracy, mean loss) of the last pass.
    """
    np.random.seed(4)
    ### BEGIN YOUR SOLUTION hw4/resnet9
    raise NotImplementedError("hw4/resnet9: train_cifar10 is yours to write")
    ### END YOUR SOLUTION


def evaluate_cifar10(model, dataloader, loss_fn=nn.SoftmaxLoss):
    """(accuracy, mean loss) of `model` in evaluation; `loss_fn` is a class."""
    np.random.seed(4)
    ### BEGIN YOUR SOLUTION hw4/resnet9
    raise NotImplementedError("hw4/resnet9: evaluate_cifar10 is yours to write")
    ### END YOUR SOLUTION


def detached(h):
    """The state of a sequence model (a Tensor, a tuple of them, None) without its graph.

    (Yours to use or not.)
    """
    ### BEGIN YOUR SOLUTION hw4/language_model
    raise NotImplementedError("hw4/language_model: detached is yours to write or not")
    ### END YOUR SOLUTION


def epoch_general_ptb(
    data,
    model,
    seq_len=40,
    loss_fn=nn.SoftmaxLoss(),
    opt=None,
    clip=None,
    device=None,
    dtype="float32",
):
    """One pass over a text: training with `opt`, evaluation without.

    The text is read from its first row to its last in stretches of `seq_len` rows (the last one
    may be shorter). The model's state goes from each stretch to the next, detached.

    Args:
        data: NumPy array (rows, batch_size) of word ids, from batchify.
        model: maps ids (T, B) and a state to (logits (T * B, words), state).
        clip: largest norm of the gradients, see SGD.clip_grad_norm; None: any.
        device, dtype: of the batches.

    Returns:
        (accuracy, mean loss) over all targets, as floats.
    """
    np.random.seed(4)
    ### BEGIN YOUR SOLUTION hw4/language_model
    raise NotImplementedError("hw4/language_model: epoch_general_ptb is yours to write")
    ### END YOUR SOLUTION


def train_ptb(
    model,
    data,
    seq_len=40,
    n_epochs=1,
    optimizer=ndl.optim.SGD,
    lr=4.0,
    weight_decay=0.0,
    loss_fn=nn.SoftmaxLoss,
    clip=None,
    device=None,
    dtype="float32",
):
    """Train `model` for `n_epochs` passes; `optimizer` and `loss_fn` are classes.

    Returns:
        (accuracy, mean loss) of the last pass.
    """
    np.random.seed(4)
    ### BEGIN YOUR SOLUTION hw4/language_model
    raise NotImplementedError("hw4/language_model: train_ptb is yours to write")
    ### END YOUR SOLUTION


def evaluate_ptb(model, data, seq_len=40, loss_fn=nn.SoftmaxLoss, device=None, dtype="float32"):
    """(accuracy, mean loss) of `model` in evaluation; `loss_fn` is a class."""
    np.random.seed(4)
    ### BEGIN YOUR SOLUTION hw4/language_model
    raise NotImplementedError("hw4/language_model: evaluate_ptb is yours to write")
    ### END YOUR SOLUTION


