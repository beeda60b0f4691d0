"""Tensor parallelism: each rank computes a part of every layer, from the whole batch.

Shapes: B batch, T time, F features of a token, H heads of D features, p ranks. `whole` layers are
equal on all ranks; of their matrices a rank keeps its columns or its rows.

Source: Shoeybi et al., "Megatron-LM: Training Multi-Billion Parameter Language Models Using Model
Parallelism", 2019.
"""

import numpy as np
from needle import nn
from needle.autograd import TensorOp

from train_big.collectives import all_reduce


class Copied(TensorOp):
    """x itself, with which each rank goes on in its own way: so the adjoint is the sum of theirs."""

    def __init__(self, comm):
        self.comm = comm

    def compute(self, x):
        ### BEGIN YOUR SOLUTION train-big/tensor_parallel
        raise NotImplementedError("train-big/tensor_parallel: Copied.compute is yours to write")
        ### END YOUR SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN YOUR SOLUTION train-big/tensor_parallel
        raise NotImplementedError("train-big/tensor_parallel: Copied.gradient is yours to write")
        ### END YOUR SOLUTION


class Summed(TensorOp):
    """The sum of all ranks' x, with which each goes on in the same way: so the adjoint is that of x."""

    def __init__(self, comm):
        self.comm = comm

    def compute(self, x):
        ### BEGIN YOUR SOLUTION train-big/tensor_parallel
        raise NotImplementedError("train-big/tensor_parallel: Summed.compute is yours to write")
        ### END YOUR SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN YOUR SOLUTION train-big/tensor_parallel
        raise NotImplementedError("train-big/tensor_parallel: Summed.gradient is yours to write")
        ### END YOUR SOLUTION


def part(comm, parameter, axis):
    """This rank's part of a whole Parameter along an axis, as a Parameter of its own.

    Raises:
        ValueError: the axis cannot be cut into comm.size equal parts.
    """
    length = parameter.shape[axis]
    if length % comm.size:
        raise ValueError(
            f"{length} rows or columns cannot be shared out equally to {comm.size} ranks"
        )
    return nn.Parameter(np.split(parameter.numpy(), comm.size, axis)[comm.rank])


class ColumnLinear(nn.Module):
    """A Linear layer of which each rank has some columns: (B, I) on all ranks -> (B, O / p) each.

    Args:
        comm: the rank's Communicator.
        whole: nn.Linear.
    """

    def __init__(self, comm, whole):
        super().__init__()
        self.comm = comm
        ### BEGIN YOUR SOLUTION train-big/tensor_parallel
        raise NotImplementedError("train-big/tensor_parallel: ColumnLinear.__init__ is yours to write")
        ### END YOUR SOLUTION

    def forward(self, x):
        ### BEGIN YOUR SOLUTION train-big/tensor_parallel
        raise NotImplementedError("train-big/tensor_parallel: ColumnLinear.forward is yours to write")
        ### END YOUR SOLUTION


class RowLinear(nn.Module):
    """A Linear layer of which each rank has some rows: (B, I / p) each -> (B, O) on all ranks.

    The bias is whole on each rank.

    Args:
        comm: the rank's Communicator.
        whole: nn.Linear.
    """

    def __init__(self, comm, whole):
        super().__init__()
        self.comm, self.bias = comm, whole.bias
        ### BEGIN YOUR SOLUTION train-big/tensor_parallel
        raise NotImplementedError("train-big/tensor_parallel: RowLinear.__init__ is yours to write")
        ### END YOUR SOLUTION

    def forward(self, x):
        ### BEGIN YOUR SOLUTION train-big/tensor_parallel
        raise NotImplementedError("train-big/tensor_parallel: RowLinear.forward is yours to write")
        ### END YOUR SOLUTION


class ParallelAttention(nn.Module):
    """Self-attention of which each rank has H / p heads: (B, T, F) -> (B, T, out_features).

    Every rank has all three norms.

    Args:
        comm: the rank's Communicator.
        whole: nn.AttentionLayer.
    """

    def __init__(self, comm, whole):
        super().__init__()
        if whole.num_head % comm.size:
            raise ValueError(f"{whole.num_head} heads cannot be shared out to {comm.size} ranks")
        self.dim_head, self.attn = whole.dim_head, whole.attn
        self.norms = [whole.prenorm_q, whole.prenorm_k, whole.prenorm_v]
        ### BEGIN YOUR SOLUTION train-big/tensor_parallel
        raise NotImplementedError("train-big/tensor_parallel: ParallelAttention.__init__ is yours to write")
        ### END YOUR SOLUTION

    def forward(self, x):
        ### BEGIN YOUR SOLUTION train-big/tensor_parallel
        raise NotImplementedError("train-big/tensor_parallel: ParallelAttention.forward is yours to write")
        ### END YOUR SOLUTION


class ParallelBlock(nn.Module):
    """A Transformer's block: attention, then a network on each token, both added to x.

    x = x + attention(x);   x = x + second(relu(first(norm(x))))

    Args:
        comm: the rank's Communicator.
        attention, norm, first, second: an AttentionLayer, a LayerNorm1d and two Linear layers, whole.
    """

    def __init__(self, comm, attention, norm, first, second):
        super().__init__()
        ### BEGIN YOUR SOLUTION train-big/tensor_parallel
        raise NotImplementedError("train-big/tensor_parallel: ParallelBlock.__init__ is yours to write")
        ### END YOUR SOLUTION

    def forward(self, x):
        """(B, T, F) -> (B, T, F), the same on all ranks."""
        ### BEGIN YOUR SOLUTION train-big/tensor_parallel
        raise NotImplementedError("train-big/tensor_parallel: ParallelBlock.forward is yours to write")
        ### END YOUR SOLUTION
