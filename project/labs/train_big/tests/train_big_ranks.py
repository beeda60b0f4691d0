"""Programs on ranks, for the lab's tests: inputs for each rank, outputs of each rank."""

import numpy as np
from cluster import Network, run

ALPHA, BETA = 1e-3, 1e-6
NETWORK = Network(alpha=ALPHA, beta=BETA)
RANKS = (1, 2, 3, 5)


def inputs(ranks, *shape, rng=np.random):
    """One float32 array a rank; (ranks, *shape)."""
    return rng.randn(ranks, *shape).astype("float32")


def call(function, arrays, *arguments, network=NETWORK, **more):
    """Run `function(comm, arrays[rank], ...)` on as many ranks as there are arrays.

    Returns the Run; results are arrays (ranks, ...), `changed()` says whether a rank's input is another
    now, and `shares_memory()` whether a result is a part of an input.
    """
    given = [np.array(array) for array in arrays]
    outcome = run(
        lambda comm: function(comm, given[comm.rank], *arguments, **more),
        len(given),
        network=network,
    )
    outcome.changed = lambda: any(now.tobytes() != was.tobytes() for now, was in zip(given, arrays))
    outcome.shares_memory = lambda: any(map(np.shares_memory, outcome.results, given))
    return outcome


def graded(outcome):
    """What a submission hands in of a run: results, bytes and messages, time, what became of inputs."""
    counts = np.array([outcome.bytes_sent, outcome.messages])
    results = np.stack([np.asarray(result) for result in outcome.results])
    return [results, counts, outcome.time, outcome.changed(), outcome.shares_memory()]
