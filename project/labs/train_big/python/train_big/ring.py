"""Messages to neighbours: ranks stand in a ring, each between a left and a right one."""

from cluster import collective


@collective
def shift(comm, array, by=1):
    """Pass arrays round the ring: give to the rank `by` places to the right, take from the left.

    Args:
        comm: the rank's Communicator.
        array: what this rank gives, of any shape, the same one on all ranks. It is not changed.
        by: how many places; it may be negative, or more than there are ranks.

    Returns:
        The array of rank `comm.rank - by`, counted round the ring, as one of this rank's own. Where
        that rank is this one: a copy, without a message.
    """
    ### BEGIN YOUR SOLUTION train-big/ring
    raise NotImplementedError("train-big/ring: shift is yours to write")
    ### END YOUR SOLUTION


@collective
def ring_sum(comm, array):
    """The sum of all ranks' arrays, the plain way: each goes round the ring as a whole.

    Args:
        array: of any shape, the same one on all ranks. It is not changed.

    Returns:
        The sum, of the same shape and type. N bytes are sent (size - 1) times by each rank.
    """
    ### BEGIN YOUR SOLUTION train-big/ring
    raise NotImplementedError("train-big/ring: ring_sum is yours to write")
    ### END YOUR SOLUTION
