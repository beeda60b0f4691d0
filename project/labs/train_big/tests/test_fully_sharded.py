"""Fully sharded parameters: the same gradients, and never more than a layer or two in one place."""

import numpy as np
import pytest
from cluster import run
from course_testing import assert_close
from needle import nn, optim
from train_big.fully_sharded import ShardedLinear
from train_big.meter import Meter
from train_big_networks import loss_of, network, normal, tensor

PROBLEM = "train-big/fully_sharded"
every_size = pytest.mark.parametrize("ranks", [1, 2, 3, 4, 8])


def sharded(comm, model):
    """The network with its Linear layers sharded; the whole one is not kept."""
    modules = [
        ShardedLinear(comm, module) if isinstance(module, nn.Linear) else module
        for module in model.modules
    ]
    return nn.Sequential(*modules)


def part_of_batch(comm, batch):
    return np.split(batch, comm.size)[comm.rank]


def padded(arrays, ranks):
    """All numbers one after another, with zeros up to a multiple of the number of ranks."""
    numbers = np.concatenate([array.ravel() for array in arrays])
    return np.concatenate([numbers, np.zeros(-len(numbers) % ranks)])


def assert_parts(parts, arrays, op, **tolerance):
    desired = padded(arrays, len(parts))
    assert_close(
        np.concatenate(parts), desired, problem=PROBLEM, op=op, dtype="float32", **tolerance
    )


@every_size
@pytest.mark.parametrize("bias", [True, False])
def test_fully_sharded_layer_holds_a_part_of_weight_and_bias(ranks, bias):
    np.random.seed(0)
    whole = nn.Linear(3, 4, bias=bias)
    outcome = run(lambda comm: ShardedLinear(comm, whole).part.numpy(), ranks)
    assert_parts(outcome.results, [p.numpy() for p in whole.parameters()], "all parts in order")


@every_size
@pytest.mark.parametrize("bias", [True, False])
def test_fully_sharded_layer_computes_what_the_whole_one_computes(ranks, bias):
    np.random.seed(0)
    whole = nn.Linear(3, 4, bias=bias)
    x, adjoint = normal(5, 3), normal(5, 4, seed=1)

    def program(comm):
        layer, mine = ShardedLinear(comm, whole), tensor(x + comm.rank, requires_grad=True)
        y = layer(mine)
        y.backward(tensor(adjoint))
        return y.numpy(), mine.grad.numpy(), layer.part.grad.numpy()

    outcome, sums = run(program, ranks), 0
    for rank, (y, x_grad, _) in enumerate(outcome.results):
        mine = tensor(x + rank, requires_grad=True)
        desired = whole(mine)
        desired.backward(tensor(adjoint))
        assert_close(y, desired, problem=PROBLEM, op="the layer's result", dtype="float32")
        assert_close(x_grad, mine.grad, problem=PROBLEM, op="gradient of x", dtype="float32")
        sums = sums + padded([p.grad.numpy() for p in whole.parameters()], ranks)
    parts = [part for _, _, part in outcome.results]
    assert_parts(
        parts, [sums / ranks], "gradients of all parts: the mean over the ranks", atol=1e-5
    )


@every_size
def test_fully_sharded_network_learns_what_one_rank_learns_from_the_whole_batch(ranks):
    batch = normal(24, 5)
    model = network(3, 5)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    for _ in range(3):
        optimizer.reset_grad()
        loss_of(model, batch).backward()
        optimizer.step()

    def program(comm):
        mine = sharded(comm, network(3, 5))
        optimizer = optim.Adam(mine.parameters(), lr=0.01)
        for _ in range(3):
            optimizer.reset_grad()
            loss_of(mine, part_of_batch(comm, batch)).backward()
            optimizer.step()
        return [p.numpy() for p in mine.parameters()]

    results = run(program, ranks).results
    for number in range(3):
        arrays = [p.numpy() for p in model.parameters()[2 * number : 2 * number + 2]]
        op = f"layer {number} after 3 steps"
        assert_parts([parts[number] for parts in results], arrays, op, atol=2e-5)


def memory(comm, layers, width, rows):
    """Bytes of a step beside activations: (of parts and gradients that stay, the most at one time)."""
    with Meter(comm) as meter:
        model = sharded(comm, network(layers, width))
        meter.peak_bytes = meter.live_bytes
        loss = loss_of(model, normal(rows, width))
        forward = meter.peak_bytes
        loss.backward()
        most = meter.peak_bytes
        del loss
        return meter.live_bytes, forward, most


@pytest.mark.parametrize("ranks", [2, 4, 8])
def test_fully_sharded_weights_take_a_part_and_two_layers_at_the_most(ranks):
    layers, width = 12, 128
    layer = 4 * width * (width + 1)
    part = layers * layer // ranks
    activations = 8 * layers * 4 * width  # of one row; together less than a layer's weights
    outcome = run(memory, ranks, layers, width, 1)
    for stays, forward, most in outcome.results:
        assert stays <= 2 * part + activations, (
            f"{PROBLEM}: after a step a rank holds {stays} bytes: its part of weights and of "
            f"gradients is {2 * part}; a whole layer, {layer} bytes, is still held by somebody"
        )
        assert forward <= part + layer + activations, (
            f"{PROBLEM}: the forward pass holds {forward} bytes at the peak: a part and one layer "
            f"are {part + layer}; is each layer let go when its result is there?"
        )
        # The gradients of the parts, which are another part, grow while the pass goes on.
        assert most <= 2 * part + 2 * layer + activations, (
            f"{PROBLEM}: the backward pass holds {most} bytes at the peak: parts of weights and "
            f"gradients and two layers, the weights and their gradient, are {2 * part + 2 * layer}"
        )


@every_size
def test_fully_sharded_network_sends_three_times_the_parts(ranks):
    def program(comm):
        loss_of(sharded(comm, network(3, 5)), normal(4, 5)).backward()

    outcome = run(program, ranks)
    each = 3 * 3 * (ranks - 1) * -(-30 // ranks) * 4
    assert outcome.bytes_sent == [each] * ranks, (
        f"{PROBLEM}: {outcome.bytes_sent[0]} bytes a rank: for each of 3 layers all-gather forward, "
        f"all-gather and reduce-scatter backward are {each}"
    )


def submit_fully_sharded():
    import mugrade

    rng = mugrade.rng()
    mark = int(rng.randint(2**31 - 1))  # no two variants have the same numbers
    for ranks, bias in ((2, True), (3, False), (4, True)):
        inner, rows = int(rng.randint(3, 50)), int(rng.randint(2, 5))
        np.random.seed(rng.randint(1000))
        whole = nn.Linear(inner, 4, bias=bias)
        batch, adjoint = rng.randn(ranks, rows, inner), tensor(rng.randn(rows, 4))

        def program(comm, whole=whole, batch=batch, adjoint=adjoint):
            layer = ShardedLinear(comm, whole)
            x = tensor(batch[comm.rank], requires_grad=True)
            y = layer(x)
            y.backward(adjoint)
            return layer.part.numpy(), y.numpy(), x.grad.numpy(), layer.part.grad.numpy()

        outcome = run(program, ranks)
        names = ("parts", "results", "gradients of x", "gradients of the parts")
        for name, values in zip(names, zip(*outcome.results)):
            mugrade.submit(list(values), label=f"{name}, {ranks} ranks")
        mugrade.submit([*outcome.bytes_sent, mark], label=f"bytes sent, {ranks} ranks")
    layers, width = int(rng.randint(8, 32)), 128
    bound = 4 * width * (width + 1) * np.array([2 * layers / 4, layers / 4 + 1, 2 * layers / 4 + 2])
    free = 8 * layers * 4 * width
    held = run(memory, 4, layers, width, 1).results
    fits = [int(number <= most + free) for row in held for number, most in zip(row, bound)]
    mugrade.submit([*fits, mark], label="whether memory is what it should be")
