"""What a rank's program sees, whatever carries its messages: the `Communicator`.

A transport (cluster.virtual, cluster.mpi) brings the five methods that end this file's class.
NCCL would be one more: it has no messages of single ranks beside send and receive, so it fits.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from cluster.faults import ClusterError

MAX_TAG = 32766
"""What MPI promises; the next one is the barrier's own."""
_BARRIER = MAX_TAG + 1


@dataclass
class Ledger:
    """What one rank did and holds, in bytes and floating-point operations."""

    bytes_sent: int = 0
    messages: int = 0
    flops: int | float = 0
    held: dict[str, int] = field(default_factory=dict)
    memory: int = 0
    peak: int = 0

    def hold(self, name: str, nbytes: int) -> None:
        self.memory += nbytes - self.held.get(name, 0)
        self.held[name] = nbytes
        self.peak = max(self.peak, self.memory)

    def release(self, name: str) -> None:
        self.memory -= self.held.pop(name)


class Request:
    """Something begun, `isend` or `irecv`; `wait()` ends it."""

    def wait(self) -> Any:
        """Wait until it is done. Returns the array of an `irecv`, None of an `isend`."""
        raise NotImplementedError


class Communicator:
    """One rank among `size`: it sends arrays to others and receives theirs.

    Attributes:
        rank: its number, 0 to size - 1.
        size: how many there are.
        ledger: what the rank sent, computed and holds; one for all communicators of a rank.
    """

    def __init__(self, rank: int, size: int, ledger: Ledger):
        self.rank, self.size, self.ledger = rank, size, ledger

    # ------------------------------------------------------------------------------ messages

    def send(self, array: np.ndarray, to: int, tag: int = 0) -> None:
        """Send an array and wait until it has been received.

        MPI's own send may end before that, for short messages; a program that counts on it is wrong
        there, too.
        """
        self.isend(array, to, tag).wait()

    def recv(self, source: int, tag: int = 0) -> np.ndarray:
        """Wait for the next array from `source` with this tag; it is the receiver's own."""
        return self.irecv(source, tag).wait()

    def isend(self, array: np.ndarray, to: int, tag: int = 0) -> Request:
        """Begin to send. The array must not change until the request has been waited for."""
        self._check(to, tag, "sends to")
        array = np.asarray(array)
        if array.dtype.hasobject:
            raise ClusterError(
                f"rank {self.rank} sends an array of dtype {array.dtype}; expected numbers"
            )
        self.ledger.bytes_sent += array.nbytes
        self.ledger.messages += 1
        return self._post(array, to, tag)

    def irecv(self, source: int, tag: int = 0) -> Request:
        """Begin to receive; the request's `wait()` gives the array."""
        self._check(source, tag, "receives from")
        return self._expect(source, tag)

    def barrier(self) -> None:
        """Wait until every rank is here: ceil(log2(size)) rounds of empty messages."""
        self._enter("barrier", "")
        nothing, distance = np.empty(0, "uint8"), 1
        while distance < self.size:
            request = self._post(nothing, (self.rank + distance) % self.size, _BARRIER)
            self._expect((self.rank - distance) % self.size, _BARRIER).wait()
            request.wait()
            distance *= 2
        self._leave()

    def subset(self, ranks: Iterable[int]) -> Communicator:
        """The communicator of some of this one's ranks, numbered anew in the order given.

        Each of these ranks must ask for it. Messages of one communicator are never received by
        another.
        """
        ranks = tuple(ranks)
        if self.rank not in ranks or len(set(ranks)) < len(ranks):
            raise ClusterError(
                f"rank {self.rank} asks for the subset {ranks}; expected different ranks, its own "
                "among them"
            )
        for rank in ranks:
            self._check(rank, 0, "asks for a subset with")
        return self._group(ranks)

    def _check(self, other: int, tag: int, verb: str) -> None:
        if not 0 <= other < self.size:
            raise ClusterError(
                f"rank {self.rank} {verb} rank {other}; expected 0 to {self.size - 1}"
            )
        if not 0 <= tag <= MAX_TAG:
            raise ClusterError(f"rank {self.rank}: tag {tag}, expected 0 to {MAX_TAG}")

    # ------------------------------------------------------------------- computing and memory

    def compute(self, flops: int | float, what: str = "") -> None:
        """Let the clock go on by the time that so many floating-point operations take.

        Args:
            what: a word for the trace, such as "forward 2".
        """
        self.ledger.flops += flops
        self._advance(flops, what)

    def hold(self, name: str, nbytes: int) -> None:
        """Count memory: from now on `name` takes so many bytes (instead of what it took before)."""
        self.ledger.hold(name, int(nbytes))

    def release(self, name: str) -> None:
        """`name` takes no memory any more."""
        if name not in self.ledger.held:
            known = ", ".join(self.ledger.held) or "nothing"
            raise ClusterError(f"rank {self.rank} releases {name!r}, but holds {known}")
        self.ledger.release(name)

    # -------------------------------------------------------------------- what transports bring

    @property
    def time(self) -> float:
        """The rank's clock, in seconds."""
        raise NotImplementedError

    def _post(self, array: np.ndarray, to: int, tag: int) -> Request:
        raise NotImplementedError

    def _expect(self, source: int, tag: int) -> Request:
        raise NotImplementedError

    def _group(self, ranks: tuple[int, ...]) -> Communicator:
        raise NotImplementedError

    def _advance(self, flops: int | float, what: str) -> None:
        """Real computing takes its time by itself."""

    def _enter(self, name: str, arrays: str) -> None:
        """A collective begins; a transport may check that all ranks are in the same one."""

    def _leave(self) -> None:
        """It ends."""


F = TypeVar("F", bound=Callable[..., Any])


def collective(function: F) -> F:
    """Mark `function(comm, array, ...)` as one that all ranks enter, with arrays of one shape.

    This is the seat for collectives that somebody writes with `send` and `recv`: that all ranks
    enter the same ones, in the same order, is then checked, and faults and traces name them.
    """

    @functools.wraps(function)
    def entered(comm: Communicator, *arguments: Any, **more: Any) -> Any:
        first = arguments[0] if arguments else None
        arrays = f"{first.dtype} {first.shape}" if isinstance(first, np.ndarray) else ""
        comm._enter(function.__name__, arrays)
        try:
            return function(comm, *arguments, **more)
        finally:
            comm._leave()

    return entered  # type: ignore[return-value]
