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
    ### BEGIN SOLUTION train-big/ring
    target, source = (comm.rank + by) % comm.size, (comm.rank - by) % comm.size
    if target == comm.rank:
        return array.copy()
    request = comm.isend(array, target)
    received = comm.recv(source)
    request.wait()
    return received
    ### END SOLUTION


@collective
def ring_sum(comm, array):
    """The sum of all ranks' arrays, the plain way: each goes round the ring as a whole.

    Args:
        array: of any shape, the same one on all ranks. It is not changed.

    Returns:
        The sum, of the same shape and type. N bytes are sent (size - 1) times by each rank.
    """
    ### BEGIN SOLUTION train-big/ring
    total, visitor = array.copy(), array
    for _ in range(comm.size - 1):
        visitor = shift(comm, visitor)
        total += visitor
    return total
    ### END SOLUTION
