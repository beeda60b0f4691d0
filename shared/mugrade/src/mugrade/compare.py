"""Comparing what somebody submitted with what staff published: a pure and total function.

`compare(expected, claim)` takes two decoded values (`encoding.decode`) and returns a `Verdict`. The
whole tree is looked at and the first kind of difference in this order is told:

    length       sequence lengths or the number of dict keys
    type         what kind of thing (number, bool, text, array, list, ...), or which dict keys
    shape        array shapes; nothing is broadcast
    dtype        only when the problem asks for it, and the sender declared one
    non-finite   positions of NaN, positions and signs of infinity
    values       |v - r| <= rtol*|r| + ascale*max|R| + atol; integers, bools and text exactly

A verdict never carries the expected value, a distance or an index.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mugrade.encoding import Array, TypeName, canonical_type

Kind = Literal["ok", "missing", "type", "length", "shape", "dtype", "non-finite", "values"]
ORDER: tuple[Kind, ...] = ("length", "type", "shape", "dtype", "non-finite", "values")


@dataclass(frozen=True)
class Tolerance:
    """How close is close enough.

    Attributes:
        rtol: allowed error relative to the element. The default 1e-5 and `ascale` are measured:
            right float32 and float64 runs differ by at most about 5e-7 of the largest element.
        ascale: allowed error relative to the largest finite element of the whole array.
        atol: allowed absolute error.
        dtype: whether array dtypes must agree too.
    """

    rtol: float = 1e-5
    ascale: float = 1e-6
    atol: float = 0.0
    dtype: bool = False

    def __post_init__(self) -> None:
        for name in ("rtol", "ascale", "atol"):
            value = getattr(self, name)
            limit = 1.0 if name != "atol" else 1e300
            if not (isinstance(value, (int, float)) and 0 <= value <= limit):
                raise ValueError(f"{name} is {value!r}; expected a number from 0 to {limit:g}.")

    def override(self, changes: dict[str, Any] | None) -> Tolerance:
        """A copy with the given fields changed (`{"rtol": 1e-4}`)."""
        return replace(self, **changes) if changes else self


@dataclass(frozen=True)
class Verdict:
    """What a student may know about one case; the shapes are there only for kind `shape`."""

    kind: Kind
    submitted_shape: tuple[int, ...] | None = None
    expected_shape: tuple[int, ...] | None = None

    @property
    def correct(self) -> bool:
        return self.kind == "ok"


OK = Verdict("ok")
MISSING = Verdict("missing")


def compare(expected: Any, claim: Any, tolerance: Tolerance = Tolerance()) -> Verdict:
    """Compare two decoded values; never raises on anything `decode` can return."""
    worst = OK
    for verdict in _differences(expected, claim, tolerance):
        if verdict.kind == ORDER[0]:
            return verdict
        if worst is OK or ORDER.index(verdict.kind) < ORDER.index(worst.kind):
            worst = verdict
    return worst


def _differences(expected: Any, claim: Any, tolerance: Tolerance) -> Iterator[Verdict]:
    """Every difference in the tree; a stack instead of recursion, so depth cannot hurt."""
    stack = [(expected, claim)]
    while stack:
        r, v = stack.pop()
        if isinstance(r, list) and isinstance(v, list):
            if len(r) != len(v):
                yield Verdict("length")
            stack.extend(zip(r, v))
        elif isinstance(r, dict) and isinstance(v, dict):
            if len(r) != len(v):
                yield Verdict("length")
            elif r.keys() != v.keys():
                yield Verdict("type")
            stack.extend((r[key], v[key]) for key in r.keys() & v.keys())
        else:
            verdict = _compare_leaf(r, v, tolerance)
            if verdict is not OK:
                yield verdict


def _compare_leaf(r: Any, v: Any, tolerance: Tolerance) -> Verdict:
    judge = getattr(r, "judge", None)  # a sealed answer knows itself how to compare
    if judge is not None:
        verdict: Verdict = judge(v)
        return verdict
    if isinstance(r, TypeName) or isinstance(v, TypeName):
        names = [_type_name(x) for x in (r, v)]
        if None in names:
            return Verdict("type")
        return OK if names[0] == names[1] else Verdict("values")
    left, right = as_array(r), as_array(v)
    if left is not None and right is not None:
        return _compare_arrays(left, right, tolerance)
    if left is not None or right is not None or type(r) is not type(v):
        return Verdict("type")
    if isinstance(r, dt.datetime):
        same = (r.tzinfo is None) == (v.tzinfo is None) and r == v
        return OK if same else Verdict("values")
    return OK if r == v else Verdict("values")


def _type_name(value: Any) -> str | None:
    """`x.dtype` is a string in some libraries and a dtype in others; both name a type."""
    if isinstance(value, TypeName):
        return value.name
    return canonical_type(value) if isinstance(value, str) else None


def as_array(value: Any) -> Array | None:
    """Numbers and bools are arrays of shape (): `np.float32(3)` and a 0-d array hold the same."""
    if isinstance(value, Array):
        return value
    if isinstance(value, bool):
        return Array(np.array(value), None, True)
    if isinstance(value, int):
        dtype = np.uint64 if value >= 2**63 else np.int64
        return Array(np.array(value, dtype=dtype), None, True)
    if isinstance(value, float):
        return Array(np.array(value), None, True)
    return None


def _compare_arrays(r: Array, v: Array, tolerance: Tolerance) -> Verdict:
    a, b = r.values, v.values
    if (a.dtype.kind == "b") != (b.dtype.kind == "b") and a.size and b.size:
        return Verdict("type")
    if not same_shape(r, v):
        return Verdict("shape", submitted_shape=b.shape, expected_shape=a.shape)
    if a.size != b.size or a.size == 0:  # both empty once shapes agree
        return _compare_dtype(r, v, tolerance)
    if _compare_dtype(r, v, tolerance) is not OK:
        return Verdict("dtype")
    b = b.reshape(a.shape)
    if a.dtype.kind != "f":
        if b.dtype.kind == "f" and not np.isfinite(b).all():
            return Verdict("non-finite")
        return OK if _equal_exactly(a, b) else Verdict("values")
    return _compare_floats(float64(a), float64(b), tolerance)


def float64(values: NDArray[Any]) -> NDArray[Any]:
    """The same numbers in float64. A signalling NaN, as memory that nobody wrote may hold, becomes a NaN
    like any other, of which the processor's warning says no more."""
    with np.errstate(invalid="ignore"):
        return values.astype(np.float64)


def same_shape(r: Array, v: Array) -> bool:
    if r.values.shape == v.values.shape:
        return True
    if r.explicit_shape and v.explicit_shape:
        return False
    # Nested lists cannot say what follows an axis of length 0: (0, 5) is written as [].
    return _visible_shape(r.values.shape) == _visible_shape(v.values.shape)


def _visible_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[: shape.index(0) + 1] if 0 in shape else shape


def _compare_dtype(r: Array, v: Array, tolerance: Tolerance) -> Verdict:
    if tolerance.dtype and r.dtype is not None and v.dtype is not None and r.dtype != v.dtype:
        return Verdict("dtype")
    return OK


def _equal_exactly(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Integers (or bools) `a` against finite numbers `b`; no rounding through float64."""
    if b.dtype.kind == "f":
        b64 = float64(b)
        if not (b64 == np.floor(b64)).all():
            return False
        low, high = (0.0, 2.0**64) if a.dtype.kind == "u" else (-(2.0**63), 2.0**63)
        if not ((b64 >= low) & (b64 < high)).all():
            return False
        return bool((b64.astype(np.uint64 if a.dtype.kind == "u" else np.int64) == a).all())
    if a.dtype.kind == "i" and b.dtype.kind == "u":
        return bool(((a >= 0) & (a.astype(np.uint64) == b)).all())
    if a.dtype.kind == "u" and b.dtype.kind == "i":
        return bool(((b >= 0) & (b.astype(np.uint64) == a)).all())
    return bool((a == b).all())


def _compare_floats(r: NDArray[Any], v: NDArray[Any], tolerance: Tolerance) -> Verdict:
    finite = np.isfinite(r)
    if not np.array_equal(finite, np.isfinite(v)):
        return Verdict("non-finite")
    if not np.array_equal(r[~finite], v[~finite], equal_nan=True):
        return Verdict("non-finite")
    r, v, atol = r[finite], v[finite], tolerance.atol
    if r.size == 0:
        return OK
    largest = float(np.abs(r).max())
    if max(largest, float(np.abs(v).max())) > 1e300:  # keep the difference inside float64
        scale = 2.0**-60
        r, v, atol, largest = r * scale, v * scale, atol * scale, largest * scale
    allowed = tolerance.rtol * np.abs(r) + (tolerance.ascale * largest + atol)
    return OK if bool((np.abs(v - r) <= allowed).all()) else Verdict("values")
