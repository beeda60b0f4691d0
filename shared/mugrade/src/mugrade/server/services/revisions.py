"""A problem's revisions: immutable rows that `publishing` and `regrading` add."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mugrade.encoding import canonical_json
from mugrade.server.errors import not_found
from mugrade.server.models import Account, Expected, Problem, Revision
from mugrade.server.schemas import VariantIn
from mugrade.server.services import accounts, answers, courses


def add(
    session: Session,
    now: dt.datetime,
    actor: accounts.Actor | None,
    problem: Problem,
    *,
    expected: Sequence[Expected],
    labels: list[str],
    tolerance: dict[str, Any],
    case_tolerances: dict[str, Any],
    digest: str,
    note: str,
    is_sealed: bool = False,
) -> Revision:
    """Add a revision with these answers (from `packed`) and make it the current one."""
    revision = Revision(
        problem_pk=problem.pk,
        number=newest(session, problem.pk) + 1,
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
    for row in expected:
        row.revision_pk = revision.pk
    session.add_all(expected)
    problem.current_pk, problem.tolerance = revision.pk, tolerance
    session.flush()
    return revision


def copy(
    session: Session,
    now: dt.datetime,
    actor: accounts.Actor,
    problem: Problem,
    source: Revision,
    **changes: Any,
) -> Revision:
    """The answers of `source` as a new current revision; `changes` are other fields of `add`.

    Revisions are immutable and their numbers only rise, so rolling back is copying forward.
    """
    rows = session.scalars(select(Expected).where(Expected.revision_pk == source.pk))
    same = [Expected(variant=r.variant, seed=r.seed, inputs=r.inputs, body=r.body) for r in rows]
    fields = ("labels", "tolerance", "case_tolerances", "digest")
    given = {**{name: getattr(source, name) for name in fields}, **changes}
    return add(session, now, actor, problem, expected=same, is_sealed=source.sealed, **given)


def packed(variants: Sequence[VariantIn]) -> list[Expected]:
    """The variants as rows that wait for their revision; packing takes no database."""
    return [
        Expected(
            variant=v.variant, seed=v.seed, inputs=list(v.inputs or ()), body=answers.pack(v.values)
        )
        for v in variants
    ]


def newest(session: Session, problem_pk: int) -> int:
    """The highest number so far; 0 before the first publication."""
    query = select(func.max(Revision.number)).where(Revision.problem_pk == problem_pk)
    return session.scalar(query) or 0


def digest_of(variants: Sequence[VariantIn], *rest: Any) -> str:
    """Equal for equal values, inputs, labels and tolerances."""
    data: list[Any] = []
    for v in sorted(variants, key=lambda v: v.variant):
        data.append([v.variant, v.seed, v.values, *([v.inputs] if v.inputs else [])])
    return hashlib.sha256(canonical_json([data, *rest])).hexdigest()


def numbered(session: Session, problem_pk: int, number: int) -> Revision:
    """One of a problem's revisions, or 404."""
    query = select(Revision).where(Revision.problem_pk == problem_pk, Revision.number == number)
    found = session.scalar(query)
    if found is None:
        raise not_found(f"revision {number}")
    return found


def history(session: Session, problem_pk: int) -> list[Revision]:
    """A problem's revisions, newest first."""
    query = select(Revision).where(Revision.problem_pk == problem_pk)
    return list(session.scalars(query.order_by(Revision.number.desc())))


@dataclass(frozen=True)
class RevisionLine:
    """A revision as a list of them shows it."""

    revision: int
    current: bool
    created_at: dt.datetime
    author: str | None
    cases: int
    variants: int
    note: str


def lines(session: Session, problem: courses.ProblemView) -> list[RevisionLine]:
    """A problem's revisions, newest first."""
    variants = (
        select(Expected.revision_pk, func.count().label("variants"))
        .group_by(Expected.revision_pk)
        .subquery()
    )
    query = (
        select(Revision, Account.email, variants.c.variants)
        .outerjoin(Account, Account.pk == Revision.author_pk)
        .outerjoin(variants, variants.c.revision_pk == Revision.pk)
        .where(Revision.problem_pk == problem.pk)
        .order_by(Revision.number.desc())
    )
    current = problem.revision.pk if problem.revision else None
    return [
        RevisionLine(
            row.number, row.pk == current, row.created_at, author, len(row.labels), n or 0, row.note
        )
        for row, author, n in session.execute(query)
    ]


def view_of(session: Session, row: Revision) -> courses.RevisionView:
    """Any revision, current or not, as a view."""
    query = select(Expected.variant, Expected.seed).where(Expected.revision_pk == row.pk)
    variants = tuple((v, s) for v, s in session.execute(query.order_by(Expected.variant)))
    return courses.revision_view(row, variants)


def variants_of(session: Session, view: courses.RevisionView) -> list[VariantIn]:
    """The stored values as they were published."""
    rows = session.scalars(
        select(Expected).where(Expected.revision_pk == view.pk).order_by(Expected.variant)
    )
    return [
        VariantIn(
            variant=r.variant, seed=r.seed, values=answers.unpack(r.body), inputs=r.inputs or None
        )
        for r in rows
    ]
