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
        ### BEGIN YOUR SOLUTION hw2/nn_linear
        raise NotImplementedError("hw2/nn_linear: Linear.__init__ is yours to write")
        ### END YOUR SOLUTION

    def forward(self, x):
        ### BEGIN YOUR SOLUTION hw2/nn_linear
        raise NotImplementedError("hw2/nn_linear: Linear.forward is yours to write")
        ### END YOUR SOLUTION


class Flatten(Module):
    """(B, n1, n2, ...) -> (B, n1 * n2 * ...)."""

    def forward(self, x):
        ### BEGIN YOUR SOLUTION hw2/nn_flatten
        raise NotImplementedError("hw2/nn_flatten: Flatten.forward is yours to write")
        ### END YOUR SOLUTION


class ReLU(Module):
    """max(x, 0), element by element."""

    def forward(self, x):
        ### BEGIN YOUR SOLUTION hw2/nn_relu
        raise NotImplementedError("hw2/nn_relu: ReLU.forward is yours to write")
        ### END YOUR SOLUTION


class Sequential(Module):
    """Modules one after the other: the output of each is the input of the next."""

    def __init__(self, *modules):
        super().__init__()
        self.modules = modules

    def forward(self, x):
        ### BEGIN YOUR SOLUTION hw2/nn_sequential
        raise NotImplementedError("hw2/nn_sequential: Sequential.forward is yours to write")
        ### END YOUR SOLUTION


class SoftmaxLoss(Module):
    """The mean over a batch of log(sum(exp(logits))) - logits[true class]."""

    def forward(self, logits, y):
        """logits (B, classes), class ids y (B,) -> a number, shape ()."""
        assert y.shape == logits.shape[:-1], f"class ids {y.shape} do not fit logits {logits.shape}"
        ### BEGIN YOUR SOLUTION hw2/nn_softmax_loss
        raise NotImplementedError("hw2/nn_softmax_loss: SoftmaxLoss.forward is yours to write")
        ### END YOUR SOLUTION


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
        ### BEGIN YOUR SOLUTION hw2/nn_batchnorm
        raise NotImplementedError("hw2/nn_batchnorm: BatchNorm1d.__init__ is yours to write")
        ### END YOUR SOLUTION

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
        ### BEGIN YOUR SOLUTION hw2/nn_batchnorm
        raise NotImplementedError("hw2/nn_batchnorm: BatchNorm1d.forward is yours to write")
        ### END YOUR SOLUTION


class LayerNorm1d(Module):
    """Each sample with mean 0 and variance 1 over its features, then scaled and shifted: (B, dim).

    Attributes:
        weight, bias: Parameters (dim,), first ones and zeros.
    """

    def __init__(self, dim, eps=1e-5, device=None, dtype="float32"):
        super().__init__()
        self.dim, self.eps = dim, eps
        ### BEGIN YOUR SOLUTION hw2/nn_layernorm
        raise NotImplementedError("hw2/nn_layernorm: LayerNorm1d.__init__ is yours to write")
        ### END YOUR SOLUTION

    def forward(self, x):
        ### BEGIN YOUR SOLUTION hw2/nn_layernorm
        raise NotImplementedError("hw2/nn_layernorm: LayerNorm1d.forward is yours to write")
        ### END YOUR SOLUTION


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
        ### BEGIN YOUR SOLUTION hw2/nn_dropout
        raise NotImplementedError("hw2/nn_dropout: Dropout.forward is yours to write")
        ### END YOUR SOLUTION


class Residual(Module):
    """fn(x) + x."""

    def __init__(self, fn):
        super().__init__()
        self.fn = fn

    def forward(self, x):
        ### BEGIN YOUR SOLUTION hw2/nn_residual
        raise NotImplementedError("hw2/nn_residual: Residual.forward is yours to write")
        ### END YOUR SOLUTION
