"""What an all-reduce costs: `hw lab train-big`, or with `--mpi 4` on real processes.

Bytes that a rank sends, and time, of the plain ring and of the ring in parts. On the virtual cluster
time is virtual; under MPI it is this machine's.
"""

import sys

import numpy as np
from cluster import Network, run
from train_big.collectives import all_reduce
from train_big.ring import ring_sum

NETWORK = Network(alpha=5e-6, beta=1e-10)
SIZES = (1_000, 100_000, 10_000_000)


def program(comm, function, count):
    comm.barrier()
    began = comm.time
    function(comm, np.ones(count, "float32"))
    comm.barrier()
    return comm.time - began


def main():
    ranks = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    rows = []
    for count in SIZES:
        for function in (ring_sum, all_reduce):
            outcome = run(program, ranks, function, count, network=NETWORK)
            seconds = max(outcome.results)
            rows.append((4 * count, function.__name__, outcome.bytes_sent[0], 1e3 * seconds))
    if outcome.rank == 0:
        print(f"{ranks} ranks, {outcome.transport}")
        print(f"{'bytes':>12} {'by':<12} {'sent by a rank':>16} {'ms':>10}")
        for size, name, sent, milliseconds in rows:
            print(f"{size:>12,} {name:<12} {sent:>16,} {milliseconds:>10.3f}")


if __name__ == "__main__":
    main()
