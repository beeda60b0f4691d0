"""A residual multi-layer perceptron, and its training on handwritten digits.

From this folder or the one above: `python apps/mlp_resnet.py` trains it and shows the progress.
"""

import os
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))

import numpy as np

import needle as ndl
from needle import nn

np.random.seed(0)


def ResidualBlock(dim, hidden_dim, norm=nn.BatchNorm1d, drop_prob=0.1):
    """ReLU(x + f(x)), where f is Linear, norm, ReLU, Dropout, Linear, norm: (B, dim) -> (B, dim).

    Args:
        dim, hidden_dim: features of the block's input, and between its two Linear layers.
        norm: class of the normalization layers; made with the number of features.
        drop_prob: the probability that Dropout drops.
    """
    ### BEGIN YOUR SOLUTION hw2/mlp_resnet
    raise NotImplementedError("hw2/mlp_resnet: ResidualBlock is yours to write")
    ### END YOUR SOLUTION


def MLPResNet(
    dim, hidden_dim=100, num_blocks=3, num_classes=10, norm=nn.BatchNorm1d, drop_prob=0.1
):
    """Linear, ReLU, `num_blocks` ResidualBlocks (half as wide inside), Linear: (B, dim) -> (B, num_classes)."""
    ### BEGIN YOUR SOLUTION hw2/mlp_resnet
    raise NotImplementedError("hw2/mlp_resnet: MLPResNet is yours to write")
    ### END YOUR SOLUTION


def epoch(dataloader, model, opt=None):
    """One pass over the data: training with `opt`, evaluation without.

    Returns:
        (error rate, mean loss) over all samples, as floats.
    """
    np.random.seed(4)
    ### BEGIN YOUR SOLUTION hw2/mlp_resnet
    raise NotImplementedError("hw2/mlp_resnet: epoch is yours to write")
    ### END YOUR SOLUTION


def train_mnist(
    batch_size=100,
    epochs=10,
    optimizer=ndl.optim.Adam,
    lr=0.001,
    weight_decay=0.001,
    hidden_dim=100,
    data_dir="data",
):
    """Train MLPResNet(784, hidden_dim) on MNIST's files in `data_dir`; batches for training shuffled.

    Returns:
        (training error rate, training loss, test error rate, test loss) of the last epoch.
    """
    np.random.seed(4)

    ### BEGIN YOUR SOLUTION hw2/mlp_resnet
    raise NotImplementedError("hw2/mlp_resnet: train_mnist is yours to write")
    ### END YOUR SOLUTION


class Progress:
    """What the training's `epoch` and optimizer do, told as they do it: a line for every epoch."""

    def __init__(self, line):
        self.line, self.passes, self.steps, self.training = line, 0, 0, None

    def optimizer(self, params, **settings):
        opt = ndl.optim.Adam(params, **settings)
        step = opt.step

        def told():
            step()
            self.steps += 1
            self.line.show(f"epoch {self.passes + 1}, step {self.steps}")

        opt.step = told
        return opt

    def epoch(self, dataloader, model, opt=None, run=epoch):
        error, loss = run(dataloader, model, opt)
        if opt:
            self.training = f"training error {error:.2%}, loss {loss:.4f}"
        else:
            self.passes += 1
            self.line.say(
                f"epoch {self.passes}: {self.training}; test error {error:.2%}, loss {loss:.4f}"
            )
        return error, loss


if __name__ == "__main__":
    from live import Line

    started = time.time()
    progress = Progress(Line())
    epoch = progress.epoch  # train_mnist calls it by this name
    data_dir = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data")
    train_mnist(optimizer=progress.optimizer, data_dir=data_dir)
    print(f"{progress.steps} steps in {time.time() - started:.1f} s")
