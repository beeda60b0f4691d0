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
    ### BEGIN SOLUTION hw2/init
    bound = gain * math.sqrt(6 / (fan_in + fan_out))
    return rand(fan_in, fan_out, low=-bound, high=bound, **kwargs)
    ### END SOLUTION


def xavier_normal(fan_in, fan_out, gain=1.0, **kwargs):
    """N(0, std^2) with std = gain * sqrt(2 / (fan_in + fan_out))."""
    ### BEGIN SOLUTION hw2/init
    std = gain * math.sqrt(2 / (fan_in + fan_out))
    return randn(fan_in, fan_out, std=std, **kwargs)
    ### END SOLUTION


def kaiming_uniform(fan_in, fan_out, *, nonlinearity="relu", **kwargs):
    """U(-bound, bound) with bound = gain * sqrt(3 / fan_in), where a ReLU's gain is sqrt(2)."""
    assert nonlinearity == "relu", f"only relu is supported, got nonlinearity={nonlinearity!r}"
    assert fan_in > 0, f"a layer needs one input or more, got fan_in={fan_in}"
    ### FROM hw4
    shape = kwargs.pop("shape", None)  # of what is drawn; None: (fan_in, fan_out)
    if shape is not None:
        ### BEGIN SOLUTION hw4/conv_forward
        bound = math.sqrt(2) * math.sqrt(3 / fan_in)
        return rand(*shape, low=-bound, high=bound, **kwargs)
        ### END SOLUTION
    ### END
    ### BEGIN SOLUTION hw2/init
    bound = math.sqrt(2) * math.sqrt(3 / fan_in)
    return rand(fan_in, fan_out, low=-bound, high=bound, **kwargs)
    ### END SOLUTION


def kaiming_normal(fan_in, fan_out, *, nonlinearity="relu", **kwargs):
    """N(0, std^2) with std = gain / sqrt(fan_in), where a ReLU's gain is sqrt(2)."""
    assert nonlinearity == "relu", f"only relu is supported, got nonlinearity={nonlinearity!r}"
    ### BEGIN SOLUTION hw2/init
    std = math.sqrt(2) / math.sqrt(fan_in)
    return randn(fan_in, fan_out, std=std, **kwargs)
    ### END SOLUTION
