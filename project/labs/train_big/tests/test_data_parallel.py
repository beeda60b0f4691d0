"""Data parallelism: gradients of the whole batch, and messages that travel while ranks compute."""

import numpy as np
import pytest
from cluster import Network, run
from course_testing import assert_close, slip
from train_big.data_parallel import DataParallel, begin_equal, mean_in_steps, share
from train_big.meter import Meter
from train_big_networks import arrays, gradients, loss_of, network, normal

PROBLEM = "train-big/data_parallel"
RANKS = [1, 2, 3, 4, 8]
every_size = pytest.mark.parametrize("ranks", RANKS)


def assert_all_close(actual, desired, op, **tolerance):
    """Arrays against arrays; `op` says of what, and their number follows."""
    for number, (got, wanted) in enumerate(zip(actual, desired, strict=True)):
        assert_close(got, wanted, problem=PROBLEM, op=f"{op} {number}", **tolerance)


# ---------------------------------------------------------------------------- the batch, the start


@every_size
def test_data_parallel_shares_the_batch_out(ranks):
    batch = np.arange(48.0).reshape(24, 2)
    parts = run(lambda comm: share(comm, batch), ranks).results
    assert_all_close(parts, np.split(batch, ranks), "the part of rank")


@every_size
def test_data_parallel_begins_with_the_weights_of_rank_0_everywhere(ranks):
    def program(comm):
        model = network(seed=comm.rank)
        begin_equal(comm, model.parameters())
        return arrays(model.parameters())

    for weights in run(program, ranks).results:
        assert_all_close(weights, arrays(network(seed=0).parameters()), "parameter", rtol=0, atol=0)


# ---------------------------------------------------------------------------------- mean in steps


@every_size
@pytest.mark.parametrize("length", [1, 5, 24])
def test_data_parallel_mean_of_an_array_on_every_rank(ranks, length):
    def program(comm):
        *waits, mean = mean_in_steps(comm, normal(length, seed=comm.rank))
        assert waits == [None] * 2 * (ranks - 1), (
            f"{PROBLEM}: it yields None once in each of 2 (p - 1) steps and then the mean; with "
            f"{ranks} ranks it yields {len(waits)} times before the last"
        )
        return mean

    outcome = run(program, ranks)
    given = np.stack([normal(length, seed=rank) for rank in range(ranks)]).astype("float64")
    mean = slip("the sum: divide by the number of ranks", given.mean(axis=0), given.sum(axis=0))
    for rank, array in enumerate(outcome.results):
        op = f"the mean that rank {rank} gets"
        assert_close(array, mean, problem=PROBLEM, op=op, dtype="float32")
        assert (array == outcome.results[0]).all(), f"{PROBLEM}: the ranks' means differ in a bit"


@every_size
def test_data_parallel_mean_sends_as_many_bytes_as_a_ring(ranks):
    outcome = run(lambda comm: list(mean_in_steps(comm, normal(240)))[-1], ranks)
    assert_close(
        outcome.bytes_sent,
        [2 * (ranks - 1) * 240 // ranks * 4] * ranks,
        problem=PROBLEM,
        op="bytes that each rank sends: 2 (p - 1) / p of the array",
    )


def test_data_parallel_mean_lets_a_rank_compute_while_messages_travel():
    """Six steps of 1 s each, hidden behind 2 s of computing at each."""

    def program(comm):
        steps = mean_in_steps(comm, normal(12, seed=comm.rank))
        while next(steps) is None:
            comm.compute(2)

    outcome = run(program, 4, network=Network(alpha=1.0, beta=0.0), flops_per_second=1)
    assert outcome.time == 12.0, (
        f"{PROBLEM}: six times 2 s of computing, while a message travels for 1 s, take "
        f"{outcome.time} s: send, then yield; wait for what comes in only when asked to go on"
    )


# ----------------------------------------------------------------------------------- the gradients


BUCKETS = [1, 1000, 10**9]


@every_size
@pytest.mark.parametrize("bucket_bytes", BUCKETS)
def test_data_parallel_gradients_are_those_of_one_process_with_the_whole_batch(ranks, bucket_bytes):
    batch = normal(24, 8)

    def program(comm):
        model = network()
        DataParallel(comm, model.parameters(), bucket_bytes).backward(
            loss_of(model, share(comm, batch))
        )
        return gradients(model.parameters())

    model = network()
    loss_of(model, batch).backward()
    desired = gradients(model.parameters())
    atol = 1e-6 * max(np.abs(grad).max() for grad in desired)
    for grads in run(program, ranks).results:
        assert_all_close(grads, desired, "the gradient of parameter", rtol=0, atol=atol)


def test_data_parallel_gradients_of_a_second_step_are_its_own():
    batches = [normal(8, 8, seed=seed) for seed in (1, 2)]

    def program(comm):
        model = network()
        parallel = DataParallel(comm, model.parameters(), 600)
        for batch in batches:
            parallel.backward(loss_of(model, share(comm, batch)))
        return gradients(model.parameters())

    model = network()
    loss_of(model, batches[1]).backward()
    desired = gradients(model.parameters())
    assert_all_close(run(program, 4).results[2], desired, "the gradient of parameter", atol=1e-5)


@pytest.mark.parametrize("bucket_bytes, buckets", [(1, 8), (288, 4), (289, 3), (10**6, 1)])
def test_data_parallel_sends_a_bucket_when_it_is_full(bucket_bytes, buckets):
    """Four layers of 64 weights and 8 biases; a bias has its gradient before its weight has."""

    def program(comm):
        model = network()
        DataParallel(comm, model.parameters(), bucket_bytes).backward(loss_of(model, normal(6, 8)))

    outcome = run(program, 4)
    assert outcome.messages == [2 * 3 * buckets] * 4, (
        f"{PROBLEM}: a bucket of {bucket_bytes} bytes: {outcome.messages[0]} messages a rank; "
        f"expected {buckets} buckets of 2 x 3 messages"
    )
    assert outcome.bytes_sent == [2 * 3 * 4 * 72 * 4 // 4] * 4, (
        f"{PROBLEM}: {outcome.bytes_sent[0]} bytes a rank: 2 (p - 1) / p of all gradients are right"
    )


@pytest.mark.parametrize("ranks", [2, 4])
def test_data_parallel_messages_travel_during_the_backward_pass(ranks):
    """Twelve buckets, one a layer; hidden behind computing are all but the ends of the last ones."""
    layers, width, rows = 12, 16, 64

    def program(comm):
        with Meter(comm):
            model = network(layers, width)
            loss = loss_of(model, normal(rows, width, seed=comm.rank))
            DataParallel(comm, model.parameters(), 4 * width * width).backward(loss)

    alpha, beta, rate = 1e-6, 1e-9, 1e9
    outcome = run(program, ranks, network=Network(alpha, beta), flops_per_second=rate)
    steps = 2 * (ranks - 1)
    of_a_part = 4 * width * (width + 1) // ranks * beta
    assert alpha + steps * of_a_part < 2 * 2 * rows * width**2 / rate  # fits behind a layer
    # After the last gradient: the last bucket's steps, and with each the buckets before go on, too.
    at_the_end = sum(alpha + number * of_a_part for number in range(1, steps + 1))
    waited = outcome.time - outcome.seconds("compute", 0)
    assert waited <= 1.01 * at_the_end, (
        f"{PROBLEM}: ranks wait for {waited * 1e6:.1f} us, of which {at_the_end * 1e6:.1f} us at the "
        "end of the backward pass are expected: send a bucket as soon as it is full, and wait for a "
        "step only when the next bucket is sent"
    )


# ------------------------------------------------------------------------------------------ graded


def submit_data_parallel():
    import mugrade

    rng = mugrade.rng()
    batch = rng.randn(24, 8).astype("float32")
    seeds = [int(seed) for seed in rng.randint(0, 1000, 4)]

    def program(comm, bucket_bytes):
        model = network(seed=seeds[comm.rank])
        begin_equal(comm, model.parameters())
        parallel = DataParallel(comm, model.parameters(), bucket_bytes)
        for number in range(2):
            part = share(comm, batch[12 * number : 12 * number + 12])
            parallel.backward(loss_of(model, part))
        return part, gradients(model.parameters()), comm.time

    for ranks, bucket_bytes in ((2, 1), (4, 288), (4, 10**6)):
        outcome = run(program, ranks, bucket_bytes, network=Network(1.0, 0.0))
        label = f"{ranks} ranks, buckets of {bucket_bytes}"
        parts, grads, times = zip(*outcome.results)
        mugrade.submit(list(parts), label=f"parts of the batch, {label}")
        mugrade.submit([grad for rank in grads for grad in rank[-2:]], label=f"gradients, {label}")
        counts = [*outcome.messages, *outcome.bytes_sent, *np.round(times).astype(int), *seeds]
        mugrade.submit([int(count) for count in counts], label=f"messages, bytes, time, {label}")

    def compute_meanwhile(comm):
        steps = mean_in_steps(comm, batch[comm.rank])
        while (mean := next(steps)) is None:
            comm.compute(seeds[comm.rank])
        return mean, comm.time

    outcome = run(compute_meanwhile, 3, network=Network(50.0, 0.0), flops_per_second=1)
    means, times = zip(*outcome.results)
    mugrade.submit([*means, np.array(times)], label="a mean, and when each rank has it")
