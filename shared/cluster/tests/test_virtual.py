"""Ranks as threads: messages, clocks, memory, what each rank has of its own, and the same every run."""

import types

import numpy as np
import pytest
from cluster import Bus, ClusterError, Network, Nodes, RankFailed, collective, run

ALPHA, BETA = 1e-3, 1e-6
NET = Network(alpha=ALPHA, beta=BETA)


def exchange(comm, count=4):
    right, left = (comm.rank + 1) % comm.size, (comm.rank - 1) % comm.size
    request = comm.isend(np.full(count, comm.rank, "float32"), to=right)
    array = comm.recv(source=left)
    request.wait()
    return array


def test_a_ring_gives_each_rank_its_left_neighbours_array():
    outcome = run(exchange, 5, network=NET)
    assert [int(array[0]) for array in outcome.results] == [4, 0, 1, 2, 3]
    assert all(array.dtype == "float32" and array.shape == (4,) for array in outcome.results)
    assert outcome.bytes_sent == [16] * 5 and outcome.messages == [1] * 5


def test_a_message_arrives_after_alpha_and_beta_for_each_byte():
    outcome = run(exchange, 2, 250, network=NET)
    assert outcome.time == pytest.approx(ALPHA + 1000 * BETA, rel=1e-12)


def test_what_is_received_is_a_copy():
    def program(comm):
        array = np.zeros(3)
        if comm.rank == 0:
            comm.send(array, 1)
            return array
        got = comm.recv(0)
        got += 1
        return got

    first, second = run(program, 2).results
    assert first.tolist() == [0, 0, 0] and second.tolist() == [1, 1, 1]


def test_messages_of_one_tag_keep_their_order_and_tags_are_told_apart():
    def program(comm):
        if comm.rank == 0:
            for request in [comm.isend(np.array(k), 1, tag) for k, tag in ((1, 7), (2, 3), (3, 7))]:
                request.wait()
            return None
        return [int(comm.recv(0, tag)) for tag in (3, 7, 7)]

    assert run(program, 2).results[1] == [2, 1, 3]


def test_a_send_ends_when_it_is_received_and_an_eager_one_when_it_has_left():
    def program(comm):
        if comm.rank == 0:
            comm.send(np.zeros(100, "uint8"), 1)
            return comm.time
        comm.compute(5.0)
        comm.recv(0)
        return comm.time

    assert run(program, 2, network=NET, flops_per_second=1.0).results == [5.0, 5.0]
    eager = Network(ALPHA, BETA, eager=100)
    result = run(program, 2, network=eager, flops_per_second=1.0).results
    assert result == [pytest.approx(100 * BETA), 5.0]


def gather(comm):
    """All send to rank 0 at once."""
    if comm.rank:
        comm.send(np.zeros(1000, "uint8"), 0)
    else:
        for source in range(1, comm.size):
            comm.recv(source)


def test_messages_into_one_rank_share_its_cable():
    assert run(gather, 5, network=NET).time == pytest.approx(ALPHA + 4 * 1000 * BETA)


def test_all_messages_share_a_bus():
    assert run(exchange, 4, 250, network=Bus(ALPHA, BETA)).time == pytest.approx(
        ALPHA + 4 * 1000 * BETA
    )


def test_inside_a_machine_messages_are_faster_and_between_machines_they_share_a_cable():
    nodes = Nodes(ALPHA, BETA, ranks=2, inner_alpha=0.0, inner_beta=1e-9)

    def program(comm, far):
        mine = comm.subset([0, 2] if comm.rank % 2 == 0 else [1, 3]) if far else comm
        if far:
            return exchange(mine, 250)
        mine = comm.subset([0, 1] if comm.rank < 2 else [2, 3])
        return exchange(mine, 250)

    assert run(program, 4, False, network=nodes).time == pytest.approx(1000 * 1e-9)
    assert run(program, 4, True, network=nodes).time == pytest.approx(ALPHA + 2 * 1000 * BETA)


def test_computing_advances_a_clock_and_is_counted():
    def program(comm):
        comm.compute(3e6 * (comm.rank + 1), "step")
        return comm.time

    outcome = run(program, 2, flops_per_second=1e6)
    assert outcome.results == [3.0, 6.0] and outcome.flops == [3e6, 6e6] and outcome.time == 6.0
    assert outcome.seconds("compute", 1) == 6.0 and outcome.idle(0) == 0.5


def test_messages_travel_while_a_rank_computes():
    def program(comm):
        request = comm.isend(np.zeros(1000, "uint8"), 1 - comm.rank)
        expected = comm.irecv(1 - comm.rank)
        comm.compute(1.0)
        expected.wait()
        request.wait()

    outcome = run(program, 2, network=NET, flops_per_second=1.0)
    assert outcome.time == 1.0 and outcome.seconds("wait", 0) == 0


def test_memory_is_counted_with_its_peak():
    def program(comm):
        comm.hold("weights", 100)
        comm.hold("gradients", 50)
        comm.hold("gradients", 20)
        comm.release("weights")
        comm.hold("state", 10)
        return comm.ledger.memory

    outcome = run(program, 2)
    assert outcome.results == [30, 30] and outcome.peak_memory == [150, 150]


def test_a_barrier_ends_for_all_after_the_last_one_came():
    def program(comm):
        comm.compute(comm.rank)
        comm.barrier()
        return comm.time

    outcome = run(program, 6, network=Network(0.25, 0.0), flops_per_second=1.0)
    assert min(outcome.results) >= 5.0
    assert outcome.time == pytest.approx(5.0 + 3 * 0.25)  # ceil(log2(6)) rounds
    assert outcome.bytes_sent == [0] * 6


def test_a_subset_numbers_its_ranks_anew_and_keeps_its_messages_apart():
    def program(comm):
        if comm.rank == 0:
            return None
        mine = comm.subset([3, 1, 2])
        requests = [mine.isend(np.array(10 + mine.rank), (mine.rank + 1) % 3)]
        world = {1: 2, 2: 3, 3: 1}[comm.rank]
        requests.append(comm.isend(np.array(comm.rank), world))
        back = {2: 1, 3: 2, 1: 3}[comm.rank]
        got = (mine.rank, int(comm.recv(back)), int(mine.recv((mine.rank - 1) % 3)))
        for request in requests:
            request.wait()
        return got

    assert run(program, 4).results == [None, (1, 3, 10), (2, 1, 11), (0, 2, 12)]


def test_each_rank_has_its_own_random_numbers_and_names():
    place = types.ModuleType("place")
    place.counter = 10

    def program(comm):
        drawn = [np.random.randn()]
        for _ in range(3):
            place.counter += comm.rank
            exchange(comm)
            drawn.append(np.random.randn())
        return drawn, place.counter

    np.random.seed(99)
    before = np.random.get_state()[1].tolist()
    outcome = run(program, 3, seed=5, own=[(place, "counter")])
    for rank, (drawn, counter) in enumerate(outcome.results):
        assert drawn == np.random.RandomState(5 + rank).randn(4).tolist()
        assert counter == 10 + 3 * rank
    assert place.counter == 10 and np.random.get_state()[1].tolist() == before


def busy(comm):
    for step in range(4):
        comm.compute((comm.rank * 7 + step * 3) % 5 + 1, f"step {step}")
        exchange(comm, 1 + (comm.rank + step) % 3)
    comm.barrier()


def test_every_run_leaves_the_same_trace():
    first, second = (run(busy, 7, network=Bus(0.1, 0.01), flops_per_second=2.0) for _ in range(2))
    assert first.trace == second.trace and first.svg() == second.svg()
    assert first.time == second.time > 0


def test_whatever_ranks_do_to_one_another_happens_in_the_order_of_virtual_time():
    """Rank 1 is ready first by its clock, although rank 0 runs first."""

    def program(comm):
        if comm.rank < 2:
            comm.compute(2.0 if comm.rank == 0 else 1.0)
            comm.send(np.zeros(1000, "uint8"), 2)
            return comm.time
        for source in (1, 0):
            comm.recv(source)
        return None

    bus = Bus(0.0, 1e-2)  # 10 seconds a message
    assert run(program, 3, network=bus, flops_per_second=1.0).results[:2] == [21.0, 11.0]


def test_64_ranks_pass_messages_all_round():
    def program(comm):
        total = 0
        for _ in range(comm.size - 1):
            total += int(exchange(comm, 1)[0])
        return total

    outcome = run(program, 64, network=NET)
    assert len(outcome.trace) >= 64 * 63 and sum(outcome.messages) == 64 * 63


def test_collectives_may_stand_in_one_another_and_name_their_messages():
    @collective
    def outer(comm, array):
        return inner(comm, array)

    @collective
    def inner(comm, array):
        return exchange(comm)

    outcome = run(lambda comm: outer(comm, np.zeros(2)), 3)
    assert {event.what for event in outcome.trace} == {"inner"}


def test_one_rank_alone_is_a_cluster_too():
    assert run(lambda comm: (comm.barrier(), comm.size)[1], 1).results == [1]


@pytest.mark.parametrize(
    "program, said",
    [
        (lambda comm: comm.send(np.zeros(1), 2), "rank 0 sends to rank 2; expected 0 to 1"),
        (lambda comm: comm.recv(-1), "rank 0 receives from rank -1; expected 0 to 1"),
        (lambda comm: comm.recv(1, -3), "tag -3, expected 0 to 32766"),
        (lambda comm: comm.isend(np.array([None]), 1), "dtype object; expected numbers"),
        (lambda comm: comm.release("weights"), "releases 'weights', but holds nothing"),
        (lambda comm: comm.subset([1 - comm.rank]), r"asks for the subset \(1,\); expected"),
    ],
)
def test_what_cannot_be_meant_is_told(program, said):
    with pytest.raises(ClusterError, match=said):
        run(program, 2)


def test_wrong_settings_are_told():
    with pytest.raises(ClusterError, match="0 ranks; expected at least 1"):
        run(exchange, 0)
    with pytest.raises(ClusterError, match="no transport 'pigeon'; there are virtual and mpi"):
        run(exchange, 2, transport="pigeon")


def test_a_failing_run_leaves_random_numbers_as_they_were():
    before = np.random.get_state()[1].tolist()
    with pytest.raises(RankFailed):
        run(lambda comm: 1 / 0, 2)
    assert np.random.get_state()[1].tolist() == before
