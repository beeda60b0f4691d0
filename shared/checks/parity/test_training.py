"""Training against PyTorch's, step by step: optimizers, clipping, the benchmark's models."""

import needle as ndl
import numpy as np
import pytest
import torch
from agreement import FUSED, agree, both, random
from course_testing import assert_close
from needle import nn

import hw4 as steps  # the benchmark's models, on both sides


@FUSED
@pytest.mark.parametrize(
    "name, keywords",
    [
        ("SGD", {"lr": 0.1}),
        ("SGD", {"lr": 0.1, "weight_decay": 0.01}),
        ("Adam", {"lr": 0.01}),
        ("Adam", {"lr": 0.01, "weight_decay": 0.01}),
    ],
    ids=str,
)
def test_optimizers(name, keywords, fused):
    ours, theirs = nn.Linear(5, 3), torch.nn.Linear(5, 3)
    steps.copy_weights(ours, theirs)
    opt = getattr(ndl.optim, name)(ours.parameters(), **keywords)
    theirs_opt = getattr(torch.optim, name)(theirs.parameters(), **keywords)
    for step in range(10):
        x, y = random(16, 5), np.random.randint(3, size=16)
        loss = nn.SoftmaxLoss()(ours(ndl.Tensor(x)), ndl.Tensor(y.astype("float32")))
        theirs_loss = torch.nn.functional.cross_entropy(theirs(torch.tensor(x)), torch.tensor(y))
        assert_close(
            loss.numpy(), theirs_loss.detach().numpy(), terms=500, op=f"loss of step {step}"
        )
        opt.reset_grad(), theirs_opt.zero_grad()
        loss.backward(), theirs_loss.backward()
        opt.step(), theirs_opt.step()


def test_gradients_are_clipped_alike():
    ours, theirs = nn.Linear(5, 3), torch.nn.Linear(5, 3)
    steps.copy_weights(ours, theirs)
    x, theirs_x = both(random(16, 5))
    (ours(x) ** 2).sum().backward()
    (theirs(theirs_x) ** 2).sum().backward()
    ndl.optim.SGD(ours.parameters()).clip_grad_norm(0.25)
    torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.25)
    agree(ours.weight.grad, theirs.weight.grad.T, 500, "clip_grad_norm")


@FUSED
@pytest.mark.parametrize(
    "case", sorted(steps.CASES), ids=lambda case: steps.CASES[case].split(",")[0]
)
def test_losses_of_training_steps(case, fused):
    """The largest relative difference of five losses, from the same weights on the same batch.

    ResNet9 divides by standard deviations of a batch, and Adam by gradients near 0: both amplify
    what float32 rounds.
    """
    assert steps.compare(case) < (2e-3 if case == "b" else 1e-5)
