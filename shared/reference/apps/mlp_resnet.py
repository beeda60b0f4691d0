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
    ### BEGIN SOLUTION hw2/mlp_resnet
    fn = nn.Sequential(
        nn.Linear(dim, hidden_dim),
        norm(hidden_dim),
        nn.ReLU(),
        nn.Dropout(drop_prob),
        nn.Linear(hidden_dim, dim),
        norm(dim),
    )
    return nn.Sequential(nn.Residual(fn), nn.ReLU())
    ### END SOLUTION


def MLPResNet(
    dim, hidden_dim=100, num_blocks=3, num_classes=10, norm=nn.BatchNorm1d, drop_prob=0.1
):
    """Linear, ReLU, `num_blocks` ResidualBlocks (half as wide inside), Linear: (B, dim) -> (B, num_classes)."""
    ### BEGIN SOLUTION hw2/mlp_resnet
    layers = [nn.Linear(dim, hidden_dim), nn.ReLU()]
    for _ in range(num_blocks):
        layers.append(ResidualBlock(hidden_dim, hidden_dim // 2, norm, drop_prob))
    return nn.Sequential(*layers, nn.Linear(hidden_dim, num_classes))
    ### END SOLUTION


def epoch(dataloader, model, opt=None):
    """One pass over the data: training with `opt`, evaluation without.

    Returns:
        (error rate, mean loss) over all samples, as floats.
    """
    np.random.seed(4)
    ### BEGIN SOLUTION hw2/mlp_resnet
    model.train() if opt else model.eval()
    loss_fn = nn.SoftmaxLoss()
    samples, wrong, total_loss = 0, 0, 0.0
    for images, labels in dataloader:
        batch = images.shape[0]
        logits = model(nn.Flatten()(images))
        loss = loss_fn(logits, labels)
        if opt:
            opt.reset_grad()
            loss.backward()
            opt.step()
        samples += batch
        wrong += int((logits.numpy().argmax(axis=1) != labels.numpy()).sum())
        total_loss += loss.numpy().item() * batch
    return wrong / samples, total_loss / samples
    ### END SOLUTION


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

    ### BEGIN SOLUTION hw2/mlp_resnet
    def loader(name):
        files = [f"{data_dir}/{name}-{part}-ubyte.gz" for part in ("images-idx3", "labels-idx1")]
        digits = ndl.data.MNISTDataset(*files)
        return ndl.data.DataLoader(digits, batch_size, shuffle=name == "train")

    train_loader, test_loader = loader("train"), loader("t10k")
    model = MLPResNet(784, hidden_dim)
    opt = optimizer(model.parameters(), lr=lr, weight_decay=weight_decay)
    history = [
        (*epoch(train_loader, model, opt), *epoch(test_loader, model)) for _ in range(epochs)
    ]
    return history[-1]
    ### END SOLUTION


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
