"""EMOJI-10: images in CIFAR-10's file format, made on the spot from a sheet of emoji.

Ten classes of sprites (Noto and Twemoji) on pale gradients, shifted, scaled, turned a little and
mirrored; those for training change their colours as well, since a few emoji must stand for many. The
emoji of the test batch occur in no training batch. Seeded, so that every machine gets the same images.
The sample is small and easy; no result on it says anything about CIFAR-10.
"""

from __future__ import annotations

import io
import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

FOLDER = "emoji-10-batches-py"
VERSION = 3
SIDE = 32
TRAIN_BATCHES = 5
PER_BATCH = 4000
TEST_SHARE = 6  # every sixth emoji is kept for the test batch
SEED = 10
SMALLEST = 22  # pixels; the largest is SIDE
TURN = 12  # degrees, to either side
TINT = 0.3  # each colour of an image for training is multiplied by 0.7 to 1.3
PALE = 160  # no colour of a background is darker
Y, X = np.mgrid[0:SIDE, 0:SIDE] / np.float32(SIDE - 1) - 0.5  # places in an image, its middle is 0


def batches(sheet: Path):
    """Yield (file name, content) of the six batches and of batches.meta.

    Args:
        sheet: path of the sprite sheet; beside it stands the .json with classes and labels.
    """
    facts = json.loads(sheet.with_suffix(".json").read_text(encoding="utf-8"))
    sprites = read_sprites(sheet, len(facts["label"]))
    labels = np.array(facts["label"])
    held_out = test_sprites(np.array(facts["emoji_id"]), labels)
    random = np.random.RandomState(SEED)
    for number in range(TRAIN_BATCHES + 1):
        testing = number == TRAIN_BATCHES
        name = "test_batch" if testing else f"data_batch_{number + 1}"
        chosen = choose(np.flatnonzero(held_out == testing), labels, random)
        content = {
            b"batch_label": f"EMOJI-10 sample, {name}".encode(),
            b"labels": [int(label) for label in labels[chosen]],
            b"data": np.stack([picture(sprites[i], random, not testing) for i in chosen]),
            b"filenames": [f"{name}_{i}.png".encode() for i in range(len(chosen))],
        }
        yield name, python2_pickle(content)
    meta = {
        b"num_cases_per_batch": PER_BATCH,
        b"label_names": [name.encode() for name in facts["classes"]],
        b"num_vis": 3 * SIDE * SIDE,
    }
    yield "batches.meta", python2_pickle(meta)


def read_sprites(sheet: Path, count: int) -> np.ndarray:
    """The sheet's tiles, row by row: uint8 (count, 32, 32, 4), red green blue opacity."""
    with Image.open(sheet) as image:
        pixels = np.asarray(image.convert("RGBA"))
    rows, columns = pixels.shape[0] // SIDE, pixels.shape[1] // SIDE
    tiles = pixels.reshape(rows, SIDE, columns, SIDE, 4).swapaxes(1, 2)
    return tiles.reshape(rows * columns, SIDE, SIDE, 4)[:count]


def test_sprites(emoji: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """bool (n,): is the sprite's emoji, in all its styles, held out for the test batch?"""
    held_out = np.zeros(len(emoji), dtype=bool)
    for label in np.unique(labels):
        ids = np.unique(emoji[labels == label])
        held_out |= np.isin(emoji, ids[::TEST_SHARE])
    return held_out


def choose(candidates: np.ndarray, labels: np.ndarray, random) -> np.ndarray:
    """PER_BATCH sprites of the candidates, as many of each class, in random order."""
    classes = np.unique(labels)
    wanted = np.repeat(classes, PER_BATCH // len(classes))
    random.shuffle(wanted)
    chosen = np.empty(len(wanted), dtype=int)
    for label in classes:
        of_class = candidates[labels[candidates] == label]
        places = wanted == label
        chosen[places] = random.choice(of_class, places.sum())
    return chosen


def picture(sprite: np.ndarray, random, tinted: bool) -> np.ndarray:
    """One image as CIFAR-10 stores it: uint8 (3072,), the three colour planes in turn."""
    size = random.randint(SMALLEST, SIDE + 1)
    turned = Image.fromarray(sprite).rotate(random.uniform(-TURN, TURN), Image.Resampling.BILINEAR)
    small = np.asarray(turned.resize((size, size), Image.Resampling.BILINEAR))
    if random.rand() < 0.5:
        small = small[:, ::-1]
    top, left = random.randint(0, SIDE - size + 1, 2)
    image = gradient(random)
    opacity = small[:, :, 3:] / np.float32(255)
    place = image[top : top + size, left : left + size]
    colours = small[:, :, :3].astype(np.float32)
    if tinted:
        colours *= random.uniform(1 - TINT, 1 + TINT, 3).astype(np.float32)
    place[...] = opacity * colours + (1 - opacity) * place
    image += random.randn(SIDE, SIDE, 3).astype(np.float32) * 6
    return image.clip(0, 255).astype(np.uint8).transpose(2, 0, 1).ravel()


def gradient(random) -> np.ndarray:
    """A background: float32 (32, 32, 3), two colours flowing into each other at some angle."""
    first, second = random.randint(PALE, 256, (2, 3))
    angle = random.rand() * 2 * np.pi
    share = (np.cos(angle) * X + np.sin(angle) * Y) / 1.5 + 0.5
    return (first + share[:, :, None] * (second - first)).astype(np.float32)


class _Python2Pickler(pickle._Pickler):
    """Writes what Python 2 wrote in CIFAR-10's files: byte strings, numpy.core names."""

    dispatch: ClassVar[dict[type, Callable[..., None]]] = dict(pickle._Pickler.dispatch)
    write: Callable[[bytes], object]

    def save_string(self, value):
        value = value.encode("ascii") if isinstance(value, str) else value
        if len(value) < 256:
            self.write(pickle.SHORT_BINSTRING + bytes([len(value)]) + value)
        else:
            self.write(pickle.BINSTRING + struct.pack("<i", len(value)) + value)

    dispatch[bytes] = save_string
    dispatch[str] = save_string

    def save_global(self, obj, name=None):
        module = getattr(obj, "__module__", "").replace("numpy._core", "numpy.core")
        if not module.startswith("numpy"):
            raise pickle.PicklingError(f"only NumPy arrays and plain values, not {obj!r}")
        self.write(pickle.GLOBAL + f"{module}\n{obj.__name__}\n".encode("ascii"))

    dispatch[type(np.zeros(0).__reduce__()[0])] = save_global
    dispatch[type] = save_global


def python2_pickle(value) -> bytes:
    """`value` as Python 2's `pickle.dumps(value, 2)`; read with `pickle.load(encoding="bytes")`."""
    stream = io.BytesIO()
    _Python2Pickler(stream, protocol=2).dump(value)
    return stream.getvalue()
