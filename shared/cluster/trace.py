"""What a run leaves: results, counts, and the trace, which can be drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Event:
    """Something on a rank's time line, from `start` to `end` in seconds.

    Attributes:
        kind: "compute"; "wait" (nothing else to do); "send", from the first byte's leaving to the
            last one's arrival, which keeps the rank from nothing.
        what: the word given to `compute`, or the collective in which it happened.
        where: file:line.
        peer: the other rank, of a send or a wait.
        nbytes: of a send.
    """

    kind: str
    rank: int
    start: float
    end: float
    what: str = ""
    where: str = ""
    peer: int | None = None
    nbytes: int = 0


@dataclass
class Run:
    """What became of a run. Lists have one entry for each rank.

    Attributes:
        results: what the programs returned.
        time: seconds from the start to the end of the last rank.
        trace: in order of virtual time; empty where real clocks run.
        bytes_sent, messages, flops: counted.
        peak_memory: the most bytes that were held at one time, by `comm.hold`.
        transport: "virtual" or "mpi".
        rank: whose process this is; of threads, 0. Who prints only where it is 0 prints once.
    """

    results: list[Any]
    time: float
    trace: list[Event]
    bytes_sent: list[int]
    messages: list[int]
    flops: list[int | float]
    peak_memory: list[int]
    transport: str = "virtual"
    rank: int = 0

    @property
    def ranks(self) -> int:
        return len(self.results)

    def seconds(self, kind: str, rank: int) -> float:
        """How long a rank computed ("compute") or waited ("wait")."""
        mine = (e for e in self.trace if e.kind == kind and e.rank == rank)
        return sum(event.end - event.start for event in mine)

    def idle(self, rank: int) -> float:
        """The share of the run's time in which a rank did not compute: of a pipeline, its bubble."""
        return 1 - self.seconds("compute", rank) / self.time if self.time else 0.0

    def text(self, width: int = 64) -> str:
        """The trace in characters, a line for each rank: # compute, . wait."""
        from cluster.drawing import text

        return text(self, width)

    def svg(self, title: str = "", width: int = 760) -> str:
        """The trace as a picture: ranks by virtual time, with what it shows told in words."""
        from cluster.drawing import svg

        return svg(self, title, width)
