"""First weights of a layer: random, and of a size that keeps activations from growing or dying.

All return a Tensor of shape (fan_in, fan_out), drawn by one call of `rand` or `randn`; further
keywords (device, dtype, requires_grad) go to that call.

Xavier: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
networks", 2010. Kaiming: He et al., "Delving deep into rectifiers", 2015.
"""

import math

from .init_basic import *


def xavier_uniform(fan_in, fan_out, gain=1.0, **kwargs):
    """U(-a, a) with a = gain * sqrt(6 / (fan_in + fan_out))."""
    ### BEGIN YOUR SOLUTION hw2/init
    raise NotImplementedError("hw2/init: xavier_uniform is yours to write")
    ### END YOUR SOLUTION


def xavier_normal(fan_in, fan_out, gain=1.0, **kwargs):
    """N(0, std^2) with std = gain * sqrt(2 / (fan_in + fan_out))."""
    ### BEGIN YOUR SOLUTION hw2/init
    raise NotImplementedError("hw2/init: xavier_normal is yours to write")
    ### END YOUR SOLUTION


def kaiming_uniform(fan_in, fan_out, *, nonlinearity="relu", **kwargs):
    """U(-bound, bound) with bound = gain * sqrt(3 / fan_in), where a ReLU's gain is sqrt(2)."""
    assert nonlinearity == "relu", f"only relu is supported, got nonlinearity={nonlinearity!r}"
    assert fan_in > 0, f"a layer needs one input or more, got fan_in={fan_in}"
    shape = kwargs.pop("shape", None)  # of what is drawn; None: (fan_in, fan_out)
    if shape is not None:
        ### BEGIN YOUR SOLUTION hw4/conv_forward
        raise NotImplementedError("hw4/conv_forward: kaiming_uniform is yours to write")
        ### END YOUR SOLUTION
    ### BEGIN YOUR SOLUTION hw2/init
    raise NotImplementedError("hw2/init: kaiming_uniform is yours to write")
    ### END YOUR SOLUTION


def kaiming_normal(fan_in, fan_out, *, nonlinearity="relu", **kwargs):
    """N(0, std^2) with std = gain / sqrt(fan_in), where a ReLU's gain is sqrt(2)."""
    assert nonlinearity == "relu", f"only relu is supported, got nonlinearity={nonlinearity!r}"
    ### BEGIN YOUR SOLUTION hw2/init
    raise NotImplementedError("hw2/init: kaiming_normal is yours to write")
    ### END YOUR SOLUTION
