"""Planted faults: each is told with ranks, file and line, and ends the run."""

import threading
from pathlib import Path

import numpy as np
import pytest
from cluster import (
    Deadlock,
    LateWrite,
    MismatchedCollective,
    Network,
    NeverReceived,
    NeverWaited,
    RankFailed,
    collective,
    run,
)

HERE = Path(__file__).name


def line_of(mark):
    """file:line, as messages say it, of the line of this file that ends with the mark."""
    rows = Path(__file__).read_text(encoding="utf-8").splitlines()
    (number,) = [k for k, row in enumerate(rows, 1) if row.endswith(f"# {mark}")]
    return f"{HERE}:{number}"


def message(kind, program, ranks=2, **more):
    with pytest.raises(kind) as caught:
        run(program, ranks, **more)
    assert threading.active_count() == 1, "threads are left over"
    return str(caught.value)


def test_all_that_receive_first_wait_in_a_circle():
    def program(comm):
        comm.recv((comm.rank + 1) % comm.size)  # all receive
        comm.send(np.zeros(2), (comm.rank - 1) % comm.size)

    said = message(Deadlock, program, 3)
    for rank in range(3):
        row = f"rank {rank} waits for rank {(rank + 1) % 3} to send (tag 0) at "
        assert row in said and line_of("all receive") in said
    assert "in a circle: 0 -> 1 -> 2 -> 0" in said and "one of them must send before" in said


def test_all_that_send_first_wait_in_a_circle_and_isend_is_the_way_out():
    def program(comm):
        comm.send(np.zeros(2), 1 - comm.rank)  # all send
        comm.recv(1 - comm.rank)

    said = message(Deadlock, program)
    assert "rank 0 waits for rank 1 to receive 16 bytes (float64 (2,))" in said
    assert line_of("all send") in said and "begin it with isend" in said
    assert run(program, 2, network=Network(eager=16)).messages == [1, 1]


def test_a_request_that_hangs_is_told_with_the_line_that_began_it():
    def program(comm):
        request = comm.irecv(1 - comm.rank)  # begun
        return request.wait()  # hangs

    said = message(Deadlock, program)
    assert f"{line_of('hangs')} (begun at " in said and line_of("begun") in said


def test_waiting_for_a_rank_that_has_ended_is_told():
    said = message(Deadlock, lambda comm: comm.rank or comm.recv(1))
    assert "rank 0 waits for rank 1 to send" in said and "rank 1 has ended" in said


def test_a_message_with_another_tag_is_told():
    def program(comm):
        if comm.rank:
            comm.isend(np.zeros(1), 0, tag=7).wait()
        else:
            comm.recv(1, tag=8)

    said = message(Deadlock, program)
    assert "rank 1 has sent tag 7" in said and "rank 0 expects tag 8" in said


def test_of_many_ranks_that_wait_some_are_listed():
    said = message(Deadlock, lambda comm: comm.recv((comm.rank + 1) % comm.size), 12)
    assert said.count("waits for") == 8 and "and 4 ranks more" in said


@pytest.mark.parametrize("received", [True, False])
def test_an_array_changed_before_its_request_was_waited_for(received):
    """Whether or not the other has it by then: the verdict must not hang on who was faster."""

    def program(comm):
        if comm.rank == 0:
            array = np.zeros(4)
            request = comm.isend(array, 1)  # sent
            if received:
                comm.recv(1)
            array[2] = 5
            request.wait()
        else:
            comm.recv(0)
            if received:
                comm.send(np.zeros(1), 0)

    said = message(LateWrite, program)
    assert "rank 0 changed the array that it sent to rank 1" in said and line_of("sent") in said


def test_an_array_changed_after_its_request_was_waited_for_is_no_fault():
    def program(comm):
        array = np.full(2, np.nan)
        request = comm.isend(array, 1 - comm.rank)
        got = comm.recv(1 - comm.rank)
        request.wait()
        array[:] = 1
        return got

    assert np.isnan(run(program, 2).results[0]).all()


@collective
def first(comm, array):
    return array


@collective
def second(comm, array):
    return array


def test_ranks_that_enter_different_collectives():
    def program(comm):
        first(comm, np.zeros(3))
        if comm.rank == 2:
            second(comm, np.zeros(3))  # another
        else:
            first(comm, np.zeros(3))  # the same

    said = message(MismatchedCollective, program, 3)
    assert "collective number 2: rank 0 entered first of float64 (3,)" in said
    assert "rank 2 entered second" in said
    assert line_of("another") in said and line_of("the same") in said


def test_ranks_that_enter_a_collective_with_other_shapes():
    said = message(MismatchedCollective, lambda comm: first(comm, np.zeros(3 + comm.rank)))
    assert "first of float64 (3,)" in said and "first of float64 (4,)" in said


def test_a_rank_that_leaves_a_barrier_out():
    said = message(Deadlock, lambda comm: comm.rank or comm.barrier())
    assert "in barrier (collective 1)" in said and "rank 1 has ended" in said


def test_subsets_have_collectives_of_their_own():
    def program(comm):
        mine = comm.subset([comm.rank])
        (first if comm.rank else second)(mine, np.zeros(1))
        first(comm, np.zeros(1))

    run(program, 2)


def test_a_message_that_nobody_receives():
    def program(comm):
        if comm.rank == 0:
            comm.isend(np.zeros(3, "int32"), 1, tag=4)  # in vain

    said = message(NeverReceived, program)
    assert "rank 0 sent 12 bytes (int32 (3,)) to rank 1 (tag 4)" in said
    assert line_of("in vain") in said and "rank 1 ended without receiving it" in said


def test_a_request_that_nobody_waits_for():
    def program(comm):
        if comm.rank == 0:
            comm.isend(np.zeros(3), 1)  # forgotten
        else:
            comm.recv(0)

    said = message(NeverWaited, program)
    assert "rank 0 ended without waiting for its isend to rank 1" in said
    assert line_of("forgotten") in said


def test_a_rank_that_fails_ends_the_others_and_says_where():
    closed = []

    def program(comm):
        try:
            if comm.rank == 2:
                raise ValueError("no such file")  # fails
            comm.recv(2)
        finally:
            closed.append(comm.rank)

    with pytest.raises(RankFailed) as caught:
        run(program, 3)
    said = str(caught.value)
    assert said == f"rank 2 failed at {shown(line_of('fails'))}: ValueError: no such file"
    assert isinstance(caught.value.__cause__, ValueError)
    assert sorted(closed) == [0, 1, 2]


def shown(place):
    """As messages show a place: from the current folder where the file lies in it."""
    try:
        folder = Path(__file__).resolve().parent.relative_to(Path.cwd())
    except ValueError:
        return place
    return (folder / place).as_posix()


def test_what_is_still_to_be_written_comes_out_as_it_is():
    def program(comm):
        raise NotImplementedError("lab/ring: ring is yours to write")

    with pytest.raises(NotImplementedError, match=r"^lab/ring"):
        run(program, 3)


def test_a_rank_that_catches_everything_is_stopped_all_the_same():
    def program(comm):
        try:
            comm.recv(1 - comm.rank)
        except Exception:
            return "caught"

    message(Deadlock, program)
