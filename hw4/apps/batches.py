"""The data of `train.py`: where it lies, and a training step's share of it, of images or of text."""

import os

import numpy as np

import needle as ndl
from apps.checkpoints import Trouble, tensor

HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BLANK = "_"  # in a text of characters; a blank separates them


def find_data(kind, wanted, course, chars):
    """(folder, what it is) of the data set: the one wanted, else the full set, else the sample."""
    if chars:
        known = [("austen-chars", "AUSTEN-CHARS sample")]
        file = "train.txt"
    elif kind == "resnet9":
        known = [("cifar-10-batches-py", "CIFAR-10"), ("emoji-10-batches-py", "EMOJI-10 sample")]
        file = "data_batch_1"
    else:
        known = [("ptb", "Penn Treebank"), ("austen", "AUSTEN sample")]
        file = "train.txt"
    names = dict(known)
    if wanted:
        if not os.path.isfile(os.path.join(wanted, file)):
            raise Trouble(f"{wanted} holds no {file}: name a folder of {known[0][1]}'s files")
        return wanted, names.get(os.path.basename(os.path.normpath(wanted)), wanted)
    for name, title in known[:1] if course else known:
        path = os.path.join(HOME, "data", name)
        if os.path.isfile(os.path.join(path, file)):
            return path, title
    places = " or ".join(f"data/{name}" for name, _ in (known[:1] if course else known))
    raise Trouble(f"there is no {file} in {places}: get the data with `hw data`")


class Images:
    """Batches of images in a new random order each epoch."""

    unit = "images"

    def __init__(self, folder, config):
        transforms = [ndl.data.RandomFlipHorizontal(), ndl.data.RandomCrop(4)]
        self.train = ndl.data.CIFAR10Dataset(folder, train=True, transforms=transforms)
        self.test = ndl.data.CIFAR10Dataset(folder, train=False)
        self.size = config["batch_size"]
        if self.size > len(self.train):
            raise Trouble(
                f"a batch of {self.size} is larger than the training set of {len(self.train)} "
                f"images: choose --batch-size {len(self.train)} or less"
            )
        self.steps = len(self.train) // self.size
        self.summary = f"{len(self.train)} training and {len(self.test)} test images"

    def start_epoch(self):
        """What an epoch has to remember: the order of the images."""
        return {"order": np.random.permutation(len(self.train)).astype("int64")}

    def batch(self, step, memory, device):
        """(images, labels, how many) of a training step."""
        chosen = memory["order"][step * self.size : (step + 1) * self.size]
        X, y = self.train[chosen]
        return tensor(X, device), tensor(y, device), len(chosen)

    def forward(self, model, X, memory):
        return model(X)

    def test_batches(self, model, device):
        for k in range(0, len(self.test), 250):
            X, y = self.test[k : k + 250]
            yield model(tensor(X, device)), tensor(y, device)


class Text:
    """Stretches of text in order; the model's state goes from each to the next."""

    unit = "tokens"

    def __init__(self, folder, config):
        self.corpus = ndl.data.Corpus(folder, config["max_lines"])
        self.length = config["seq_len"]
        try:
            self.train, self.test = (
                ndl.data.batchify(ids, config["batch_size"])
                for ids in (self.corpus.train, self.corpus.test)
            )
        except ValueError as error:
            raise Trouble(str(error)) from error
        self.steps = -(-(len(self.train) - 1) // self.length)
        if self.steps < 1:
            raise Trouble("the text is too short for one step: choose a smaller --batch-size")
        self.summary = (
            f"{len(self.corpus.train)} training and {len(self.corpus.test)} test tokens, "
            f"{len(self.corpus.dictionary)} {'characters' if config['chars'] else 'words'}"
        )

    def start_epoch(self):
        return {}

    def batch(self, step, memory, device):
        X, y = ndl.data.get_batch(self.train, step * self.length, self.length, device)
        return X, y, y.shape[0]

    def forward(self, model, X, memory):
        logits, h = model(X, state_of(memory, X.device))
        keep_state(memory, h)
        return logits

    def test_batches(self, model, device):
        memory = {}
        for k in range(0, len(self.test) - 1, self.length):
            X, y = ndl.data.get_batch(self.test, k, self.length, device)
            yield self.forward(model, X, memory), y


def keep_state(memory, h):
    """Remember a sequence model's state as arrays, without its graph."""
    parts = h if isinstance(h, tuple) else (h,)
    memory.update({f"h{k}": part.numpy() for k, part in enumerate(parts)})


def state_of(memory, device):
    """The state that `keep_state` remembered; None at the start of a text."""
    parts = tuple(tensor(memory[key], device) for key in ("h0", "h1") if key in memory)
    return None if not parts else parts if len(parts) == 2 else parts[0]
