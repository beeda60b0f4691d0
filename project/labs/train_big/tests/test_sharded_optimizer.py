"""ZeRO stage 1: the same weights as with one optimizer, each rank with a part of its state."""

import numpy as np
import pytest
from cluster import run
from course_testing import assert_close
from needle import nn, optim
from train_big.sharded_optimizer import ShardedOptimizer
from train_big_networks import arrays, loss_of, network, normal, tensor

PROBLEM = "train-big/sharded_optimizer"
every_size = pytest.mark.parametrize("ranks", [1, 2, 3, 4, 8])
OPTIMIZERS = {
    "adam": lambda params: optim.Adam(params, lr=0.01, weight_decay=0.1),
    "momentum": lambda params: optim.SGD(params, lr=0.1, momentum=0.9),
}


def part_of_batch(comm, batch):
    return np.split(batch, comm.size)[comm.rank]


def train(comm, make_optimizer, batches, layers=2, width=5):
    """Some steps of data-parallel training -> (weights, the sharded optimizer)."""
    model = network(layers, width)
    optimizer = ShardedOptimizer(comm, model.parameters(), make_optimizer)
    for batch in batches:
        optimizer.reset_grad()
        loss_of(model, part_of_batch(comm, batch)).backward()
        optimizer.step()
    return arrays(model.parameters()), optimizer


def train_alone(make_optimizer, batches, layers=2, width=5):
    model = network(layers, width)
    optimizer = make_optimizer(model.parameters())
    for batch in batches:
        optimizer.reset_grad()
        loss_of(model, batch).backward()
        optimizer.step()
    return arrays(model.parameters())


def state_numbers(optimizer):
    """How many numbers an Optimizer keeps beside the weights."""
    averages = [value for value in vars(optimizer).values() if isinstance(value, dict)]
    return sum(tensor.numpy().size for average in averages for tensor in average.values())


@every_size
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_sharded_optimizer_gives_the_weights_that_one_rank_gets_from_the_whole_batch(ranks, name):
    batches = [normal(24, 5, seed=seed) for seed in range(4)]
    desired = train_alone(OPTIMIZERS[name], batches)
    outcome = run(train, ranks, OPTIMIZERS[name], batches)
    for rank, (weights, _) in enumerate(outcome.results):
        for number, (got, wanted) in enumerate(zip(weights, desired, strict=True)):
            op = f"parameter {number} on rank {rank} after 4 steps of {name}"
            assert_close(got, wanted, problem=PROBLEM, op=op, rtol=0, atol=2e-5, dtype="float32")


@every_size
def test_sharded_optimizer_keeps_one_part_of_the_state_on_each_rank(ranks):
    layers, width = 4, 40
    total = layers * (width * width + width)
    outcome = run(train, ranks, OPTIMIZERS["adam"], [normal(24, width)], layers, width)
    for rank, (_, optimizer) in enumerate(outcome.results):
        numbers = state_numbers(optimizer.optimizer)
        assert abs(numbers - 2 * total / ranks) <= 0.01 * 2 * total / ranks, (
            f"{PROBLEM}: Adam keeps {numbers} numbers on rank {rank}; 2 for each of {total} weights, "
            f"shared out over {ranks} ranks, are {2 * total // ranks}"
        )


@every_size
def test_sharded_optimizer_owns_the_parts_in_the_order_of_the_ranks(ranks):
    params = lambda: [nn.Parameter(np.arange(7.0), dtype="float32")]
    make = OPTIMIZERS["momentum"]
    outcome = run(lambda comm: ShardedOptimizer(comm, params(), make).part.numpy(), ranks)
    size = -(-7 // ranks)
    desired = np.zeros(ranks * size)
    desired[:7] = np.arange(7.0)
    got = np.concatenate(outcome.results)
    assert_close(got, desired, problem=PROBLEM, op="all parts, one rank after another")


@every_size
def test_sharded_optimizer_sends_no_more_than_an_all_reduce(ranks):
    layers, width = 2, 5
    size = -(-layers * (width * width + width) // ranks)
    outcome = run(train, ranks, OPTIMIZERS["adam"], [normal(24, width)] * 3)
    assert outcome.bytes_sent == [3 * 2 * (ranks - 1) * size * 4] * ranks, (
        f"{PROBLEM}: {outcome.bytes_sent[0]} bytes a rank in 3 steps: a reduce-scatter and an "
        f"all-gather of parts of {size} numbers each are {3 * 2 * (ranks - 1) * size * 4}"
    )


def test_sharded_optimizer_takes_a_parameter_without_gradient_for_one_whose_gradient_is_0():
    def program(comm):
        used, unused = (nn.Parameter([2.0, 4.0], dtype="float32") for _ in range(2))
        optimizer = ShardedOptimizer(comm, [unused, used], lambda p: optim.SGD(p, lr=1.0))
        used.grad = tensor([1.0, 1.0 + comm.rank])
        optimizer.step()
        return unused.numpy(), used.numpy()

    for unused, used in run(program, 2).results:
        assert_close(unused, [2.0, 4.0], problem=PROBLEM, op="a parameter without gradient")
        assert_close(used, [1.0, 2.5], problem=PROBLEM, op="a parameter with a gradient")


def submit_sharded_optimizer():
    import mugrade

    rng = mugrade.rng()
    width = int(rng.randint(3, 20))
    batches = [rng.randn(12, width).astype("float32") for _ in range(2)]
    for name, make_optimizer in OPTIMIZERS.items():
        for ranks in (3, 4):
            outcome = run(train, ranks, make_optimizer, batches, 2, width)
            label = f"{name}, {ranks} ranks"
            weights = [array for weights, _ in outcome.results for array in weights[-2:]]
            mugrade.submit(weights, label=f"weights, {label}")
            parts = [optimizer.part.numpy() for _, optimizer in outcome.results]
            mugrade.submit(parts, label=f"parts, {label}")
            kept = [state_numbers(optimizer.optimizer) for _, optimizer in outcome.results]
            mugrade.submit([*kept, *outcome.bytes_sent], label=f"state and bytes, {label}")
