"""What layers compute, as functions of Tensors; the modules in `nn` hold the parameters.

`@composite` says that a device may have a kernel for the function (in homework 4).

Shapes: B is the number of samples in a batch.
"""

from .. import init

### FROM hw4
from .ops_composite import composite

### END
from .ops_logarithmic import finite, logsumexp, spread_to_shape

### UNTIL hw3
composite = lambda function: function  # noqa: F811
### END


@composite
def linear(x, weight, bias=None):
    """x @ weight + bias: (..., I) -> (..., O), with weight (I, O) and bias (1, O), (O,) or None."""
    ### BEGIN SOLUTION hw2/nn_linear optional
    y = x @ weight
    return y if bias is None else y + bias.broadcast_to(y.shape)
    ### END SOLUTION


@composite
def softmax_loss(logits, y):
    """The mean of log(sum(exp(logits))) - logits[true class] over a batch.

    logits (B, classes), class ids y (B,) -> a number, shape ().
    """
    ### BEGIN SOLUTION hw2/nn_softmax_loss optional
    samples, classes = logits.shape
    one_hot = init.one_hot(classes, y, like=logits)
    true_logits = (finite(logits) * one_hot).sum(axes=1)  # inf * 0 would be NaN
    return (logsumexp(logits, axes=1) - true_logits).sum() / samples
    ### END SOLUTION


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
    ### BEGIN SOLUTION hw2/nn_batchnorm
    if training:
        samples = x.shape[0]
        mean = x.sum(axes=0) / samples
        centred = x - mean.broadcast_to(x.shape)
        var = (centred**2).sum(axes=0) / samples
        keep = 1 - momentum
        running_mean = keep * running_mean + momentum * mean.detach()
        running_var = keep * running_var + momentum * var.detach()
    else:
        centred = x - running_mean.broadcast_to(x.shape)
        var = running_var
    scale = weight / (var + eps) ** 0.5
    y = centred * scale.broadcast_to(x.shape) + bias.broadcast_to(x.shape)
    return y, running_mean, running_var
    ### END SOLUTION


@composite
def layer_norm(x, weight, bias, *, eps):
    """Each sample with mean 0 and variance 1 over its features, then scaled and shifted: (B, dim).

    The features are the last axis; there may be more than one before it.

    Args:
        weight, bias: (dim,).
    """
    ### BEGIN SOLUTION hw2/nn_layernorm optional
    features = x.shape[-1]
    mean = x.sum(axes=-1) / features
    centred = x - spread_to_shape(mean, x.shape, -1)
    var = (centred**2).sum(axes=-1) / features
    normal = centred / spread_to_shape((var + eps) ** 0.5, x.shape, -1)
    return weight.broadcast_to(x.shape) * normal + bias.broadcast_to(x.shape)
    ### END SOLUTION
