"""The self-check before publishing: would these answers grade fairly?

Hooks run twice on the reference, and in other trees or environments on request; `compare` is the
grader's own. Each finding is one sentence naming problem and case.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mugrade.client.errors import UsageFault
from mugrade.client.run import HookResult, run_hooks
from mugrade.compare import Tolerance, compare
from mugrade.encoding import decode
from mugrade.plan import Plan

Runs = dict[str, list[HookResult]]


def by_problem(results: Sequence[HookResult]) -> Runs:
    out: Runs = {}
    for result in results:
        out.setdefault(result.problem, []).append(result)
    return out


@dataclass(frozen=True)
class WrongTree:
    """A tree whose values must not be taken for right ones.

    Attributes:
        problem: only this problem's hook is run in it (a mutant of one problem); None: all.
        empty: not one case may match (the empty handout); otherwise not all of a variant's.
    """

    folder: Path
    problem: str | None = None
    empty: bool = False

    @classmethod
    def parse(cls, text: str) -> WrongTree:
        """`DIR` or `PROBLEM=DIR`."""
        problem, equals, folder = text.partition("=")
        return cls(Path(folder), problem) if equals else cls(Path(text))


class Checker:
    """Runs and compares the hooks of one selection.

    Args:
        plan: the plan with its variants; copied for every run.
        folder: the reference's tree.
        tolerances: by problem; the default for others.
        step: called with what is being done, how many parts of it are done, and of how many.
    """

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        *,
        select: str | None = None,
        flags: Sequence[str] = (),
        tolerances: dict[str, Tolerance] | None = None,
        step: Callable[[str, int, int], None] = lambda what, done, total: None,
    ) -> None:
        self.plan, self.folder, self.select, self.flags = plan, folder, select, flags
        self.tolerances, self.step = tolerances or {}, step
        self.seconds = 0.0

    def run(
        self,
        folder: Path | None = None,
        environment: dict[str, str] | None = None,
        only: list[str] | None = None,
        seconds: float | None = None,
    ) -> Runs:
        plan = dataclasses.replace(self.plan, only=only or self.plan.only)
        began = time.monotonic()
        results = run_hooks(
            plan,
            folder or self.folder,
            select=None if only else self.select,
            flags=self.flags,
            environment=environment,
            seconds=seconds,
        )
        self.seconds = max(self.seconds, time.monotonic() - began)
        return by_problem(results)

    def matches(self, expected: HookResult, found: HookResult | None) -> list[bool]:
        """For each case, whether `found` would be graded right."""
        tolerance = self.tolerances.get(expected.problem, Tolerance())
        claims = [] if found is None else [decode(case["value"]) for case in found.cases]
        return [
            index < len(claims) and compare(decode(case["value"]), claims[index], tolerance).correct
            for index, case in enumerate(expected.cases)
        ]

    def examine(
        self,
        reference: Runs,
        *,
        wrong: Sequence[WrongTree] = (),
        vary: Sequence[dict[str, str]] = (),
        allow_constant: bool = False,
    ) -> dict[str, list[str]]:
        """All findings, by problem; an empty list is a pass."""
        findings = {
            name: own_findings(results, allow_constant) for name, results in reference.items()
        }
        reference = {name: results for name, results in reference.items() if not findings[name]}
        if not reference:
            return findings
        words: dict[str, dict[str, str]] = {"in a second run": {}}
        words |= {"with " + " ".join(f"{k}={v}" for k, v in e.items()): e for e in vary}
        for number, (how, environment) in enumerate(words.items()):
            self.step("Running the hooks again", number, len(words))
            self._must_agree(reference, self.run(environment=environment), how, findings)
        self._must_not_match(reference, wrong, findings)
        return findings

    def _must_agree(
        self, reference: Runs, again: Runs, words: str, findings: dict[str, list[str]]
    ) -> None:
        for name, results in reference.items():
            other = {result.variant: result for result in again.get(name, [])}
            wrong = {
                case["label"]
                for result in results
                for case, good in zip(result.cases, self.matches(result, other.get(result.variant)))
                if not good
            }
            findings[name] += [
                f"case {label!r} is another value {words}" for label in sorted(wrong)
            ]

    def _must_not_match(
        self, reference: Runs, trees: Sequence[WrongTree], findings: dict[str, list[str]]
    ) -> None:
        """Run every wrong tree, several at a time, and look for what it would get points for."""
        trees = [t for t in trees if t.problem is None or t.problem in reference]
        patience = 60 + 20 * self.seconds  # of one hook: a wrong loop may never end
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            runs = [pool.submit(self._run_wrong, tree, reference, patience) for tree in trees]
            for number, (tree, run) in enumerate(zip(trees, runs)):
                self.step("Running the hooks in wrong trees", number, len(trees))
                found = run.result()
                for name in [tree.problem] if tree.problem else reference:
                    findings[name] += self._undeserved(tree, reference[name], found.get(name, []))

    def _run_wrong(self, tree: WrongTree, reference: Runs, seconds: float) -> Runs:
        try:
            return self.run(
                tree.folder, None, [tree.problem] if tree.problem else list(reference), seconds
            )
        except UsageFault as fault:
            if fault.code == "broken":  # what cannot be imported gets no points
                return {}
            raise

    def _undeserved(
        self, tree: WrongTree, expected: list[HookResult], found: list[HookResult]
    ) -> list[str]:
        """At most one finding: where the tree's values would be graded right."""
        others = {result.variant: result for result in found}
        for result in expected:
            good = self.matches(result, others.get(result.variant))
            if all(good):
                return [f"{tree.folder.name} matches in every case of variant {result.variant}"]
            if tree.empty and any(good):
                label = result.cases[good.index(True)]["label"]
                return [f"{tree.folder.name} matches in the case {label!r}: points for nothing"]
        return []


def own_findings(results: list[HookResult], allow_constant: bool = False) -> list[str]:
    """What can be seen from the reference's runs alone."""
    out = [
        f"the hook did not finish (variant {r.variant}): {r.message or r.outcome}"
        for r in results
        if r.outcome != "ok"
    ][:1]
    if out:
        return out
    lengths = {len(result.cases) for result in results}
    if lengths == {0}:
        return ["the hook never calls mugrade.submit"]
    if len(lengths) > 1:
        return [f"variants have different numbers of cases: {sorted(lengths)}"]
    out += [f"case {c['label']!r} is empty" for c in results[0].cases if is_empty(c["value"])]
    constant = constant_cases(results)
    if not allow_constant and 0 < len(constant) < len(results[0].cases):
        labels = ", ".join(repr(results[0].cases[i]["label"]) for i in constant)
        out.append(f"the same value in every variant, although other cases vary: {labels}")
    return out


def constant_cases(results: list[HookResult]) -> list[int]:
    """Indices of cases whose value is the same in all of several variants."""
    if len(results) < 2:
        return []
    columns = zip(*([json.dumps(c["value"], sort_keys=True) for c in r.cases] for r in results))
    return [index for index, column in enumerate(columns) if len(set(column)) == 1]


def is_empty(value: Any) -> bool:
    """Nothing to compare: None, an empty text, sequence or array, or only such things."""
    if isinstance(value, dict) and value.get("_encoded_type") == "np.ndarray":
        return 0 in value["shape"]
    if isinstance(value, dict):
        return all(is_empty(item) for item in value.values())
    if isinstance(value, list):
        return all(is_empty(item) for item in value)
    return value is None or value == ""
