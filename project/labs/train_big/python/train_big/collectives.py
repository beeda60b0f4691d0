"""Collectives on a ring: everybody's arrays for everybody, sums in parts, and both together.

With p ranks, a message of n bytes takes alpha + n * beta. All three send p - 1 messages of one part
a round, so no cable is ever used by two, and none is idle.
"""

import numpy as np
from cluster import collective

from train_big.ring import shift


@collective
def all_gather(comm, array):
    """Everybody's arrays, for everybody.

    Args:
        array: this rank's, of any shape, the same one on all ranks.

    Returns:
        (comm.size, *array.shape), rank r's array at index r; the type stays. Time
        (p - 1) (alpha + n beta) for arrays of n bytes.
    """
    ### BEGIN YOUR SOLUTION train-big/all_gather
    raise NotImplementedError("train-big/all_gather: all_gather is yours to write")
    ### END YOUR SOLUTION


@collective
def reduce_scatter(comm, parts):
    """The sum of everybody's arrays, of which each rank gets one part.

    Args:
        parts: (comm.size, ...), part r is meant for rank r. It is not changed.

    Returns:
        The sum over all ranks of `parts[comm.rank]`, of the same type. Time
        (p - 1) (alpha + n beta) for parts of n bytes each.
    """
    if parts.shape[:1] != (comm.size,):
        raise ValueError(
            f"parts of shape {parts.shape} on {comm.size} ranks; expected ({comm.size}, ...)"
        )
    ### BEGIN YOUR SOLUTION train-big/reduce_scatter
    raise NotImplementedError("train-big/reduce_scatter: reduce_scatter is yours to write")
    ### END YOUR SOLUTION


def cut(array, parts):
    """The array's entries in `parts` rows of equal length, (parts, n); zeros fill the last ones."""
    length = -(-array.size // parts)
    rows = np.zeros((parts, length), array.dtype)
    rows.ravel()[: array.size] = array.ravel()
    return rows


@collective
def all_reduce(comm, array, mean=False):
    """The sum of everybody's arrays, for everybody; the same on all ranks to the last bit.

    Args:
        array: of any shape, the same one on all ranks. It is not changed.
        mean: the mean instead.

    Returns:
        The sum or mean, of the array's shape and, of floating-point numbers, type. Each rank sends
        2 (p - 1) / p N bytes of an array of N (as much as `cut` makes of it), in time
        2 (p - 1) (alpha + N / p beta).
    """
    ### BEGIN YOUR SOLUTION train-big/all_reduce
    raise NotImplementedError("train-big/all_reduce: all_reduce is yours to write")
    ### END YOUR SOLUTION
