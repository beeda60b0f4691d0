"""Lab train-big: messages to neighbours."""

import numpy as np
import pytest
from course_testing import assert_close, slip
from train_big.ring import ring_sum, shift
from train_big_ranks import ALPHA, BETA, RANKS, call, graded, inputs

problem = {"problem": "train-big/ring"}
every_size = pytest.mark.parametrize("ranks", RANKS)


def shifted(arrays, by):
    """Row r is the array of rank r - by."""
    by = slip("`by` is not used: it may be more than one place", by, 1)
    right = np.roll(arrays, by, axis=0)
    name = "from the right instead of the left: rank r takes from rank r - by"
    return slip(name, right, np.roll(arrays, -by, axis=0))


@every_size
@pytest.mark.parametrize("by", [1, 2, -1, 7])
def test_shift_gives_to_the_right_and_takes_from_the_left(ranks, by):
    arrays = inputs(ranks, 2, 3)
    outcome = call(shift, arrays, by)
    op = f"shift by {by} on {ranks} ranks"
    assert_close(np.stack(outcome.results), shifted(arrays, by), dtype="float32", op=op, **problem)
    assert not outcome.changed(), f"train-big/ring: {op} changes the array that it was given"


@pytest.mark.parametrize("ranks, by", [(1, 1), (3, 0), (3, -6)])
def test_shift_sends_no_message_to_itself(ranks, by):
    arrays = inputs(ranks, 4)
    outcome = call(shift, arrays, by)
    assert outcome.messages == [0] * ranks, (
        f"train-big/ring: shift by {by} on {ranks} ranks sends a message from a rank to itself; "
        "a copy is enough"
    )
    assert not outcome.shares_memory(), (
        "train-big/ring: shift gives back the caller's array, not a copy"
    )


def test_shift_takes_the_time_of_one_message_however_many_ranks_there_are():
    for ranks in (2, 5, 16):
        time = call(shift, inputs(ranks, 250)).time
        assert_close(time, ALPHA + 1000 * BETA, op=f"time of shift on {ranks} ranks", **problem)


def summed(arrays):
    """Everybody's sum, for each rank."""
    total = slip(
        "a rank's own array is counted twice", arrays.sum(0), lambda: arrays.sum(0) + arrays
    )
    name = "the total goes round, and counts arrays several times: pass on single arrays"
    return slip(name, np.broadcast_to(total, arrays.shape), lambda: totals_round(arrays))


def totals_round(arrays):
    """What comes of sums that go round instead of single arrays."""
    for _ in range(len(arrays) - 1):
        arrays = arrays + np.roll(arrays, 1, axis=0)
    return arrays


@every_size
def test_ring_sum_is_the_sum_on_every_rank(ranks):
    arrays = inputs(ranks, 3, 4)
    outcome = call(ring_sum, arrays)
    op = f"ring_sum on {ranks} ranks"
    assert_close(np.stack(outcome.results), summed(arrays), dtype="float32", op=op, **problem)
    assert not outcome.changed(), f"train-big/ring: {op} changes the array that it was given"


@pytest.mark.parametrize("ranks", [2, 3, 8])
def test_ring_sum_sends_the_whole_array_once_to_each_other_rank(ranks):
    outcome = call(ring_sum, inputs(ranks, 250))
    expected = [(ranks - 1) * 1000] * ranks
    assert_close(outcome.bytes_sent, expected, op="bytes of ring_sum", **problem)
    expected = (ranks - 1) * (ALPHA + 1000 * BETA)
    assert_close(outcome.time, expected, op="time of ring_sum", rtol=1e-2, **problem)


def submit_ring():
    import mugrade

    for ranks, by in ((3, 1), (4, -1), (5, 7), (2, 4)):
        arrays = inputs(ranks, 2, 3, rng=mugrade.rng())
        mugrade.submit(graded(call(shift, arrays, by)), label=f"shift by {by} on {ranks} ranks")
    for ranks in (2, 4):
        rng = mugrade.rng()
        arrays = inputs(ranks, rng.randint(10, 99), rng=rng)
        mugrade.submit(graded(call(ring_sum, arrays)), label=f"ring_sum on {ranks} ranks")
