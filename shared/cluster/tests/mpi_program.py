"""What test_mpi.py runs on both transports: `mpi_program.py RANKS`; prints one line of JSON.

With a second word it goes wrong on purpose: "fail", "size", "stub", "deadlock".
"""

import json
import sys

import numpy as np
from cluster import collective, run


@collective
def mix(comm, array):
    """Round the ring, with a draw and a product at each step: every bit depends on every other."""
    right, left = (comm.rank + 1) % comm.size, (comm.rank - 1) % comm.size
    for step in range(comm.size):
        expected = comm.irecv(left, tag=step)
        comm.send(array, right, tag=step)  # long, and nobody has received yet
        array = np.tanh(expected.wait() @ np.random.randn(*array.shape) / 8)
    return array


def program(comm, wrong):
    if wrong == "fail" and comm.rank == 1:
        raise ValueError("nothing here")
    if wrong == "stub":
        raise NotImplementedError("lab/mix: mix is yours to write")
    if wrong == "deadlock":
        comm.recv((comm.rank + 1) % comm.size)
    array = np.full((200, 200), 1.0 + comm.rank)
    array = mix(comm, array)
    comm.barrier()
    if comm.rank < 2:
        array = mix(comm.subset([1, 0]), array)
    first = comm.isend(np.array(1), (comm.rank + 1) % comm.size)
    second = comm.isend(np.array(2), (comm.rank + 1) % comm.size)
    both = [int(comm.recv((comm.rank - 1) % comm.size)) for _ in range(2)]
    first.wait(), second.wait()
    comm.compute(10 * comm.rank)
    comm.hold("array", array.nbytes)
    return float(array.sum()).hex(), both


ranks = int(sys.argv[1])
wrong = sys.argv[2] if len(sys.argv) > 2 else ""
outcome = run(program, ranks + (wrong == "size"), wrong)
if outcome.rank == 0:
    facts = ("results", "bytes_sent", "messages", "flops", "peak_memory")
    print(json.dumps({name: getattr(outcome, name) for name in facts}))
