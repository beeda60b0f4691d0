"""Two values beside each other, for a person to read: what was submitted, what was published. Pure.

Small arrays are shown whole; of large ones shape, dtype and range, and the first elements that differ.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mugrade.compare import MISSING, Tolerance, as_array, compare, float64
from mugrade.encoding import Array, TypeName
from mugrade.server.services.sealed import SealedCase

WHOLE = 48
"""Elements of an array that is shown whole."""
ELEMENTS = 12
"""Differing elements that are told one by one."""
TEXT = 2000
LEAVES = 60


@dataclass(frozen=True)
class Element:
    place: str
    left: str
    right: str


@dataclass(frozen=True)
class Leaf:
    """One place of the two values.

    Attributes:
        place: such as `[2].loss`; empty for the value itself.
        note: what differs in words; empty where nothing does.
        elements: the first of an array's elements that differ.
    """

    place: str
    left: str
    right: str
    note: str = ""
    elements: tuple[Element, ...] = ()


def beside(left: Any, right: Any, tolerance: Tolerance) -> list[Leaf]:
    """The leaves of two decoded values, in order; at most `LEAVES` of them.

    Args:
        left: what stands as the right one, such as the published value.
        right: what is looked at.
    """
    found: list[Leaf] = []
    for place, one, other in _pairs(left, right, ""):
        if len(found) == LEAVES:
            found.append(Leaf("...", "", "", "more places are not shown"))
            break
        found.append(_leaf(place, one, other, tolerance))
    return found


def _pairs(left: Any, right: Any, place: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(left, list) and isinstance(right, list):
        for index in range(max(len(left), len(right))):
            one, other = (v[index] if index < len(v) else MISSING for v in (left, right))
            yield from _pairs(one, other, f"{place}[{index}]")
    elif isinstance(left, dict) and isinstance(right, dict):
        for key in [*left, *(k for k in right if k not in left)]:
            yield from _pairs(left.get(key, MISSING), right.get(key, MISSING), f"{place}.{key}")
    else:
        yield place, left, right


def _leaf(place: str, left: Any, right: Any, tolerance: Tolerance) -> Leaf:
    texts = shown(left), shown(right)
    if left is MISSING or right is MISSING:
        return Leaf(place, *texts, "only one of the two has it")
    if isinstance(left, SealedCase):
        return Leaf(place, "sealed", texts[1])
    verdict = compare(left, right, tolerance)
    if verdict.correct:
        return Leaf(place, *texts)
    one, other = as_array(left), as_array(right)
    if one is None or other is None or one.values.shape != other.values.shape:
        return Leaf(place, *texts, f"differs: {verdict.kind}")
    wrong = differing(one.values, other.values, tolerance)
    count = int(wrong.sum())
    note = f"differs: {verdict.kind}"
    if wrong.size > 1 and count:
        note += f", {count} of {wrong.size} elements"
    elements = []
    for index in np.argwhere(wrong)[:ELEMENTS] if wrong.size > 1 else ():
        at = tuple(int(i) for i in index)
        name = f"[{', '.join(map(str, at))}]"
        elements.append(Element(name, _number(one.values[at]), _number(other.values[at])))
    return Leaf(place, *texts, note, tuple(elements))


def differing(left: np.ndarray, right: np.ndarray, tolerance: Tolerance) -> np.ndarray:
    """Which elements of two arrays of one shape are further apart than is allowed, as bools."""
    if left.dtype.kind != "f":
        return np.asarray(left != right)
    a, b = float64(left), float64(right)
    finite = np.isfinite(a)
    largest = float(np.abs(a[finite]).max(initial=0.0))
    with np.errstate(invalid="ignore", over="ignore"):
        allowed = tolerance.rtol * np.abs(a) + (tolerance.ascale * largest + tolerance.atol)
        near = np.abs(b - a) <= allowed
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    return np.asarray(~np.where(finite & np.isfinite(b), near, same))


def shown(value: Any) -> str:
    """A value as text that fits a page."""
    if value is MISSING:
        return "nothing"
    if isinstance(value, SealedCase):
        return "sealed"
    if isinstance(value, TypeName):
        return value.name
    if isinstance(value, Array) and value.values.ndim:
        return _array(value)
    if isinstance(value, Array):
        return _number(value.values[()])
    if isinstance(value, float):
        return _number(value)
    text = repr(value)
    return text if len(text) <= TEXT else f"{text[:TEXT]} ... ({len(text)} characters)"


def _array(value: Array) -> str:
    data = value.values
    head = f"{value.dtype or data.dtype.name} array of shape {data.shape}"
    if data.size <= WHOLE:
        return f"{head}\n{np.array2string(data, precision=7, max_line_width=72)}"
    if data.dtype.kind not in "iuf":
        return head
    finite = data[np.isfinite(data)].astype(np.float64)
    if not finite.size:
        return f"{head}, no finite element"
    facts = f"smallest {finite.min():.7g}, largest {finite.max():.7g}, mean {finite.mean():.7g}"
    odd = data.size - finite.size
    return f"{head}\n{facts}" + (f", {odd} not finite" if odd else "")


def _number(value: Any) -> str:
    return f"{value:.9g}" if isinstance(value, (float, np.floating)) else str(value)


# -------------------------------------------------------------------------------------- sources


def source_difference(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> str:
    """Two manifests of source files as one unified difference."""
    old, new = ({file["path"]: file["text"] for file in files} for files in (before, after))
    lines: list[str] = []
    for path in sorted(old.keys() | new.keys()):
        pair = old.get(path, "").splitlines(), new.get(path, "").splitlines()
        lines += difflib.unified_diff(*pair, f"{path} (before)", path, lineterm="")
    return "\n".join(lines)
