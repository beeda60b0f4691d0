"""Fully sharded parameters: a rank holds its part of each layer, and the whole only while it is used.

Source: Zhao et al., "PyTorch FSDP: Experiences on Scaling Fully Sharded Data Parallel", 2023.
"""

import math

from needle import nn
from needle.autograd import Tensor, TensorOp

from train_big.collectives import all_gather, cut, reduce_scatter
from train_big.flat import flat, unflat


class GatheredLinear(TensorOp):
    """x @ weight + bias, where a rank has only its part of weight and bias.

    The whole weights are there while the result is computed, and again while the adjoints are; not in
    between. The adjoint of the part is the mean over all ranks, each of which has an x of its own.

    Args:
        layer: the ShardedLinear.
    """

    def __init__(self, layer):
        self.layer = layer

    def compute(self, x, part):
        """Arrays x (B, I) and the rank's part (n,) -> (B, O)."""
        ### BEGIN YOUR SOLUTION train-big/fully_sharded
        raise NotImplementedError("train-big/fully_sharded: GatheredLinear.compute is yours to write")
        ### END YOUR SOLUTION

    def gradient(self, out_grad, node):
        """The adjoints of x and of the part; constants."""
        ### BEGIN YOUR SOLUTION train-big/fully_sharded
        raise NotImplementedError("train-big/fully_sharded: GatheredLinear.gradient is yours to write")
        ### END YOUR SOLUTION


class ShardedLinear(nn.Module):
    """A Linear layer of which each rank holds a part.

    Weight and bias one after the other are `cut` into comm.size parts, zeros at the end; rank r holds
    part r.

    Args:
        comm: the rank's Communicator.
        whole: nn.Linear, equal on all ranks. It is not kept.

    Attributes:
        part: Parameter (n,), this rank's part.
    """

    def __init__(self, comm, whole):
        super().__init__()
        self.comm = comm
        ### BEGIN YOUR SOLUTION train-big/fully_sharded
        raise NotImplementedError("train-big/fully_sharded: ShardedLinear.__init__ is yours to write")
        ### END YOUR SOLUTION

    def gather(self, part):
        """All ranks' parts, Tensors (n,) -> the whole weight (I, O) and perhaps bias (1, O)."""
        ### BEGIN YOUR SOLUTION train-big/fully_sharded
        raise NotImplementedError("train-big/fully_sharded: ShardedLinear.gather is yours to write")
        ### END YOUR SOLUTION

    def scatter(self, grads):
        """Each rank's gradients of weight and bias -> their mean over all ranks, for the part (n,)."""
        ### BEGIN YOUR SOLUTION train-big/fully_sharded
        raise NotImplementedError("train-big/fully_sharded: ShardedLinear.scatter is yours to write")
        ### END YOUR SOLUTION

    def forward(self, x):
        """(B, I) -> (B, O); in place of B there may be several axes, as batch and time."""
        ### BEGIN YOUR SOLUTION train-big/fully_sharded
        raise NotImplementedError("train-big/fully_sharded: ShardedLinear.forward is yours to write")
        ### END YOUR SOLUTION
