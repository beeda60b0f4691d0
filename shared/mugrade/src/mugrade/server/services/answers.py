"""Published and submitted values in and out of the database, and whether two are comparable."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Answers:
    """What the claims of one variant are compared with.

    Attributes:
        values: decoded (or sealed), one a case.
        inputs: a digest of each case's inputs; None where an older client has published.
        size: bytes of the values as canonical JSON.
    """

    seed: int
    values: list[Any]
    inputs: tuple[str | None, ...] | None
    size: int


def of_variant(session: Session, revision: RevisionView, variant: int) -> Answers | None:
    """One variant's answers, None where the revision lacks it; kept per process, since a revision
    never changes."""

    def load() -> Answers | None:
        query = select(Expected).where(
            Expected.revision_pk == revision.pk, Expected.variant == variant
        )
        row = session.scalar(query)
        if row is None:
            return None
        make = sealed.unseal_tree if revision.sealed else decode
        text = zlib.decompress(row.body)
        values = [make(value) for value in _DECODER.decode(text)]
        return Answers(row.seed, values, tuple(row.inputs) if row.inputs else None, len(text))

    return session.info["cache"].get(("expected", revision.pk, variant), load)


def other_inputs(
    now: Answers, index: int, own: Sequence[str | None] | None, then: Answers | None = None
) -> bool:
    """Whether a claim was computed from other inputs than the answer now, so that the two must not
    be compared.

    Args:
        own: the digests that came with the attempt.
        then: the answers that the attempt was made for: its inputs were theirs where it came with
            no digests, and where those have none either, the seed has to do.
    """
    digest = own[index] if own and index < len(own) else None
    if digest is None and then is not None and then.inputs:
        digest = then.inputs[index] if index < len(then.inputs) else None
    if digest is not None and now.inputs and now.inputs[index] is not None:
        return digest != now.inputs[index]
    return then is not None and then.seed != now.seed


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


def claims(session: Session, attempt_pks: Sequence[int]) -> dict[int, list[tuple[int, bytes]]]:
    """The stored rows (first case, body) of these attempts; those without any are left out."""
    found: dict[int, list[tuple[int, bytes]]] = {}
    query = select(Claim.attempt_pk, Claim.first, Claim.body).where(
        Claim.attempt_pk.in_(attempt_pks)
    )
    for attempt_pk, first, body in session.execute(query):
        found.setdefault(attempt_pk, []).append((first, body))
    return found


def decoded_claims(rows: Sequence[tuple[int, bytes]], total: int) -> list[Any]:
    """What an attempt submitted, decoded; `MISSING` where nothing was."""
    found: list[Any] = [MISSING] * total
    for first, body in rows:
        for offset, value in enumerate(unpack(body)):
            if first + offset < total:
                found[first + offset] = decode(value)
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


def source_digest(files: Iterable[dict[str, str]]) -> str:
    """Equal for sources that differ in nothing but spaces and line ends."""
    texts = sorted((file["path"], "".join(file["text"].split())) for file in files)
    return hashlib.sha256(repr(texts).encode()).hexdigest()
