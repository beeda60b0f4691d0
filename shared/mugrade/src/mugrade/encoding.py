"""How a Python value travels as JSON, and how JSON becomes a value again.

Client and server share this module; it knows no network and no database. Two forms are written:

- the *public* form, which the public course's client writes: an ndarray is
  `{"_encoded_type": "np.ndarray", "data": nested lists}`, a type or dtype its repr;
- the *full* form (the default), which adds `dtype` and `shape` to an array, base64 little-endian
  `data` for big arrays and for NaN and infinities, and tagged floats outside arrays.

`decode` reads both. Nothing here evaluates or unpickles; what is not understood raises
`EncodingError` with one sentence.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

TAG = "_encoded_type"
MAX_DEPTH = 16
MAX_NODES = 200_000
INT_MIN, INT_MAX = -(2**63), 2**64 - 1
INLINE_ELEMENTS = 64
"""Arrays with more elements than this travel as base64 in the full form."""

ARRAY_DTYPES = frozenset(
    [
        "bool",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "float16",
        "float32",
        "float64",
    ]
)


class EncodingError(ValueError):
    """A value that cannot travel, or JSON that is no encoded value."""


@dataclass(frozen=True)
class Array:
    """A decoded ndarray.

    `dtype` is the sender's dtype name, or None when the public form left it out; `explicit_shape`
    is False for the public form, in which `(0, 5)` and `(0,)` look the same.
    """

    values: NDArray[Any]
    dtype: str | None = None
    explicit_shape: bool = False


@dataclass(frozen=True)
class TypeName:
    """A decoded type or dtype: its canonical name."""

    name: str


# ------------------------------------------------------------------------------------- encoding


def encode(value: Any, *, public: bool = False) -> Any:
    """Return `value` as JSON-able data.

    Args:
        value: None, bool, int (64 bits), float, str, list, tuple, dict with string keys, datetime,
            type, NumPy scalar, dtype or array, or any object whose `numpy()` returns one of these.
        public: write the public client's form instead of the full one.

    Raises:
        EncodingError: for any other type, which the message names.
    """
    return _encode(value, public, 0)


def _encode(value: Any, public: bool, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise EncodingError(
            f"The value is nested deeper than {MAX_DEPTH} levels; submit a flatter one."
        )
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _checked_text(value)
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return _checked_int(int(value))
    if isinstance(value, (float, np.floating)):
        return _encode_float(float(value), public)
    if isinstance(value, (list, tuple)):
        return [_encode(item, public, depth + 1) for item in value]
    if isinstance(value, dict):
        return {_checked_key(k): _encode(v, public, depth + 1) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return _encode_array(value, public)
    if isinstance(value, dt.datetime):
        return {TAG: "datetime", "data": value.isoformat()}
    if isinstance(value, (type, np.dtype)):
        return {TAG: "type", "data": repr(value)}
    to_numpy = getattr(value, "numpy", None)
    if callable(to_numpy):
        converted = to_numpy()
        if isinstance(converted, (np.ndarray, np.generic, int, float, bool)):
            return _encode(converted, public, depth)
    raise EncodingError(
        f"A value of type {type(value).__module__}.{type(value).__qualname__} cannot be submitted; "
        "submit a NumPy array, a number, a string, or a list or dict of these."
    )


def _checked_int(value: int) -> int:
    if not INT_MIN <= value <= INT_MAX:
        raise EncodingError("An integer needs more than 64 bits; submit a smaller one or a string.")
    return value


def _checked_text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise EncodingError(
            f"The text {text!r:.60} has half a character (a surrogate), which no text can have; "
            "decode its bytes in another way."
        ) from None
    return text


def _checked_key(key: Any) -> str:
    if not isinstance(key, str) or key == TAG:
        raise EncodingError(
            f"A dict has the key {key!r:.60}; keys must be strings other than {TAG!r}."
        )
    return _checked_text(key)


def _encode_float(value: float, public: bool) -> Any:
    if public or math.isfinite(value):
        return value
    return {TAG: "float", "data": "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"}


def _encode_array(value: NDArray[Any], public: bool) -> dict[str, Any]:
    if public:
        return {TAG: "np.ndarray", "data": value.tolist()}
    name = value.dtype.name
    if name not in ARRAY_DTYPES:
        raise EncodingError(
            f"An array of dtype {value.dtype} cannot be submitted; convert it to one of "
            f"{', '.join(sorted(ARRAY_DTYPES))}."
        )
    out: dict[str, Any] = {TAG: "np.ndarray", "dtype": name, "shape": list(value.shape)}
    finite = value.dtype.kind != "f" or bool(np.isfinite(value).all())
    if value.size <= INLINE_ELEMENTS and finite:
        out["data"] = value.tolist()
    else:
        little = np.ascontiguousarray(value).astype(value.dtype.newbyteorder("<"), copy=False)
        out["encoding"] = "base64"
        out["data"] = base64.b64encode(little.tobytes()).decode("ascii")
    return out


# ------------------------------------------------------------------------------------- decoding


def check_limits(data: Any, *, max_depth: int = MAX_DEPTH, max_nodes: int = MAX_NODES) -> int:
    """Count the nodes of parsed JSON without recursion and return the count.

    Raises:
        EncodingError: deeper than `max_depth`, more than `max_nodes` nodes, an integer beyond 64
            bits, or a float that is not finite.
    """
    nodes, level, depth = 0, [data], 0
    while level:
        nodes += len(level)
        if nodes > max_nodes:
            raise EncodingError(f"The value has more than {max_nodes} nodes; submit a smaller one.")
        below: list[Any] = []
        for item in level:
            if isinstance(item, list):
                below.extend(item)
            elif isinstance(item, dict):
                below.extend(item.values())
            elif isinstance(item, float):
                if not math.isfinite(item):
                    raise EncodingError("A bare NaN or infinity is no JSON; send a tagged float.")
            elif isinstance(item, int):
                _checked_int(item)
        level = below
        depth += 1
        if depth > max_depth + 1:
            raise EncodingError(
                f"The value is nested deeper than {max_depth} levels; submit a flatter one."
            )
    return nodes


def decode(data: Any) -> Any:
    """Turn parsed JSON (either form) into None, bool, int, float, str, list, dict, datetime,
    `Array` or `TypeName`.

    Call `check_limits` first on data from strangers.

    Raises:
        EncodingError: for an unknown or malformed tagged object.
    """
    if isinstance(data, list):
        return [decode(item) for item in data]
    if not isinstance(data, dict):
        return data
    if TAG not in data:
        return {key: decode(item) for key, item in data.items()}
    tag, body = data[TAG], data.get("data")
    if tag == "np.ndarray":
        return _decode_array(data)
    if tag == "float" and body in ("nan", "inf", "-inf"):
        return float(body)
    if tag == "datetime" and isinstance(body, str):
        return _decode_datetime(body)
    if tag == "type" and isinstance(body, str):
        return TypeName(canonical_type(body))
    raise EncodingError(f"An encoded value has the unknown or malformed tag {tag!r:.60}.")


def _decode_datetime(text: str) -> dt.datetime:
    try:
        return dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise EncodingError(f"An encoded datetime is {text!r:.60}; expected ISO 8601.") from None


def _decode_array(data: dict[str, Any]) -> Array:
    dtype, shape, body = data.get("dtype"), data.get("shape"), data.get("data")
    if dtype is not None and (not isinstance(dtype, str) or dtype not in ARRAY_DTYPES):
        raise EncodingError(
            f"An encoded array has the dtype {dtype!r:.60}, which mugrade does not know."
        )
    if shape is not None:
        shape = _checked_shape(shape)
    if data.get("encoding") == "base64":
        return _decode_base64(dtype, shape, body)
    if "encoding" in data:
        raise EncodingError(
            f"An encoded array has the encoding {data['encoding']!r:.60}; expected base64."
        )
    values = _from_lists(body)
    if dtype is not None:
        values = _as_declared(values, dtype)
    if shape is not None:
        if values.size != math.prod(shape):
            raise EncodingError(f"An encoded array of shape {shape} has {values.size} elements.")
        values = values.reshape(shape)
    return Array(values, dtype, shape is not None)


def _checked_shape(shape: Any) -> tuple[int, ...]:
    good = isinstance(shape, list) and len(shape) <= MAX_DEPTH
    if not good or not all(type(n) is int and 0 <= n < 2**40 for n in shape):
        raise EncodingError("An encoded array's shape is no list of at most 16 sizes.")
    if math.prod(n or 1 for n in shape) >= 2**40:  # also beside an axis of length 0
        raise EncodingError("An encoded array's shape has more elements than any array can.")
    return tuple(shape)


def _decode_base64(dtype: Any, shape: Any, body: Any) -> Array:
    if dtype is None or shape is None or not isinstance(body, str):
        raise EncodingError("A base64 array needs a dtype, a shape and data as text.")
    try:
        raw = base64.b64decode(body.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        raise EncodingError("An encoded array's data is not valid base64.") from None
    little = np.dtype(dtype).newbyteorder("<")
    if len(raw) != math.prod(shape) * little.itemsize:
        raise EncodingError(
            f"An encoded {dtype} array of shape {shape} has {len(raw)} bytes of data."
        )
    if dtype == "bool" and raw.strip(b"\0\1"):
        raise EncodingError("An encoded bool array has a byte other than 0 and 1.")
    values = np.frombuffer(raw, dtype=little).reshape(shape)
    return Array(values.astype(little.newbyteorder("="), copy=False), dtype, True)


def _from_lists(body: Any) -> NDArray[Any]:
    if isinstance(body, (dict, str)) or body is None:
        raise EncodingError("An encoded array's data is no list of numbers.")
    try:
        values = np.array(body)
    except (ValueError, OverflowError):
        raise EncodingError("An encoded array's rows differ in length.") from None
    if values.dtype.kind not in "biuf":
        raise EncodingError("An encoded array holds something other than numbers and bools.")
    return values


def _as_declared(values: NDArray[Any], dtype: str) -> NDArray[Any]:
    """Cast to the declared dtype where nothing is lost; refuse a declaration that cannot be true."""
    if values.size == 0:
        return values.astype(dtype)
    target = np.dtype(dtype)
    if (target.kind == "b") != (values.dtype.kind == "b"):
        raise EncodingError(f"An array declared as {dtype} holds other data.")
    with np.errstate(all="ignore"):
        cast = values.astype(target)
    if target.kind in "iu" and (values.dtype.kind == "f" or not np.array_equal(cast, values)):
        raise EncodingError(f"An array declared as {dtype} holds numbers that do not fit it.")
    if target.kind == "f" and not np.isfinite(cast).all():
        raise EncodingError(f"An array declared as {dtype} holds numbers that do not fit it.")
    return cast


# ---------------------------------------------------------------------------------- type names

_DTYPE_REPR = re.compile(r"""^(?:numpy\.|np\.)?dtype\(['"]?([^'"()]*)['"]?\)$""")
_CLASS_REPR = re.compile(r"""^<class ['"]([^'"]*)['"]>$""")
_SHORT = {
    "f2": "float16",
    "f4": "float32",
    "f8": "float64",
    "i1": "int8",
    "i2": "int16",
    "i4": "int32",
    "i8": "int64",
    "u1": "uint8",
    "u2": "uint16",
    "u4": "uint32",
    "u8": "uint64",
    "b1": "bool",
    "float": "float64",
    "int": "int64",
    "bool_": "bool",
    "half": "float16",
    "single": "float32",
    "double": "float64",
}


def canonical_type(text: str) -> str:
    """Return one name for every spelling of a type: `dtype('<f4')`, `<class 'numpy.float32'>` and
    `float32` are all `float32`; the reading is by pattern, nothing is evaluated."""
    text = text.strip()
    match = _DTYPE_REPR.match(text) or _CLASS_REPR.match(text)
    name = match.group(1).strip() if match else text
    bare = name.rsplit(".", 1)[-1] if name.startswith(("numpy.", "np.", "torch.")) else name
    bare = bare.lstrip("<>=|") if len(bare) <= 4 else bare
    bare = _SHORT.get(bare, bare)
    return bare if bare in ARRAY_DTYPES else name


# ------------------------------------------------------------------------------ canonical JSON


def canonical_json(data: Any) -> bytes:
    """One spelling for equal data: sorted keys, no spaces, UTF-8. What digests are taken over."""
    text = json.dumps(
        data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode("utf-8")
