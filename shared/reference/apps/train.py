"""Train homework 4's networks, watch them learn, stop and go on, let them write.

    python apps/train.py lstm --chars                  a novel, letter by letter: text in a minute
    python apps/train.py resnet9                       images: the EMOJI-10 sample, or CIFAR-10
    python apps/train.py lstm --write "she was"        words: the AUSTEN sample, or Penn Treebank
    python apps/train.py transformer --minutes 1
    python apps/train.py resnet9 --kernels own         your layers as you wrote them, slower
    python apps/train.py lstm --course                 the original course's settings, on the full set

Ctrl-C saves a checkpoint and ends; the same command with --resume goes on, to the last bit as if
nothing had happened. The losses lie beside it: hw viz curve checkpoints/lstm.json
"""

import argparse
import hashlib
import importlib.util
import os
import signal
import sys
import time

HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
for folder in (os.path.join(HOME, "python"), HOME):
    if folder not in sys.path:
        sys.path.append(folder)

import numpy as np

import needle as ndl
from apps.checkpoints import (
    History,
    Trouble,
    prepare_folder,
    refuse_to_lose,
    restore,
    save_checkpoint,
    tensor,
)
from apps.models import LanguageModel, ResNet9
from needle import nn

DEFAULTS = {  # ours, for a minute on two cores; then the original course's
    "resnet9": {"epochs": 20, "batch_size": 128, "lr": 0.002, "weight_decay": 0.001},
    "lstm": {
        "epochs": 1,
        "batch_size": 16,
        "lr": 0.003,
        "weight_decay": 0.0,
        "seq_len": 40,
        "embedding": 64,
        "hidden": 128,
        "layers": 1,
    },
    "transformer": {
        "epochs": 1,
        "batch_size": 16,
        "lr": 0.002,
        "weight_decay": 0.0,
        "seq_len": 40,
        "embedding": 64,
        "hidden": 64,
        "layers": 2,
    },
}
CHARS = {  # the first text within a minute or two, with operators of one's own
    "lstm": {
        "epochs": 4,
        "batch_size": 32,
        "lr": 0.005,
        "weight_decay": 0.0,
        "seq_len": 64,
        "embedding": 32,
        "hidden": 128,
        "layers": 1,
    },
    "transformer": {
        "epochs": 4,
        "batch_size": 32,
        "lr": 0.003,
        "weight_decay": 0.0,
        "seq_len": 64,
        "embedding": 64,
        "hidden": 128,
        "layers": 2,
    },
}
BLANK = "_"  # in a text of characters; a blank separates them
COURSE = {
    "resnet9": {"epochs": 10, "batch_size": 128, "lr": 0.001, "weight_decay": 0.001},
    "lstm": {
        "epochs": 10,
        "batch_size": 16,
        "lr": 4.0,
        "weight_decay": 0.0,
        "seq_len": 40,
        "embedding": 30,
        "hidden": 10,
        "layers": 2,
        "optimizer": "SGD",
        "clip": 0.25,
    },
    "transformer": {
        "epochs": 10,
        "batch_size": 16,
        "lr": 0.003,
        "weight_decay": 0.0,
        "seq_len": 20,
        "embedding": 20,
        "hidden": 32,
        "layers": 1,
    },
}


# ------------------------------------------------------------------------------------------ data


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


# ----------------------------------------------------------------------------------- training


class Display:
    """One line that is written over: where we are, how well, how fast, how long still."""

    def __init__(self, unit, quiet=False):
        self.unit, self.quiet = unit, quiet
        self.began, self.seen, self.shown = time.monotonic(), 0, 0.0

    def show(self, epoch, epochs, share, loss, accuracy, count, left):
        self.seen += count
        now = time.monotonic()
        if self.quiet or now - self.shown < 0.2:
            return
        self.shown = now
        rate = self.seen / max(1e-9, now - self.began)
        minutes, seconds = divmod(int(left / max(rate, 1e-9)), 60)
        print(
            f"\repoch {epoch}/{epochs} {share:4.0%}  loss {loss:6.4f}  accuracy {accuracy:6.2%}  "
            f"{rate:6.0f} {self.unit}/s  {minutes}:{seconds:02d} left ",
            end="",
            flush=True,
        )


def evaluate(data, model, device):
    """(mean loss, accuracy) on the test set."""
    model.eval()
    total, right, count = 0.0, 0, 0
    for logits, y in data.test_batches(model, device):
        total += nn.SoftmaxLoss()(logits, y).numpy().item() * y.shape[0]
        right += int((logits.numpy().argmax(axis=1) == y.numpy()).sum())
        count += y.shape[0]
    model.train()
    return total / count, right / count


class Run:
    """A model in training, from its first step or from a checkpoint on."""

    def __init__(self, args):
        self.args = args
        self.device = getattr(ndl, args.device)()
        folder, self.title = find_data(args.kind, args.data, args.course, args.chars)
        self.config = configuration(args)
        self.data = (Images if args.kind == "resnet9" else Text)(folder, self.config)
        if args.kind != "resnet9":
            words = self.data.corpus.dictionary.idx2word
            self.config["words"] = len(words)
            self.config["vocabulary"] = hashlib.sha256("\n".join(words).encode()).hexdigest()
        np.random.seed(args.seed)
        self.model = make_model(self.config, self.device)
        optimizer = getattr(ndl.optim, self.config["optimizer"])
        self.opt = optimizer(
            self.model.parameters(), lr=self.config["lr"], weight_decay=self.config["weight_decay"]
        )
        self.progress = dict.fromkeys(("epoch", "step", "loss", "right", "count", "done"), 0.0)
        self.memory = None
        self.history = History(args.checkpoint, f"{args.kind} on {self.device}, {form_of(args)}")
        if args.resume:
            self.memory = restore(args.checkpoint, self.config, self.model, self.opt, self.progress)
            self.history.resume(int(self.progress["done"]))
        self.stopped, self.sampled = False, time.monotonic()

    def save(self):
        save_checkpoint(
            self.args.checkpoint,
            self.config,
            self.model,
            self.opt,
            self.progress,
            self.memory or {},
        )
        self.history.save()

    def step(self):
        """One training step -> how many samples it had."""
        X, y, count = self.data.batch(int(self.progress["step"]), self.memory, self.device)
        logits = self.data.forward(self.model, X, self.memory)
        loss = nn.SoftmaxLoss()(logits, y)
        self.opt.reset_grad()
        loss.backward()
        if self.config["clip"]:
            self.opt.clip_grad_norm(self.config["clip"])
        self.opt.step()
        value, right = loss.numpy().item(), int((logits.numpy().argmax(axis=1) == y.numpy()).sum())
        for key, more in (("step", 1), ("done", 1), ("count", count)):
            self.progress[key] += more
        self.progress["loss"] += value * count
        self.progress["right"] += right
        self.history.add(value, right / count)
        return count

    def train(self):
        """Train to the end, or until Ctrl-C or the time is up -> whether it came to the end."""
        previous = signal.signal(signal.SIGINT, lambda *_: setattr(self, "stopped", True))
        try:
            return self._train(time.monotonic() + 60 * self.args.minutes)
        finally:
            signal.signal(signal.SIGINT, previous)

    def _train(self, deadline):
        epochs, progress, data = self.config["epochs"], self.progress, self.data
        display = Display(data.unit, self.args.quiet)
        while progress["epoch"] < epochs:
            if self.memory is None:
                self.memory = data.start_epoch()
            while progress["step"] < data.steps:
                count = self.step()
                done = progress["step"] / data.steps
                steps_left = data.steps * (epochs - progress["epoch"]) - progress["step"]
                display.show(
                    int(progress["epoch"]) + 1,
                    epochs,
                    done,
                    progress["loss"] / progress["count"],
                    progress["right"] / progress["count"],
                    count,
                    steps_left * count,
                )
                if self.config.get("chars") and time.monotonic() > self.sampled + SAMPLE_EVERY:
                    self.show_sample()
                if self.args.stop_after and progress["done"] >= self.args.stop_after:
                    self.stopped = True
                if self.stopped or time.monotonic() > deadline:
                    return False
            self.report()
            progress.update(epoch=progress["epoch"] + 1, step=0, loss=0.0, right=0, count=0)
            self.memory = None
            self.save()
        return True

    def show_sample(self):
        """What the model writes by now."""
        text = write(self, self.args.write or "She ", SAMPLE_LENGTH)
        clear = "" if self.args.quiet else f"\r{'':<100}\r"
        done = int(self.progress["done"])
        print(f"{clear}after {done} steps it writes:\n{text}\n", flush=True)
        self.sampled = time.monotonic()

    def report(self):
        """A line for what the training so far came to -> (loss, accuracy) on the test set."""
        loss, accuracy = evaluate(self.data, self.model, self.device)
        p = {**self.progress, "count": max(1, self.progress["count"])}
        text = (
            f"epoch {int(p['epoch']) + 1}: training loss {p['loss'] / p['count']:.4f}, accuracy "
            f"{p['right'] / p['count']:.2%}; test loss {loss:.4f}, accuracy {accuracy:.2%}"
        )
        if self.data.unit == "tokens":
            text += f", perplexity {np.exp(loss):.1f}"
        print(f"\r{text:<100}", flush=True)
        row = {"epoch": int(p["epoch"]) + 1, "step": int(p["done"])}
        self.history.rows["epochs"].append({**row, "test_loss": loss, "test_accuracy": accuracy})
        return loss, accuracy


def configuration(args):
    """What a checkpoint must agree with: the defaults, the course's settings, the wishes."""
    config = {"kind": args.kind, "optimizer": "Adam", "clip": None, "seed": args.seed}
    config |= (CHARS if args.chars else COURSE if args.course else DEFAULTS)[args.kind]
    for key in (
        "epochs",
        "batch_size",
        "lr",
        "seq_len",
        "embedding",
        "hidden",
        "layers",
        "clip",
        "optimizer",
    ):
        if getattr(args, key) is not None:
            config[key] = getattr(args, key)
    if args.kind != "resnet9":
        config["max_lines"], config["chars"] = args.max_lines, args.chars
    return config


def make_model(config, device):
    if config["kind"] == "resnet9":
        return ResNet9(device=device)
    return LanguageModel(
        config["embedding"],
        config["words"],
        config["hidden"],
        config["layers"],
        seq_model=config["kind"],
        seq_len=config["seq_len"],
        device=device,
    )


# ------------------------------------------------------------------------------------ writing


SAMPLE_EVERY, SAMPLE_LENGTH = 30, 160  # seconds of training; characters


def write(run, prompt, count, temperature=0.8):
    """What the language model puts after `prompt`: `count` words, or characters, drawn from its
    probabilities. The training's random numbers are left alone."""
    dictionary, chars = run.data.corpus.dictionary, run.config["chars"]
    random = np.random.RandomState(run.config["seed"])
    unknown = dictionary.word2idx.get("<unk>")
    tokens = list(prompt.replace(" ", BLANK)) if chars else prompt.lower().split()
    ids = [dictionary.word2idx.get(token, unknown) for token in tokens]
    if not ids or None in ids:
        kind = "characters" if chars else "words"
        raise Trouble(f"the prompt {prompt!r} needs {kind} of the text's dictionary, at least one")
    run.model.eval()
    memory, fed = {}, 0  # `fed` tokens have gone into the state already
    for _ in range(count):
        if run.config["kind"] == "transformer":  # sees the last tokens at once
            X = np.array(ids[-run.config["seq_len"] :])[:, None]
            logits, _ = run.model(tensor(X, run.device))
        else:
            for token in ids[fed:]:
                h = state_of(memory, run.device)
                logits, h = run.model(tensor(np.array([[token]]), run.device), h)
                keep_state(memory, h)
            fed = len(ids)
        scores = logits.numpy()[-1].astype("float64") / temperature
        if unknown is not None:
            scores[unknown] = -np.inf
        chances = np.exp(scores - scores.max())
        ids.append(int(random.choice(len(chances), p=chances / chances.sum())))
    run.model.train()
    shown = {"<eos>": "\n", **({BLANK: " "} if chars else {})}
    return ("" if chars else " ").join(
        shown.get(word, word) for word in (dictionary.idx2word[k] for k in ids)
    )


def positive(kind):
    """A number of the command line that must be above zero."""

    def read(text):
        value = kind(text)
        if not value > 0:
            raise argparse.ArgumentTypeError(f"it must be above 0, got {text}")
        return value

    read.__name__ = kind.__name__  # argparse says "invalid int value"
    return read


def parse(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(__doc__.splitlines()[2:]),
    )
    parser.add_argument("kind", choices=list(DEFAULTS))
    parser.add_argument("--data", help="folder of the data set; default: what is in data/")
    parser.add_argument("--course", action="store_true", help="the original course's settings")
    parser.add_argument("--chars", action="store_true", help="text by characters, not by words")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda", "cpu_numpy"])
    parser.add_argument(
        "--kernels",
        default=ndl.kernels.form,
        choices=["given", "own"],
        help="given: the device's kernels for whole layers; own: your layers as you wrote them",
    )
    parser.add_argument("--checkpoint", help="file; default: checkpoints/KIND.safetensors")
    begin = parser.add_mutually_exclusive_group()
    begin.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    begin.add_argument("--fresh", action="store_true", help="begin anew, over an older checkpoint")
    parser.add_argument(
        "--minutes", type=positive(float), default=float("inf"), help="stop after this time"
    )
    parser.add_argument("--stop-after", type=positive(int), help="stop after so many steps in all")
    parser.add_argument("--write", metavar="PROMPT", help="then write text (language models)")
    parser.add_argument("--words", type=int, default=60, help="how much text")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quiet", action="store_true", help="no live display")
    for name, kind in (
        ("epochs", int),
        ("batch-size", int),
        ("lr", float),
        ("seq-len", int),
        ("embedding", int),
        ("hidden", int),
        ("layers", int),
        ("clip", float),
        ("max-lines", int),
    ):
        parser.add_argument(f"--{name}", type=positive(kind))
    parser.add_argument("--optimizer", choices=["SGD", "Adam"])
    args = parser.parse_args(arguments)
    if args.chars and (args.kind == "resnet9" or args.course):
        parser.error("--chars is for lstm and transformer, and has settings of its own")
    if args.checkpoint is None:
        name = args.kind + "-chars" * args.chars
        args.checkpoint = os.path.join(HOME, "checkpoints", f"{name}.safetensors")
    return args


def form_of(args):
    """Which of needle computes, in words; every time and accuracy depends on it."""
    given = args.kernels == "given" and getattr(ndl, args.device)().kernel("linear")
    rung = os.environ.get("NEEDLE_RUNG") if args.device == "cpu" else None
    return ("given kernels" if given else "your own layers") + (f" on {rung}" if rung else "")


def main(arguments=None):
    """Train as the command line says -> the Run."""
    args = parse(arguments)
    if importlib.util.find_spec("safetensors") is None:  # said now, not after the first epoch
        raise Trouble(
            "checkpoints need the package safetensors: set the course up again "
            f"(python3 course.py setup), or run {sys.executable} -m pip install safetensors"
        )
    prepare_folder(args.checkpoint)
    if not (args.resume or args.fresh):
        refuse_to_lose(args.checkpoint)
    ndl.kernels(args.kernels)
    run = Run(args)
    print(f"{run.history.rows['title']}; {run.title}: {run.data.summary}", flush=True)
    finished = run.train()
    if not finished:
        run.report()
        run.save()
        print(f"stopped; checkpoint: {args.checkpoint} (go on with --resume)", flush=True)
    if args.chars:
        run.show_sample()
    elif args.write and args.kind != "resnet9":
        print(f"\n{write(run, args.write, args.words)}")
    return run


if __name__ == "__main__":
    try:
        main()
    except (Trouble, FileNotFoundError, ValueError, RuntimeError) as error:
        sys.exit(f"train.py: {error}")
