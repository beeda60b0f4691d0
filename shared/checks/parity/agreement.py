"""What the comparisons with PyTorch share: the same numbers on both sides, and the comparison."""

import needle as ndl
import numpy as np
import pytest
import torch
from course_testing import assert_close

FUSED = pytest.mark.parametrize("fused", [True, False], ids=["fused", "own-form"], indirect=True)


def random(*shape):
    return np.random.standard_normal(shape).astype(np.float32)


def both(array, device=None):
    """The same numbers as a Tensor and as PyTorch's tensor, both with a gradient."""
    return ndl.Tensor(array, device=device), torch.tensor(array, requires_grad=True)


def agree(ours, theirs, terms, op):
    assert_close(ours.numpy(), theirs.detach().numpy(), dtype="float32", terms=terms, op=op)


def agree_backward(pairs, ours, theirs, terms, op):
    """Results agree, and so do the gradients of all `pairs` for one random adjoint."""
    agree(ours, theirs, terms, op)
    adjoint = random(*theirs.shape)
    ours.backward(ndl.Tensor(adjoint, device=ours.device, requires_grad=False))
    theirs.backward(torch.tensor(adjoint))
    for k, (mine, their) in enumerate(pairs):
        agree(mine.grad, their.grad, 8 * terms, f"gradient {k} of {op}")
