"""A generative adversarial network on digits, in needle.

A generator G turns noise z (B, 64) into images (B, 784) with pixels in [-1, 1]; a discriminator D gives
each image one logit: is it real? D minimizes `softplus(-D(x)) + softplus(D(G(z)))`, and G minimizes
`softplus(-D(G(z)))`, the non-saturating loss of Goodfellow et al., "Generative Adversarial Nets" (2014).
"""

import needle as ndl
import numpy as np
from needle import nn

NOISE, PIXELS = 64, 784


def softplus(x):
    """log(1 + exp(x)), elementwise, without overflow: exp is only ever taken of -|x|."""
    positive = ndl.relu(x)
    magnitude = positive + ndl.relu(-x)
    return positive + ndl.log(ndl.exp(-magnitude) + 1.0)


class LeakyReLU(nn.Module):
    """max(x, slope * x): passes a little gradient where ReLU passes none."""

    def __init__(self, slope=0.2):
        super().__init__()
        self.slope = slope

    def forward(self, x):
        return ndl.relu(x) - self.slope * ndl.relu(-x)


class Tanh(nn.Module):
    def forward(self, x):
        return ndl.tanh(x)


def generator(hidden=256):
    """(B, NOISE) -> (B, PIXELS) in [-1, 1]."""
    return nn.Sequential(
        nn.Linear(NOISE, hidden),
        nn.BatchNorm1d(hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.BatchNorm1d(hidden),
        nn.ReLU(),
        nn.Linear(hidden, PIXELS),
        Tanh(),
    )


def discriminator(hidden=256):
    """(B, PIXELS) -> (B, 1) logits; dropout keeps it from memorizing the small data set."""
    return nn.Sequential(
        nn.Linear(PIXELS, hidden),
        LeakyReLU(),
        nn.Dropout(0.3),
        nn.Linear(hidden, hidden),
        LeakyReLU(),
        nn.Dropout(0.3),
        nn.Linear(hidden, 1),
    )


def constant(array):
    """A float32 Tensor that asks for no gradient."""
    return ndl.Tensor(np.asarray(array, dtype="float32"), requires_grad=False)


def sample(G, count, seed=None):
    """`count` images from G in evaluation mode, as a NumPy array (count, 784) in [-1, 1]."""
    rng = np.random.RandomState(seed) if seed is not None else np.random
    G.eval()
    images = G(constant(rng.randn(count, NOISE))).numpy()
    G.train()
    return images


class Trainer:
    """Alternates one step of D and one of G. `step` returns both losses as floats."""

    def __init__(self, G, D, lr=2e-4):
        self.G, self.D = G, D
        self.opt_G = ndl.optim.Adam(G.parameters(), lr=lr, beta1=0.5)
        self.opt_D = ndl.optim.Adam(D.parameters(), lr=lr, beta1=0.5)

    def step(self, real):
        """`real`: NumPy array (B, 784) in [-1, 1]."""
        batch = len(real)
        noise = constant(np.random.randn(batch, NOISE))
        fake = self.G(noise)

        # D: real images up, fakes down. The fakes are detached: this step must not move G.
        self.opt_D.reset_grad()
        loss_D = softplus(-self.D(constant(real))).sum() / batch
        loss_D = loss_D + softplus(self.D(fake.detach())).sum() / batch
        loss_D.backward()
        self.opt_D.step()

        # G: move so that the new D takes the same fakes for real.
        self.opt_G.reset_grad()
        loss_G = softplus(-self.D(fake)).sum() / batch
        loss_G.backward()
        self.opt_G.step()
        return float(loss_D.numpy()), float(loss_G.numpy())
