"""Softplus, log(1 + exp(x)): a smooth relative of ReLU, and an example of a new operator.

Source: Dugas et al., "Incorporating Second-Order Functional Knowledge for Better Option Pricing" (2000).
"""

import needle as ndl
from needle import nn


def softplus(x):
    """log(1 + exp(x)) for a Tensor of any shape, without overflow.

    exp is only ever taken of -|x|, because log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)).
    Built from needle's operators, so its gradient, sigmoid(x), needs no code.
    """
    positive = ndl.relu(x)
    magnitude = positive + ndl.relu(-x)
    return positive + ndl.log(ndl.exp(-magnitude) + 1.0)


class Softplus(nn.Module):
    """`softplus` as a layer: any shape to the same shape."""

    def forward(self, x):
        return softplus(x)
