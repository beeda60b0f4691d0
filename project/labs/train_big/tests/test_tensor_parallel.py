"""Tensor parallelism: every rank has a part of each matrix, and all compute one and the same result."""

import numpy as np
import pytest
from cluster import run
from course_testing import assert_close
from needle import nn
from train_big.meter import Meter
from train_big.tensor_parallel import (
    ColumnLinear,
    Copied,
    ParallelAttention,
    ParallelBlock,
    RowLinear,
    Summed,
)
from train_big_networks import normal, tensor

PROBLEM = "train-big/tensor_parallel"
RANKS = [1, 2, 4]
every_size = pytest.mark.parametrize("ranks", RANKS)
B, T, F, H, D, HIDDEN = 2, 3, 6, 4, 5, 8


def assert_right(actual, desired, op):
    assert_close(actual, desired, problem=PROBLEM, op=op, rtol=1e-5, atol=2e-5, dtype="float32")


def draw(make):
    """Layers with the same numbers on every rank; a rank's own random numbers stay as they are."""
    kept = np.random.get_state()
    np.random.seed(3)
    made = make()
    np.random.set_state(kept)
    return made


def part(array, ranks, rank, axis):
    return np.split(array, ranks, axis)[rank]


# ------------------------------------------------------------------------------- the two operators


def test_tensor_parallel_copied_adds_up_adjoints_and_summed_does_not():
    def program(comm):
        x, z = tensor([2.0, 3.0], requires_grad=True), tensor([2.0, 3.0], requires_grad=True)
        factor = tensor([1.0 + comm.rank, 10.0])
        y = Copied(comm)(x)
        (y * factor).backward()
        total = Summed(comm)(z * factor)
        (total * total).backward()
        return y.numpy(), x.grad.numpy(), total.numpy(), z.grad.numpy()

    for rank, (y, x_grad, total, z_grad) in enumerate(run(program, 3).results):
        assert_right(y, [2.0, 3.0], "Copied: x itself")
        assert_right(x_grad, [6.0, 30.0], "Copied: the adjoint is the sum over the ranks")
        assert_right(total, [12.0, 90.0], "Summed: the sum over the ranks")
        desired = [2 * 12.0 * (1 + rank), 2 * 90.0 * 10.0]
        assert_right(z_grad, desired, "Summed: the adjoint, which all ranks know, is passed on")


# -------------------------------------------------------------------------------- the two layers


def linear(bias):
    return draw(lambda: nn.Linear(F, HIDDEN, bias=bias))


def forward_backward(layer, x, adjoint):
    x = tensor(x, requires_grad=True)
    y = layer(x)
    y.backward(tensor(adjoint))
    return [y.numpy(), x.grad.numpy(), *[p.grad.numpy() for p in layer.parameters()]]


@every_size
@pytest.mark.parametrize("bias", [True, False])
def test_tensor_parallel_columns(ranks, bias):
    x, adjoint = normal(5, F), normal(5, HIDDEN, seed=1)
    y, x_grad, *grads = forward_backward(linear(bias), x, adjoint)

    def program(comm):
        layer = ColumnLinear(comm, linear(bias))
        return forward_backward(layer, x, part(adjoint, comm.size, comm.rank, 1))

    for rank, (got_y, got_x, *got) in enumerate(run(program, ranks).results):
        assert_right(got_y, part(y, ranks, rank, 1), "columns of the result")
        assert_right(got_x, x_grad, "ColumnLinear: gradient of x")
        for name, grad, desired in zip(("weight", "bias"), got, grads):
            op = f"ColumnLinear: gradient of its part of the {name}"
            assert_right(grad, part(desired, ranks, rank, 1), op)


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("bias", [True, False])
def test_tensor_parallel_rows(ranks, bias):
    x, adjoint = normal(5, F), normal(5, HIDDEN, seed=1)
    y, x_grad, weight_grad, *bias_grad = forward_backward(linear(bias), x, adjoint)

    def program(comm):
        layer = RowLinear(comm, linear(bias))
        mine = tensor(part(x, comm.size, comm.rank, 1), requires_grad=True)
        result = layer(mine)
        result.backward(tensor(adjoint))
        biases = [] if layer.bias is None else [layer.bias.grad.numpy()]
        return result.numpy(), mine.grad.numpy(), layer.weight.grad.numpy(), *biases

    for rank, (got_y, got_x, got_weight, *got_bias) in enumerate(run(program, ranks).results):
        assert_right(got_y, y, "RowLinear: the result (is the bias added once?)")
        assert_right(got_x, part(x_grad, ranks, rank, 1), "RowLinear: gradient of its part of x")
        desired = part(weight_grad, ranks, rank, 0)
        assert_right(got_weight, desired, "RowLinear: gradient of its rows")
        for got, wanted in zip(got_bias, bias_grad):
            assert_right(got, wanted, "RowLinear: gradient of the bias")


# ----------------------------------------------------------------------------------- whole blocks


def pieces():
    return draw(
        lambda: (
            nn.AttentionLayer(F, H, D),
            nn.LayerNorm1d(F),
            nn.Linear(F, HIDDEN),
            nn.Linear(HIDDEN, F),
        )
    )


class WholeBlock(nn.Module):
    def __init__(self, attention, norm, first, second):
        super().__init__()
        self.attention = attention
        self.network = nn.Sequential(norm, first, nn.ReLU(), second)

    def forward(self, x):
        x = self.attention(x) + x
        return x + self.network(x.reshape((B * T, F))).reshape(x.shape)


@every_size
def test_tensor_parallel_attention_is_that_of_all_heads(ranks):
    x, adjoint = normal(B, T, F), normal(B, T, F, seed=1)
    whole = pieces()[0]
    y, x_grad, *_ = forward_backward(whole, x, adjoint)
    norms = [whole.prenorm_q, whole.prenorm_k, whole.prenorm_v]
    norm_grads = [p.grad.numpy() for norm in norms for p in norm.parameters()]

    def program(comm):
        layer = ParallelAttention(comm, pieces()[0])
        results = forward_backward(layer, x, adjoint)[:2]
        return [*results, *[p.grad.numpy() for norm in layer.norms for p in norm.parameters()]]

    for got_y, got_x, *got in run(program, ranks).results:
        assert_right(got_y, y, "attention, all heads together")
        assert_right(got_x, x_grad, "attention: gradient of x")
        for grad, desired in zip(got, norm_grads, strict=True):
            assert_right(grad, desired, "attention: gradient of a norm, which every rank has")


@every_size
def test_tensor_parallel_block_is_the_whole_block_on_every_rank(ranks):
    x, adjoint = normal(B, T, F), normal(B, T, F, seed=1)
    y, x_grad, *_ = forward_backward(WholeBlock(*pieces()), x, adjoint)
    program = lambda comm: forward_backward(ParallelBlock(comm, *pieces()), x, adjoint)
    for got_y, got_x, *_ in run(program, ranks).results:
        assert_right(got_y, y, "the block's result")
        assert_right(got_x, x_grad, "the block's gradient of x")


def measure(comm, ranks):
    """What a block costs a rank: operations, and numbers of its matrices."""
    block = ParallelBlock(comm, *pieces())
    with Meter(comm):
        forward_backward(block, normal(B, T, F), normal(B, T, F))
    sizes = [p.numpy().size for p in block.parameters() if len(p.shape) == 2 and p.shape[0] > 1]
    return comm.ledger.flops, sum(sizes), comm.ledger.bytes_sent


@every_size
def test_tensor_parallel_block_takes_a_part_of_the_operations_and_of_the_weights(ranks):
    with Meter() as meter:
        forward_backward(WholeBlock(*pieces()), normal(B, T, F), normal(B, T, F))
    weights = 4 * F * H * D + 2 * F * HIDDEN
    for flops, numbers, _ in run(measure, ranks, ranks).results:
        assert flops * ranks == meter.operations, (
            f"{PROBLEM}: a rank makes {flops} operations of {meter.operations}: a {ranks}th is right"
        )
        assert numbers * ranks == weights, (
            f"{PROBLEM}: a rank has matrices of {numbers} numbers of {weights}: a {ranks}th is right"
        )


@every_size
def test_tensor_parallel_block_sums_twice_forward_and_four_times_backward(ranks):
    """Backward: once at the network's first layer, once each at queries, keys and values."""
    one = 2 * (ranks - 1) * (B * T * F // ranks) * 4
    for _, _, sent in run(measure, ranks, ranks).results:
        assert sent == 6 * one, (
            f"{PROBLEM}: a rank sends {sent} bytes; 2 + 4 sums of (B, T, F) over all ranks are {6 * one}"
        )


def test_tensor_parallel_refuses_heads_that_cannot_be_shared_out():
    with pytest.raises(Exception, match="4 heads"):
        run(lambda comm: ParallelAttention(comm, pieces()[0]), 3)


def submit_tensor_parallel():
    import mugrade

    rng = mugrade.rng()
    x, adjoint = rng.randn(B, T, F), rng.randn(B, T, F)
    rows = rng.randn(5, F)

    def program(comm):
        block = ParallelBlock(comm, *pieces())
        y, x_grad, *grads = forward_backward(block, x, adjoint)
        columns = ColumnLinear(comm, linear(bias=True))
        sides = part(normal(5, HIDDEN), comm.size, comm.rank, 1)
        by_columns = forward_backward(columns, rows, sides)
        mine = part(rows, comm.size, comm.rank, 1)
        by_rows = forward_backward(RowLinear(comm, linear(bias=True)), mine, normal(5, HIDDEN))
        norms = [grad for grad in grads if grad.ndim == 1]
        return [y, x_grad, *norms], by_columns, by_rows, comm.ledger.bytes_sent

    for ranks in (1, 2):
        outcome = run(program, ranks)
        for number, (block, columns, by_rows, _) in enumerate(outcome.results):
            label = f"rank {number} of {ranks}"
            if number == ranks - 1:  # all ranks have the same
                mugrade.submit(block, label=f"block, {label}")
            mugrade.submit(columns, label=f"columns, {label}")
            mugrade.submit(by_rows, label=f"rows, {label}")
    costs = run(measure, 4, 4).results
    mugrade.submit([*np.ravel(costs).astype(int), int(1000 * rows[0, 0])], label="costs of 4 ranks")
