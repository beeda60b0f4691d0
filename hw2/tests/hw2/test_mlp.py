"""Homework 2: a residual multi-layer perceptron, and the epochs that train it."""

import gzip
import sys
import tempfile
from pathlib import Path

sys.path.append("./python")
sys.path.append("./apps")

import needle as ndl
import numpy as np
import pytest
from course_testing import assert_close, slip
from hw2_modules import (
    check_module,
    draw_from_seed,
    normal,
    numpy_normalize,
    numpy_softmax_loss,
    relu,
    write_digits,
)
from needle import nn, optim


def residual(x, f):
    """What a block does with f(x)."""
    y = slip("the shortcut is missing: ReLU(x + f(x))", x + f, f)
    return slip("the ReLU after the sum is missing: ReLU(x + f(x))", np.maximum(y, 0), y)


class Tag(nn.Module):
    """A normalization layer that only remembers its size."""

    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def forward(self, x):
        return x


def shapes(model):
    return [param.shape for param in model.parameters()]


def kinds(value, kind):
    """All modules of a class in `value`, in order."""
    return [module for module in [value, *value._children()] if isinstance(module, kind)]


def test_mlp_residual_block_is_relu_of_x_plus_f():
    from mlp_resnet import ResidualBlock

    block = ResidualBlock(5, 3, norm=Tag, drop_prob=0.25)
    dims = [tag.dim for tag in kinds(block, Tag)]
    assert dims == [3, 5], (
        f"hw2/mlp_resnet: the block's norms are of {dims} features: norm(hidden_dim), norm(dim)"
    )
    drops = [layer.p for layer in kinds(block, nn.Dropout)]
    assert drops == [0.25], f"hw2/mlp_resnet: Dropout with p = {drops}: one, with drop_prob, 0.25"
    block.eval()

    def formula(x, w1, b1, w2, b2):
        return residual(x, relu(x @ w1 + b1) @ w2 + b2)

    check_module("hw2/mlp_resnet", block, normal(4, 5), formula, block.parameters())


@pytest.mark.parametrize("norm", [nn.BatchNorm1d, nn.LayerNorm1d])
def test_mlp_residual_block_in_training(norm):
    from mlp_resnet import ResidualBlock

    eps, axis = 1e-5, 0 if norm is nn.BatchNorm1d else 1
    block = ResidualBlock(5, 4, norm=norm, drop_prob=0.0)

    def formula(x, w1, b1, n1, m1, w2, b2, n2, m2):
        h = n1 * numpy_normalize(x @ w1 + b1, axis, eps) + m1
        h = n2 * numpy_normalize(relu(h) @ w2 + b2, axis, eps) + m2
        return residual(x, h)

    check_module("hw2/mlp_resnet", block, normal(6, 5), formula, block.parameters())


def test_mlp_resnet_has_its_layers_in_order():
    from mlp_resnet import MLPResNet

    model = MLPResNet(12, hidden_dim=6, num_blocks=2, num_classes=4, drop_prob=0.2)
    block = [(6, 3), (1, 3), (3,), (3,), (3, 6), (1, 6), (6,), (6,)]
    wanted = [(12, 6), (1, 6), *block, *block, (6, 4), (1, 4)]
    assert shapes(model) == wanted, (
        "hw2/mlp_resnet: parameters of the shapes "
        f"{shapes(model)}, expected {wanted}: blocks are hidden_dim // 2 wide inside, and every "
        "layer is made in the order in which it is used"
    )
    drops = [layer.p for layer in kinds(model, nn.Dropout)]
    assert drops == [0.2, 0.2], (
        f"hw2/mlp_resnet: Dropout with p = {drops}: drop_prob, 0.2, in each block"
    )
    assert len(kinds(model, nn.Residual)) == 2
    default = MLPResNet(20)
    assert shapes(default)[0] == (20, 100) and shapes(default)[-1] == (1, 10)
    assert len(kinds(default, nn.Residual)) == 3 and kinds(default, nn.BatchNorm1d)[0].dim == 50


def test_mlp_resnet_draws_its_weights_in_the_order_of_execution():
    from mlp_resnet import MLPResNet

    def draw():
        linears = [nn.Linear(a, b) for a, b in ((7, 4), (4, 2), (2, 4), (4, 3))]
        return [array.numpy() for layer in linears for array in (layer.weight, layer.bias)]

    def draw_last_first():
        np.random.seed(5)
        last = nn.Linear(4, 3)
        linears = [*(nn.Linear(a, b) for a, b in ((7, 4), (4, 2), (2, 4))), last]
        return [array.numpy() for layer in linears for array in (layer.weight, layer.bias)]

    wanted, after = draw_from_seed(5, draw)
    model, after_model = draw_from_seed(
        5, lambda: MLPResNet(7, 4, num_blocks=1, num_classes=3, norm=Tag)
    )
    wanted = slip(
        "the last layer is drawn first: in the order of execution", wanted, draw_last_first
    )
    for actual, desired in zip(model.parameters(), wanted):
        assert_close(actual, desired, problem="hw2/mlp_resnet", op="first weights")
    assert after_model == after


def test_mlp_resnet_forward():
    from mlp_resnet import MLPResNet

    model = MLPResNet(7, 4, num_blocks=1, num_classes=3, norm=Tag)
    model.eval()

    def formula(x, w1, b1, w2, b2, w3, b3, w4, b4):
        x = relu(x @ w1 + b1)
        x = residual(x, relu(x @ w2 + b2) @ w3 + b3)
        return x @ w4 + b4

    check_module("hw2/mlp_resnet", model, normal(5, 7), formula, model.parameters())


class Images(ndl.data.Dataset):
    """Random images (28, 28, 1) with labels that depend on them."""

    def __init__(self, n):
        super().__init__()
        self.X = normal(n, 28, 28, 1).astype("float32")
        self.y = (self.X[:, :14].sum(axis=(1, 2, 3)) > 0).astype("uint8")

    def __len__(self):
        return len(self.y)

    def __getitem__(self, index):
        return self.X[index], self.y[index]


def test_mlp_epoch_evaluates_without_changing_anything():
    from mlp_resnet import MLPResNet, epoch

    data = Images(25)
    model = MLPResNet(784, 8, num_blocks=1)
    model(ndl.Tensor(normal(10, 784), dtype="float32"))
    before = {name: value.numpy() for name, value in model.state_dict().items()}
    model.train()
    error, loss = epoch(ndl.data.DataLoader(data, batch_size=10), model)
    assert not model.training, (
        "hw2/mlp_resnet: epoch without an optimizer evaluates: model.eval() before it begins"
    )
    after = model.state_dict()
    for name, value in before.items():
        assert_close(after[name], value, problem="hw2/mlp_resnet", op=f"{name} after evaluation")
    logits = model(ndl.Tensor(data.X.reshape(25, 784))).numpy().astype("float64")
    problem = "hw2/mlp_resnet"
    rate = (logits.argmax(axis=1) != data.y).mean()
    rate = slip("this is the accuracy: the error rate is asked", rate, 1 - rate)
    rate = slip("this is the number of errors: the rate is asked", rate, rate * 25)
    assert_close(float(error), rate, problem=problem, op="error rate")
    wanted = numpy_softmax_loss(logits, data.y)
    parts = [numpy_softmax_loss(logits[k : k + 10], data.y[k : k + 10]) for k in (0, 10, 20)]
    wanted = slip(
        "the mean of the batches' means: the last batch is shorter", wanted, np.mean(parts)
    )
    wanted = slip("the sum of the batches' means: the mean over samples", wanted, sum(parts))
    assert_close(loss, wanted, problem=problem, op="loss, the mean over all 25 samples", rtol=1e-5)


def test_mlp_epoch_trains():
    """One epoch against the same steps written out here; the seed inside `epoch` is 4."""
    from mlp_resnet import MLPResNet, epoch

    data = Images(25)
    results = []
    for by_hand in (False, True):
        np.random.seed(11)
        model = MLPResNet(784, 8, num_blocks=1)
        model.eval()
        opt = optim.SGD(model.parameters(), lr=0.05, weight_decay=0.01)
        loader = ndl.data.DataLoader(data, batch_size=10, shuffle=True)
        if not by_hand:
            error, loss = epoch(loader, model, opt)
            assert model.training, (
                "hw2/mlp_resnet: epoch with an optimizer trains: model.train() before it begins"
            )
            results.append([error, loss, *[p.numpy() for p in model.parameters()]])
            continue
        model.train()
        np.random.seed(4)
        wrong, total = 0, 0.0
        learns = slip("no step is made: opt.step() after backward", True, False)
        for images, labels in loader:
            n = labels.shape[0]
            logits = model(images.reshape((n, 784)))
            loss = nn.SoftmaxLoss()(logits, labels)
            opt.reset_grad()
            loss.backward()
            if learns:
                opt.step()
            wrong += (logits.numpy().argmax(axis=1) != labels.numpy()).sum()
            total += loss.numpy().item() * n
        results.append([wrong / 25, total / 25, *[p.numpy() for p in model.parameters()]])
    for k, (actual, wanted) in enumerate(zip(*results)):
        op = ("error rate", "loss")[k] if k < 2 else f"parameter {k - 2}"
        assert_close(actual, np.asarray(wanted), problem="hw2/mlp_resnet", op=op, rtol=1e-4)


def test_mlp_train_mnist_learns_the_digits():
    from mlp_resnet import train_mnist

    result = train_mnist(100, 2, optim.Adam, 0.004, 0.001, 40, "data")
    train_error, train_loss, test_error, test_loss = result
    assert 0 < train_error < 0.3 and 0 < test_error < 0.2, (
        f"error rates {train_error}, {test_error}"
    )
    assert 0 < train_loss < 0.9 and 0 < test_loss < 0.7


@pytest.fixture
def few_digits(tmp_path):
    """A folder with the first 300 training and 110 test images of the digits, in IDX files."""
    for name, n in (("train", 300), ("t10k", 110)):
        for part, header, size in (("images-idx3", 16, 784), ("labels-idx1", 8, 1)):
            file_name = f"{name}-{part}-ubyte.gz"
            with gzip.open(f"data/{file_name}") as file:
                content = file.read(header + n * size)
            with gzip.open(tmp_path / file_name, "wb") as file:
                file.write(content[:4] + n.to_bytes(4, "big") + content[8:])
    return str(tmp_path)


def test_mlp_train_mnist_puts_the_pieces_together(few_digits):
    """Seed 4, the data, the model, the epochs: as written out here, number for number."""
    from mlp_resnet import MLPResNet, epoch, train_mnist

    actual = train_mnist(40, 2, optim.SGD, 0.05, 0.01, 12, few_digits)
    decay = slip("the weight decay is not given to the optimizer", 0.01, 0.0)
    epochs = slip("one epoch only: `epochs` of them", 2, 1)
    shuffle = slip("the training data is not shuffled", True, False)
    tested = slip("the test data is the training data: t10k-*", "t10k", "train")
    np.random.seed(4)
    model = MLPResNet(784, 12)
    opt = optim.SGD(model.parameters(), lr=0.05, weight_decay=decay)

    def loader(name, shuffle):
        files = [f"{few_digits}/{name}-{part}-ubyte.gz" for part in ("images-idx3", "labels-idx1")]
        return ndl.data.DataLoader(ndl.data.MNISTDataset(*files), 40, shuffle)

    train, test = loader("train", shuffle), loader(tested, tested == "train")
    for _ in range(epochs):
        wanted = [*epoch(train, model, opt), *epoch(test, model)]
    for name, a, w in zip(("train error", "train loss", "test error", "test loss"), actual, wanted):
        assert_close(a, w, problem="hw2/mlp_resnet", op=name, rtol=1e-4)


def submit_mlp_resnet():
    import mugrade
    from mlp_resnet import MLPResNet, ResidualBlock, epoch, train_mnist

    rng = mugrade.rng()
    block = ResidualBlock(6, 3, nn.LayerNorm1d, 0.2)
    x = ndl.Tensor(rng.randn(4, 6), dtype="float32")
    mugrade.submit(block(x).numpy(), label="residual block")
    model = MLPResNet(784, 8, 2, 10)
    mugrade.submit(model(ndl.Tensor(rng.rand(5, 784), dtype="float32")).numpy(), label="network")
    other = MLPResNet(6, 8, 1, 7, nn.LayerNorm1d, 0.4)
    mugrade.submit(other(x).numpy(), label="network of 7 classes, with another norm and dropout")
    images, labels = rng.rand(30, 784).astype("float32"), rng.randint(10, size=30)
    loader = ndl.data.DataLoader(ndl.data.NDArrayDataset(images, labels), 8)
    mugrade.submit(list(epoch(loader, model)), label="evaluation")
    opt = optim.Adam(model.parameters(), lr=0.01, weight_decay=0.01)
    mugrade.submit(list(epoch(loader, model, opt)), label="training")
    mugrade.submit(list(epoch(loader, model)), label="evaluation after training")
    with tempfile.TemporaryDirectory() as folder:
        for name, n in (("train", 60), ("t10k", 30)):
            pixels, labels = rng.randint(256, size=(n, 28, 28)), rng.randint(10, size=n)
            write_digits(Path(folder), name, pixels, labels)
        figures = train_mnist(20, 2, optim.SGD, 0.05, 0.1, 8, folder)
        mugrade.submit(list(figures), label="train_mnist on random images")
