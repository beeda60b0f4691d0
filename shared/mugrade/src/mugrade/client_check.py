"""The self-check before publishing: would these answers grade fairly?

Hooks run twice on the reference, and in other trees or environments on request; `compare` is the
grader's own. Each finding is one sentence naming problem and case.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mugrade.client_run import HookResult, run_hooks
from mugrade.compare import Tolerance, compare
from mugrade.encoding import decode
from mugrade.plugin import Plan

Runs = dict[str, list[HookResult]]


def by_problem(results: Sequence[HookResult]) -> Runs:
    out: Runs = {}
    for result in results:
        out.setdefault(result.problem, []).append(result)
    return out


class Checker:
    """Runs and compares the hooks of one selection.

    Args:
        plan: the plan with its variants; copied for every run.
        folder: the reference's tree.
        tolerances: by problem; the default for others.
    """

    def __init__(
        self, plan: Plan, folder: Path, *, select: str | None = None, flags: Sequence[str] = (),
        tolerances: dict[str, Tolerance] | None = None,
    ) -> None:  # fmt: skip
        self.plan, self.folder, self.select, self.flags = plan, folder, select, flags
        self.tolerances = tolerances or {}

    def run(self, folder: Path | None = None, environment: dict[str, str] | None = None) -> Runs:
        return by_problem(
            run_hooks(
                self.plan,
                folder or self.folder,
                select=self.select,
                flags=self.flags,
                environment=environment,
            )
        )

    def differences(self, expected: HookResult, found: HookResult | None) -> list[str]:
        """The labels of the cases in which `found` would not be graded right."""
        tolerance = self.tolerances.get(expected.problem, Tolerance())
        wrong = []
        for index, case in enumerate(expected.cases):
            claim = found.cases[index]["value"] if found and index < len(found.cases) else None
            if (
                found is None
                or not compare(decode(case["value"]), decode(claim), tolerance).correct
            ):
                wrong.append(case["label"])
        return wrong

    def examine(
        self,
        reference: Runs,
        *,
        must_differ: Sequence[Path] = (),
        vary: Sequence[dict[str, str]] = (),
    ) -> dict[str, list[str]]:
        """All findings, by problem; an empty list is a pass."""
        findings = {name: own_findings(results) for name, results in reference.items()}
        reference = {name: results for name, results in reference.items() if not findings[name]}
        if not reference:
            return findings
        self._must_agree(reference, self.run(), "in a second run", findings)
        for environment in vary:
            words = "with " + " ".join(f"{k}={v}" for k, v in environment.items())
            self._must_agree(reference, self.run(environment=environment), words, findings)
        for tree in must_differ:
            self._must_not_match(reference, self.run(tree), tree, findings)
        return findings

    def _must_agree(
        self, reference: Runs, again: Runs, words: str, findings: dict[str, list[str]]
    ) -> None:
        for name, results in reference.items():
            other = {result.variant: result for result in again.get(name, [])}
            wrong = {label for r in results for label in self.differences(r, other.get(r.variant))}
            findings[name] += [
                f"case {label!r} is another value {words}" for label in sorted(wrong)
            ]

    def _must_not_match(
        self, reference: Runs, found: Runs, tree: Path, findings: dict[str, list[str]]
    ) -> None:
        for name, results in reference.items():
            other = {result.variant: result for result in found.get(name, [])}
            if not any(self.differences(r, other.get(r.variant)) for r in results):
                findings[name].append(f"{tree} matches in every case and must not")


def own_findings(results: list[HookResult]) -> list[str]:
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
    if 0 < len(constant) < len(results[0].cases):
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
