"""A pipeline: each rank has some of the layers, and passes micro-batches on.

Source: Narayanan et al., "PipeDream: Generalized Pipeline Parallelism for DNN Training", 2019.
"""

from needle.autograd import Tensor

FORWARD, BACKWARD = "forward", "backward"


def one_forward_one_backward(stage, stages, micro_batches):
    """What a stage does, in order, as a list of (FORWARD or BACKWARD, number of the micro-batch).

    Each micro-batch goes forward and backward once, in the order of their numbers. First as many
    forward as there are stages behind this one (or as there are micro-batches); then one forward and
    one backward in turn; at last the backward that are left. So no stage ever keeps the activations
    of more than `stages - stage` micro-batches.

    Args:
        stage: 0 for the first.
    """
    ### BEGIN SOLUTION train-big/pipeline
    ahead = min(stages - 1 - stage, micro_batches)
    order = [(FORWARD, number) for number in range(ahead)]
    for number in range(micro_batches - ahead):
        order += [(FORWARD, ahead + number), (BACKWARD, number)]
    return order + [(BACKWARD, number) for number in range(micro_batches - ahead, micro_batches)]
    ### END SOLUTION


class PipelineStage:
    """One rank's layers in a pipeline of comm.size stages.

    Args:
        comm: the rank's Communicator; its rank is the stage's number.
        module: the Module of this stage, of one Tensor.
    """

    def __init__(self, comm, module):
        self.comm, self.module = comm, module

    def step(self, inputs, loss):
        """Forward and backward of all micro-batches; each `.grad` is of the mean of their losses.

        Args:
            inputs: list of arrays, the micro-batches; only the first stage looks at them, but each
                needs to know how many there are.
            loss: function from (output, number of the micro-batch) to a Tensor of one number; only
                the last stage calls it.

        Returns:
            The mean of the losses as a float on the last stage, None on the others.
        """
        ### BEGIN SOLUTION train-big/pipeline
        self.kept, self.sending, self.losses, self.grads = {}, {}, [], {}
        for param in self.module.parameters():
            param.grad = None
        for what, number in one_forward_one_backward(self.comm.rank, self.comm.size, len(inputs)):
            if what == FORWARD:
                self.forward(number, inputs[number], loss)
            else:
                self.backward(number, len(inputs))
        for param, grad in self.grads.items():
            param.grad = grad
        for request in self.sending.values():
            request.wait()
        return sum(self.losses) / len(inputs) if self.is_last else None
        ### END SOLUTION

    @property
    def is_first(self):
        return self.comm.rank == 0

    @property
    def is_last(self):
        return self.comm.rank == self.comm.size - 1

    def forward(self, number, array, loss):
        """A micro-batch goes forward: from the stage before, through the module, to the next."""
        ### BEGIN SOLUTION train-big/pipeline optional
        if not self.is_first:
            array = self.comm.recv(source=self.comm.rank - 1)
        x = Tensor(array, dtype="float32", requires_grad=not self.is_first)
        y = self.module(x)
        if self.is_last:
            y = loss(y, number)
            self.losses.append(y.numpy().item())
        else:
            self.send(y.numpy(), to=self.comm.rank + 1)
        self.kept[number] = x, y
        ### END SOLUTION

    def backward(self, number, micro_batches):
        """A micro-batch goes backward: its adjoint from the next stage, to the one before."""
        ### BEGIN SOLUTION train-big/pipeline optional
        x, y = self.kept.pop(number)
        if self.is_last:
            (y / micro_batches).backward()
        else:
            y.backward(Tensor(self.comm.recv(source=self.comm.rank + 1)))
        for param in self.module.parameters():
            if param.grad is not None:
                grad, param.grad = param.grad.detach(), None
                self.grads[param] = self.grads[param] + grad if param in self.grads else grad
        if not self.is_first:
            self.send(x.grad.numpy(), to=self.comm.rank - 1)
        ### END SOLUTION

    def send(self, array, to):
        """Begin to send; what was sent there before must have been received, and can go."""
        ### BEGIN SOLUTION train-big/pipeline optional
        if to in self.sending:
            self.sending[to].wait()
        self.sending[to] = self.comm.isend(array, to)
        ### END SOLUTION
