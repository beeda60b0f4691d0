"""A cluster in one process: programs of many ranks, run in turn, each by a clock of its own.

    from cluster import Network, run

    def program(comm):
        right, left = (comm.rank + 1) % comm.size, (comm.rank - 1) % comm.size
        request = comm.isend(np.full(4, comm.rank), to=right)
        array = comm.recv(source=left)
        request.wait()
        return array

    outcome = run(program, ranks=4, network=Network(alpha=1e-6, beta=1e-9))
    outcome.results, outcome.time, outcome.bytes_sent

The same program runs under mpiexec as processes. Knows nothing of needle.
"""

from cluster.communicator import Communicator, Request, collective
from cluster.faults import (
    ClusterError,
    Deadlock,
    LateWrite,
    MismatchedCollective,
    NeverReceived,
    NeverWaited,
    RankFailed,
)
from cluster.network import Bus, Network, Nodes, Route
from cluster.running import run
from cluster.trace import Event, Run

__all__ = [
    "Bus",
    "ClusterError",
    "Communicator",
    "Deadlock",
    "Event",
    "LateWrite",
    "MismatchedCollective",
    "Network",
    "NeverReceived",
    "NeverWaited",
    "Nodes",
    "RankFailed",
    "Request",
    "Route",
    "Run",
    "collective",
    "run",
]
