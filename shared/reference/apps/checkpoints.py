"""Checkpoints of `train.py`: everything that the next step depends on, and the history of a run.

`lstm.safetensors` holds numbers and no code; beside it `lstm.json` has the loss of every step, for
`hw viz curve checkpoints/lstm.json`.
"""

import json
import os
import tempfile

import numpy as np

import needle as ndl
from needle import nn


class Trouble(Exception):
    """What a user can mend; shown as one sentence."""


def tensor(array, device):
    return ndl.Tensor(array, device=device, dtype="float32", requires_grad=False)


def optimizer_state(opt):
    """The optimizer's own numbers by name: averages of gradients for each parameter, and t."""
    state = {"t": np.int64(getattr(opt, "t", 0))}
    for name in ("u", "m", "v"):
        for k, p in enumerate(opt.params):
            if p in getattr(opt, name, {}):
                state[f"{name}.{k}"] = getattr(opt, name)[p].numpy()
    return state


def restore_optimizer(opt, state):
    opt.t = int(state["t"])
    for key, value in state.items():
        name, _, k = key.partition(".")
        if k:
            p = opt.params[int(k)]
            getattr(opt, name)[p] = tensor(value, p.device)


def save_checkpoint(path, config, model, opt, progress, memory):
    """Everything that the next step depends on."""
    _, keys, position, has_gauss, gauss = np.random.get_state()
    parts = {
        "model": model.state_dict(),
        "optimizer": optimizer_state(opt),
        "memory": memory,
        "random": {"keys": keys, "rest": np.array([position, has_gauss, gauss])},
        "progress": {key: np.float64(value) for key, value in progress.items()},
        "about": {"config": np.frombuffer(json.dumps(config).encode(), dtype=np.uint8)},
    }
    flat = {f"{part}/{key}": value for part, rows in parts.items() for key, value in rows.items()}
    nn.save(flat, path)


def prepare_folder(path):
    """Make the folder of a checkpoint, and see that a file can be written there."""
    folder = os.path.dirname(os.path.abspath(path))
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise Trouble(f"no checkpoint can be written to {path}: {error}") from error


def load_checkpoint(path):
    """{part: {name: array}}, with the configuration under "config"."""
    try:
        flat = nn.load(path)
    except FileNotFoundError as error:
        raise Trouble(f"there is no checkpoint {path} to resume from") from error
    except (ValueError, OSError) as error:
        raise Trouble(f"{path} cannot be read as a checkpoint: {error}") from error
    parts = {}
    for key, value in flat.items():
        part, _, name = key.partition("/")
        parts.setdefault(part, {})[name] = value
    try:
        parts["config"] = json.loads(parts["about"]["config"].tobytes())
    except KeyError as error:
        raise Trouble(f"{path} is no checkpoint of this program: it lacks {error}") from error
    return parts


def check_config(path, saved, config):
    """A checkpoint only fits the model, the data and the batches that it came from."""
    for key, value in config.items():
        if key not in ("epochs",) and saved.get(key) != value:
            if key == "vocabulary":
                raise Trouble(
                    f"{path} was trained on another text: its dictionary has {saved.get('words')} "
                    f"words, this one {config['words']}, and they differ"
                )
            raise Trouble(
                f"{path} is of another run: its {key} is {saved.get(key)}, this one's is {value}"
            )


def restore(path, config, model, opt, progress):
    """Put a checkpoint into place -> what its epoch remembers."""
    parts = load_checkpoint(path)
    check_config(path, parts["config"], config)
    try:
        model.load_state_dict(parts["model"])
    except (KeyError, ValueError) as error:
        raise Trouble(f"{path} is of another model: {error.args[0]}") from error
    restore_optimizer(opt, parts["optimizer"])
    position, has_gauss, gauss = parts["random"]["rest"]
    keys = parts["random"]["keys"]
    np.random.set_state(("MT19937", keys, int(position), int(has_gauss), float(gauss)))
    progress.update({key: float(value) for key, value in parts["progress"].items()})
    return parts.get("memory", {})


def steps_of(progress):
    """How many steps a run has done, given its checkpoint's progress."""
    return int(progress.get("done", progress["step"]))


def refuse_to_lose(path):
    """A run is not written over by accident."""
    if os.path.isfile(path) and (done := steps_of(load_checkpoint(path)["progress"])):
        raise Trouble(
            f"{path} holds a run of {done} steps: --resume goes on with it, --fresh begins anew "
            "and writes over it, --checkpoint FILE keeps both"
        )


class History:
    """What a run came to: the loss and the accuracy of every step, and a row for every epoch."""

    def __init__(self, checkpoint, title):
        self.path = os.path.splitext(checkpoint)[0] + ".json"
        self.rows = {"loss": [], "accuracy": [], "epochs": [], "title": title}

    def resume(self, done):
        """Go on with what the file has of the first `done` steps; it may be gone."""
        try:
            with open(self.path, encoding="utf-8") as file:
                kept = json.load(file)
            for key in ("loss", "accuracy"):
                self.rows[key] = kept[key][:done]
            self.rows["epochs"] = [row for row in kept["epochs"] if row["step"] <= done]
        except (OSError, ValueError, KeyError, TypeError):
            return

    def add(self, loss, accuracy):
        self.rows["loss"].append(round(loss, 6))
        self.rows["accuracy"].append(round(accuracy, 6))

    def save(self):
        with open(self.path, "w", encoding="utf-8") as file:
            json.dump(self.rows, file)
