"""The server's own secrets, and Ed25519 signatures for receipts and certificates."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import secrets
from typing import Any

from nacl.signing import SigningKey, VerifyKey
from sqlalchemy.orm import Session

from mugrade.encoding import canonical_json
from mugrade.server.models import ServerSecret

PREFIX = "mgr1"


def ensure(session: Session, now: dt.datetime) -> None:
    """Make the secrets that a new database lacks."""
    for name in ("variants", "signing"):
        if session.get(ServerSecret, name) is None:
            session.add(ServerSecret(name=name, value=secrets.token_bytes(32), created_at=now))


def _secret(session: Session, name: str) -> bytes:
    def load() -> bytes:
        return session.get_one(ServerSecret, name).value

    found: bytes = session.info["cache"].get(("secret", name), load)
    return found


def _signing_key(session: Session) -> SigningKey:
    def load() -> SigningKey:
        given = session.info["settings"].signing_key
        return SigningKey(base64.b64decode(given) if given else _secret(session, "signing"))

    found: SigningKey = session.info["cache"].get(("signing-key",), load)
    return found


def key_id(key: VerifyKey) -> str:
    return hashlib.sha256(bytes(key)).hexdigest()[:16]


def public_keys(session: Session) -> list[dict[str, str]]:
    """What clients keep to verify receipts offline."""
    key = _signing_key(session).verify_key
    return [{"id": key_id(key), "public": base64.b64encode(bytes(key)).decode()}]


def sign(session: Session, payload: dict[str, Any]) -> str:
    """`mgr1.<payload>.<signature>`, both base64url without padding; adds the key's id."""
    key = _signing_key(session)
    body = canonical_json({**payload, "key": key_id(key.verify_key)})
    return f"{PREFIX}.{_b64(body)}.{_b64(key.sign(body).signature)}"


def variant_index(session: Session, account_id: str, problem_pk: int, pool: int) -> int:
    """This account's place in a pool of variants: a keyed hash, so it is fixed and unguessable."""
    if pool <= 1:
        return 0
    message = f"{account_id}/{problem_pk}".encode()
    digest = hmac.new(_secret(session, "variants"), message, hashlib.sha256).digest()
    return int.from_bytes(digest[:8], "big") % pool


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
