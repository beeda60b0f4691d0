"""The certificate's rule: an average, and a final project that was accepted and graded. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from mugrade.server.services.policies import CertificateRule, Result, kept, mean, round_points


@dataclass(frozen=True)
class Project:
    """A group's final project.

    Attributes:
        state: as in the database: forming, proposed, returned, accepted, submitted, graded.
        grade: points by the rubric, once graded.
        of: the rubric's points; 0 where the course has no rubric, so that nothing can be graded.
    """

    state: str
    grade: Decimal | None = None
    of: Decimal = Decimal(0)

    @property
    def percent(self) -> Fraction | None:
        """The grade in per cent, not rounded."""
        if self.grade is None or not self.of:
            return None
        return Fraction(self.grade) / Fraction(self.of) * 100

    def lacks(self, rule: CertificateRule) -> str | None:
        """What the certificate still wants of it, or None: accepted, handed in, graded high enough."""
        if self.state not in ("submitted", "graded"):
            return "The final project is not handed in yet."
        if not self.of:
            return None
        if self.percent is None:
            return "The final project waits for its grade."
        if self.percent < Fraction(rule.min_grade):
            return (
                f"The final project was graded {round_points(self.percent)}%; "
                f"{rule.min_grade}% are needed."
            )
        return None


@dataclass(frozen=True)
class Standing:
    """How an account stands with the certificate; `missing` are sentences, empty when earned."""

    average: Decimal
    needed: Decimal
    project_done: bool
    missing: tuple[str, ...]

    @property
    def earned(self) -> bool:
        return not self.missing


def certificate_standing(
    results: Mapping[str, Result],
    project: Project | None,
    rule: CertificateRule,
    drop_lowest: int = 0,
) -> Standing:
    """The rule: an average of at least so many per cent, and a final project that was accepted and
    graded at least so high."""
    exact, missing = mean(kept(results.values(), drop_lowest)), []
    reached = round_points(exact)
    if exact < Fraction(rule.average):
        missing.append(f"The average over the homeworks is {reached}%; {rule.average}% are needed.")
    lacking = (project or Project("forming")).lacks(rule)
    if rule.project and lacking is not None:
        missing.append(lacking)
    return Standing(reached, rule.average, lacking is None, tuple(missing))
