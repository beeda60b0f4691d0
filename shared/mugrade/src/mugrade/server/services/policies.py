"""Policy, scores, late days and averages: pure functions over attempts; earning.py has the certificate's rule,
limits.py how often one may try.

Nothing here knows the database or the time of day; the same attempts always give the same score.
Arithmetic is exact (Fraction, Decimal); a problem's score is rounded to 0.01, half up, and an
assignment's score is the sum of what its problems show.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any, Literal

CENT = Decimal("0.01")
UTC: dt.tzinfo = dt.timezone.utc


@dataclass(frozen=True)
class LatePolicy:
    """Attributes:
    percent_per_day: lost for each day late that no free day covers.
    pooled_days: free late days a student has in the whole course.
    cutoff_days: days after the due time at which an assignment closes; None: never.
    grace_minutes: lateness that does not count.
    """

    percent_per_day: Decimal = Decimal(0)
    pooled_days: int = 0
    cutoff_days: int | None = None
    grace_minutes: int = 0


@dataclass(frozen=True)
class CertificateRule:
    """Attributes:
    average: per cent over the assignments that are needed.
    project: whether a final project is needed too.
    min_grade: per cent of the rubric's points that it needs.
    """

    average: Decimal = Decimal(80)
    project: bool = True
    min_grade: Decimal = Decimal(50)


@dataclass(frozen=True)
class Policy:
    """Attributes:
    drop_lowest: how many assignments are left out of an average, those without which it is highest.
    """

    late: LatePolicy = LatePolicy()
    certificate: CertificateRule = CertificateRule()
    drop_lowest: int = 0


def policy_from(data: Mapping[str, Any]) -> Policy:
    """The policy out of a course's stored JSON."""
    late, rule = dict(data.get("late", {})), dict(data.get("certificate", {}))
    if "percent_per_day" in late:
        late["percent_per_day"] = Decimal(str(late["percent_per_day"]))
    for name in {"average", "min_grade"} & rule.keys():
        rule[name] = Decimal(str(rule[name]))
    drop = int(data.get("average", {}).get("drop_lowest", 0))
    return Policy(LatePolicy(**late), CertificateRule(**rule), drop)


# --------------------------------------------------------------------------------------- time


State = Literal["not_open", "open", "late", "closed"]


@dataclass(frozen=True)
class Window:
    """When an assignment takes attempts of one account (its extension is in it).

    A day late is a day of the calendar where the course is (`zone`): one day after 20:00 is 20:00,
    also when the clocks were changed in the night between.
    """

    opens_at: dt.datetime | None = None
    due_at: dt.datetime | None = None
    cutoff_at: dt.datetime | None = None
    grace: dt.timedelta = dt.timedelta(0)
    zone: dt.tzinfo = UTC

    def state(self, now: dt.datetime) -> State:
        if self.opens_at is not None and now < self.opens_at:
            return "not_open"
        if self.cutoff_at is not None and now > self.cutoff_at + self.grace:
            return "closed"
        return "late" if self.late_days(now) else "open"

    def late_days(self, at: dt.datetime) -> int:
        """Days begun after the due time; 0 within the grace."""
        if self.due_at is None or at <= self.due_at + self.grace:
            return 0
        apart = at.astimezone(self.zone).date() - self.due_at.astimezone(self.zone).date()
        days = max(1, apart.days - 1)
        while at > days_after(self.due_at, days, self.zone):
            days += 1
        return days


def zone(name: str) -> dt.tzinfo:
    """Where clocks hang. UTC is known also where no time zones are installed."""
    return UTC if name == "UTC" else zoneinfo.ZoneInfo(name)


def days_after(moment: dt.datetime, days: int, zone: dt.tzinfo) -> dt.datetime:
    """The same time by the clock so many days of the calendar later."""
    return at_clock(moment.astimezone(zone).replace(tzinfo=None) + dt.timedelta(days=days), zone)


def at_clock(local: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
    """When the clocks of `zone` show `local`. Of a time that is shown twice the second; of one that
    the clocks leave out, as much later as they were put forward."""
    both = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return max(both)


def window(
    opens_at: dt.datetime | None,
    due_at: dt.datetime | None,
    cutoff_at: dt.datetime | None,
    extended_to: dt.datetime | None,
    late: LatePolicy,
    zone: dt.tzinfo = UTC,
) -> Window:
    """The window of one account: an extension moves due time and cut-off together, by the clock."""
    if due_at is not None and extended_to is not None and extended_to > due_at:
        if cutoff_at is not None:
            due, extended, cutoff = (
                moment.astimezone(zone).replace(tzinfo=None)
                for moment in (due_at, extended_to, cutoff_at)
            )
            cutoff_at = at_clock(cutoff + (extended - due), zone)
        due_at = extended_to
    if due_at is not None and cutoff_at is None and late.cutoff_days is not None:
        cutoff_at = days_after(due_at, late.cutoff_days, zone)
    return Window(opens_at, due_at, cutoff_at, dt.timedelta(minutes=late.grace_minutes), zone)


# -------------------------------------------------------------------------------------- scores


@dataclass(frozen=True)
class Try:
    """One attempt, as far as scores care."""

    id: str
    problem: str
    at: dt.datetime
    correct: int
    total: int


@dataclass(frozen=True)
class Task:
    """One assignment of one account: its problems' points, its window, staff's overrides, and how much
    it counts in the average; not at all for whom it is excused."""

    id: str
    points: Mapping[str, Decimal]
    window: Window = Window()
    overrides: Mapping[str, Decimal] = field(default_factory=dict)
    weight: Decimal = Decimal(1)
    excused: bool = False


@dataclass(frozen=True)
class ProblemResult:
    score: Decimal
    best: Try | None = None
    late_days: int = 0
    penalty_percent: Decimal = Decimal(0)
    overridden: bool = False


@dataclass(frozen=True)
class Result:
    """What one assignment came to.

    Attributes:
        pool_before: free late days that it could have: those that no other assignment took.
        days_used: how many of them it took.
        weight: in the average; 0 where it does not count.
    """

    id: str
    score: Decimal
    points: Decimal
    problems: Mapping[str, ProblemResult]
    pool_before: int
    days_used: int
    weight: Fraction = Fraction(1)
    excused: bool = False

    @property
    def percent(self) -> Fraction:
        return Fraction(self.score) / Fraction(self.points) * 100 if self.points else Fraction(0)


def round_points(value: Fraction) -> Decimal:
    return (Decimal(value.numerator) / Decimal(value.denominator)).quantize(CENT, ROUND_HALF_UP)


def penalty(days: int, covered: int, late: LatePolicy) -> Decimal:
    """Per cent lost by an attempt so many days late with so many of them free."""
    return min(Decimal(100), max(0, days - covered) * late.percent_per_day)


def score_of(correct: int, total: int, points: Decimal, lost_percent: Decimal) -> Decimal:
    if total <= 0:
        return Decimal("0.00")
    kept = 1 - Fraction(lost_percent) / 100
    return round_points(Fraction(points) * Fraction(correct, total) * kept)


def assignment_result(task: Task, tries: Iterable[Try], late: LatePolicy, pool: int) -> Result:
    """The best that the attempts allow with `pool` free late days left.

    Every lateness d that occurs is tried: attempts later than d do not count, and d of the free
    days (or what is left) are spent. The highest sum wins, the smaller d where sums are equal, so
    free days are spent only where that raises the score.
    """
    mine = [(t, task.window.late_days(t.at)) for t in tries if t.problem in task.points]
    best: tuple[Decimal, int, dict[str, ProblemResult]] | None = None
    for limit in sorted({0, *(days for _, days in mine)}):
        covered = min(pool, limit) if late.percent_per_day else 0
        problems = _problem_results(task, mine, late, limit, covered)
        total = sum((p.score for p in problems.values()), Decimal(0))
        if best is None or total > best[0]:
            best = (total, covered, problems)
    assert best is not None
    points = sum(task.points.values(), Decimal(0))
    weight = Fraction(task.weight) if points and not task.excused else Fraction(0)
    return Result(task.id, best[0], points, best[2], pool, best[1], weight, task.excused)


def _problem_results(
    task: Task, mine: Sequence[tuple[Try, int]], late: LatePolicy, limit: int, covered: int
) -> dict[str, ProblemResult]:
    results = {problem: ProblemResult(Decimal("0.00")) for problem in task.points}
    for attempt, days in sorted(mine, key=lambda pair: pair[0].at):
        if days > limit:
            continue
        lost = penalty(days, covered, late)
        score = score_of(attempt.correct, attempt.total, task.points[attempt.problem], lost)
        standing = results[attempt.problem]
        if standing.best is None or score > standing.score:
            results[attempt.problem] = ProblemResult(score, attempt, days, lost)
    for problem, points in task.overrides.items():
        if problem in results:
            standing = results[problem]
            results[problem] = ProblemResult(
                points.quantize(CENT, ROUND_HALF_UP),
                standing.best,
                standing.late_days,
                standing.penalty_percent,
                overridden=True,
            )
    return results


def course_results(
    tasks: Sequence[Task],
    tries: Mapping[str, Sequence[Try]],
    late: LatePolicy,
    drop_lowest: int = 0,
) -> dict[str, Result]:
    """Every assignment's result, with the free late days spent where they help most.

    The split of the pool that gives the highest average is taken, of equal ones that which spends
    fewer days, so another attempt never lowers an average. Deciding at the end is possible because
    nothing is stored: there is no counter that could drift.

    A split is best when no other comes out higher above the average that it reaches itself. With
    assignments that may be dropped that average is not known before, so it is found by steps, each
    of which begins at the average of the one before; without, the first is the last.

    Args:
        tries: attempts by assignment id.
        drop_lowest: how many assignments do not count.
    """
    options = [_by_days_granted(task, tries.get(task.id, ()), late) for task in tasks]
    drops = _drops([each[0] for each in options], drop_lowest)
    chosen = _best_split(options, late.pooled_days, drops, Fraction(0))
    while drops:
        reached = mean(kept(chosen, drop_lowest))
        better = _best_split(options, late.pooled_days, drops, reached)
        if mean(kept(better, drop_lowest)) <= reached:
            break
        chosen = better
    left = late.pooled_days - sum(result.days_used for result in chosen)
    return {r.id: replace(r, pool_before=left + r.days_used) for r in chosen}


Splits = dict[tuple[int, int], tuple[Fraction, list[Result]]]
"""Days spent and assignments dropped: the best sum for that, and its results."""


def _best_split(
    options: Sequence[Sequence[Result]], pool: int, drops: int, above: Fraction
) -> list[Result]:
    """One option of each assignment: the highest weighted sum of what they reach above `above`."""
    best: Splits = {(0, 0): (Fraction(0), [])}
    for each in options:
        best = _extended(best, each, pool, drops, above)
    days, dropped = max(best, key=lambda spent: (best[spent][0], -spent[0], -spent[1]))
    return best[days, dropped][1]


def _by_days_granted(task: Task, tries: Sequence[Try], late: LatePolicy) -> list[Result]:
    """The assignment's result for each number of free days worth granting; more days, more points."""
    latest = max(
        (task.window.late_days(t.at) for t in tries if t.problem in task.points), default=0
    )
    options = [assignment_result(task, tries, late, 0)]
    for granted in range(1, min(late.pooled_days, latest) + 1 if late.percent_per_day else 0):
        result = assignment_result(task, tries, late, granted)
        if result.score > options[-1].score:
            options.append(result)
    return options


def _extended(
    best: Splits, options: Sequence[Result], pool: int, drops: int, above: Fraction
) -> Splits:
    """One step of the knapsack, with one more assignment: each of its options, or none of its points."""
    longer: Splits = {}

    def put(spent: tuple[int, int], value: Fraction, results: list[Result]) -> None:
        if spent not in longer or value > longer[spent][0]:
            longer[spent] = (value, results)

    for (days, dropped), (total, chosen) in best.items():
        for option in options:
            if days + option.days_used <= pool:
                value = total + option.weight * (option.percent - above)
                put((days + option.days_used, dropped), value, [*chosen, option])
        if dropped < drops and options[0].weight:
            put((days, dropped + 1), total, [*chosen, options[0]])
    return longer


def days_left(results: Mapping[str, Result], late: LatePolicy) -> int:
    return late.pooled_days - sum(result.days_used for result in results.values())


def average(results: Mapping[str, Result], drop_lowest: int = 0) -> Decimal:
    """The mean of the percentages of those assignments that count, by their weights; 0.01, half up."""
    return round_points(mean(kept(results.values(), drop_lowest)))


def kept(results: Iterable[Result], drop_lowest: int) -> list[Result]:
    """Those that count when so many are dropped that the mean of the others is highest.

    One is always kept. Whoever is furthest below a mean pulls it down most, and dropping them gives a
    higher one, for which the same is asked until nothing changes.
    """
    counted = [result for result in results if result.weight]
    left = len(counted) - _drops(counted, drop_lowest)
    chosen = counted
    while len(counted) > left:
        reached = mean(chosen)
        pulls = sorted(counted, key=lambda r: r.weight * (r.percent - reached), reverse=True)
        if len(chosen) == left and mean(pulls[:left]) <= reached:
            break
        chosen = pulls[:left]
    names = {result.id for result in chosen}
    return [result for result in counted if result.id in names]


def _drops(results: Iterable[Result], drop_lowest: int) -> int:
    """How many may be dropped, so that one is left."""
    return max(0, min(drop_lowest, sum(bool(result.weight) for result in results) - 1))


def mean(results: Sequence[Result]) -> Fraction:
    """Of the percentages, by their weights, not rounded."""
    weight = sum((result.weight for result in results), Fraction(0))
    total = sum((result.weight * result.percent for result in results), Fraction(0))
    return total / weight if weight else Fraction(0)
