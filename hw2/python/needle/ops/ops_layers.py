"""What layers compute, as functions of Tensors; the modules in `nn` hold the parameters.

`@composite` says that a device may have a kernel for the function (in homework 4).

Shapes: B is the number of samples in a batch.
"""

from .. import init

from .ops_logarithmic import finite, logsumexp, spread_to_shape

composite = lambda function: function  # noqa: F811


@composite
def linear(x, weight, bias=None):
    """x @ weight + bias: (..., I) -> (..., O), with weight (I, O) and bias (1, O), (O,) or None."""
    ### BEGIN YOUR SOLUTION hw2/nn_linear
    raise NotImplementedError("hw2/nn_linear: linear is yours to write or not")
    ### END YOUR SOLUTION


@composite
def softmax_loss(logits, y):
    """The mean of log(sum(exp(logits))) - logits[true class] over a batch.

    logits (B, classes), class ids y (B,) -> a number, shape ().
    """
    ### BEGIN YOUR SOLUTION hw2/nn_softmax_loss
    raise NotImplementedError("hw2/nn_softmax_loss: softmax_loss is yours to write or not")
    ### END YOUR SOLUTION


@composite
def batch_norm(x, weight, bias, running_mean, running_var, *, eps, momentum, training):
    """Each feature with mean 0 and variance 1, then scaled and shifted: (B, dim).

    In training by mean and variance of the batch, which also enter the running averages with the
    weight `momentum`; else by the running averages, which stay as they are.

    Args:
        weight, bias, running_mean, running_var: (dim,).

    Returns:
        (y, running_mean, running_var); the averages without a graph.
    """
    ### BEGIN YOUR SOLUTION hw2/nn_batchnorm
    raise NotImplementedError("hw2/nn_batchnorm: batch_norm is yours to write")
    ### END YOUR SOLUTION


@composite
def layer_norm(x, weight, bias, *, eps):
    """Each sample with mean 0 and variance 1 over its features, then scaled and shifted: (B, dim).

    The features are the last axis; there may be more than one before it.

    Args:
        weight, bias: (dim,).
    """
    ### BEGIN YOUR SOLUTION hw2/nn_layernorm
    raise NotImplementedError("hw2/nn_layernorm: layer_norm is yours to write or not")
    ### END YOUR SOLUTION
