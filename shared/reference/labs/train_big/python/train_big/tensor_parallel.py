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
        ### BEGIN SOLUTION train-big/tensor_parallel
        return x
        ### END SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN SOLUTION train-big/tensor_parallel
        return Summed(self.comm)(out_grad)
        ### END SOLUTION


class Summed(TensorOp):
    """The sum of all ranks' x, with which each goes on in the same way: so the adjoint is that of x."""

    def __init__(self, comm):
        self.comm = comm

    def compute(self, x):
        ### BEGIN SOLUTION train-big/tensor_parallel
        return all_reduce(self.comm, x)
        ### END SOLUTION

    def gradient(self, out_grad, node):
        ### BEGIN SOLUTION train-big/tensor_parallel
        return Copied(self.comm)(out_grad)
        ### END SOLUTION


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
        ### BEGIN SOLUTION train-big/tensor_parallel
        self.weight = part(comm, whole.weight, axis=1)
        self.bias = None if whole.bias is None else part(comm, whole.bias, axis=1)
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION train-big/tensor_parallel
        y = Copied(self.comm)(x) @ self.weight
        return y if self.bias is None else y + self.bias.broadcast_to(y.shape)
        ### END SOLUTION


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
        ### BEGIN SOLUTION train-big/tensor_parallel
        self.weight = part(comm, whole.weight, axis=0)
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION train-big/tensor_parallel
        y = Summed(self.comm)(x @ self.weight)
        return y if self.bias is None else y + self.bias.broadcast_to(y.shape)
        ### END SOLUTION


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
        ### BEGIN SOLUTION train-big/tensor_parallel
        self.heads = whole.num_head // comm.size
        projections = (whole.q_projection, whole.k_projection, whole.v_projection)
        self.projections = [ColumnLinear(comm, projection) for projection in projections]
        self.out_projection = RowLinear(comm, whole.out_projection)
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION train-big/tensor_parallel
        batch, time, features = x.shape
        tokens = x.reshape((batch * time, features))
        q, k, v = (
            projection(norm(tokens))
            .reshape((batch, time, self.heads, self.dim_head))
            .transpose((1, 2))
            for norm, projection in zip(self.norms, self.projections)
        )
        result, _ = self.attn(q, k, v)
        tokens = result.transpose((1, 2)).reshape((batch * time, self.heads * self.dim_head))
        y = self.out_projection(tokens)
        return y.reshape((batch, time, y.shape[1]))
        ### END SOLUTION


class ParallelBlock(nn.Module):
    """A Transformer's block: attention, then a network on each token, both added to x.

    x = x + attention(x);   x = x + second(relu(first(norm(x))))

    Args:
        comm: the rank's Communicator.
        attention, norm, first, second: an AttentionLayer, a LayerNorm1d and two Linear layers, whole.
    """

    def __init__(self, comm, attention, norm, first, second):
        super().__init__()
        ### BEGIN SOLUTION train-big/tensor_parallel
        self.attention = ParallelAttention(comm, attention)
        layers = (norm, ColumnLinear(comm, first), nn.ReLU(), RowLinear(comm, second))
        self.network = nn.Sequential(*layers)
        ### END SOLUTION

    def forward(self, x):
        """(B, T, F) -> (B, T, F), the same on all ranks."""
        ### BEGIN SOLUTION train-big/tensor_parallel
        batch, time, features = x.shape
        x = x + self.attention(x)
        return x + self.network(x.reshape((batch * time, features))).reshape(x.shape)
        ### END SOLUTION
