"""What a running submission hook writes to: its cases, its random stream, its seed.

One `Recording` exists per hook and variant; nothing here is shared between two of them. The
context variable only says which one is running.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any

from mugrade.encoding import encode

if TYPE_CHECKING:
    import numpy

MAX_CASES = 1000


def variant_seed(assignment: str, problem: str, variant: int) -> int:
    """The seed of one variant of a problem, in [0, 2**32). Part of the wire format: never change."""
    return _digest(f"{assignment}/{problem}/{variant}")


def solo_seed(assignment: str, problem: str) -> int:
    """The seed of the one variant that sealed answers are made of. No class draws from it, so what
    can be checked offline and without limits is nobody's grade. Wire format too: never change."""
    return _digest(f"solo/{assignment}/{problem}")


def case_seed(seed: int, index: int) -> int:
    """The seed of one case, so that every case draws the same alone and in the whole hook."""
    return _digest(f"{seed}/{index}")


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


@dataclass
class Case:
    """One call of `mugrade.submit`: the encoded value, its label, and where the call stands.

    `inputs` is a digest of the seed and of all that the hook has drawn from `mugrade.rng()` so far:
    values with another digest were computed from other inputs, and are no answer to this case.
    """

    label: str
    value: Any
    file: str
    line: int
    inputs: str


class Recording:
    """Collects the cases of one hook under one seed."""

    def __init__(
        self, seed: int, on_case: Callable[[int, Any, str, FrameType], None] | None = None
    ) -> None:
        self.seed = seed
        self.cases: list[Case] = []
        self._on_case = on_case
        self._rng: numpy.random.RandomState | None = None
        self._drawn = hashlib.sha256(f"seed {seed}".encode())

    def submit(self, value: Any, label: str | None, frame: FrameType) -> None:
        index = len(self.cases)
        if index >= MAX_CASES:
            raise ValueError(
                f"this hook has called mugrade.submit more than {MAX_CASES} times; "
                "a loop that never ends? Submit arrays instead of single numbers."
            )
        label = f"case {index + 1}" if label is None else str(label)
        place = frame.f_code.co_filename, frame.f_lineno
        self.cases.append(Case(label, encode(value), *place, self._drawn.hexdigest()[:32]))
        self.begin_case()
        if self._on_case is not None:  # last: a debugger that it starts goes on in the hook
            self._on_case(index, value, label, frame)

    def rng(self) -> numpy.random.RandomState:
        if self._rng is None:
            from mugrade.draws import WatchedStream

            index = len(self.cases)
            self._rng = WatchedStream(case_seed(self.seed, index))
            self._rng.watch(lambda drawn: self._drawn.update(f"{index} {drawn}\n".encode()))
        return self._rng

    def begin_case(self) -> None:
        """Start the next case's stream and seed NumPy's global state for it."""
        import numpy

        self._rng = None
        numpy.random.seed(case_seed(self.seed, len(self.cases)))


class Idle(Recording):
    """Used when no submission runs: prints what would have been handed in."""

    def __init__(self) -> None:
        super().__init__(seed=0)

    def submit(self, value: Any, label: str | None, frame: FrameType) -> None:
        print(value if label is None else f"{label}: {value}")
        self._rng = None


_running: ContextVar[Recording] = ContextVar("mugrade_recording", default=Idle())  # noqa: B039


def current() -> Recording:
    """The recording of the running hook, or one that prints."""
    return _running.get()


@contextmanager
def recording(target: Recording) -> Iterator[Recording]:
    """Make `target` the running recording; NumPy's global state is put back afterwards."""
    import numpy

    token = _running.set(target)
    state = numpy.random.get_state()
    target.begin_case()
    try:
        yield target
    finally:
        numpy.random.set_state(state)
        _running.reset(token)
