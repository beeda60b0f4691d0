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
        ### BEGIN SOLUTION train-big/fully_sharded
        weight, *bias = self.layer.gather(Tensor.make_const(part))
        y = Tensor.make_const(x) @ weight
        y = y + bias[0].broadcast_to(y.shape) if bias else y
        return y.realize_cached_data()
        ### END SOLUTION

    def gradient(self, out_grad, node):
        """The adjoints of x and of the part; constants."""
        ### BEGIN SOLUTION train-big/fully_sharded
        x, part = (value.detach() for value in node.inputs)
        adjoint = out_grad.detach()
        weight, *bias = self.layer.gather(part)
        grads = [x.transpose() @ adjoint]
        if bias:
            grads.append(adjoint.sum(axes=(0,)).reshape(bias[0].shape))
        return adjoint @ weight.transpose(), self.layer.scatter(grads)
        ### END SOLUTION


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
        ### BEGIN SOLUTION train-big/fully_sharded
        self.shapes = [parameter.shape for parameter in whole.parameters()]
        self.part = nn.Parameter(cut(flat(whole.parameters()), comm.size)[comm.rank])
        ### END SOLUTION

    def gather(self, part):
        """All ranks' parts, Tensors (n,) -> the whole weight (I, O) and perhaps bias (1, O)."""
        ### BEGIN SOLUTION train-big/fully_sharded
        return unflat(all_gather(self.comm, part.numpy()).ravel(), self.shapes)
        ### END SOLUTION

    def scatter(self, grads):
        """Each rank's gradients of weight and bias -> their mean over all ranks, for the part (n,)."""
        ### BEGIN SOLUTION train-big/fully_sharded
        total = reduce_scatter(self.comm, cut(flat(grads), self.comm.size))
        return Tensor(total / self.comm.size, requires_grad=False)
        ### END SOLUTION

    def forward(self, x):
        """(B, I) -> (B, O); in place of B there may be several axes, as batch and time."""
        ### BEGIN SOLUTION train-big/fully_sharded
        rows = x.reshape((math.prod(x.shape[:-1]), x.shape[-1]))
        y = GatheredLinear(self)(rows, self.part)
        return y.reshape((*x.shape[:-1], y.shape[1]))
        ### END SOLUTION
