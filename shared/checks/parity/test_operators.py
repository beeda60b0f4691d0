"""Operators against PyTorch's, values and gradients, on every device."""

import needle as ndl
import pytest
import torch
from agreement import agree_backward, both, random
from needle import ops

DEVICES = pytest.mark.parametrize(
    "device", [ndl.cpu(), ndl.cuda(), ndl.cpu_numpy()], ids=lambda device: device.name
)


@DEVICES
@pytest.mark.parametrize(
    "size, kernel, stride, padding, batch",
    [
        (14, 3, 1, 1, 3),
        (15, 3, 2, 1, 1),
        (9, 5, 3, 2, 2),
        (8, 1, 1, 0, 2),
        (7, 7, 4, 3, 2),
        (6, 2, 2, 0, 1),
        (5, 3, 1, 3, 1),
        (1, 1, 2, 0, 1),
    ],
)
def test_conv(size, kernel, stride, padding, batch, device):
    x, w = random(batch, size, size + 1, 3), random(kernel, kernel, 3, 4)
    (ours_x, theirs_x), (ours_w, theirs_w) = both(x, device), both(w, device)
    ours = ops.conv(ours_x, ours_w, stride=stride, padding=padding)
    theirs = torch.nn.functional.conv2d(
        theirs_x.permute(0, 3, 1, 2), theirs_w.permute(3, 2, 0, 1), stride=stride, padding=padding
    ).permute(0, 2, 3, 1)
    terms = kernel * kernel * 3 * max(1, theirs.shape[1] * theirs.shape[2] * batch)
    agree_backward([(ours_x, theirs_x), (ours_w, theirs_w)], ours, theirs, terms, "conv")


@DEVICES
@pytest.mark.parametrize("axes", [None, 0, (1,), (0, 2)])
def test_logsumexp(axes, device):
    x, theirs_x = both(random(3, 4, 5) * 30, device)
    dim = (0, 1, 2) if axes is None else axes
    ours, theirs = ops.logsumexp(x, axes), torch.logsumexp(theirs_x, dim)
    agree_backward([(x, theirs_x)], ours, theirs, 60, "logsumexp")


@DEVICES
def test_logsoftmax_tanh_and_stack(device):
    x, theirs_x = both(random(6, 7), device)
    ours = ops.stack([ops.logsoftmax(x), ops.tanh(x), ops.relu(x)], axis=1)
    theirs = torch.stack([theirs_x.log_softmax(1), theirs_x.tanh(), theirs_x.relu()], dim=1)
    agree_backward([(x, theirs_x)], ours, theirs, 7, "logsoftmax, tanh, relu")
