"""What the plugin that runs submission hooks is told to do."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from mugrade.recorder import solo_seed, variant_seed


@dataclasses.dataclass
class Plan:
    """What to run. `variants` maps a problem to its [variant, seed] pairs; others get the first `pool`
    variants of a class, or with `solo` the one that is sealed for learners alone. A run of a hook that
    takes longer than `seconds`, or reading the tests longer than `reading`, ends the process, and where
    it was then stands in `stack`; 0: as long as it likes."""

    assignment: str
    out: str
    only: list[str] | None = None
    variants: dict[str, list[list[int]]] = dataclasses.field(default_factory=dict)
    pool: int = 1
    solo: bool = False
    case: int | None = None
    debug: bool = False
    seconds: float = 0
    reading: float = 0

    @property
    def stack(self) -> Path:
        return Path(f"{self.out}.stack")

    def pairs(self, problem: str) -> list[list[int]]:
        if problem in self.variants:
            return self.variants[problem]
        if self.solo:
            return [[0, solo_seed(self.assignment, problem)]]
        return [[v, variant_seed(self.assignment, problem, v)] for v in range(self.pool)]

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(dataclasses.asdict(self)), encoding="utf-8")
