"""How far can sealed answers be read? An attack on a file such as answers.json.gz, with nothing else.

    python shared/mugrade/bench/sealed_attack.py [answers.json.gz] [--cases 40] [--guesses 40]

It knows the form of the file and this package's code, and tries what is cheapest first:

- each element by itself: which cells of the line does the file leave open?
- whole cases by enumeration: bools, small integers, names of types, the open cells of floats;
- arrays that are one repeated number;
- forgeries: claims that agree with all that the file tells of every element, right or not.

`--cases` cases are drawn, the cheapest ones among them surely; each gets `--guesses` dear guesses. What
everything would cost is computed from what one guess cost.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import math
import random
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mugrade.compare import Tolerance, compare
from mugrade.encoding import Array
from mugrade.server.services import sealed

TYPE_NAMES = ("int", "float", "float32", "float64", "bool", "str", "complex", "list", "tuple")
INTEGERS = 512
"""How many integers somebody would try who knows what the number is about."""
PRICES = (("a minute", 60), ("an hour", 3600), ("a day", 86400), ("a year", 365 * 86400))


@dataclass
class Case:
    """One sealed case and what an attacker knows about it."""

    name: str
    data: dict[str, Any]
    tolerance: Tolerance

    def __post_init__(self) -> None:
        self.answer = sealed.unseal_tree(self.data)
        self.leaves = list(_leaves_of(self.answer.tree))

    @property
    def guesses(self) -> float:
        """The decimal logarithm of how many claims have to be tried."""
        return sum(_guesses(leaf, self.tolerance) for leaf in self.leaves)

    def is_right(self, claim: Any) -> bool:
        return compare(self.answer, claim).correct

    def claims(self, count: int) -> Iterator[Any]:
        """At most `count` claims to try, the likely ones first."""
        choices = [_values(leaf, self.tolerance, count) for leaf in self.leaves]
        for values in itertools.islice(itertools.product(*choices), count):
            yield _fill(self.answer.tree, iter(values))


def read(path: Path) -> list[Case]:
    data = json.loads(gzip.decompress(path.read_bytes()))
    return [
        Case(
            f"{problem['assignment']}/{problem['problem']}, {label}",
            value,
            Tolerance(**problem["tolerance"]).override(problem["case_tolerances"].get(str(index))),
        )
        for problem in data["problems"]
        for variant in problem["variants"]
        for index, (label, value) in enumerate(zip(problem["labels"], variant["values"]))
    ]


def _leaves_of(tree: Any) -> Iterator[sealed.Leaf]:
    if isinstance(tree, list):
        for item in tree:
            yield from _leaves_of(item)
    elif isinstance(tree, dict):
        for key in tree:
            yield from _leaves_of(tree[key])
    else:
        yield tree


def _fill(tree: Any, values: Iterator[Any]) -> Any:
    if isinstance(tree, list):
        return [_fill(item, values) for item in tree]
    if isinstance(tree, dict):
        return {key: _fill(item, values) for key, item in tree.items()}
    return next(values)


# ------------------------------------------------------------------------------- what leaves leave open


def _guesses(leaf: sealed.Leaf, tolerance: Tolerance) -> float:
    if leaf.data[sealed.SEALED] != "array":
        return math.log10(len(TYPE_NAMES)) if leaf.data[sealed.SEALED] != "null" else 0.0
    size, kind = math.prod(leaf.data["shape"]), leaf.data["kind"]
    if kind == "f":
        return size * math.log10(max(2, len(open_cells(leaf, tolerance)))) if size else 0.0
    return size * math.log10(2 if kind == "b" else INTEGERS)


def largest(leaf: sealed.Leaf, tolerance: Tolerance) -> float:
    """The most that the largest element can be; half of it is the least."""
    return leaf.data["a"] / tolerance.ascale if tolerance.ascale else 2.0**30 * leaf.data["a"]


def open_cells(leaf: sealed.Leaf, tolerance: Tolerance) -> range:
    """The numbers of the cells in which an element can lie; the hash is of all elements at once, so
    that none of them can be ruled out. A number alone is its own largest: half of them are."""
    top = largest(leaf, tolerance)
    high = _cell(leaf, top)
    if math.prod(leaf.data["shape"]) == 1 and tolerance.atol == 0:
        return range(2 * (high - _cell(leaf, top / 2)))
    return range(-high, high + 1)


def _cell(leaf: sealed.Leaf, x: float) -> int:
    return math.floor(sealed.position(leaf.data, np.array([x]))[0])


def _values(leaf: sealed.Leaf, tolerance: Tolerance, count: int) -> list[Any]:
    """Values to try for one leaf, the likely ones first."""
    if leaf.data[sealed.SEALED] != "array":
        return [None] if leaf.data[sealed.SEALED] == "null" else list(TYPE_NAMES)
    size, kind = math.prod(leaf.data["shape"]), leaf.data["kind"]
    if kind == "f":
        return _floats(leaf, tolerance, size, count)
    if kind == "b":
        rows: Any = itertools.product((False, True), repeat=size)
    else:
        least = 0 if kind == "u" else -INTEGERS // 2
        near = sorted(range(least, INTEGERS // 2), key=abs)
        rows = itertools.product(near, repeat=size)
    dtype = {"b": bool, "u": np.uint64}.get(kind, np.int64)
    return [_array(leaf, np.array(row, dtype=dtype)) for row in itertools.islice(rows, count)]


def _floats(leaf: sealed.Leaf, tolerance: Tolerance, size: int, count: int) -> list[Any]:
    """Arrays of one repeated number: zeros, ones, then the middles of the open cells in any order."""
    cells, data = open_cells(leaf, tolerance), leaf.data
    drawn = np.random.RandomState(0).choice(cells, min(len(cells), count), replace=False)
    way = sealed.hints(data, size)[0] / sealed.WAYS
    places = drawn + 0.5 - way - sealed.place(data, leaf.salt, np.zeros(size))[0]
    numbers = [0.0, 1.0, -1.0, *sealed.number_at(data, places).tolist()]
    return [_array(leaf, np.full(size, x)) for x in numbers]


def _array(leaf: sealed.Leaf, flat: np.ndarray) -> Array:
    return Array(flat.reshape(leaf.data["shape"]), leaf.data["dtype"], leaf.data["explicit"])


def forgery(case: Case, rng: np.random.RandomState) -> Any:
    """A claim that agrees with everything that the file tells of every element."""
    values = []
    for leaf in case.leaves:
        if leaf.data[sealed.SEALED] != "array" or leaf.data["kind"] != "f":
            values.append(_values(leaf, case.tolerance, 1)[0])
            continue
        size = math.prod(leaf.data["shape"])
        flat = np.zeros(size)
        wrong = np.ones(size, dtype=bool)
        while wrong.any():
            tried = rng.uniform(-1, 1, size) * largest(leaf, case.tolerance)
            place = sealed.place(leaf.data, leaf.salt, tried)
            middle = (place + sealed.hints(leaf.data, size) / sealed.WAYS) % 1 - 0.5
            fits = wrong & (np.abs(middle) <= 0.5 / sealed.WAYS)
            flat[fits], wrong = tried[fits], wrong & ~fits
        values.append(_array(leaf, flat))
    return _fill(case.answer.tree, iter(values))


# ----------------------------------------------------------------------------------------- the attack


@dataclass
class Outcome:
    """What the attack came to; `read` and `forged` name cases."""

    cases: int
    tried: int
    open_median: float
    read: list[str]
    forged: list[str]
    seconds_a_guess: float
    within: dict[str, int]
    numbers: int
    number_seconds: float


def attack(cases: list[Case], count: int, guesses: int, seed: int = 0) -> Outcome:
    float_leaves = [
        (leaf, case.tolerance)
        for case in cases
        for leaf in case.leaves
        if leaf.data[sealed.SEALED] == "array" and "hints" in leaf.data
    ]
    by_price = sorted(cases, key=lambda case: case.guesses)
    rest = by_price[count // 2 :]
    drawn = by_price[: count // 2] + random.Random(seed).sample(
        rest, min(len(rest), count - count // 2)
    )
    rng = np.random.RandomState(seed)
    began = time.process_time()

    def solve(case: Case) -> tuple[bool, int]:
        number = 0
        for number, claim in enumerate(case.claims(guesses), 1):
            if case.is_right(claim):
                return True, number
        return False, number

    forgeries = [(case, forgery(case, rng)) for case in drawn]
    with ThreadPoolExecutor() as pool:
        solved = list(pool.map(solve, drawn))
        forged = list(pool.map(lambda pair: pair[0].is_right(pair[1]), forgeries))
    hard = sum(number for _, number in solved) + len(forged)
    seconds = (time.process_time() - began) / hard
    scalars = [
        case.guesses for case in cases if len(case.leaves) == 1 and _is_number(case.leaves[0])
    ]
    return Outcome(
        cases=len(cases),
        tried=len(drawn),
        open_median=statistics.median(len(open_cells(*pair)) for pair in float_leaves),
        read=[case.name for case, (right, _) in zip(drawn, solved) if right],
        forged=[case.name for case, right in zip(drawn, forged) if right],
        seconds_a_guess=seconds,
        within={
            word: sum(case.guesses + math.log10(seconds) <= math.log10(limit) for case in cases)
            for word, limit in PRICES
        },
        numbers=len(scalars),
        number_seconds=seconds * 10 ** statistics.median(scalars) if scalars else 0.0,
    )


def _is_number(leaf: sealed.Leaf) -> bool:
    return (
        leaf.data[sealed.SEALED] == "array"
        and leaf.data["kind"] == "f"
        and math.prod(leaf.data["shape"]) == 1
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, nargs="?", default=Path("answers.json.gz"))
    parser.add_argument("--cases", type=int, default=40)
    parser.add_argument("--guesses", type=int, default=40)
    parser.add_argument("--json", action="store_true", help="one line for programs")
    given = parser.parse_args()
    found = attack(read(given.file), given.cases, given.guesses)
    if given.json:
        print(json.dumps(vars(found)))
        return
    print(
        f"{found.cases} cases in {given.file}; one guess costs {found.seconds_a_guess:.3f} s of a processor"
    )
    print(
        f"cells open for a float's element, median: {found.open_median:,.0f}, and none can be tried alone"
    )
    print(f"cases read: {len(found.read)} of {found.tried} tried with {given.guesses} guesses each")
    for name in found.read:
        print(f"    {name}")
    print(
        f"cases forged: {len(found.forged)} of {found.tried}, from claims that agree with every hint"
    )
    print("cases that one processor has read through within")
    for word, number in found.within.items():
        print(f"    {word:9} {number:4}")
    print(
        f"a single float ({found.numbers} cases): {found.number_seconds / 60:.0f} minutes, median"
    )


if __name__ == "__main__":
    main()
