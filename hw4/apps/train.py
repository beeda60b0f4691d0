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
import math
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
from apps.batches import BLANK, Images, Text, find_data, keep_state, state_of
from apps.checkpoints import (
    History,
    Trouble,
    prepare_folder,
    refuse_to_lose,
    restore,
    save_checkpoint,
    tensor,
)
from apps.live import Line
from apps.models import LanguageModel, ResNet9
from apps.settings import DEFAULTS, configuration
from needle import nn

# ----------------------------------------------------------------------------------- training


class Display:
    """One line that is written over: where we are, how well, how fast, how long still."""

    def __init__(self, unit, line):
        self.unit, self.line = unit, line
        self.began, self.seen = time.monotonic(), 0

    def show(self, epoch, epochs, share, loss, accuracy, count, left):
        self.seen += count
        rate = self.seen / max(1e-9, time.monotonic() - self.began)
        minutes, seconds = divmod(int(left / max(rate, 1e-9)), 60)
        self.line.show(
            f"epoch {epoch}/{epochs} {share:4.0%}  loss {loss:6.4f}  accuracy {accuracy:6.2%}  "
            f"{rate:6.0f} {self.unit}/s  {minutes}:{seconds:02d} left"
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
        self.line = Line(quiet=args.quiet)

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
        if self.config.get("schedule") == "cosine":  # from the whole rate down to none
            share = self.progress["done"] / (self.data.steps * self.config["epochs"])
            self.opt.lr = self.config["lr"] * (1 + math.cos(math.pi * share)) / 2
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
        display = Display(data.unit, self.line)
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
        self.line.say(f"after {int(self.progress['done'])} steps it writes:\n{text}\n")
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
        self.line.say(text)
        row = {"epoch": int(p["epoch"]) + 1, "step": int(p["done"])}
        self.history.rows["epochs"].append({**row, "test_loss": loss, "test_accuracy": accuracy})
        return loss, accuracy


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
    devices = [name for name in ("cpu", "cuda", "cpu_numpy") if hasattr(ndl, name)]
    with_np = "with NEEDLE_BACKEND=np cpu only"
    parser.add_argument("--device", default="cpu", choices=devices, help=with_np)
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
