"""A random stream that tells what is drawn from it.

The seed and the calls determine what `RandomState` gives, on every platform and version of NumPy;
so the calls are what is told, not the numbers, whose last bits depend on the machine's libm.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy

_QUIET = frozenset({"seed", "get_state", "set_state"})
"""Methods that draw nothing."""


class WatchedStream(numpy.random.RandomState):
    """A `RandomState`; after `watch(tell)` each draw calls `tell` with one line about it."""

    _tell: Callable[[str], None] | None = None
    _inside = False

    def watch(self, tell: Callable[[str], None]) -> None:
        self._tell = tell

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name.startswith("_") or name in _QUIET or name == "watch" or not callable(found):
            return found
        if self._tell is None or self._inside:  # `randn` draws by `standard_normal`
            return found

        tell = self._tell

        def draw(*arguments: Any, **named: Any) -> Any:
            self._inside = True
            try:
                given = [describe(a) for a in arguments]
                given += [f"{key}={describe(value)}" for key, value in sorted(named.items())]
                tell(f"{name}({', '.join(given)})")
                return found(*arguments, **named)
            finally:
                self._inside = False

        return draw


def describe(value: Any) -> str:
    """An argument as text that is the same on every machine.

    Of an array of floats only the shape counts: its numbers come from earlier draws or from code,
    and their last bits from the machine.
    """
    if isinstance(value, numpy.generic):
        value = value.item()
    if isinstance(value, numpy.ndarray):
        digest = ""
        if value.dtype.kind in "biu":
            digest = hashlib.sha256(value.astype("<i8").tobytes()).hexdigest()[:16]
        return f"array{value.shape}{digest}"
    if isinstance(value, tuple | list):
        return f"({', '.join(describe(item) for item in value)})"
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, type):
        return value.__name__
    return str(value) if isinstance(value, numpy.dtype) else type(value).__name__
