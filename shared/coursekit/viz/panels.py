"""Looking into training: curves, filters, mistakes, attention, the sizes of gradients; as PNG.

Works on NumPy arrays, and knows nothing of needle. Each picture also has a few lines of text that say
what it shows, for a terminal and for those who do not see it.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from coursekit.core.errors import CourseError


def pyplot():
    """matplotlib, for files only.

    Raises:
        CourseError: it is not installed.
    """
    try:
        import matplotlib
    except ImportError:
        raise CourseError(
            "a picture is drawn by matplotlib, which is not installed; install it with: "
            f"{sys.executable} -m pip install 'matplotlib>=3.8,<4'"
        ) from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def _grid(count: int, size=1.2, columns=8):
    """`count` axes without ticks, in rows, with room for a title -> (figure, list of axes)."""
    columns = min(columns, count)
    rows = -(-count // columns)
    figure, axes = pyplot().subplots(
        rows, columns, figsize=(size * columns, (size + 0.3) * rows), squeeze=False
    )
    for place in axes.flat:
        place.set_axis_off()
    return figure, list(axes.flat)[:count]


def _write(figure, path) -> None:
    try:
        figure.tight_layout(pad=0.4)
        figure.savefig(path, dpi=120)
    finally:
        pyplot().close(figure)


# -------------------------------------------------------------------------------------- curves


def curves_png(curves, path, label="loss") -> None:
    """Several curves, (name, values) each, in one picture.

    Raises:
        CourseError: matplotlib is not installed.
    """
    figure, axes = pyplot().subplots(figsize=(6, 3.5))
    for name, values in curves:
        axes.plot(range(1, len(values) + 1), values, linewidth=1, label=name)
    axes.set(xlabel="step", ylabel=label)
    axes.grid(alpha=0.3)
    if len(curves) > 1:
        axes.legend()
    _write(figure, path)


# ------------------------------------------------------------------------------------- filters


def first_weight(path: Path | str) -> tuple[str, np.ndarray]:
    """(name, values) of the first layer's weight in a file of safetensors.

    Raises:
        CourseError: the file cannot be read, or holds no weight of images.
    """
    try:
        from safetensors.numpy import load_file

        held = load_file(path)
    except ImportError:
        raise CourseError(
            f"reading {path} needs a package: {sys.executable} -m pip install safetensors"
        ) from None
    except FileNotFoundError:
        raise CourseError(f"there is no file {path}: train first, then draw") from None
    except Exception as error:  # safetensors raises a type of its own
        raise CourseError(f"{path} is no file of safetensors: {error}") from None
    natural = lambda name: [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", name)]
    for name in sorted(held, key=natural):
        if not name.startswith("optimizer/") and _as_filters(held[name]) is not None:
            return name, held[name]
    raise CourseError(
        f"{path} holds no first layer of images: expected a weight (K, K, 1 or 3, filters), or "
        "(pixels, filters) with the pixels of a square image"
    )


def _as_filters(weight: np.ndarray) -> np.ndarray | None:
    """A weight as pictures (filters, rows, columns, 1 or 3); None when it is of no image."""
    if weight.ndim == 4 and weight.shape[2] in (1, 3):
        return weight.transpose(3, 0, 1, 2)
    if weight.ndim == 2:
        for channels in (1, 3):
            side = math.isqrt(weight.shape[0] // channels)
            if side >= 8 and channels * side * side == weight.shape[0]:
                return weight.T.reshape(-1, channels, side, side).transpose(0, 2, 3, 1)
    return None


def filters_text(name: str, weight: np.ndarray) -> str:
    """How many filters, of which size, and which of them are the strongest."""
    pictures = _as_filters(weight)
    if pictures is None:
        raise CourseError(f"a weight of shape {weight.shape} is of no image")
    count, rows, columns, channels = pictures.shape
    norms = np.sqrt((pictures**2).sum((1, 2, 3)))
    strongest = ", ".join(f"{k} ({norms[k]:.3g})" for k in np.argsort(-norms)[:3])
    return f"{name}: {count} filters of {rows} x {columns} x {channels}; largest norms: {strongest}"


def filters_png(weight: np.ndarray, path, most=64) -> None:
    """Each filter as a small picture, from its own smallest value (dark) to its largest."""
    pictures = _as_filters(weight)
    if pictures is None:
        raise CourseError(f"a weight of shape {weight.shape} is of no image")
    figure, places = _grid(min(len(pictures), most))
    for place, picture in zip(places, pictures):
        low, high = picture.min(), picture.max()
        shown = (picture - low) / ((high - low) or 1)
        place.imshow(shown[:, :, 0] if shown.shape[2] == 1 else shown, cmap="gray")
    _write(figure, path)


# ------------------------------------------------------------------------------------- mistakes


def mistakes_text(labels, predicted, names: Sequence[str] | None = None) -> str:
    """How many are wrong, and what is most often taken for what."""
    labels, predicted = np.asarray(labels), np.asarray(predicted)
    wrong = np.flatnonzero(labels != predicted)
    said = f"{len(wrong)} of {len(labels)} wrong"
    pairs, counts = np.unique(
        np.stack([labels[wrong], predicted[wrong]]), axis=1, return_counts=True
    )
    order = np.argsort(-counts, kind="stable")[:5]
    title = lambda k: names[k] if names else str(k)
    told = [f"{title(pairs[0, k])} for {title(pairs[1, k])} {counts[k]} times" for k in order]
    return said + (f"; most often {', '.join(told)}" if told else "")


def mistakes_png(images, labels, predicted, path, names=None, most=32) -> None:
    """The first images that were taken for something else: (N, rows, columns, 1 or 3) in [0, 1]."""
    images, labels, predicted = (np.asarray(part) for part in (images, labels, predicted))
    wrong = np.flatnonzero(labels != predicted)[:most]
    if not len(wrong):
        raise CourseError("there is nothing to draw: no image was taken for something else")
    title = lambda k: names[k] if names else str(k)
    figure, places = _grid(len(wrong), 1.3)
    for place, k in zip(places, wrong):
        place.imshow(images[k].squeeze(), cmap="gray", vmin=0, vmax=1)
        place.set_title(f"{title(labels[k])}\nnot {title(predicted[k])}", fontsize=8)
    _write(figure, path)


# ------------------------------------------------------------------------------------ attention


def attention_text(weights, tokens: Sequence[str]) -> str:
    """For each head, at which place the last token looks most."""
    rows = []
    for number, head in enumerate(np.asarray(weights)):
        k = int(head[-1].argmax())
        rows.append(f"head {number}: {tokens[-1]!r} looks at {tokens[k]!r} ({head[-1, k]:.0%})")
    return "\n".join(rows)


def attention_png(weights, tokens: Sequence[str], path) -> None:
    """Heads (H, T, T): each row says where that token looks; light is much."""
    weights = np.asarray(weights)
    figure, places = _grid(len(weights), 2.6, columns=4)
    for number, (place, head) in enumerate(zip(places, weights)):
        place.set_axis_on()
        place.imshow(head, vmin=0, vmax=1)
        ticks = range(len(tokens))
        place.set_xticks(ticks, tokens, fontsize=6)
        place.set_yticks(ticks, tokens, fontsize=6)
        place.set_title(f"head {number}", fontsize=8)
    _write(figure, path)


# ------------------------------------------------------------------------------------ gradients


def gradients_text(norms: Mapping[str, Sequence[float]]) -> str:
    """Of each network: the norm at its first and last layer, and their ratio."""
    width = max(map(len, norms))
    return "\n".join(
        f"{name:{width}}  first layer {row[0]:.3g}, last {row[-1]:.3g}: a factor of "
        f"{row[0] / row[-1]:.3g} over {len(row)} layers"
        for name, row in norms.items()
    )


def gradients_png(norms: Mapping[str, Sequence[float]], path) -> None:
    """The norm of the loss's gradient for each layer's weight, first layer on the left."""
    figure, axes = pyplot().subplots(figsize=(6, 3.5))
    for name, row in norms.items():
        axes.semilogy(range(1, len(row) + 1), row, marker=".", label=name)
    axes.set(xlabel="layer", ylabel="norm of the gradient")
    axes.grid(alpha=0.3)
    axes.legend()
    _write(figure, path)


# ---------------------------------------------------------------------- what a file's function says

ABOUT = {
    "mistakes": "images that were taken for something else",
    "attention": "where each head of a Transformer looks",
    "gradients": "the size of the gradient, layer by layer",
}
_NEEDED = {
    "mistakes": ("images", "labels", "predicted", "names"),
    "attention": ("weights", "tokens"),
    "gradients": ("norms",),
}


def check(kind: str, facts: object) -> dict:
    """The facts, if they are a dict with all that the kind's picture shows.

    Raises:
        CourseError: it says what is missing.
    """
    missing = [key for key in _NEEDED[kind] if not isinstance(facts, dict) or key not in facts]
    if missing:
        wanted = ", ".join(_NEEDED[kind])
        raise CourseError(f"hw viz {kind} takes a dict of {wanted}; {missing[0]} is missing")
    assert isinstance(facts, dict)
    return facts


def text(kind: str, facts: dict) -> str:
    """What a picture says, in words."""
    if kind == "mistakes":
        return mistakes_text(facts["labels"], facts["predicted"], facts["names"])
    if kind == "attention":
        return attention_text(facts["weights"], facts["tokens"])
    return gradients_text(facts["norms"])


def png(kind: str, facts: dict, path) -> None:
    """The picture, of a kind of ABOUT."""
    if kind == "mistakes":
        mistakes_png(facts["images"], facts["labels"], facts["predicted"], path, facts["names"])
    elif kind == "attention":
        attention_png(facts["weights"], facts["tokens"], path)
    else:
        gradients_png(facts["norms"], path)
