"""A deep equilibrium layer in needle: infinitely many layers, the memory of one.

The layer's output z* solves  z = tanh(z W + u)  for an input injection u. Forward: iterate until z stops
moving, without a graph. Backward: with J = d tanh(zW+u)/dz at z*, the implicit function theorem says

    dL/du = g * (1 - z*^2)   where g solves   g = dL/dz* + g J,

another fixed point, in which `g J` is one vector-Jacobian product by reverse mode.

Source: Bai, Kolter and Koltun, "Deep Equilibrium Models" (2019).
Shapes: B batch, H state; z, u, g are (B, H), W is (H, H).
"""

import needle as ndl
import numpy as np
from needle import nn
from needle.autograd import TensorOp


class NotConverged(RuntimeError):
    """The iteration did not reach its tolerance."""


def iterate(step, z, tolerance, max_steps):
    """(z, steps) with |step(z) - z| <= tolerance * |z|; z is a NumPy array and `step` maps such arrays.

    Raises:
        NotConverged: max_steps were not enough.
    """
    for n in range(1, max_steps + 1):
        new = step(z)
        change, size = np.linalg.norm(new - z), np.linalg.norm(new)
        z = new
        if change <= tolerance * size + 1e-12:
            return z, n
    raise NotConverged(
        f"no fixed point within {max_steps} steps (last relative change {change / size:.1e}, asked for "
        f"{tolerance:.1e}): make W smaller with `contract`, or allow more steps"
    )


def cell(z, u, W):
    """One application of the layer: (B, H) -> (B, H)."""
    return ndl.tanh(z @ W + u)


def constant(array, device=None):
    """A float32 Tensor that asks for no gradient."""
    return ndl.Tensor(np.asarray(array, dtype="float32"), device=device, requires_grad=False)


class ImplicitGradient(TensorOp):
    """Identity forward; backward replaces the adjoint v by the solution g of  g = v + g J.

    First order only: g is a constant, so a gradient through this operator cannot be differentiated again.
    """

    def __init__(self, z_star, u, W, tolerance, max_steps):
        # z_star: NumPy (B, H). u and W are detached: the products below must not touch their gradients.
        self.z = ndl.Tensor(z_star, dtype="float32", device=u.device)
        self.y = cell(self.z, u.detach(), W.detach())
        self.tolerance, self.max_steps = tolerance, max_steps

    def compute(self, z):
        return z

    def gradient(self, out_grad, node):
        v = out_grad.numpy()

        def step(g):
            self.y.backward(constant(g, out_grad.device))
            return v + self.z.grad.numpy()

        g, _ = iterate(step, v, self.tolerance, self.max_steps)
        return constant(g, out_grad.device)


def equilibrium(u, W, tolerance=1e-5, max_steps=200):
    """z* (B, H) with z* = tanh(z* W + u), differentiable in u and W by the implicit function theorem."""
    frozen_u, frozen_W = u.detach(), W.detach()
    z_star, _ = iterate(
        lambda z: cell(constant(z, u.device), frozen_u, frozen_W).numpy(),
        np.zeros(u.shape, dtype="float32"),
        tolerance,
        max_steps,
    )
    # One more application, with a graph, connects z* with u and W.
    z = cell(constant(z_star, u.device), u, W)
    return ImplicitGradient(z_star, u, W, tolerance, max_steps)(z)


def unrolled(u, W, steps):
    """The same layer by brute force: `steps` applications, all of them kept in the graph."""
    z = constant(np.zeros(u.shape), u.device)
    for _ in range(steps):
        z = cell(z, u, W)
    return z


def contract(W, norm=0.9, power_steps=20):
    """Scale the Parameter W in place so that its largest singular value is at most `norm`.

    tanh never stretches distances, so z -> tanh(zW + u) is then a contraction: the fixed point exists, is
    unique, and is reached by iterating (Banach).
    """
    w = W.numpy().astype("float64")
    x = np.ones(w.shape[1])
    for _ in range(power_steps):
        x = w.T @ (w @ x)
        x /= np.linalg.norm(x)
    largest = np.linalg.norm(w @ x)
    if largest > norm:
        W.data = constant(w * (norm / largest), W.device)


class DEQClassifier(nn.Module):
    """(B, features) -> logits (B, classes) through one equilibrium layer of width `hidden`."""

    def __init__(self, features, hidden, classes, unroll=None):
        super().__init__()
        self.inject = nn.Linear(features, hidden)
        self.W = nn.Parameter(ndl.init.randn(hidden, hidden, std=0.5 / np.sqrt(hidden).item()))
        self.head = nn.Linear(hidden, classes)
        self.unroll = unroll

    def forward(self, x):
        u = self.inject(x)
        z = equilibrium(u, self.W) if self.unroll is None else unrolled(u, self.W, self.unroll)
        return self.head(z)
