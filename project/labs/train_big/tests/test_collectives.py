"""Lab train-big: all-gather, reduce-scatter, all-reduce."""

import numpy as np
import pytest
from cluster import RankFailed
from course_testing import assert_close, slip
from train_big.collectives import all_gather, all_reduce, reduce_scatter
from train_big_ranks import ALPHA, BETA, RANKS, call, graded, inputs

every_size = pytest.mark.parametrize("ranks", RANKS)
MANY = (2, 3, 4, 8, 16, 64)


def assert_costs(outcome, messages, part, what, problem):
    """Every rank sent so many messages of `part` bytes, and nobody waited for a cable."""
    ranks = len(outcome.results)
    sent = list(zip(outcome.messages, outcome.bytes_sent))
    assert sent == [(messages, messages * part)] * ranks, (
        f"{problem}: {what} on {ranks} ranks: rank 0 sends {sent[0][1]} bytes in {sent[0][0]} "
        f"messages; expected {messages} messages of {part} bytes: only parts go round"
    )
    expected = messages * (ALPHA + part * BETA)
    assert_close(outcome.time, expected, op=f"time of {what}", rtol=1e-2, problem=problem)


# ------------------------------------------------------------------------------------ all-gather


def gathered(arrays):
    """What every rank has afterwards, for each rank."""
    ranks = len(arrays)
    right = np.broadcast_to(arrays, (ranks, *arrays.shape))
    name = "in the order in which they came: rank r's array belongs at index r"
    came = lambda: np.stack([np.roll(arrays[::-1], rank + 1, axis=0) for rank in range(ranks)])
    right = slip(name, right, came)
    name = "only its own array is passed on by each rank: pass on what came last"
    return slip(name, right, lambda: np.stack([own_ones(arrays, rank) for rank in range(ranks)]))


def own_ones(arrays, rank):
    """What a rank has if all pass on only their own: its neighbour's, in every place but one."""
    found = np.repeat(arrays[[rank - 1]], len(arrays), axis=0)
    found[rank] = arrays[rank]
    return found


@every_size
@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
def test_all_gather_gives_everybody_everybodys_arrays(ranks, shape):
    arrays = inputs(ranks, *shape)
    outcome = call(all_gather, arrays)
    op = f"all_gather on {ranks} ranks"
    assert_close(
        np.stack(outcome.results),
        gathered(arrays),
        dtype="float32",
        op=op,
        problem="train-big/all_gather",
    )
    assert not outcome.changed(), f"train-big/all_gather: {op} changes the array that it was given"


@pytest.mark.parametrize("ranks", MANY[:-1])
def test_all_gather_sends_p_minus_1_arrays_one_after_the_other(ranks):
    outcome = call(all_gather, inputs(ranks, 25))
    assert_costs(outcome, ranks - 1, 100, "all_gather", "train-big/all_gather")


def submit_all_gather():
    import mugrade

    for ranks in (2, 3, 5):
        rng = mugrade.rng()
        arrays = inputs(ranks, rng.randint(5, 50), rng=rng)
        mugrade.submit(graded(call(all_gather, arrays)), label=f"all_gather on {ranks} ranks")


# ---------------------------------------------------------------------------------- reduce-scatter


def scattered(parts):
    """For rank r the sum of everybody's part r; parts are (ranks, ranks, ...)."""
    ranks = len(parts)
    total = parts.sum(0)
    own = lambda: total - np.stack([parts[rank, rank] for rank in range(ranks)])
    total = slip("a rank's own part is missing in its sum", total, own)
    name = "another rank's part: the part of rank r must be complete when it comes to rank r"
    return slip(name, total, lambda: np.roll(total, -1, axis=0))


@every_size
@pytest.mark.parametrize("shape", [(1,), (4,), (2, 3)])
def test_reduce_scatter_gives_each_rank_its_part_of_the_sum(ranks, shape):
    parts = inputs(ranks, ranks, *shape)
    outcome = call(reduce_scatter, parts)
    op = f"reduce_scatter on {ranks} ranks"
    assert_close(
        np.stack(outcome.results),
        scattered(parts),
        dtype="float32",
        op=op,
        problem="train-big/reduce_scatter",
    )
    name = f"train-big/reduce_scatter: {op}"
    assert not outcome.changed(), f"{name} changes the array that it was given"
    assert not outcome.shares_memory(), f"{name} gives a part of its input back, not a copy"


@pytest.mark.parametrize("ranks", MANY[:-1])
def test_reduce_scatter_sends_p_minus_1_parts_one_after_the_other(ranks):
    outcome = call(reduce_scatter, inputs(ranks, ranks, 25))
    assert_costs(outcome, ranks - 1, 100, "reduce_scatter", "train-big/reduce_scatter")


def test_reduce_scatter_wants_one_part_for_each_rank():
    with pytest.raises(
        RankFailed, match=r"parts of shape \(3, 2\) on 2 ranks; expected \(2, ...\)"
    ):
        call(reduce_scatter, inputs(2, 3, 2))


def submit_reduce_scatter():
    import mugrade

    for ranks in (2, 3, 5, 1):
        rng = mugrade.rng()
        parts = inputs(ranks, ranks, rng.randint(5, 50), rng=rng)
        mugrade.submit(graded(call(reduce_scatter, parts)), label=f"on {ranks} ranks")


# -------------------------------------------------------------------------------------- all-reduce


def reduced(arrays, mean):
    total = arrays.sum(0, dtype="float64")
    mean = slip("the sum where a mean is asked", mean, False)
    mean = slip("the mean where a sum is asked", mean, True)
    name = "each rank's own array, as often as there are ranks: they never talk"
    total = slip(name, np.broadcast_to(total, arrays.shape), lambda: arrays * len(arrays))
    return total / len(arrays) if mean else total


@every_size
@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 4), (2, 2, 5)])
@pytest.mark.parametrize("mean", [False, True])
def test_all_reduce_is_the_sum_or_mean_on_every_rank(ranks, shape, mean):
    arrays = inputs(ranks, *shape)
    outcome = call(all_reduce, arrays, mean=mean)
    op = f"all_reduce{' with mean' * mean} on {ranks} ranks"
    assert_close(
        np.stack(outcome.results),
        reduced(arrays, mean),
        dtype="float32",
        op=op,
        problem="train-big/all_reduce",
    )
    assert not outcome.changed(), f"train-big/all_reduce: {op} changes the array that it was given"


def test_all_reduce_gives_all_ranks_the_same_bits():
    results = call(all_reduce, inputs(5, 1000)).results
    assert len({result.tobytes() for result in results}) == 1, (
        "train-big/all_reduce: ranks differ in the last bits, for they add in different orders: "
        "weights that learn from such sums drift apart"
    )


@pytest.mark.parametrize("ranks", MANY)
def test_all_reduce_sends_2_p_minus_1_over_p_of_the_bytes(ranks):
    entries = 5 * ranks
    outcome = call(all_reduce, inputs(ranks, entries))
    size = 4 * entries
    part = size // ranks
    assert_costs(outcome, 2 * (ranks - 1), part, "all_reduce", "train-big/all_reduce")
    assert outcome.bytes_sent[0] * ranks == 2 * (ranks - 1) * size


def test_all_reduce_is_faster_than_the_plain_ring_where_arrays_are_long():
    from train_big.ring import ring_sum

    arrays = inputs(8, 40_000)
    fast, slow = call(all_reduce, arrays).time, call(ring_sum, arrays).time
    assert_close(slow / fast, 4.0, rtol=0.1, op="how much faster", problem="train-big/all_reduce")


def submit_all_reduce():
    import mugrade

    for ranks, mean in ((2, False), (3, True), (5, False), (4, True)):
        rng = mugrade.rng()
        arrays = inputs(ranks, rng.randint(2, 9), rng.randint(2, 9), rng=rng)
        label = f"{'mean' if mean else 'sum'} on {ranks} ranks"
        mugrade.submit(graded(call(all_reduce, arrays, mean=mean)), label=label)
    results = call(all_reduce, inputs(5, 1000, rng=mugrade.rng())).results
    same = len({result.tobytes() for result in results}) == 1
    mugrade.submit([results[0], same], label="the same bits on all ranks")
