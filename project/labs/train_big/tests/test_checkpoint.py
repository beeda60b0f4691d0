"""Activation checkpointing: the same gradients, in less memory, for one more forward pass."""

import needle as ndl
import numpy as np
import pytest
from course_testing import assert_close
from needle import nn
from train_big.checkpointing import checkpoint, checkpoint_sequential
from train_big.meter import Meter

PROBLEM = "train-big/checkpoint"


def tensor(array, requires_grad=True):
    return ndl.Tensor(array, dtype="float32", requires_grad=requires_grad)


def normal(*shape, seed=0):
    return np.random.RandomState(seed).randn(*shape)


def layer(width=4, dropout=0.0, seed=0):
    """A norm, a linear layer and a nonlinearity, perhaps with dropout."""
    np.random.seed(seed)
    norm, linear = nn.LayerNorm1d(width), nn.Linear(width, width)
    return nn.Sequential(norm, linear, nn.ReLU(), nn.Dropout(dropout))


def layers(number, width=4, dropout=0.0):
    return [layer(width, dropout, seed) for seed in range(number)]


class Noted(nn.Module):
    """A module that writes its number down whenever it runs."""

    def __init__(self, module, number, runs):
        super().__init__()
        self.module, self.number, self.runs = module, number, runs

    def forward(self, x):
        self.runs.append(self.number)
        return self.module(x)


def noted(number):
    runs = []
    return [Noted(layer(seed=k), k, runs) for k in range(number)], runs


class Scale(nn.Module):
    """x times a weight, and a weight that is not used."""

    def __init__(self, weight, unused):
        super().__init__()
        self.weight, self.unused = weight, unused

    def forward(self, x):
        return x * self.weight


def weight(*numbers):
    return nn.Parameter(np.array(numbers), dtype="float32")


def assert_gradient(value, desired, op):
    assert value.grad is not None, f"{PROBLEM}: {op} is None: no gradient arrived"
    assert_close(value.grad, desired, problem=PROBLEM, op=op, dtype="float32")


# ------------------------------------------------------------------------- values and gradients


def test_checkpoint_gives_the_values_and_gradients_of_the_module():
    module, x, adjoint = layer(), tensor(normal(3, 4)), tensor(normal(3, 4, seed=1))
    desired = module(x)
    desired.backward(adjoint)
    grads = [value.grad.numpy() for value in (x, *module.parameters())]
    for value in (x, *module.parameters()):
        value.grad = None
    y = checkpoint(module, x)
    y.backward(adjoint)
    assert_close(y, desired, problem=PROBLEM, op="checkpoint(fn, x)", dtype="float32")
    assert_gradient(x, grads[0], "gradient of x")
    for number, (parameter, grad) in enumerate(zip(module.parameters(), grads[1:])):
        assert_gradient(parameter, grad, f"gradient of parameter {number}")


def test_checkpoint_runs_the_module_again_in_the_backward_pass_and_not_before():
    (first, second), runs = noted(2)
    y = checkpoint(second, checkpoint(first, tensor(normal(3, 4))))
    assert runs == [0, 1], f"{PROBLEM}: forward runs each module once, in order; it ran {runs}"
    y.backward()
    assert runs == [0, 1, 1, 0], (
        f"{PROBLEM}: backward runs each module once more, the last one first; it ran {runs[2:]}"
    )


def test_checkpoint_trains_the_first_layer_of_a_network_on_data_that_need_no_gradient():
    module = layer()
    x = tensor(normal(3, 4), requires_grad=False)
    module(x).backward()
    desired = [parameter.grad.numpy() for parameter in module.parameters()]
    for parameter in module.parameters():
        parameter.grad = None
    checkpoint(module, x).backward()
    for parameter, grad in zip(module.parameters(), desired):
        assert_gradient(parameter, grad, "a parameter's gradient where x needs none")


def test_checkpoint_adds_up_the_gradients_of_a_weight_that_is_used_three_times():
    shared = weight(2.0, 3.0)
    x = tensor([5.0, 7.0])
    module = Scale(shared, weight(0.0))
    (checkpoint(module, checkpoint(module, x)) * shared).backward()  # from x w^3
    assert_gradient(shared, [3 * 4 * 5.0, 3 * 9 * 7.0], "gradient of a weight used three times")
    assert_gradient(x, [8.0, 27.0], "gradient of x")


def test_checkpoint_counts_no_gradient_of_an_earlier_step():
    module = Scale(weight(2.0), weight(1.0))
    module.unused.grad = tensor([100.0])  # an earlier step used it
    x = tensor([3.0])
    checkpoint(module, x).backward()
    assert_gradient(module.weight, [3.0], "gradient of the weight")
    if module.unused.grad is not None:
        assert_gradient(module.unused, [0.0], "gradient of a weight that fn does not use")


# ------------------------------------------------------------------------------- random numbers


def run_with_dropout(call):
    """Values and gradients of a network of dropout, and the next random number behind it."""
    modules, x = layers(4, width=8, dropout=0.5), tensor(normal(16, 8))
    np.random.seed(7)
    y = call(modules, x)
    y.backward()
    return y.numpy(), x.grad.numpy(), np.random.rand()


def test_checkpoint_drops_the_same_numbers_again():
    y, grad, later = run_with_dropout(lambda modules, x: nn.Sequential(*modules)(x))
    got_y, got_grad, got_later = run_with_dropout(lambda m, x: checkpoint_sequential(m, x, 4))
    assert_close(got_y, y, problem=PROBLEM, op="checkpoints with dropout")
    op = "gradient of x through dropout (are the same elements dropped again?)"
    assert_close(got_grad, grad, problem=PROBLEM, op=op)
    assert got_later == later, (
        f"{PROBLEM}: the backward pass drew random numbers, or turned the generator back: what is "
        "drawn after it must be what would be drawn without checkpoints"
    )


# ---------------------------------------------------------------------------- what it is good for


def counted(call, number=16, rows=64):
    """A Meter that has seen a step of a network of so many layers."""
    modules = layers(number, width=8)
    x = tensor(normal(rows, 8))
    with Meter() as meter:
        call(modules, x).backward()
    return meter


def plain(modules, x):
    return nn.Sequential(*modules)(x)


@pytest.mark.parametrize("segments", [4, 8, 16])
def test_checkpoint_of_sixteen_layers_needs_a_third_of_the_memory(segments):
    before = counted(plain)
    after = counted(lambda modules, x: checkpoint_sequential(modules, x, segments))
    assert after.peak_bytes <= 0.35 * before.peak_bytes, (
        f"{PROBLEM}: {segments} checkpoints take {after.peak_bytes} bytes at the peak, all "
        f"activations {before.peak_bytes}: at most 35% are expected; who keeps what was computed "
        "again? (an attribute, or a gradient with its graph: detach it)"
    )


@pytest.mark.parametrize("segments", [1, 4, 16])
def test_checkpoint_costs_exactly_one_more_forward_pass(segments):
    before = counted(plain)
    after = counted(lambda modules, x: checkpoint_sequential(modules, x, segments))
    assert 3 * after.operations == 4 * before.operations, (
        f"{PROBLEM}: {after.operations} operations with {segments} checkpoints, without "
        f"{before.operations}: forward and backward are 1 + 2, and forward again 1 more"
    )


RUNS = [(5, 2, [3, 4, 0, 1, 2]), (4, 4, [3, 2, 1, 0]), (5, 3, [4, 2, 3, 0, 1]), (3, 1, [0, 1, 2])]


@pytest.mark.parametrize("number, segments, again", RUNS)
def test_checkpoint_sequential_cuts_equal_runs_the_longer_ones_first(number, segments, again):
    modules, runs = noted(number)
    checkpoint_sequential(modules, tensor(normal(3, 4)), segments).backward()
    assert runs == [*range(number), *again], (
        f"{PROBLEM}: {number} modules in {segments} runs: backward ran {runs[number:]}, expected "
        f"{again}"
    )


# --------------------------------------------------------------------------------------- graded


def submit_checkpoint():
    import mugrade

    rng = mugrade.rng()
    for dropout in (0.0, 0.5):
        modules, runs = noted(5)
        for module in modules:
            module.module = layer(6, dropout, rng.randint(1000))
        x, adjoint = tensor(rng.randn(8, 6)), tensor(rng.randn(8, 6))
        np.random.seed(rng.randint(1000))
        y = checkpoint_sequential(modules, x, 3)
        y.backward(adjoint)
        later = np.random.rand()
        values = [y.numpy(), x.grad.numpy(), *[p.grad.numpy() for p in modules[2].parameters()]]
        mugrade.submit(values, label=f"values and gradients, dropout {dropout}")
        mugrade.submit([*runs, later], label=f"order of running, dropout {dropout}")
    shared = nn.Parameter(rng.rand(3), dtype="float32")
    unused = nn.Parameter(rng.rand(3), dtype="float32")
    unused.grad = tensor(rng.rand(3))
    module, x = Scale(shared, unused), tensor(rng.rand(3), requires_grad=False)
    (checkpoint(module, checkpoint(module, x)) * shared).backward()
    stale = np.zeros(3) if unused.grad is None else unused.grad.numpy()
    mugrade.submit([shared.grad.numpy(), stale], label="a shared weight, and one not used")
    number, rows = 16 + 4 * int(rng.randint(3)), int(rng.randint(64, 128))
    before = counted(plain, number, rows)
    by_fours = lambda modules, x: checkpoint_sequential(modules, x, number // 4)
    after = counted(by_fours, number, rows)
    fits = after.peak_bytes <= 0.35 * before.peak_bytes
    mugrade.submit([after.operations, int(fits)], label="operations and memory")
