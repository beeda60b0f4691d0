"""Data parallelism: each rank has the whole model and a part of the batch; gradients are averaged.

The messages travel while the backward pass goes on: a *bucket* of gradients that are complete is sent
when those of earlier layers are still to be computed.

Source: Li et al., "PyTorch Distributed: Experiences on Accelerating Data Parallel Training", 2020.
"""

import math

import numpy as np
from needle.autograd import Tensor

from train_big.backward import backward
from train_big.flat import flat, unflat


def share(comm, batch):
    """This rank's part of a batch: rows one after another, as many on each rank.

    Args:
        batch: array (B, ...), the same on every rank; B is a multiple of comm.size.
    """
    ### BEGIN SOLUTION train-big/data_parallel
    rows = len(batch) // comm.size
    return batch[comm.rank * rows : (comm.rank + 1) * rows]
    ### END SOLUTION


def begin_equal(comm, params):
    """Every rank's parameters become those of rank 0."""
    ### BEGIN SOLUTION train-big/data_parallel
    for param in params:
        if comm.rank == 0:
            for request in [comm.isend(param.numpy(), to=other) for other in range(1, comm.size)]:
                request.wait()
        else:
            param.data = Tensor(comm.recv(source=0))
    ### END SOLUTION


def mean_in_steps(comm, array):
    """The ring all-reduce as a generator: it averages an array, and yields where it would wait.

    A step sends a part to the right and yields None while that travels. Asked to go on, it waits for
    the part from the left and begins the next step. After 2 (p - 1) steps it yields the mean.

    Args:
        array: (n,) on each rank. Where n is no multiple of comm.size, the first parts are longer by
            one.
    """
    ### BEGIN SOLUTION train-big/data_parallel
    rank, size = comm.rank, comm.size
    parts = np.array_split(array, size)
    for step in range(2 * (size - 1)):
        sent = comm.isend(parts[(rank - step) % size], to=(rank + 1) % size)
        expected = comm.irecv(source=(rank - 1) % size)
        yield
        part, place = expected.wait(), (rank - step - 1) % size
        sent.wait()
        adding = step < size - 1  # then the sums go round
        parts[place] = parts[place] + part if adding else part
    yield np.concatenate(parts) / size
    ### END SOLUTION


class DataParallel:
    """Averages the gradients of a model over all ranks while the backward pass goes on.

    Args:
        comm: the rank's Communicator.
        params: the model's Parameters, equal on all ranks.
        bucket_bytes: a bucket is sent as soon as it holds so many bytes of gradients, or more.
    """

    def __init__(self, comm, params, bucket_bytes):
        self.comm, self.params, self.bucket_bytes = comm, set(params), bucket_bytes
        self.bucket = []  # Parameters whose gradients are complete and not sent
        self.on_their_way = []  # (steps, bucket), the oldest first

    def backward(self, loss):
        """The backward pass from this rank's loss; each `.grad` becomes the mean over all ranks.

        Gradients go into the bucket in the order in which they are complete. A bucket that is full
        is sent; what is in the last one is sent at the end, full or not. Then all that are still on
        their way are brought to their end.
        """
        ### BEGIN SOLUTION train-big/data_parallel
        backward(loss, self.ready)
        if self.bucket:
            self.send()
        while self.on_their_way:
            self.go_on()
        ### END SOLUTION

    def ready(self, leaf):
        """The gradient of `leaf` is complete; it is of interest if it is a parameter's."""
        ### BEGIN SOLUTION train-big/data_parallel
        if leaf in self.params:
            self.bucket.append(leaf)
            if sum(4 * math.prod(param.shape) for param in self.bucket) >= self.bucket_bytes:
                self.send()
        ### END SOLUTION

    def send(self):
        """The bucket begins its way, behind those on theirs; each makes a step. A new one is begun."""
        ### BEGIN SOLUTION train-big/data_parallel
        steps = mean_in_steps(self.comm, flat([param.grad for param in self.bucket]))
        self.on_their_way.append((steps, self.bucket))
        self.bucket = []
        self.go_on()
        ### END SOLUTION

    def go_on(self):
        """Each bucket on its way goes on by a step; one that is home has its mean gradients."""
        ### BEGIN SOLUTION train-big/data_parallel
        going, self.on_their_way = self.on_their_way, []
        for steps, bucket in going:
            mean = next(steps)
            if mean is None:
                self.on_their_way.append((steps, bucket))
                continue
            shapes = [param.shape for param in bucket]
            for param, grad in zip(bucket, unflat(mean, shapes)):
                param.grad = grad
        ### END SOLUTION
