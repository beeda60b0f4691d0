"""Questions that a minute of training answers: say what you expect, let it run, compare.

    python apps/experiments.py                        which questions there are
    python apps/experiments.py residual               asks what you expect, then trains
    python apps/experiments.py residual --expect 2    the same without asking
    python apps/experiments.py residual --seed 1      other first weights, and another order

Nothing is graded here. Your own code is trained; what a question wants otherwise is put in its place
from outside, for the time of a run. All ways of a question see the same samples in the same order. The
loss of every step is kept in curves/, for `hw viz curve`.
"""

import argparse
import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
for folder in (os.path.join(HOME, "python"), os.path.join(HOME, "apps"), HOME):
    if folder not in sys.path:
        sys.path.append(folder)

import numpy as np
from live import Line
from mlp_resnet import MLPResNet

import needle as ndl
from needle import nn

### FROM hw4
from apps.models import LanguageModel, ResNet9

### END


@dataclass
class Result:
    """What a training came to."""

    losses: list[float]
    """Of every step."""
    accuracy: float
    """On the test set."""


@dataclass(frozen=True)
class Question:
    """Some ways to train, and how to compare them."""

    asks: str
    ways: dict[str, Callable[[], Result]]
    """What a way is called -> a function that trains it."""
    because: str
    """Said after the answer."""
    early: bool = False
    """Compare the mean loss of the first 50 steps, not the accuracy at the end."""

    def score(self, result):
        """The number that is compared; the larger the better."""
        return -float(np.mean(result.losses[:50])) if self.early else result.accuracy


# ------------------------------------------------------------------ another part in place of yours


@contextlib.contextmanager
def replaced(owner, **parts):
    """For a while `owner` has other attributes."""
    before = {name: getattr(owner, name) for name in parts}
    try:
        for name, part in parts.items():
            setattr(owner, name, part)
        yield
    finally:
        for name, part in before.items():
            setattr(owner, name, part)


def parts_of(module):
    """A module and all modules in it."""
    return nn.nn_basic._child_modules(module)


def made(make, **parts):
    """A model of yours, with other `parts` of nn in place of yours."""
    with replaced(nn, **parts):
        model = make()
    kinds = {type(part) for part in parts_of(model)}
    for name, part in parts.items():
        if part not in kinds:
            sys.exit(f"experiments.py: your model makes no nn.{name}, so none can be taken out")
    return model


class NoResidual(nn.Module):
    """fn(x) where Residual is fn(x) + x."""

    def __init__(self, fn):
        super().__init__()
        self.fn = fn

    def forward(self, x):
        return self.fn(x)


class NoNorm(nn.Identity):
    """The input itself, made like a normalization."""

    def __init__(self, *args, **kwargs):
        super().__init__()


class NoCorrection(ndl.optim.Adam):
    """Adam whose averages are taken as they are: after very many steps the correction is 1."""

    def step(self):
        self.t = 10**6
        super().step()


# --------------------------------------------------------------------------------------- trainings


def fit(model, opt, batches, loss_of=nn.SoftmaxLoss()):
    """Train on (X, y), one step a batch -> the losses."""
    losses, line = [], Line()
    model.train()
    for X, y in batches:
        loss = loss_of(model(X), y)
        opt.reset_grad()
        loss.backward()
        opt.step()
        losses.append(loss.numpy().item())
        line.show(f"  step {len(losses)}, loss {losses[-1]:.3f}")
    if line.width:
        print(f"\r{'':<{line.width}}\r", end="")
    return losses


def accuracy_of(model, batches):
    """The share of (X, y) that the model gets right, in the mode in which it is."""
    right = count = 0
    for X, y in batches:
        right += int((model(X).numpy().argmax(axis=1) == y.numpy()).sum())
        count += y.shape[0]
    return right / count


def digits(train, size):
    """Batches of flat digits; those for training in a new order each time."""
    name = "train" if train else "t10k"
    parts = [f"{name}-{part}-ubyte.gz" for part in ("images-idx3", "labels-idx1")]
    data = ndl.data.MNISTDataset(*[os.path.join(HOME, "data", part) for part in parts])
    for X, y in ndl.data.DataLoader(data, size, shuffle=train):
        yield X.reshape((X.shape[0], 784)), y


def train_digits(
    epochs=2, size=100, lr=0.001, optimizer=ndl.optim.Adam, evaluate=True, residual=True, **sizes
):
    """Train your MLPResNet on digits.

    Args:
        evaluate: test in evaluation, as one should, or in training.
        residual: with your Residual, or without the sum.
        sizes: of MLPResNet.
    """
    model = made(lambda: MLPResNet(784, **sizes), **({} if residual else {"Residual": NoResidual}))
    opt = optimizer(model.parameters(), lr=lr)
    losses = fit(model, opt, (batch for _ in range(epochs) for batch in digits(True, size)))
    model.eval() if evaluate else model.train()
    return Result(losses, accuracy_of(model, digits(False, 250)))


### FROM hw4


def images(train, count):
    """Batches of EMOJI-10, `count` images; those for training mirrored, shifted, in a new order."""
    changes = [ndl.data.RandomFlipHorizontal(), ndl.data.RandomCrop(4)] if train else None
    folder = os.path.join(HOME, "data", "emoji-10-batches-py")
    data = ndl.data.CIFAR10Dataset(folder, train, transforms=changes)
    order = np.random.permutation(len(data)) if train else np.arange(len(data))
    for k in range(0, count, 125):
        X, y = data[order[k : k + 125]]
        yield constant(X), constant(y)


def train_images(**parts):
    """Train your ResNet9 on images; `parts` of nn in place of yours."""
    model = made(ResNet9, **parts)
    losses = fit(model, ndl.optim.Adam(model.parameters(), lr=0.01), images(True, 7_500))
    model.eval()
    return Result(losses, accuracy_of(model, images(False, 2_000)))


def constant(array):
    return ndl.Tensor(array, device=ndl.cpu(), dtype="float32", requires_grad=False)


class Logits(nn.Module):
    """A LanguageModel without the state that it returns besides."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, ids):
        return self.model(ids)[0]


def letters(train, characters):
    """Batches (T, B) of the AUSTEN-CHARS sample, and what follows each letter."""
    corpus = ndl.data.Corpus(os.path.join(HOME, "data", "austen-chars"), None)
    data = ndl.data.batchify(corpus.train if train else corpus.test, 32)
    for k in range(0, min(characters // 32, len(data) - 1), 64):
        yield ndl.data.get_batch(data, k, 64, ndl.cpu())


def train_letters(layer=None, lr=0.003):
    """Train your Transformer letter by letter, its layers made by `layer` in place of yours."""
    transformer = nn.nn_transformer
    with replaced(transformer, **({"TransformerLayer": layer} if layer else {})):
        model = Logits(LanguageModel(64, 80, 128, 4, seq_model="transformer", seq_len=64))
    losses = fit(model, ndl.optim.Adam(model.parameters(), lr=lr), letters(True, 100_000))
    model.eval()
    return Result(losses, accuracy_of(model, letters(False, 20_000)))


class NormAfter(nn.Module):
    """A TransformerLayer as first published: the norm behind each sum, not inside of its branch."""

    norm = nn.LayerNorm1d

    def __init__(self, features, num_head, dim_head, hidden_size, *, dropout=0.0, causal=True,
                 device=None, dtype="float32"):  # fmt: skip
        super().__init__()
        made_on = {"device": device, "dtype": dtype}
        attention = nn.AttentionLayer(features, num_head, dim_head, causal=causal, **made_on)
        attention.prenorm_q = attention.prenorm_k = attention.prenorm_v = NoNorm()
        self.attention = attention
        self.first, self.second = self.norm(features), self.norm(features)
        hidden = nn.Linear(features, hidden_size, **made_on)
        self.mlp = nn.Sequential(hidden, nn.ReLU(), nn.Linear(hidden_size, features, **made_on))

    def forward(self, x):
        shape, rows = x.shape, (x.shape[0] * x.shape[1], x.shape[2])
        x = self.first((x + self.attention(x)).reshape(rows))
        return self.second(x + self.mlp(x)).reshape(shape)


class NormNowhere(NormAfter):
    norm = NoNorm


def train_unscaled():
    """Train your Transformer with queries that are larger by sqrt(D): what it divides by is undone."""
    forward = nn.MultiHeadAttention.forward
    larger = lambda self, q, k, v: forward(self, q * q.shape[3] ** 0.5, k, v)
    with replaced(nn.MultiHeadAttention, forward=larger):
        return train_letters()


### END
# --------------------------------------------------------------------------------------- questions

DEEP = {"hidden_dim": 64, "num_blocks": 20, "drop_prob": 0.0}
QUESTIONS = {
    "residual": Question(
        "Twenty blocks, forty-two layers deep. What does the sum x + f(x) do for the accuracy?",
        {
            "with the sum": lambda: train_digits(**DEEP),
            "without": lambda: train_digits(residual=False, **DEEP),
        },
        "Without it the gradient goes through forty matrices in a row. With it there is a straight "
        "road back to every layer, and each block only has to learn what is still missing.",
    ),
    "norm": Question(
        "The same depth, with the sums. Which normalization inside of the blocks is best?",
        {
            "BatchNorm1d": lambda: train_digits(norm=nn.BatchNorm1d, **DEEP),
            "LayerNorm1d": lambda: train_digits(norm=nn.LayerNorm1d, **DEEP),
            "none": lambda: train_digits(norm=NoNorm, **DEEP),
        },
        "Each block adds its output to x, so that without a norm the activations grow from block to "
        "block, and the first losses are enormous.",
    ),
    "correction": Question(
        "Adam with and without its bias correction, at a small and at a large learning rate. Which "
        "has the smallest loss over the first 50 steps?",
        {
            f"{told}, rate {rate}": lambda kind=kind, rate=rate: train_digits(
                epochs=1, lr=rate, num_blocks=3, optimizer=kind
            )
            for rate in (0.001, 0.03)
            for told, kind in (("corrected", ndl.optim.Adam), ("not", NoCorrection))
        },
        "Both averages begin at 0, but v grows more slowly and is too small for longer. Without the "
        "correction the first step is 0.1 / sqrt(0.001) = 3.2 times as long as the rate says, the "
        "tenth 6.5 times: a help where the rate is too small, harm where it is large.",
        early=True,
    ),
    "batch": Question(
        "Three epochs, the same learning rate. Which size of batch gives the best accuracy?",
        {
            f"{size} a batch": lambda size=size: train_digits(epochs=3, size=size, num_blocks=1)
            for size in (10, 100, 1000)
        },
        "Equal epochs are unequal steps: 1800, 180 and 18 of them. A larger batch has a better "
        "gradient, but not a hundred times better; it asks for a larger learning rate.",
    ),
    "dropout": Question(
        "Trained with dropout 0.5. In which mode is the test accuracy higher?",
        {
            "tested in evaluation": lambda: train_digits(epochs=3, num_blocks=3, drop_prob=0.5),
            "tested in training": lambda: train_digits(
                epochs=3, num_blocks=3, drop_prob=0.5, evaluate=False
            ),
        },
        "In training half of each block is silent, and batch norm takes its statistics from the "
        "test's batches. A model.eval() that was forgotten costs this much, and no error says so.",
    ),
    ### FROM hw4
    "images": Question(
        "Sixty steps of ResNet9 with a large learning rate, 0.01. What matters more, the sums or the "
        "norms?",
        {
            "as it is": lambda: train_images(),
            "no sums": lambda: train_images(Residual=NoResidual),
            "no batch norm": lambda: train_images(BatchNorm2d=NoNorm),
        },
        "Without norms only small steps are safe: at 0.002 this way keeps up with the others. Nine "
        "layers are not deep, so that the sums decide little; what they are for shows at forty "
        "layers, in the question `residual`.",
    ),
    "place": Question(
        "Four Transformer layers. Where does the norm belong?",
        {
            "before each branch": lambda: train_letters(),
            "behind each sum": lambda: train_letters(NormAfter),
            "nowhere": lambda: train_letters(NormNowhere),
        },
        "Behind the sum the norm stands on the straight road and shrinks what comes along it; such "
        "networks want a small learning rate at first. Inside of the branch it leaves the road free.",
    ),
    "scale": Question(
        "Attention without dividing the scores by the root of D. Which learns better?",
        {
            "divided by sqrt(D)": lambda: train_letters(),
            "not divided": lambda: train_unscaled(),
        },
        "Scores of D terms have variance D. Undivided they saturate the softmax: each place looks "
        "at one other only, and a saturated softmax has hardly a gradient.",
    ),
    ### END
}

# --------------------------------------------------------------------------------------- the runner


def expected(question, given):
    """The way that is expected to win: as given, else asked for; None when nobody is there to say."""
    ways = list(question.ways)
    if given is None and sys.stdin.isatty():
        answer = input("Which do you expect to win? Its number: ").strip()
        given = int(answer) if answer.isdigit() else None
    if given is not None and not 1 <= given <= len(ways):
        sys.exit(f"experiments.py: there are ways 1 to {len(ways)}, not {given}")
    return None if given is None else ways[given - 1]


def ask(name, given=None, seed=0, folder="curves"):
    """Run one question and show its answer -> the way that won."""
    question = QUESTIONS[name]
    print(f"{name}: {question.asks}")
    for number, way in enumerate(question.ways, 1):
        print(f"  {number}. {way}")
    hope = expected(question, given)
    os.makedirs(folder, exist_ok=True)
    print(f"\n{'':22} {'loss: early':>11} {'middle':>7} {'end':>7} {'test':>7} {'seconds':>8}")
    scores, files = {}, []
    for way, train in question.ways.items():
        np.random.seed(seed)
        began = time.perf_counter()
        result = train()
        took, losses = time.perf_counter() - began, np.array(result.losses)
        early, middle, end = (part.mean() for part in np.array_split(losses, 3))
        print(f"{way:22} {early:11.3f} {middle:7.3f} {end:7.3f} {result.accuracy:7.1%} {took:8.1f}")
        words = re.findall("[a-z0-9]+", way.lower())
        files.append(os.path.join(folder, f"{'-'.join([name, *words])}.json"))
        with open(files[-1], "w", encoding="utf-8") as file:
            json.dump({"loss": result.losses}, file)
        score = question.score(result)
        scores[way] = score if np.isfinite(score) else -np.inf
    best = max(scores, key=lambda way: scores[way])
    told = (
        "" if hope is None else ", as you expected" if hope == best else f"; you expected: {hope}"
    )
    print(f"\nbest: {best}{told}\n{question.because}\n\nhw viz curve {' '.join(files)}")
    return best


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("question", nargs="?", choices=list(QUESTIONS))
    parser.add_argument("--expect", type=int, help="the number of the way that you expect to win")
    parser.add_argument("--seed", type=int, default=0, help="of weights and order (default 0)")
    args = parser.parse_args(arguments)
    if args.question is None:
        for name, question in QUESTIONS.items():
            print(f"{name:11} {question.asks}")
        return
    ### FROM hw4
    ndl.kernels("own")
    ### END
    ask(args.question, args.expect, args.seed)


if __name__ == "__main__":
    try:
        main()
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"experiments.py: {error}")
