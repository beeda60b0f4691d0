"""Answers that can be checked but not read: what a solo course ships. Pure.

A sealed case keeps the structure, shapes and dtypes of the answer in the clear (verdicts tell them
anyway) and its content only as salted hashes:

- exact things (integers, bools, text, types): one hash of the whole;
- floats: the line is bent by `f(x) = sign(x) * log(1 + rtol*|x|/a) / rtol`, with
  `a = ascale*max|R| + atol`, on which one unit is one tolerance wherever x is. Each element's cell
  of width two units is kept as a 16-bit hash, salted with its position. A claim is right when, for
  every element, one of the two cells that lie within one unit of it has the kept hash.

So a claim within the tolerance always passes, one beyond three tolerances (the scale `a` is rounded
up to a power of two, which can double its share) fails up to a chance of 2**-15 an element. Sixteen
bits cannot be inverted to five digits: about 2**-16 of all numbers fit a given hash. What cannot be
hidden is what can be guessed: a bool, a small integer, a float known to be 0 or 1.
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

from mugrade.compare import OK, Tolerance, Verdict, as_array, same_shape
from mugrade.encoding import Array, EncodingError, TypeName, canonical_type

_MAX_RTOL = 0.1
_FAR = 2.0**60
SEALED = "_sealed"


@dataclass(frozen=True)
class Sealed:
    """One sealed leaf; `compare` calls `judge` when it meets one."""

    data: dict[str, Any]
    salt: bytes

    def judge(self, claim: Any) -> Verdict:
        kind = self.data[SEALED]
        if kind == "array":
            return self._judge_array(as_array(claim))
        if isinstance(claim, (TypeName, str)) and (kind == "type" or isinstance(claim, TypeName)):
            name = claim.name if isinstance(claim, TypeName) else canonical_type(claim)
            if kind not in ("type", "str"):
                return Verdict("type")
            return _verdict(_digest(self.salt, "type", name) == self.data["name"])
        if kind != _leaf_kind(claim):
            return Verdict("type")
        return _verdict(_digest(self.salt, kind, _leaf_text(claim)) == self.data["hash"])

    def _judge_array(self, claim: Array | None) -> Verdict:
        if claim is None:
            return Verdict("type")
        data, values = self.data, claim.values
        shape = tuple(data["shape"])
        stand_in = Array(np.empty(shape, dtype=np.int8), data["dtype"], data["explicit"])
        if (data["kind"] == "b") != (values.dtype.kind == "b") and values.size and math.prod(shape):
            return Verdict("type")
        if not same_shape(stand_in, claim):
            return Verdict("shape", submitted_shape=values.shape, expected_shape=shape)
        if data["check_dtype"] and data["dtype"] and claim.dtype and data["dtype"] != claim.dtype:
            return Verdict("dtype")
        if math.prod(shape) == 0:
            return OK
        flat = values.ravel()
        if _pattern(self.salt, flat) != data["pattern"]:
            return Verdict("non-finite")
        if "exact" in data:
            return _verdict(_exact_digest(self.salt, flat) == data["exact"])
        kept = np.frombuffer(base64.b64decode(data["cells"]), dtype="<u2")
        place, reach = _bend(flat.astype(np.float64), data["a"], data["rtol"])
        right = np.zeros(flat.size, dtype=bool)
        for shift in (-reach, reach):
            right |= _cells(self.salt, np.floor((place + shift) / (2 * reach))) == kept
        return _verdict(bool((right | ~np.isfinite(flat.astype(np.float64))).all()))


# --------------------------------------------------------------------------------------- sealing


def seal(value: Any, tolerance: Tolerance, salt: bytes | None = None) -> dict[str, Any]:
    """Seal one decoded case: JSON-able data with its own random salt.

    Raises:
        EncodingError: rtol above 0.1, at which sealing would not tell right from wrong.
    """
    if tolerance.rtol > _MAX_RTOL:
        raise EncodingError(
            f"An answer with rtol={tolerance.rtol:g} cannot be sealed; use at most 0.1."
        )
    salt = salt or secrets.token_bytes(16)
    return {"salt": base64.b64encode(salt).decode(), "tree": _seal(value, tolerance, salt, "")}


def _seal(value: Any, tolerance: Tolerance, salt: bytes, path: str) -> Any:
    if isinstance(value, list):
        return [_seal(v, tolerance, salt, f"{path}/{i}") for i, v in enumerate(value)]
    if isinstance(value, dict):
        return {k: _seal(v, tolerance, salt, f"{path}/{k}") for k, v in value.items()}
    salt = _salt_at(salt, path)
    array = as_array(value)
    if array is not None:
        return _seal_array(array, tolerance, salt)
    if isinstance(value, TypeName):
        return {SEALED: "type", "name": _digest(salt, "type", value.name)}
    kind = _leaf_kind(value)
    out = {SEALED: kind, "hash": _digest(salt, kind, _leaf_text(value))}
    if kind == "str":
        out["name"] = _digest(salt, "type", canonical_type(value))
    return out


def _seal_array(array: Array, tolerance: Tolerance, salt: bytes) -> dict[str, Any]:
    flat = array.values.ravel()
    out: dict[str, Any] = {
        SEALED: "array",
        "kind": flat.dtype.kind,
        "shape": list(array.values.shape),
        "dtype": array.dtype,
        "explicit": array.explicit_shape,
        "check_dtype": tolerance.dtype,
        "pattern": _pattern(salt, flat),
    }
    scale = _scale(flat, tolerance) if flat.dtype.kind == "f" else 0.0
    if scale == 0.0:
        out["exact"] = _exact_digest(salt, flat)
        return out
    place, reach = _bend(flat.astype(np.float64), scale, tolerance.rtol)
    cells = _cells(salt, np.floor(place / (2 * reach)))
    out.update(
        a=scale, rtol=tolerance.rtol, cells=base64.b64encode(cells.astype("<u2").tobytes()).decode()
    )
    return out


def unseal_tree(case: dict[str, Any]) -> Any:
    """A sealed case as a tree that `compare(tree, claim)` takes as its expected value."""
    try:
        salt = base64.b64decode(case["salt"], validate=True)
        return _tree(case["tree"], salt, "")
    except (KeyError, TypeError, ValueError):
        raise EncodingError("A sealed answer is malformed; export it again.") from None


def _tree(data: Any, salt: bytes, path: str) -> Any:
    if isinstance(data, list):
        return [_tree(v, salt, f"{path}/{i}") for i, v in enumerate(data)]
    if SEALED in data:
        return Sealed(data, _salt_at(salt, path))
    return {k: _tree(v, salt, f"{path}/{k}") for k, v in data.items()}


# --------------------------------------------------------------------------------------- hashing


def _verdict(right: bool) -> Verdict:
    return OK if right else Verdict("values")


def _salt_at(salt: bytes, path: str) -> bytes:
    return hashlib.blake2b(path.encode(), key=salt, digest_size=16).digest()


def _digest(salt: bytes, kind: str, text: str) -> str:
    return hashlib.blake2b(f"{kind}\0{text}".encode(), key=salt, digest_size=16).hexdigest()


def _leaf_kind(value: Any) -> str:
    if value is None:
        return "null"
    return (
        "datetime"
        if isinstance(value, dt.datetime)
        else "str"
        if isinstance(value, str)
        else "other"
    )


def _leaf_text(value: Any) -> str:
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return "utc " + value.astimezone(dt.timezone.utc).isoformat()
    return value.isoformat() if isinstance(value, dt.datetime) else str(value)


def _pattern(salt: bytes, flat: np.ndarray) -> str:
    """Where NaN and which infinities are; the same for every finite array."""
    code = np.zeros(flat.size, dtype=np.uint8)
    if flat.dtype.kind == "f":
        code[np.isnan(flat)], code[flat == np.inf], code[flat == -np.inf] = 1, 2, 3
    return (
        hashlib.blake2b(code.tobytes(), key=salt, digest_size=16).hexdigest() if code.any() else ""
    )


def _exact_digest(salt: bytes, flat: np.ndarray) -> str:
    """Numbers by value, however they are stored: 3, 3.0 and uint8(3) have one digest."""
    numbers = ",".join(_number(x) for x in flat.tolist())
    return hashlib.blake2b(numbers.encode(), key=salt, digest_size=16).hexdigest()


def _number(x: float | int) -> str:
    if isinstance(x, float):
        return repr(x) if not math.isfinite(x) else str(int(x)) if x == int(x) else x.hex()
    return str(int(x))


def _scale(flat: np.ndarray, tolerance: Tolerance) -> float:
    """`a` rounded up to a power of two, so that it does not tell the largest element."""
    finite = np.abs(flat[np.isfinite(flat)].astype(np.float64))
    largest = float(finite.max()) if finite.size else 0.0
    floor = largest * 2.0**-45 if tolerance.rtol else 0.0
    a = max(tolerance.ascale * largest + tolerance.atol, floor)
    return 2.0 ** math.ceil(math.log2(a)) if 1e-300 < a < 1e300 else 0.0


def _bend(x: np.ndarray, a: float, rtol: float) -> tuple[np.ndarray, float]:
    """Positions on the bent line, and how far one tolerance reaches on it (a little over 1)."""
    with np.errstate(all="ignore"):
        if rtol == 0:
            place, reach = x / a, 1.0
        else:
            place = np.sign(x) * np.log1p(np.abs(x) / a * rtol) / rtol
            reach = -math.log1p(-rtol) / rtol
    return np.clip(np.nan_to_num(place, nan=0.0), -_FAR, _FAR), reach + 1e-9


def _cells(salt: bytes, index: np.ndarray) -> np.ndarray:
    """Sixteen bits for each cell, mixed with salt and position (splitmix64)."""
    key = np.uint64(int.from_bytes(salt[:8], "little"))
    with np.errstate(over="ignore"):
        position = _mix(np.arange(index.size, dtype=np.uint64) + key)
        return (_mix(index.astype(np.int64).astype(np.uint64) ^ position) >> np.uint64(48)).astype(
            np.uint16
        )


def _mix(z: np.ndarray) -> np.ndarray:
    z = z + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
