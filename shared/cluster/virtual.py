"""Ranks as threads of one process, of which one runs at a time, each by a virtual clock.

Whoever has the baton runs until it must wait, or until it acts on others while somebody's clock is
behind its own; then the rank whose clock is least goes on, of equal ones the lowest number. So
whatever ranks do to one another happens in the order of virtual time, the same in every run.
"""

from __future__ import annotations

import copy
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

from cluster import words
from cluster.communicator import Communicator, Ledger, Request
from cluster.faults import (
    ClusterError,
    LateWrite,
    MismatchedCollective,
    RankFailed,
    where,
    where_raised,
)
from cluster.network import Network
from cluster.trace import Event

Own = Sequence[tuple[ModuleType, str]]
"""Global names that each rank has for itself: (module, name)."""


class _Stopped(BaseException):
    """Unwinds a rank's program when another's has failed."""


@dataclass(eq=False)
class Rank:
    """One thread and what belongs to it."""

    number: int
    clock: float = 0.0
    ledger: Ledger = field(default_factory=Ledger)
    blocked: Transfer | None = None
    """What it waits for."""
    blocked_at: str = ""
    inside: list[tuple[str, int]] = field(default_factory=list)
    """Collectives that it is in: (name, the how-manyeth it is)."""
    entered: dict[tuple[int, ...], int] = field(default_factory=lambda: defaultdict(int))
    """Ranks of a communicator -> how many of its collectives it entered."""
    done: bool = False
    result: Any = None
    own: list[Any] = field(default_factory=list)
    baton: Any = field(default_factory=threading.Lock)


@dataclass(eq=False)
class Transfer(Request):
    """One end of a message: its `isend` or its `irecv`."""

    world: World
    rank: Rank
    other: int
    tag: int
    where: str
    posted: float
    array: np.ndarray | None = None
    """Of an isend, the sender's own."""
    data: np.ndarray | None = None
    """A copy: of an isend, of what the array was then; of an irecv, the receiver's."""
    left: float = 0.0
    arrival: float = 0.0
    finished: float | None = None
    """When wait() ends; None as long as the other end has not come."""
    taken: bool = False
    waited: bool = False

    @property
    def sends(self) -> bool:
        return self.array is not None

    def wait(self) -> Any:
        world, rank = self.world, self.rank
        world.go_on()
        if self.finished is None:
            world.block(rank, self)
        assert self.finished is not None
        self.waited = True
        world.wait_until(rank, self.finished, self)
        if self.sends:
            self.check_unchanged()
            return None
        return self.data

    def check_unchanged(self) -> None:
        """Raises: LateWrite: the sender's array is no longer what it was."""
        assert self.array is not None and self.data is not None
        if self.array.tobytes() != self.data.tobytes():
            raise LateWrite(
                f"rank {self.rank.number} changed the array that it sent to rank {self.other} at "
                f"{self.where} before that request was waited for; until wait() returns the other "
                "may still be reading: wait first, or send a copy"
            )


class World:
    """All ranks, their messages, and the baton."""

    def __init__(self, size: int, network: Network, rate: float, seed: int, own: Own):
        self.ranks = [Rank(number) for number in range(size)]
        self.network, self.rate, self.own = network, rate, own
        self.trace: list[Event] = []
        self.free: dict[str, float] = {}
        self.sent: dict[tuple, deque[Transfer]] = defaultdict(deque)
        self.expected: dict[tuple, deque[Transfer]] = defaultdict(deque)
        self.transfers: list[Transfer] = []
        """All whose wait() has not returned, in the order of their beginning."""
        self.collectives: dict[tuple[int, ...], list[tuple[str, str, int, str]]] = defaultdict(list)
        self.failure: BaseException | None = None
        self.finished = threading.Event()
        for rank in self.ranks:
            state = np.random.RandomState(seed + rank.number).get_state()
            rank.own = [state, *copy.deepcopy(self.globals()[1:])]
            rank.baton.acquire()

    # ---------------------------------------------------------------------------------- the run

    def run(self, program: Callable[..., Any], arguments: tuple) -> None:
        """Let every rank run `program(comm, *arguments)` to its end.

        Raises:
            ClusterError: as faults.py lists them.
            NotImplementedError: a rank's own, which is no fault but work that is still to do.
        """
        everyone = tuple(range(len(self.ranks)))
        threads = []
        for rank in self.ranks:
            comm = VirtualCommunicator(self, rank, everyone)
            live = threading.Thread(
                target=self._live, args=(rank, program, comm, arguments), daemon=True
            )
            threads.append(live)
            live.start()
        before = self.globals()
        try:
            self._give_baton(self.ranks[0])
            try:
                self.finished.wait()
            except BaseException as error:  # Ctrl-C
                self.failure = self.failure or error
                self.finished.wait()
                raise
        finally:
            self._set_globals(before)
        for thread in threads:
            thread.join()
        if self.failure is not None:
            raise self.failure
        if fault := words.left_over(self.transfers):
            raise fault

    def _live(self, rank: Rank, program: Callable[..., Any], comm: Any, arguments: tuple) -> None:
        rank.baton.acquire()
        try:
            self.go_on()
            rank.result = program(comm, *arguments)
        except _Stopped:
            pass
        except (ClusterError, NotImplementedError) as error:
            self.failure = self.failure or error
        except BaseException as error:
            told = f"{type(error).__name__}: {error}".rstrip(": ")
            fault = RankFailed(
                f"rank {rank.number} failed at {where_raised(error.__traceback__)}: {told}"
            )
            fault.__cause__ = error
            self.failure = self.failure or fault
        rank.done = True
        rank.own = self.globals()
        following = self._next()
        if following is None:
            self.finished.set()
        else:
            self._give_baton(following)

    def go_on(self) -> None:
        """Raises: _Stopped: another rank has failed."""
        if self.failure is not None:
            raise _Stopped

    # -------------------------------------------------------------------------------- the baton

    def turn(self, me: Rank) -> None:
        """Before `me` acts on others: let those go first whose clocks are behind."""
        self.go_on()
        following = self._next()
        assert following is not None
        if following is not me:
            self._hand_over(me, following)

    def block(self, me: Rank, transfer: Transfer) -> None:
        """Wait until the other end of the transfer has come."""
        me.blocked, me.blocked_at = transfer, where()
        following = self._next()
        assert following is not None
        if following is not me:
            self._hand_over(me, following)
        self.go_on()

    def _next(self) -> Rank | None:
        """Who goes on: the least clock; in a deadlock everybody, to be unwound; None at the end."""
        living = [rank for rank in self.ranks if not rank.done]
        ready = [rank for rank in living if rank.blocked is None]
        if living and not ready and self.failure is None:
            self.failure = words.deadlock(self.ranks, self.sent, self.expected)
        if self.failure is not None:
            return living[0] if living else None
        return min(ready, key=lambda rank: (rank.clock, rank.number), default=None)

    def _hand_over(self, me: Rank, following: Rank) -> None:
        me.own = self.globals()
        self._give_baton(following)
        me.baton.acquire()
        self.go_on()

    def _give_baton(self, rank: Rank) -> None:
        self._set_globals(rank.own)
        rank.baton.release()

    def globals(self) -> list[Any]:
        """What each rank has of its own: NumPy's generator, and what `own` names."""
        return [np.random.get_state(), *(getattr(place, name) for place, name in self.own)]

    def _set_globals(self, values: list[Any]) -> None:
        np.random.set_state(values[0])
        for (place, name), value in zip(self.own, values[1:]):
            setattr(place, name, value)

    # -------------------------------------------------------------------------------- messages

    def post(self, me: Rank, array: np.ndarray, to: int, tag: int, group: tuple) -> Transfer:
        self.turn(me)
        one = Transfer(self, me, to, tag, where(), me.clock, array, np.array(array))
        route = self.network.route(me.number, to)
        start = max([me.clock, *(self.free.get(link, 0.0) for link in route.links)])
        one.left = start + array.nbytes * route.beta
        one.arrival = one.left + route.alpha
        self.free.update(dict.fromkeys(route.links, one.left))
        what = me.inside[-1][0] if me.inside else ""
        self.trace.append(
            Event("send", me.number, start, one.arrival, what, one.where, to, array.nbytes)
        )
        if array.nbytes <= self.network.eager:
            one.finished = one.left
        self.transfers.append(one)
        self._meet((group, me.number, to, tag), one)
        return one

    def expect(self, me: Rank, source: int, tag: int, group: tuple) -> Transfer:
        self.turn(me)
        one = Transfer(self, me, source, tag, where(), me.clock)
        self.transfers.append(one)
        self._meet((group, source, me.number, tag), one)
        return one

    def _meet(self, key: tuple, one: Transfer) -> None:
        """Bring the two ends together if the other one is there, in the order that both came in."""
        mine, others = (self.sent, self.expected) if one.sends else (self.expected, self.sent)
        if not others[key]:
            mine[key].append(one)
            return
        other = others[key].popleft()
        sender, receiver = (one, other) if one.sends else (other, one)
        sender.check_unchanged()
        sender.taken = receiver.taken = True
        assert sender.data is not None
        receiver.data = sender.data.copy()
        received = max(sender.arrival, receiver.posted)
        for end in (sender, receiver):
            end.finished = received if end.finished is None else end.finished
            if end.rank.blocked is end:
                self.wait_until(end.rank, end.finished, end)
                end.rank.blocked = None

    def wait_until(self, rank: Rank, time: float, transfer: Transfer) -> None:
        if time > rank.clock:
            what = rank.inside[-1][0] if rank.inside else ""
            place = rank.blocked_at if rank.blocked else where()
            self.trace.append(
                Event("wait", rank.number, rank.clock, time, what, place, transfer.other)
            )
            rank.clock = time

    # ----------------------------------------------------------------------------- collectives

    def enter(self, me: Rank, name: str, arrays: str, group: tuple[int, ...]) -> None:
        """Raises: MismatchedCollective: another rank entered something else at this point."""
        self.go_on()
        number, entries = me.entered[group], self.collectives[group]
        me.entered[group] += 1
        place = where()
        me.inside.append((name, number + 1))
        if number == len(entries):
            entries.append((name, arrays, me.number, place))
        elif entries[number][:2] != (name, arrays):
            first_name, first_arrays, first, there = entries[number]
            said = lambda name, arrays: f"{name} of {arrays}" if arrays else name
            raise MismatchedCollective(
                f"collective number {number + 1}: rank {first} entered "
                f"{said(first_name, first_arrays)} at {there}, rank {me.number} entered "
                f"{said(name, arrays)} at {place}; all ranks must enter the same ones, in the same "
                "order, with arrays of one shape"
            )


class VirtualCommunicator(Communicator):
    """The communicator of one rank of a `World`; `members` are its ranks' numbers there."""

    def __init__(self, world: World, me: Rank, members: tuple[int, ...]):
        super().__init__(members.index(me.number), len(members), me.ledger)
        self.world, self.me, self.members = world, me, members

    @property
    def time(self) -> float:
        return self.me.clock

    def _post(self, array: np.ndarray, to: int, tag: int) -> Request:
        return self.world.post(self.me, array, self.members[to], tag, self.members)

    def _expect(self, source: int, tag: int) -> Request:
        return self.world.expect(self.me, self.members[source], tag, self.members)

    def _group(self, ranks: tuple[int, ...]) -> Communicator:
        members = tuple(self.members[rank] for rank in ranks)
        return VirtualCommunicator(self.world, self.me, members)

    def _advance(self, flops: int | float, what: str) -> None:
        self.world.go_on()
        start = self.me.clock
        self.me.clock = start + flops / self.world.rate
        event = Event("compute", self.me.number, start, self.me.clock, what, where())
        self.world.trace.append(event)

    def _enter(self, name: str, arrays: str) -> None:
        self.world.enter(self.me, name, arrays, self.members)

    def _leave(self) -> None:
        self.me.inside.pop()
