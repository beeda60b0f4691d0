"""ZeRO, stage 1: each rank keeps the optimizer's state of its own part of the weights.

Source: Rajbhandari et al., "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models",
2020.
"""

from needle import init, nn
from needle.autograd import Tensor

from train_big.collectives import all_gather, cut, reduce_scatter
from train_big.flat import flat, unflat


class ShardedOptimizer:
    """An optimizer over all ranks: every rank has all weights, and changes the part that it owns.

    All parameters one after another are `cut` into comm.size parts, zeros at the end; rank r owns
    part r.

    Args:
        comm: the rank's Communicator.
        params: the model's Parameters, equal on all ranks.
        make_optimizer: function from a list of Parameters to an Optimizer.

    Attributes:
        part: Parameter (n,), this rank's part of the weights.
        optimizer: the Optimizer of `part`, and of nothing else.
    """

    def __init__(self, comm, params, make_optimizer):
        self.comm, self.params = comm, list(params)
        ### BEGIN SOLUTION train-big/sharded_optimizer
        self.part = nn.Parameter(cut(flat(self.params), comm.size)[comm.rank])
        self.optimizer = make_optimizer([self.part])
        ### END SOLUTION

    def step(self):
        """A step with the mean over all ranks of their gradients; every rank then has all weights.

        A parameter without a gradient counts as one whose gradient is 0.
        """
        ### BEGIN SOLUTION train-big/sharded_optimizer
        grads = [init.zeros_like(p) if p.grad is None else p.grad for p in self.params]
        total = reduce_scatter(self.comm, cut(flat(grads), self.comm.size))
        self.part.grad = Tensor(total / self.comm.size)
        self.optimizer.step()
        weights = all_gather(self.comm, self.part.numpy()).ravel()
        for param, data in zip(self.params, unflat(weights, [p.shape for p in self.params])):
            param.data = data
        ### END SOLUTION

    def reset_grad(self):
        """Forget all gradients."""
        for param in [*self.params, self.part]:
            param.grad = None
