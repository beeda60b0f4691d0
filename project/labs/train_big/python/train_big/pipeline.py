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
    ### BEGIN YOUR SOLUTION train-big/pipeline
    raise NotImplementedError("train-big/pipeline: one_forward_one_backward is yours to write")
    ### END YOUR SOLUTION


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
        ### BEGIN YOUR SOLUTION train-big/pipeline
        raise NotImplementedError("train-big/pipeline: PipelineStage.step is yours to write")
        ### END YOUR SOLUTION

    @property
    def is_first(self):
        return self.comm.rank == 0

    @property
    def is_last(self):
        return self.comm.rank == self.comm.size - 1

    def forward(self, number, array, loss):
        """A micro-batch goes forward: from the stage before, through the module, to the next."""
        ### BEGIN YOUR SOLUTION train-big/pipeline
        raise NotImplementedError("train-big/pipeline: PipelineStage.forward is yours to write or not")
        ### END YOUR SOLUTION

    def backward(self, number, micro_batches):
        """A micro-batch goes backward: its adjoint from the next stage, to the one before."""
        ### BEGIN YOUR SOLUTION train-big/pipeline
        raise NotImplementedError("train-big/pipeline: PipelineStage.backward is yours to write or not")
        ### END YOUR SOLUTION

    def send(self, array, to):
        """Begin to send; what was sent there before must have been received, and can go."""
        ### BEGIN YOUR SOLUTION train-big/pipeline
        raise NotImplementedError("train-big/pipeline: PipelineStage.send is yours to write or not")
        ### END YOUR SOLUTION
