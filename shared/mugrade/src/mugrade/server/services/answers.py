"""Published values in and out of the database."""

from __future__ import annotations

import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from mugrade.compare import MISSING, Kind, Verdict, compare
from mugrade.encoding import canonical_json, decode
from mugrade.server.models import Claim, Expected
from mugrade.server.services import sealed
from mugrade.server.services.courses import RevisionView

_DECODER = msgspec.json.Decoder()


def pack(data: Any) -> bytes:
    """Compressed canonical JSON."""
    return zlib.compress(canonical_json(data), 1)


def unpack(body: bytes) -> Any:
    return _DECODER.decode(zlib.decompress(body))


def expected(session: Session, revision: RevisionView, variant: int) -> list[Any]:
    """The decoded values of one variant; kept per process, a revision never changes."""

    def load() -> list[Any] | None:
        query = select(Expected.body).where(
            Expected.revision_pk == revision.pk, Expected.variant == variant
        )
        body = session.scalar(query)
        if body is None:
            return None
        make = sealed.unseal_tree if revision.sealed else decode
        return [make(value) for value in unpack(body)]

    return session.info["cache"].get(("expected", revision.pk, variant), load)


def judge(expected_values: list[Any], claims: list[Any], revision: RevisionView) -> list[Verdict]:
    """One verdict for every published case.

    Args:
        claims: decoded values, or the object `MISSING` where nothing was sent; may be shorter.
    """

    def verdict(index: int) -> Verdict:
        claim = claims[index] if index < len(claims) else MISSING
        if claim is MISSING:
            return MISSING
        return compare(expected_values[index], claim, revision.case_tolerance(index))

    cases = range(len(expected_values))
    if not revision.sealed:
        return [verdict(index) for index in cases]
    with ThreadPoolExecutor() as pool:  # the dear hash works outside of Python's lock
        return list(pool.map(verdict, cases))


def claims(session: Session, attempt_pk: int, total: int) -> list[Any]:
    """What an attempt submitted, decoded; `MISSING` where nothing was."""
    found: list[Any] = [MISSING] * total
    for row in session.scalars(select(Claim).where(Claim.attempt_pk == attempt_pk)):
        for offset, value in enumerate(unpack(row.body)):
            if row.first + offset < total:
                found[row.first + offset] = decode(value)
    return found


def to_json(verdicts: list[Verdict]) -> list[Any]:
    """Verdicts as the attempt table keeps them."""
    return [
        v.kind
        if v.kind != "shape"
        else [v.kind, list(v.submitted_shape or ()), list(v.expected_shape or ())]
        for v in verdicts
    ]


def from_json(stored: list[Any]) -> list[Verdict]:
    return [
        Verdict(cast(Kind, entry))
        if isinstance(entry, str)
        else Verdict(entry[0], tuple(entry[1]), tuple(entry[2]))
        for entry in stored
    ]
