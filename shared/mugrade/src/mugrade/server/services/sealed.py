"""Answers that can be checked but not read: what a solo course ships. Pure.

A sealed case keeps the structure, shapes and dtypes of the answer in the clear (verdicts tell them
anyway) and its whole content as one salted hash that is dear to compute (scrypt): whoever guesses
must guess everything in the case at once, and pays for each guess.

Floats need no equality but a tolerance, and a hash knows only equality. So each element is rounded
to a cell, and the cells are hashed:

- The line is bent by `f(x) = sign(x) * log(1 + rtol*|x|/a) / rtol`, with `a = ascale*max|R| + atol`,
  on which one unit is one tolerance wherever x is.
- It is cut into cells of 8/3 units, in one of four ways, each shifted by a quarter of a cell. For
  each element the way is kept (two bits, `hints`) that has the answer nearest to the middle of its
  cell: at most an eighth of a cell, 1/3 unit, from it. A claim within one unit of the answer is then
  in the same cell, and one beyond 5/3 units is not.

So a claim within the tolerance always passes, and one beyond 5/3 of it never does (the scale `a` is
rounded up to a power of two, which can double its share of the tolerance). What cannot be hidden is
what can be guessed: who tries both values of a bool finds the right one. And who knows a formula for
an array but for one number can rule out three of four guesses by each element's two bits for nothing.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import math
import secrets
from dataclasses import dataclass
from typing import Any

import numpy as np
from nacl.bindings import crypto_pwhash_scryptsalsa208sha256_ll as scrypt

from mugrade.compare import OK, Tolerance, Verdict, as_array, compare, float64, same_shape
from mugrade.encoding import Array, EncodingError, TypeName, canonical_type

SEALED = "_sealed"
COST = 15
"""scrypt with n = 2**15, r = 8, p = 1: 32 MiB and 0.06 to 0.1 s of a processor a guess."""
WAYS = 4
"""Ways to cut the line; a leaf's hint is which one, in two bits."""
CELL = 1 / (1 / 2 - 1 / (2 * WAYS))
"""A cell's width in tolerances: half of it, less what the answer is off its middle, is one."""

_MAX_COST = 20
_MAX_RTOL = 0.1
_FAR = 2.0**60
_FINEST = 2.0**-30
"""The smallest tolerance, of the largest element: places on the line then have 22 bits to spare."""
_SLACK = 1e-6
"""More than places are rounded by, so that a claim just within the tolerance is in the cell."""
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
_LEAVES = ("array", "type", "str", "null", "datetime")
_FACTS = {"kind", "shape", "dtype", "explicit", "check_dtype"}


@dataclass(frozen=True)
class SealedCase:
    """One sealed case; `compare` calls `judge` when it meets one.

    Attributes:
        tree: the answer with a `Leaf` in place of everything that has content.
        pattern: hash of where NaN and which infinities are; empty when all is finite.
        content: hash of everything else.
    """

    tree: Any
    salt: bytes
    cost: int
    pattern: str
    content: str

    def judge(self, claim: Any) -> Verdict:
        """Structure first; only a claim that could be right is hashed."""
        found = _Content()
        verdict = compare(_readers(self.tree, found), claim)
        if not verdict.correct:
            return verdict
        if bool(found.patterns) != bool(self.pattern):
            return Verdict("non-finite")
        if self.pattern and found.pattern_hash(self.salt, self.cost) != self.pattern:
            return Verdict("non-finite")
        right = found.content_hash(self.salt, self.cost) == self.content
        return OK if right else Verdict("values")


class _Content:
    """What the leaves of one claim hold, by their place in the tree."""

    def __init__(self) -> None:
        self.parts: dict[str, bytes] = {}
        self.patterns: dict[str, bytes] = {}

    def content_hash(self, salt: bytes, cost: int) -> str:
        return _hard_hash(b"content", self.parts, salt, cost)

    def pattern_hash(self, salt: bytes, cost: int) -> str:
        return _hard_hash(b"pattern", self.patterns, salt, cost)


def _hard_hash(kind: bytes, parts: dict[str, bytes], salt: bytes, cost: int) -> str:
    whole = hashlib.blake2b(kind)
    for path in sorted(parts):
        for piece in (path.encode("utf-8", "surrogatepass"), parts[path]):
            whole.update(len(piece).to_bytes(8, "little") + piece)
    room = 2 * 128 * 8 * 2**cost  # scrypt needs 128 * r * n bytes and a little more
    # libsodium's takes half the time of hashlib's: who guesses would use it, so we may too.
    key = scrypt(whole.digest(), salt, n=2**cost, r=8, p=1, maxmem=room + 2**20, dklen=16)
    return key.hex()


@dataclass(frozen=True)
class Leaf:
    """A place of the tree that has content: what the file tells of it, and its own salt."""

    data: dict[str, Any]
    path: str
    salt: bytes


@dataclass(frozen=True)
class _Reader:
    """Stands for a leaf while one claim is compared, and collects what the claim has there."""

    leaf: Leaf
    found: _Content

    def judge(self, claim: Any) -> Verdict:
        kind = self.leaf.data[SEALED]
        if kind == "array":
            return self._judge_array(as_array(claim))
        if kind != _kind(claim) and not {kind, _kind(claim)} <= {"str", "type"}:
            return Verdict("type")
        self.found.parts[self.leaf.path] = _text(claim).encode("utf-8", "surrogatepass")
        return OK

    def _judge_array(self, claim: Array | None) -> Verdict:
        if claim is None:
            return Verdict("type")
        data, values = self.leaf.data, claim.values
        shape = tuple(data["shape"])
        size = math.prod(shape)
        stand_in = Array(np.broadcast_to(np.int8(0), shape), data["dtype"], data["explicit"])
        if (data["kind"] == "b") != (values.dtype.kind == "b") and values.size and size:
            return Verdict("type")
        if not same_shape(stand_in, claim):
            return Verdict("shape", submitted_shape=values.shape, expected_shape=shape)
        if data["check_dtype"] and data["dtype"] and claim.dtype and data["dtype"] != claim.dtype:
            return Verdict("dtype")
        if size:
            self._collect(values.ravel())
        return OK

    def _collect(self, flat: np.ndarray) -> None:
        leaf, pattern = self.leaf, _pattern(flat)
        if pattern.any():
            self.found.patterns[leaf.path] = pattern.tobytes()
        if "hints" in leaf.data:
            self.found.parts[leaf.path] = _cells(leaf.data, leaf.salt, flat)
        else:
            self.found.parts[leaf.path] = ",".join(map(_number, flat.tolist())).encode()


def _readers(tree: Any, found: _Content) -> Any:
    if isinstance(tree, list):
        return [_readers(item, found) for item in tree]
    if isinstance(tree, dict):
        return {key: _readers(item, found) for key, item in tree.items()}
    return _Reader(tree, found)


# --------------------------------------------------------------------------------------- sealing


def seal(
    value: Any, tolerance: Tolerance, salt: bytes | None = None, cost: int = COST
) -> dict[str, Any]:
    """Seal one decoded case: JSON-able data with its own random salt.

    Args:
        cost: the hash takes `2**(cost + 10)` bytes, and time in proportion.

    Raises:
        EncodingError: rtol above 0.1, at which sealing would not tell right from wrong.
    """
    if tolerance.rtol > _MAX_RTOL:
        raise EncodingError(
            f"An answer with rtol={tolerance.rtol:g} cannot be sealed; use at most 0.1."
        )
    salt = salt or secrets.token_bytes(16)
    clear = _clear(value, tolerance, salt, "")
    found = _Content()
    compare(_readers(_leaves(clear, salt, ""), found), value)  # the answer itself fills the content
    return {
        "salt": base64.b64encode(salt).decode(),
        "cost": cost,
        "tree": clear,
        "pattern": found.pattern_hash(salt, cost) if found.patterns else "",
        "content": found.content_hash(salt, cost),
    }


def unseal_tree(case: dict[str, Any]) -> SealedCase:
    """A sealed case as what `compare(case, claim)` takes as its expected value."""
    try:
        salt, cost = base64.b64decode(case["salt"], validate=True), case["cost"]
        if not 1 <= cost <= _MAX_COST:
            raise ValueError
        return SealedCase(
            _leaves(case["tree"], salt, ""), salt, cost, case["pattern"], case["content"]
        )
    except (KeyError, TypeError, ValueError):
        raise EncodingError("A sealed answer is malformed; export it again.") from None


def _clear(value: Any, tolerance: Tolerance, salt: bytes, path: str) -> Any:
    """The value's structure without its content."""
    if isinstance(value, list):
        return [_clear(v, tolerance, salt, f"{path}/{i}") for i, v in enumerate(value)]
    if isinstance(value, dict):
        return {k: _clear(v, tolerance, salt, f"{path}/{k}") for k, v in value.items()}
    array = as_array(value)
    if array is None:
        return {SEALED: _kind(value)}
    out: dict[str, Any] = {
        SEALED: "array",
        "kind": array.values.dtype.kind,
        "shape": list(array.values.shape),
        "dtype": array.dtype,
        "explicit": array.explicit_shape,
        "check_dtype": tolerance.dtype,
    }
    if array.values.dtype.kind == "f" and array.values.size:
        out.update(_grid(array.values.ravel(), tolerance, _salt_at(salt, path)))
    return out


def _leaves(clear: Any, salt: bytes, path: str) -> Any:
    if isinstance(clear, list):
        return [_leaves(v, salt, f"{path}/{i}") for i, v in enumerate(clear)]
    if SEALED in clear:
        if clear[SEALED] not in _LEAVES or (clear[SEALED] == "array" and _FACTS - clear.keys()):
            raise ValueError
        return Leaf(clear, path, _salt_at(salt, path))
    return {k: _leaves(v, salt, f"{path}/{k}") for k, v in clear.items()}


def _salt_at(salt: bytes, path: str) -> bytes:
    path_bytes = path.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(path_bytes, key=salt, digest_size=16).digest()


# ------------------------------------------------------------------------------ content of leaves


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, dt.datetime):
        return "datetime"
    return {str: "str", TypeName: "type"}.get(type(value), "other")


def _text(value: Any) -> str:
    """One text for equal leaves. `"float32"` and the type of that name are equal, as in `compare`,
    so a text's spelling of a type does not count, nor do blanks at its ends."""
    if isinstance(value, dt.datetime):
        return value.isoformat() if value.tzinfo is None else f"utc {value - _EPOCH}"
    return value.name if isinstance(value, TypeName) else canonical_type(value or "")


def _number(x: float | int) -> str:
    """Numbers by value, however they are stored: 3, 3.0 and uint8(3) are one text."""
    if isinstance(x, float):
        return repr(x) if not math.isfinite(x) else str(int(x)) if x == int(x) else x.hex()
    return str(int(x))


def _pattern(flat: np.ndarray) -> np.ndarray:
    """Where NaN and which infinities are; zero for what is finite."""
    code = np.zeros(flat.size, dtype=np.uint8)
    if flat.dtype.kind == "f":
        code[np.isnan(flat)], code[flat == np.inf], code[flat == -np.inf] = 1, 2, 3
    return code


def _grid(flat: np.ndarray, tolerance: Tolerance, salt: bytes) -> dict[str, Any]:
    """How an array's elements are rounded to cells: scale, rtol, and each element's way."""
    data: dict[str, Any] = {"a": _scale(flat, tolerance), "rtol": tolerance.rtol}
    if tolerance.atol == 0 and tolerance.ascale < 0.5:
        data["zero_is_exact"] = True
    ways = np.arange(WAYS)[:, None] / WAYS
    from_middle = np.abs((place(data, salt, flat) + ways) % 1 - 0.5)  # (WAYS, size)
    way = np.argmin(from_middle, axis=0).astype(np.uint8)
    bits = np.stack([way >> 1, way & 1], axis=1)
    data["hints"] = base64.b64encode(np.packbits(bits).tobytes()).decode()
    return data


def hints(data: dict[str, Any], size: int) -> np.ndarray:
    """The way of each element of a sealed float array, 0 to 3."""
    packed = np.frombuffer(base64.b64decode(data["hints"]), dtype=np.uint8)
    bits = np.unpackbits(packed, count=2 * size).reshape(size, 2)
    return 2 * bits[:, 0] + bits[:, 1]


def _cells(data: dict[str, Any], salt: bytes, flat: np.ndarray) -> bytes:
    """The number of the cell that each element lies in. Where only zeros can be right, an array of
    nothing but zeros is told from one of numbers next to zero."""
    cut = place(data, salt, flat) + hints(data, flat.size) / WAYS
    number = np.where(np.isfinite(flat), np.floor(cut), 0).astype("<i8").tobytes()
    return number + (b"0" if data.get("zero_is_exact") and (flat == 0).all() else b"")


def position(data: dict[str, Any], flat: np.ndarray) -> np.ndarray:
    """Positions on the bent line, in cells."""
    x, a, rtol = float64(flat), data["a"], data["rtol"]
    with np.errstate(all="ignore"):
        units = x / a if rtol == 0 else np.sign(x) * np.log1p(np.abs(x) / a * rtol) / rtol
    return np.clip(np.nan_to_num(units, nan=0.0), -_FAR, _FAR) / _width(rtol)


def number_at(data: dict[str, Any], position: np.ndarray) -> np.ndarray:
    """The numbers at these positions: the inverse of `position`."""
    units, a, rtol = position * _width(data["rtol"]), data["a"], data["rtol"]
    return units * a if rtol == 0 else np.sign(units) * np.expm1(np.abs(units) * rtol) * a / rtol


def _width(rtol: float) -> float:
    """A cell's width in units. One tolerance to the inner side is a little more than a unit."""
    reach = 1.0 if rtol == 0 else -math.log1p(-rtol) / rtol
    return (reach + _SLACK) * CELL


def place(data: dict[str, Any], salt: bytes, flat: np.ndarray) -> np.ndarray:
    """Positions, each moved by a salted part of a cell, so that equal numbers do not have equal
    hints."""
    moved = np.frombuffer(hashlib.shake_128(salt).digest(flat.size), dtype=np.uint8) / 256
    return position(data, flat) + moved


def _scale(flat: np.ndarray, tolerance: Tolerance) -> float:
    """`a` rounded up to a power of two, so that it does not tell the largest element; that of an
    array of zeros looks like any other."""
    finite = np.abs(flat[np.isfinite(flat)].astype(np.float64))
    largest = float(finite.max()) if finite.size else 0.0
    a = max(tolerance.ascale * largest + tolerance.atol, largest * _FINEST)
    if a == 0:
        return 2.0 ** -(17 + secrets.randbelow(6))
    return 2.0 ** min(1023, math.ceil(math.log2(a)))
