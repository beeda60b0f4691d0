"""Training with numbers of 16 bits: rounding, master weights, a scaled loss.

needle computes in float32. Here a number of 16 bits is a float32 that a number of 16 bits can be, and a
*rounding* is a function from any float32 array to the nearest such numbers:

                exponent   significant bits   largest   smallest normal   smallest above 0
    float32        8              24           3.4e38       1.2e-38           1.4e-45
    bfloat16       8               8           3.4e38       1.2e-38           9.2e-41
    float16        5              11            65504       6.1e-05           6.0e-08

Source: Micikevicius et al., "Mixed Precision Training", 2018.
"""

import numpy as np
from needle import nn
from needle.autograd import TensorOp


def float16(x):
    """The nearest numbers of IEEE's half precision, as float32: NumPy's own rounding."""
    with np.errstate(over="ignore"):
        return np.asarray(x, dtype="float32").astype("float16").astype("float32")


def bfloat16(x):
    """The nearest numbers of bfloat16, as float32; of two that are equally near the even one.

    A bfloat16 is the upper half of the 32 bits of a float32. What lies beyond the largest becomes
    infinite; NaN stays NaN.

    Args:
        x: float32 array of any shape.
    """
    ### BEGIN SOLUTION train-big/bfloat16
    x = np.asarray(x, dtype="float32")
    bits = x.view("uint32")
    last = (bits >> 16) & 1  # the last bit that stays: 1 in an odd number
    # Half of a last place, less a bit: the sum carries over above the half; at the half, if odd.
    nearest = (bits + 0x7FFF + last) & 0xFFFF0000
    return np.where(np.isnan(x), x, nearest.view("float32"))
    ### END SOLUTION


class Cast(TensorOp):
    """A Tensor rounded, and on the way back its adjoint rounded.

    As if rounding were the identity: its true derivative is 0 almost everywhere.
    """

    def __init__(self, rounding):
        self.rounding = rounding

    def compute(self, x):
        return self.rounding(x)

    def gradient(self, out_grad, node):
        return cast(out_grad, self.rounding)


def cast(x, rounding):
    """x with numbers of 16 bits, forward and backward."""
    return Cast(rounding)(x)


class MixedPrecision:
    """Trains parameters of 16 bits, by master weights in float32 and a scaled loss.

    The parameters always hold rounded numbers. For each there is a master, a Parameter in float32,
    that the optimizer changes.

    Args:
        params: list of the model's Parameters.
        make_optimizer: function from a list of Parameters, the masters, to an Optimizer.
        rounding: bfloat16 or float16.
        scale: what the loss is multiplied by, at first.
        patience: after so many good steps in a row the scale is doubled.

    Attributes:
        masters: list of Parameters, in the order of `params`.
        scale, good_steps: the scale now, and how many steps in a row were good with it.
    """

    def __init__(self, params, make_optimizer, rounding, scale=2.0**15, patience=2000):
        self.params, self.rounding = list(params), rounding
        self.scale, self.patience, self.good_steps = scale, patience, 0
        self.masters = [nn.Parameter(p.numpy()) for p in self.params]
        self.optimizer = make_optimizer(self.masters)
        self.round_parameters()

    def round_parameters(self):
        """Each parameter becomes its rounded master."""
        ### BEGIN SOLUTION train-big/mixed_precision
        for param, master in zip(self.params, self.masters):
            param.data = cast(master.data, self.rounding)
        ### END SOLUTION

    def backward(self, loss):
        """The backward pass from the scaled loss: each `.grad` is `scale` times the gradient."""
        ### BEGIN SOLUTION train-big/mixed_precision
        (loss * self.scale).backward()
        ### END SOLUTION

    def step(self):
        """A step of the optimizer on the masters; the parameters follow.

        If any number of any gradient is infinite or NaN, the scale was too large: it is halved,
        and nothing else happens.

        Returns:
            Whether the step was made.
        """
        ### BEGIN SOLUTION train-big/mixed_precision
        if not all(np.isfinite(p.grad.numpy()).all() for p in self.with_grad()):
            self.scale, self.good_steps = self.scale / 2, 0
            return False
        for param, master in zip(self.params, self.masters):
            master.grad = None if param.grad is None else param.grad.data / self.scale
        self.optimizer.step()
        self.round_parameters()
        self.good_steps += 1
        if self.good_steps == self.patience:
            self.scale, self.good_steps = 2 * self.scale, 0
        return True
        ### END SOLUTION

    def with_grad(self):
        """The parameters that have a gradient, as a list."""
        return [p for p in self.params if p.grad is not None]
