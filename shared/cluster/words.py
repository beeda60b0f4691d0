"""What a virtual cluster says when nobody can go on, or when something is left over at the end."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from cluster.faults import ClusterError, Deadlock, NeverReceived, NeverWaited

if TYPE_CHECKING:
    from cluster.virtual import Rank, Transfer

SHOWN = 8
"""Ranks that a message lists; of more it says how many there are."""

Ends = dict[tuple, "deque[Transfer]"]


def deadlock(ranks: list[Rank], sent: Ends, expected: Ends) -> Deadlock:
    """Who waits for whom, and where; the circle, if there is one, and how one gets out of it."""
    waiting = [rank for rank in ranks if not rank.done]
    rows = [_row(rank, ranks, sent, expected) for rank in waiting[:SHOWN]]
    rows += [f"and {len(waiting) - SHOWN} ranks more"] if len(waiting) > SHOWN else []
    circles = (_circle(rank, ranks) for rank in waiting)
    if circle := next(filter(None, circles), None):
        rows.append(
            "in a circle: " + " -> ".join(str(rank.number) for rank in [*circle, circle[0]])
        )
        if all(rank.blocked and rank.blocked.sends for rank in circle):
            rows.append(
                "a send ends when it is received: begin it with isend, receive, then wait for it"
            )
        else:
            rows.append("one of them must send before it receives")
    return Deadlock("no rank can go on\n  " + "\n  ".join(rows))


def _row(rank: Rank, ranks: list[Rank], sent: Ends, expected: Ends) -> str:
    end = rank.blocked
    assert end is not None
    inside = "".join(f", in {name} (collective {number})" for name, number in rank.inside[:1])
    if end.sends:
        doing = f"to receive {_size(end)}"
    else:
        doing = "to send"
    row = f"rank {rank.number} waits for rank {end.other} {doing} (tag {end.tag}) at {rank.blocked_at}"
    row += f" (begun at {end.where})" if end.where != rank.blocked_at else ""
    other = ranks[end.other]
    row += inside + (f"; rank {end.other} has ended" if other.done else "")
    return row + _other_tags(rank, end, expected if end.sends else sent)


def _other_tags(rank: Rank, end: Transfer, others: Ends) -> str:
    """What the other one does with another tag."""
    tags = sorted(
        one.tag
        for queue in others.values()
        for one in queue
        if one.rank.number == end.other and one.other == rank.number and one.tag != end.tag
    )
    if not tags:
        return ""
    verb = "expects" if end.sends else "has sent"
    return f"; rank {end.other} {verb} tag {', '.join(map(str, tags))}"


def _circle(rank: Rank, ranks: list[Rank]) -> list[Rank]:
    """The circle of ranks that wait for one another which `rank` leads to; [] without one."""
    seen: list[Rank] = []
    while rank not in seen:
        if rank.blocked is None:  # it has ended
            return []
        seen.append(rank)
        rank = ranks[rank.blocked.other]
    return seen[seen.index(rank) :]


def left_over(transfers: list[Transfer]) -> ClusterError | None:
    """What nobody received or waited for, when all ranks have ended."""
    for one in transfers:
        if one.sends and not one.taken:
            return NeverReceived(
                f"rank {one.rank.number} sent {_size(one)} to rank {one.other} (tag {one.tag}) at "
                f"{one.where}, and rank {one.other} ended without receiving it"
            )
    for one in transfers:
        if not one.waited:
            verb, rest = ("isend to", "") if one.sends else ("irecv from", " and has no array")
            return NeverWaited(
                f"rank {one.rank.number} ended without waiting for its {verb} rank {one.other} "
                f"(tag {one.tag}) at {one.where}: without wait() nobody knows when it is done{rest}"
            )
    return None


def _size(one: Transfer) -> str:
    assert one.data is not None
    return f"{one.data.nbytes} bytes ({one.data.dtype} {one.data.shape})"
