"""Optimizers: they change parameters by what `backward` left in `.grad`.

A step works on the arrays behind parameters and gradients, so that no graph grows from step to step.
It replaces the data of the parameters and leaves the gradients as they are.
"""

import math

import numpy

from . import init
from .autograd import Tensor, as_data

from . import ops



class Optimizer:
    """What all optimizers share: the parameters, and forgetting their gradients."""

    def __init__(self, params):
        self.params = list(params)

    def step(self):
        """Change every parameter that has a gradient."""
        raise NotImplementedError(f"{type(self).__name__} has no step: define step(self)")

    def with_grad(self):
        """The parameters that have a gradient, as a list."""
        return [p for p in self.params if p.grad is not None]

    def update(self, step, *averages, **settings):
        """Change every parameter that has a gradient, and its averages, by what `step` returns.

        Args:
            step: a function of arrays, (p, grad, *averages, **settings) -> (p, *averages).
            averages: dicts from Parameter to Tensor; zeros where a Parameter is missing.
        """
        for name, value in settings.items():
            if hasattr(value, "item"):  # NumPy's: it would turn float32 into float64
                settings[name] = value.item()
        params = self.with_grad()
        for average in averages:
            average.update((p, init.zeros_like(p)) for p in params if p not in average)
        columns = [params, [p.grad for p in params], *([a[p] for p in params] for a in averages)]
        if ops.step_by_kernel(step.__name__, columns, settings):
            return
        for p, grad, *state in zip(*columns):
            arrays = [value.realize_cached_data() for value in (p, grad, *state)]
            array, *new_averages = step(*arrays, **settings)
            p.data = Tensor.make_const(as_data(array, arrays))
            for average, array in zip(state, new_averages):
                average.cached_data = as_data(array, arrays)

    def reset_grad(self):
        """Forget all gradients."""
        for p in self.params:
            p.grad = None

    def clip_grad_norm(self, max_norm=0.25):
        """Scale all gradients by one factor so that their common 2-norm is at most `max_norm`.

        The norm is computed in float64: in float32 the square of 1e20 is infinite, that of 1e-25 is 0.
        """
        ### BEGIN YOUR SOLUTION hw2/optim_sgd
        raise NotImplementedError("hw2/optim_sgd: Optimizer.clip_grad_norm is yours to write")
        ### END YOUR SOLUTION


def sgd_step(p, grad, u=0.0, *, lr, momentum, weight_decay):
    """A step of SGD on one parameter -> (p, u). Without momentum the old u does not matter."""
    ### BEGIN YOUR SOLUTION hw2/optim_sgd
    raise NotImplementedError("hw2/optim_sgd: sgd_step is yours to write or not")
    ### END YOUR SOLUTION


class SGD(Optimizer):
    """Stochastic gradient descent with momentum and weight decay.

    For each parameter p with gradient g, and u = 0 before the first step:

        g <- g + weight_decay * p
        u <- momentum * u + (1 - momentum) * g
        p <- p - lr * u
    """

    def __init__(self, params, lr=0.01, momentum=0.0, weight_decay=0.0):
        super().__init__(params)
        self.lr, self.momentum, self.weight_decay = lr, momentum, weight_decay
        self.u = {}

    def step(self):
        ### BEGIN YOUR SOLUTION hw2/optim_sgd
        raise NotImplementedError("hw2/optim_sgd: SGD.step is yours to write")
        ### END YOUR SOLUTION


def adam_step(p, grad, m, v, *, lr, beta1, beta2, eps, weight_decay, t):
    """Step number t, 1 for the first, of Adam on one parameter -> (p, m, v)."""
    ### BEGIN YOUR SOLUTION hw2/optim_adam
    raise NotImplementedError("hw2/optim_adam: adam_step is yours to write or not")
    ### END YOUR SOLUTION


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015), with weight decay inside the gradient.

    For each parameter p with gradient g, with m = v = 0 and t = 0 before the first step:

        t <- t + 1                             once a step, not once a parameter
        g <- g + weight_decay * p
        m <- beta1 * m + (1 - beta1) * g
        v <- beta2 * v + (1 - beta2) * g^2
        p <- p - lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)
    """

    def __init__(self, params, lr=0.01, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0):
        super().__init__(params)
        self.lr, self.eps, self.weight_decay = lr, eps, weight_decay
        self.beta1, self.beta2 = beta1, beta2
        self.t, self.m, self.v = 0, {}, {}

    def step(self):
        ### BEGIN YOUR SOLUTION hw2/optim_adam
        raise NotImplementedError("hw2/optim_adam: Adam.step is yours to write")
        ### END YOUR SOLUTION
