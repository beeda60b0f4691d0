"""What a message costs: seconds a message, seconds a byte, and which links it shares with others."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Route:
    """A message's way: n bytes arrive alpha + n * beta seconds after its links are free.

    It keeps all of its `links` (any names) for n * beta seconds, and no other message uses them
    meanwhile.
    """

    alpha: float
    beta: float
    links: tuple[str, ...]


@dataclass(frozen=True)
class Network:
    """A switch without limits: each rank has one cable out of it and one into it.

    Args:
        alpha: seconds that a message takes however short it is (latency).
        beta: seconds a byte (the inverse of the bandwidth).
        eager: messages of at most so many bytes need no receiver that is ready: their sender goes
            on when they have left. Larger ones are waited for until they are received.
    """

    alpha: float = 5e-6
    beta: float = 1e-10
    eager: int = 0

    def route(self, source: int, target: int) -> Route:
        return Route(self.alpha, self.beta, (f"out of {source}", f"into {target}"))


@dataclass(frozen=True)
class Bus(Network):
    """One cable for all: a message waits until no other is on it."""

    def route(self, source: int, target: int) -> Route:
        return Route(self.alpha, self.beta, ("bus",))


@dataclass(frozen=True)
class Nodes(Network):
    """Machines of several ranks each: fast inside, one shared cable out and one in.

    Args:
        ranks: how many ranks a machine has: ranks 0 to ranks - 1 are on the first.
        inner_alpha: as alpha, between ranks of one machine.
        inner_beta: as beta, between ranks of one machine.
    """

    ranks: int = 8
    inner_alpha: float = 1e-6
    inner_beta: float = 2e-12

    def route(self, source: int, target: int) -> Route:
        here, there = source // self.ranks, target // self.ranks
        if here == there:
            return Route(self.inner_alpha, self.inner_beta, (f"out of {source}", f"into {target}"))
        return Route(self.alpha, self.beta, (f"node {here} out", f"node {there} in"))
