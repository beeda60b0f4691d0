"""Modules: `Module` itself, and the layers of a multi-layer perceptron.

Shapes: B is the number of samples in a batch.
"""

import math

from needle import init, ops
from needle.autograd import Tensor

from . import nn_state


class Parameter(Tensor):
    """A Tensor that an optimizer changes. `Module.parameters()` finds it."""


def _child_modules(value):
    """All Modules in a Module (itself included), dict, list or tuple, in order, depth first."""
    return [module for _, module in nn_state.named(value, Module)]


class Module:
    """A part of a network: it owns Parameters and other Modules, and maps inputs to outputs.

    Attributes:
        training: True in training; some layers compute something else in evaluation.
    """

    def __init__(self):
        self.training = True

    def parameters(self):
        """Every Parameter in here, each once, in the order in which they were assigned."""
        return list(dict.fromkeys(param for _, param in nn_state.named(self, Parameter)))

    def _children(self):
        return _child_modules(self.__dict__)

    def eval(self):
        """Switch this module, and all modules in it, to evaluation."""
        self.train(False)

    def train(self, mode=True):
        """Switch this module, and all modules in it, to training (or not, with `mode` False)."""
        for module in _child_modules(self):
            module.training = mode

    state_dict = nn_state.state_dict
    load_state_dict = nn_state.load_state_dict

    def __call__(self, *args, **kwargs):
        result = self.forward(*args, **kwargs)
        if result is None:
            raise TypeError(f"{type(self).__name__}.forward returned None: is a `return` missing?")
        return result

    def forward(self, *args, **kwargs):
        raise NotImplementedError(f"{type(self).__name__} has no forward: define forward(self, x)")


class Identity(Module):
    """The input itself."""

    def forward(self, x):
        return x


class Linear(Module):
    """x @ weight + bias: (..., in_features) -> (..., out_features).

    Attributes:
        weight: Parameter (in_features, out_features), Kaiming uniform with fan_in = in_features.
        bias: Parameter (1, out_features), Kaiming uniform with fan_in = out_features; or None.
    """

    def __init__(self, in_features, out_features, bias=True, device=None, dtype="float32"):
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        ### BEGIN SOLUTION hw2/nn_linear
        weight = init.kaiming_uniform(in_features, out_features, device=device, dtype=dtype)
        self.weight = Parameter(weight)
        self.bias = None
        if bias:
            row = init.kaiming_uniform(out_features, 1, device=device, dtype=dtype)
            self.bias = Parameter(row.reshape((1, out_features)))
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION hw2/nn_linear
        return ops.linear(x, self.weight, self.bias)
        ### END SOLUTION


class Flatten(Module):
    """(B, n1, n2, ...) -> (B, n1 * n2 * ...)."""

    def forward(self, x):
        ### BEGIN SOLUTION hw2/nn_flatten
        return x.reshape((x.shape[0], math.prod(x.shape[1:])))
        ### END SOLUTION


class ReLU(Module):
    """max(x, 0), element by element."""

    def forward(self, x):
        ### BEGIN SOLUTION hw2/nn_relu
        return ops.relu(x)
        ### END SOLUTION


class Sequential(Module):
    """Modules one after the other: the output of each is the input of the next."""

    def __init__(self, *modules):
        super().__init__()
        self.modules = modules

    ### FROM hw4
    @ops.chained
    ### END
    def forward(self, x):
        ### BEGIN SOLUTION hw2/nn_sequential
        for module in self.modules:
            x = module(x)
        return x
        ### END SOLUTION


class SoftmaxLoss(Module):
    """The mean over a batch of log(sum(exp(logits))) - logits[true class]."""

    def forward(self, logits, y):
        """logits (B, classes), class ids y (B,) -> a number, shape ()."""
        assert y.shape == logits.shape[:-1], f"class ids {y.shape} do not fit logits {logits.shape}"
        ### BEGIN SOLUTION hw2/nn_softmax_loss
        return ops.softmax_loss(logits, y)
        ### END SOLUTION


class BatchNorm1d(Module):
    """Each feature with mean 0 and variance 1 over the batch, then scaled and shifted: (B, dim).

    In training by the statistics of the batch, in evaluation by their running averages.

    Attributes:
        weight, bias: Parameters (dim,), first ones and zeros.
        running_mean, running_var: Tensors (dim,), first zeros and ones.
    """

    def __init__(self, dim, eps=1e-5, momentum=0.1, device=None, dtype="float32"):
        super().__init__()
        self.dim, self.eps, self.momentum = dim, eps, momentum
        ### BEGIN SOLUTION hw2/nn_batchnorm
        made_on = {"device": device, "dtype": dtype}
        self.weight = Parameter(init.ones(dim, **made_on))
        self.bias = Parameter(init.zeros(dim, **made_on))
        self.running_mean = init.zeros(dim, **made_on)
        self.running_var = init.ones(dim, **made_on)
        ### END SOLUTION

    def normalized(self, x, function):
        """`function`, `ops.batch_norm` or one like it, of x and what this module holds; the running
        averages that it returns are kept. (Yours to use or not.)"""
        y, self.running_mean, self.running_var = function(
            x,
            self.weight,
            self.bias,
            self.running_mean,
            self.running_var,
            eps=self.eps,
            momentum=self.momentum,
            training=self.training,
        )
        return y

    def forward(self, x):
        ### BEGIN SOLUTION hw2/nn_batchnorm
        return self.normalized(x, ops.batch_norm)
        ### END SOLUTION


class LayerNorm1d(Module):
    """Each sample with mean 0 and variance 1 over its features, then scaled and shifted: (B, dim).

    Attributes:
        weight, bias: Parameters (dim,), first ones and zeros.
    """

    def __init__(self, dim, eps=1e-5, device=None, dtype="float32"):
        super().__init__()
        self.dim, self.eps = dim, eps
        ### BEGIN SOLUTION hw2/nn_layernorm
        self.weight = Parameter(init.ones(dim, device=device, dtype=dtype))
        self.bias = Parameter(init.zeros(dim, device=device, dtype=dtype))
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION hw2/nn_layernorm
        return ops.layer_norm(x, self.weight, self.bias, eps=self.eps)
        ### END SOLUTION


class Dropout(Module):
    """In training each element is zero with probability `p`, and else divided by 1 - p.

    In evaluation the input itself.
    """

    def __init__(self, p=0.5):
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"the probability to drop must be in [0, 1), got {p}")
        self.p = p

    def forward(self, x):
        ### BEGIN SOLUTION hw2/nn_dropout
        if not self.training or self.p == 0:
            return x
        keep = 1 - self.p
        mask = init.randb(*x.shape, p=keep, like=x)
        return x * mask / keep
        ### END SOLUTION


class Residual(Module):
    """fn(x) + x."""

    def __init__(self, fn):
        super().__init__()
        self.fn = fn

    def forward(self, x):
        ### BEGIN SOLUTION hw2/nn_residual
        return self.fn(x) + x
        ### END SOLUTION
