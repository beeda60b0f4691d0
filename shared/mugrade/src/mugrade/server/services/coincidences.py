"""What staff may want to look at: equal values, equal sources, bursts, people who hand in side by side.

A report, never a verdict: each of these has innocent reasons, which the page names. Nothing here changes
a score. Attempts are read as they come (follow.py); those of the last minute come with the next view.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from mugrade.server.errors import not_found
from mugrade.server.models import Account, Attempt, LookedAt, SourceBundle
from mugrade.server.services import audit, follow
from mugrade.server.services.accounts import Actor
from mugrade.server.services.courses import CourseView
from mugrade.words import count

Kind = Literal["values", "sources", "burst", "together"]
SHARED_MISTAKE = 3
"""Equal wrong values of more people than these are a mistake that the handout invites."""
BURST = dt.timedelta(minutes=10)
BURST_PROBLEMS, BURST_RARITY = 5, 3.0
"""So many problems, and one in so many powers of ten if everybody were like the class."""
SITTING = dt.timedelta(minutes=30)
TOGETHER = dt.timedelta(minutes=2)
TOGETHER_TIMES = 3
MOST = 10
"""Findings of a kind that are shown; the others come up when these are looked at."""
_QUERY = (
    select(
        Attempt.pk,
        Attempt.id,
        Attempt.account_pk,
        Attempt.problem_pk,
        Attempt.variant,
        Attempt.digest,
        Attempt.correct,
        Attempt.total,
        Attempt.created_at,
        Attempt.origin,
        SourceBundle.digest.label("source"),
    )
    .join(Account, Account.pk == Attempt.account_pk)
    .outerjoin(SourceBundle, SourceBundle.attempt_pk == Attempt.pk)
    .where(Account.role == "student")
)


class Mark(NamedTuple):
    """One attempt, as far as coincidences care."""

    attempt: str
    at: dt.datetime
    right: bool
    variant: int


Alike = dict[tuple[int, str], dict[int, Mark]]
"""By problem and digest: of each account its first attempt with it."""


@dataclass
class _Kept(follow.Kept):
    values: Alike = field(default_factory=lambda: defaultdict(dict))
    sources: Alike = field(default_factory=lambda: defaultdict(dict))
    firsts: dict[int, dict[int, Mark]] = field(default_factory=lambda: defaultdict(dict))
    solved: dict[int, dict[int, Mark]] = field(default_factory=lambda: defaultdict(dict))
    found: tuple[object, list[Finding]] = (None, [])
    """What was found, with what it was found in: the last attempt, and the people's names."""

    def add(self, row: Row[Any]) -> None:
        right = bool(row.total) and row.correct == row.total
        mark = Mark(row.id, row.created_at, right, row.variant)
        account, problem = row.account_pk, row.problem_pk
        if row.digest:
            self.values[problem, row.digest].setdefault(account, mark)
        if right and row.source:
            self.sources[problem, row.source].setdefault(account, mark)
        self.firsts[account].setdefault(problem, mark)
        if right:
            self.solved[account].setdefault(problem, mark)


@dataclass(frozen=True)
class Finding:
    """Something to look at.

    Attributes:
        key: the same as long as the same people and the same attempts are meant.
        people: id and name.
        attempts: of each the public id, whose it is, and its problem.
        weight: the higher, the less likely by chance.
    """

    kind: Kind
    key: str
    people: list[tuple[str, str]]
    places: list[str]
    attempts: list[tuple[str, str, str]]
    words: str
    weight: float


@dataclass(frozen=True)
class Note:
    """What staff found."""

    text: str
    author: str
    at: dt.datetime


@dataclass(frozen=True)
class Report:
    """By kind what nobody has looked at yet, the least likely first, and how many more there are; and what
    was looked at with its note."""

    new: dict[Kind, list[Finding]]
    more: Counter[Kind]
    seen: list[tuple[Finding, Note]]


def report(session: Session, course: CourseView, now: dt.datetime) -> Report:
    """All that the settled attempts of the course's students give."""
    noted = {
        row.key: Note(row.note, name, row.created_at)
        for row, name in session.execute(
            select(LookedAt, Account.name)
            .join(Account, Account.pk == LookedAt.author_pk)
            .where(LookedAt.course_pk == course.pk)
        )
    }
    new: dict[Kind, list[Finding]] = {"values": [], "sources": [], "burst": [], "together": []}
    more, seen = Counter[Kind](), []
    for finding in _findings(session, course, now):
        if finding.key in noted:
            seen.append((finding, noted[finding.key]))
        elif len(new[finding.kind]) < MOST:
            new[finding.kind].append(finding)
        else:
            more[finding.kind] += 1
    return Report(new, more, seen)


def look_at(
    session: Session, now: dt.datetime, actor: Actor, course: CourseView, key: str, note: str
) -> None:
    """Keep what staff found out about a finding; it is then listed below."""
    finding = next((f for f in _findings(session, course, now) if f.key == key), None)
    if finding is None:
        raise not_found("finding")
    row = session.scalar(
        select(LookedAt).where(LookedAt.course_pk == course.pk, LookedAt.key == key)
    )
    if row is None:
        row = LookedAt(course_pk=course.pk, key=key)
        session.add(row)
    row.note, row.author_pk, row.created_at = note, actor.pk, now
    session.flush()
    audit.record(
        session,
        now,
        actor=actor.email,
        action="looked-at",
        object=f"{finding.kind} {key}",
        course_pk=course.pk,
        people=[name for _, name in finding.people],
        note=note,
    )


def _findings(session: Session, course: CourseView, now: dt.datetime) -> list[Finding]:
    kept = follow.kept(session, course, "coincidences", lambda: _Kept(course.version))
    people = {
        pk: (public, name)
        for pk, public, name in session.execute(
            select(Account.pk, Account.id, Account.name).where(
                Account.course_pk == course.pk, Account.role == "student"
            )
        )
    }
    places = {p.pk: f"{a.id}/{p.id}" for a in course.assignments for p in a.problems}
    with kept.lock:
        follow.read_on(session, _QUERY.where(Account.course_pk == course.pk), kept, now, kept.add)
        state = (kept.last, people)
        if kept.found[0] != state:
            look = _Look(kept, people, places)
            found = [*look.values(), *look.sources(), *look.bursts(), *look.together()]
            found.sort(key=lambda finding: (-finding.weight, finding.key))
            kept.found = state, found
        return kept.found[1]


@dataclass(frozen=True)
class _Look:
    """The kinds of findings, over what is kept; people and problems by primary key."""

    kept: _Kept
    people: dict[int, tuple[str, str]]
    places: dict[int, str]

    def _finding(
        self,
        kind: Kind,
        marks: Sequence[tuple[int, int, Mark]],
        words: str,
        weight: float,
        of: object = "",
    ) -> Finding:
        """Of these (account, problem, attempt); `of` tells it from others of the same people."""
        accounts = sorted({account for account, _, _ in marks if account in self.people})
        about = (kind, [self.people[pk][0] for pk in accounts], str(of))
        return Finding(
            kind,
            hashlib.sha256(repr(about).encode()).hexdigest()[:16],
            [self.people[pk] for pk in accounts],
            sorted({self.places[problem] for _, problem, _ in marks if problem in self.places}),
            [
                (mark.attempt, self.people[account][1], self.places.get(problem, ""))
                for account, problem, mark in marks
                if account in self.people
            ],
            words,
            weight,
        )

    def values(self) -> Iterator[Finding]:
        """Whose variants differ should not have equal values, unless those are right for both."""
        for (problem, digest), marks in self.kept.values.items():
            right = sum(mark.right for mark in marks.values())
            variants = len({mark.variant for mark in marks.values()})
            if variants < 2 or right == len(marks) or (not right and len(marks) > SHARED_MISTAKE):
                continue
            words = f"{len(marks)} students with {variants} variants sent the same values, " + (
                f"which are right for {right}" if right else "which are right for none of them"
            )
            found = [(account, problem, mark) for account, mark in marks.items()]
            yield self._finding("values", found, words, bool(right) + 1 / len(marks), digest)

    def sources(self) -> Iterator[Finding]:
        """The same files behind right attempts, for one problem or several."""
        alike: dict[tuple[str, tuple[int, ...]], list[tuple[int, int, Mark]]] = defaultdict(list)
        for (problem, digest), marks in self.kept.sources.items():
            if len(marks) > 1:
                found = [(account, problem, mark) for account, mark in marks.items()]
                alike[digest, tuple(sorted(marks))] += found
        for (digest, accounts), found in alike.items():
            problems = len(found) // len(accounts)
            words = f"{len(accounts)} students sent the same source with right attempts"
            yield self._finding("sources", found, words, problems / len(accounts), digest)

    def bursts(self) -> Iterator[Finding]:
        """Many problems right at the first attempt within minutes that cost the class some attempts."""
        tried, right = Counter[int](), Counter[int]()
        for firsts in self.kept.firsts.values():
            tried.update(firsts.keys())
            right.update(problem for problem, mark in firsts.items() if mark.right)
        shares = {problem: (right[problem] + 1) / (tried[problem] + 2) for problem in tried}
        for account, firsts in self.kept.firsts.items():
            marks = sorted(
                ((m.at, p, m) for p, m in firsts.items() if m.right), key=lambda item: item[0]
            )
            best = max(_windows(marks), key=len, default=[])
            rarity = -sum(math.log10(shares[problem]) for _, problem, _ in best)
            if len(best) < BURST_PROBLEMS or rarity < BURST_RARITY:
                continue
            minutes = max(1, math.ceil((best[-1][0] - best[0][0]).total_seconds() / 60))
            low, high = (round(100 * f(shares[p] for _, p, _ in best)) for f in (min, max))
            words = (
                f"{len(best)} problems right at the first attempt within {count(minutes, 'minute')}; "
                f"{low}% to {high}% of the class had each right at the first"
            )
            found = [(account, problem, mark) for _, problem, mark in best]
            yield self._finding("burst", found, words, rarity, sorted(p for _, p, _ in best))

    def together(self) -> Iterator[Finding]:
        """Pairs that solve problems within two minutes of each other again and again."""
        sittings = sorted(
            (first.at, account, first)
            for account, solved in self.kept.solved.items()
            for first in _sittings(solved.values())
        )
        total = Counter(account for _, account, _ in sittings)
        pairs: dict[tuple[int, int], list[tuple[int, int, Mark]]] = defaultdict(list)
        for index, (at, account, mark) in enumerate(sittings):
            for later, other, theirs in sittings[index + 1 :]:
                if later - at > TOGETHER:
                    break
                if other != account:
                    both = (min(account, other), max(account, other))
                    pairs[both] += [(account, 0, mark), (other, 0, theirs)]
        for both, found in pairs.items():
            times, most = len(found) // 2, min(total[pk] for pk in both)
            if times >= TOGETHER_TIMES and 2 * times > most:
                words = (
                    f"handed in right work within two minutes of each other {times} times, of "
                    f"{' and '.join(str(total[pk]) for pk in both)} sittings"
                )
                yield self._finding("together", found, words, times / most * times)


def _windows(
    marks: Sequence[tuple[dt.datetime, int, Mark]],
) -> Iterator[Sequence[tuple[dt.datetime, int, Mark]]]:
    """For each of these, by time, it and what comes within `BURST` after it."""
    end = 0
    for start, (at, _, _) in enumerate(marks):
        while end < len(marks) and marks[end][0] - at <= BURST:
            end += 1
        yield marks[start:end]


def _sittings(marks: Iterable[Mark]) -> Iterator[Mark]:
    """The first of each run with no pause of `SITTING` in it."""
    ordered = sorted(marks, key=lambda mark: mark.at)
    yield from ordered[:1]
    for before, mark in itertools.pairwise(ordered):
        if mark.at - before.at > SITTING:
            yield mark
