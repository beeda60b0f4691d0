"""`run`: a program on all ranks, by the transport that is asked for."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from cluster.faults import ClusterError
from cluster.network import Network
from cluster.trace import Run
from cluster.virtual import Own, World

VARIABLE = "CLUSTER_TRANSPORT"
"""Names the transport where the program does not: virtual (the default) or mpi."""


def run(
    program: Callable[..., Any],
    ranks: int,
    *arguments: Any,
    network: Network | None = None,
    flops_per_second: float = 1e12,
    seed: int = 0,
    own: Own = (),
    transport: str | None = None,
) -> Run:
    """Run `program(comm, *arguments)` on every rank; `comm` is the rank's `Communicator`.

    Args:
        ranks: how many.
        network: what messages cost; see `Network`.
        flops_per_second: floating-point operations a second, at which `comm.compute` counts.
        seed: rank r's `numpy.random` begins with the seed `seed + r`.
        own: global names that each rank shall have for itself, as (module, name); each begins with
            a copy of what stands there. For threads only: processes share none.
        transport: "virtual" or "mpi"; None: what CLUSTER_TRANSPORT says, else virtual.

    Raises:
        ClusterError: the ranks' programs do not fit together; see cluster.faults.
        NotImplementedError: a rank came upon something that is still to be written.
    """
    chosen = transport or os.environ.get(VARIABLE) or "virtual"
    if ranks < 1:
        raise ClusterError(f"{ranks} ranks; expected at least 1")
    if chosen == "mpi":
        from cluster import mpi

        return mpi.run(program, ranks, arguments, seed)
    if chosen != "virtual":
        raise ClusterError(f"there is no transport {chosen!r}; there are virtual and mpi")
    world = World(ranks, network or Network(), flops_per_second, seed, own)
    world.run(program, arguments)
    ledgers = [rank.ledger for rank in world.ranks]
    return Run(
        results=[rank.result for rank in world.ranks],
        time=max(rank.clock for rank in world.ranks),
        trace=sorted(world.trace, key=lambda event: (event.start, event.rank, event.end)),
        bytes_sent=[ledger.bytes_sent for ledger in ledgers],
        messages=[ledger.messages for ledger in ledgers],
        flops=[ledger.flops for ledger in ledgers],
        peak_memory=[ledger.peak for ledger in ledgers],
    )
