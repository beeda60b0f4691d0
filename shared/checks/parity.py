"""needle against PyTorch: operators, layers, optimizers and whole training steps. For staff.

Usage: python shared/checks/parity.py [pytest arguments], which `make parity` does once PyTorch is there.

Renders and builds the solved homework 4 and runs the tests below in it. PyTorch is nobody's
dependency: the students' tests have NumPy in float64 as their oracle, and this is a second one.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main(arguments):
    sys.path.insert(0, str(ROOT / "shared"))
    from coursekit.core import syllabus
    from coursekit.staff import solved

    course = syllabus.load(ROOT)
    out = ROOT / "build" / "solved"
    solved.write(course, out, ["hw4"])
    environment = {**os.environ, "NEEDLE_BACKEND": "nd", "PYTHONPATH": ""}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
    return subprocess.run(
        [*command, __file__, *arguments], cwd=out / "hw4", env=environment
    ).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

sys.path[:0] = ["./python", "./apps", "./tests", str(ROOT / "shared" / "bench")]

import needle as ndl
import numpy as np
import pytest
import torch
from course_testing import assert_close
from needle import nn, ops

import hw4 as steps  # the benchmark's models, on both sides

DEVICES = pytest.mark.parametrize(
    "device", [ndl.cpu(), ndl.cuda(), ndl.cpu_numpy()], ids=lambda device: device.name
)
FUSED = pytest.mark.parametrize("fused", [True, False], ids=["fused", "own-form"])


@pytest.fixture
def fused(request):
    """Fused kernels on, or every layer by its own operators."""
    if request.param:
        yield True
    else:
        with ops.without_fused_kernels():
            yield False


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


# --------------------------------------------------------------------------------------- operators


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


# ------------------------------------------------------------------------------------------ layers


@FUSED
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_norms(training, fused):
    ours = nn.Sequential(
        nn.Linear(5, 8), nn.LayerNorm1d(8), nn.ReLU(), nn.Linear(8, 6), nn.BatchNorm1d(6)
    )
    theirs = torch.nn.Sequential(
        torch.nn.Linear(5, 8),
        torch.nn.LayerNorm(8),
        torch.nn.ReLU(),
        torch.nn.Linear(8, 6),
        torch.nn.BatchNorm1d(6),
    )
    steps.copy_weights(ours, theirs)
    if not training:
        ours.eval(), theirs.eval()
    x, theirs_x = both(random(16, 5))
    agree_backward(
        [(x, theirs_x)], ours(x), theirs(theirs_x), 64, "Linear, LayerNorm1d, BatchNorm1d"
    )


@FUSED
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("length, batch", [(1, 1), (7, 4)])
@pytest.mark.parametrize("kind", ["RNN", "LSTM"])
def test_recurrent_networks(kind, length, batch, layers, fused):
    ours = getattr(nn, kind)(3, 5, num_layers=layers)
    theirs = getattr(torch.nn, kind)(3, 5, num_layers=layers)
    values = iter(ours.parameters())
    for p in theirs.parameters():
        p.data = torch.tensor(next(values).numpy().T.copy())
    x, theirs_x = both(random(length, batch, 3))
    h, theirs_h = both(random(layers, batch, 5))
    state, theirs_state, pairs = h, theirs_h, [(x, theirs_x), (h, theirs_h)]
    if kind == "LSTM":
        c, theirs_c = both(random(layers, batch, 5))
        state, theirs_state = (h, c), (theirs_h, theirs_c)
        pairs.append((c, theirs_c))
    out, last = ours(x, state)
    theirs_out, theirs_last = theirs(theirs_x, theirs_state)
    if kind == "RNN":
        last, theirs_last = [last], [theirs_last]
    for mine, their in zip(last, theirs_last):
        agree(mine, their, 8 * length, f"last state of {kind}")
    agree_backward(pairs, out, theirs_out, 8 * length, kind)
    for mine, their in zip(ours.parameters(), theirs.parameters()):
        assert_close(
            mine.grad.numpy(),
            their.grad.numpy().T,
            terms=64 * length * batch,
            op=f"parameter of {kind}",
        )


@FUSED
@pytest.mark.parametrize("causal", [True, False])
def test_attention(causal, fused):
    (q, theirs_q), (k, theirs_k), (v, theirs_v) = (both(random(2, 3, 6, 4)) for _ in range(3))
    ours, _ = nn.MultiHeadAttention(causal=causal)(q, k, v)
    theirs = torch.nn.functional.scaled_dot_product_attention(
        theirs_q, theirs_k, theirs_v, is_causal=causal
    )
    pairs = [(q, theirs_q), (k, theirs_k), (v, theirs_v)]
    agree_backward(pairs, ours, theirs, 24, "attention")


# -------------------------------------------------------------------------- training, step by step


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
