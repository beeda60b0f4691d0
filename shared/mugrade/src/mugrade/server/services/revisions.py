"""A problem's revisions: immutable rows that `publishing` and `regrading` add."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mugrade.encoding import canonical_json
from mugrade.server.models import Expected, Problem, Revision
from mugrade.server.schemas import VariantIn
from mugrade.server.services import accounts, answers, courses


def add(
    session: Session,
    now: dt.datetime,
    actor: accounts.Actor | None,
    problem: Problem,
    *,
    variants: Sequence[VariantIn],
    labels: list[str],
    tolerance: dict[str, Any],
    case_tolerances: dict[str, Any],
    digest: str,
    note: str,
    is_sealed: bool = False,
) -> Revision:
    """Add a revision and make it the current one."""
    last = session.scalar(
        select(func.max(Revision.number)).where(Revision.problem_pk == problem.pk)
    )
    revision = Revision(
        problem_pk=problem.pk,
        number=(last or 0) + 1,
        note=note,
        labels=labels,
        tolerance=tolerance,
        case_tolerances=case_tolerances,
        sealed=is_sealed,
        digest=digest,
        created_at=now,
        author_pk=actor.pk if actor else None,
    )
    session.add(revision)
    session.flush()
    for variant in variants:
        session.add(
            Expected(
                revision_pk=revision.pk,
                variant=variant.variant,
                seed=variant.seed,
                body=answers.pack(variant.values),
            )
        )
    problem.current_pk = revision.pk
    session.flush()
    return revision


def digest_of(variants: Sequence[VariantIn], *rest: Any) -> str:
    """Equal for equal values, labels and tolerances."""
    data = [[v.variant, v.seed, v.values] for v in sorted(variants, key=lambda v: v.variant)]
    return hashlib.sha256(canonical_json([data, *rest])).hexdigest()


def history(session: Session, problem_pk: int) -> list[Revision]:
    """A problem's revisions, newest first."""
    query = select(Revision).where(Revision.problem_pk == problem_pk)
    return list(session.scalars(query.order_by(Revision.number.desc())))


def view_of(session: Session, row: Revision) -> courses.RevisionView:
    """Any revision, current or not, as a view."""
    query = select(Expected.variant, Expected.seed).where(Expected.revision_pk == row.pk)
    variants = tuple((v, s) for v, s in session.execute(query.order_by(Expected.variant)))
    return courses.revision_view(row, variants)


def variants_of(session: Session, view: courses.RevisionView) -> list[VariantIn]:
    """The stored values as they were published."""
    return [
        VariantIn(
            variant=v, seed=s, values=answers.unpack(session.get_one(Expected, (view.pk, v)).body)
        )
        for v, s in view.variants
    ]
