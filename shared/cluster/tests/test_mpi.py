"""Ranks as processes under mpiexec: results and counts are those of the threads, to the last bit."""

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from cluster import mpi, processes

PROGRAM = str(Path(__file__).with_name("mpi_program.py"))


def start(ranks, *words, mpi=True):
    number = ranks if mpi else None
    command = processes.command(number, [PROGRAM, str(ranks), *words])
    env = processes.environment(number)
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("ranks", [2, 4])
def test_processes_compute_what_threads_compute(ranks):
    real, virtual = start(ranks), start(ranks, mpi=False)
    assert real.returncode == virtual.returncode == 0, real.stderr + virtual.stderr
    found = json.loads(real.stdout)
    assert found == json.loads(virtual.stdout)
    assert [both for _, both in found["results"]] == [[1, 2]] * ranks
    assert len({value for value, _ in found["results"]}) == ranks


def test_a_rank_that_fails_ends_all_processes_and_says_why():
    done = start(2, "fail")
    assert done.returncode != 0
    assert "rank 1 failed" in done.stderr and "ValueError: nothing here" in done.stderr


def test_another_number_of_processes_is_told():
    done = start(2, "size")
    assert done.returncode != 0
    assert "the program wants 3 ranks and runs as 2 processes" in done.stderr


class Late:
    """A communicator whose messages come just behind the first question for one."""

    def __init__(self, *messages):
        self.answers = [None, *messages]

    def improbe(self, source, tag):
        message = self.answers.pop(0) if self.answers else None
        return message and SimpleNamespace(recv=lambda: message)


def test_messages_go_to_those_who_asked_first_whenever_they_come():
    incoming, comm = mpi._Incoming(), Late("first", "second")
    requests = [mpi._Receive(incoming, comm, source=1, tag=0) for _ in range(2)]
    assert [request.wait() for request in requests] == ["first", "second"]


def test_what_goes_wrong_between_ranks_is_told_without_a_traceback():
    done = start(2, "deadlock", mpi=False)
    assert done.returncode == 1 and done.stderr.startswith("Deadlock: no rank can go on\n  rank 0")
    done = start(2, "stub", mpi=False)
    assert done.returncode == 1 and done.stderr == "lab/mix: mix is yours to write\n"
    done = start(2, "fail", mpi=False)
    assert done.returncode == 1 and "Traceback" in done.stderr and "mpi_program.py" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("rank 1 failed at ")
    assert "cluster/virtual.py" not in start(2, "stub").stderr
