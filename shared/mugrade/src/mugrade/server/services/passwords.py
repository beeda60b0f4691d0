"""Passwords: argon2id. Hashing takes a good part of a second, so it never happens inside a transaction."""

from __future__ import annotations

import functools
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from mugrade.server.errors import invalid

SHORTEST = 10


@functools.cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


def check(password: str) -> None:
    """Refuse a password that is too short, before anything slow is done with it."""
    if not SHORTEST <= len(password) <= 1000:
        raise invalid(f"A password has at least {SHORTEST} characters.")


def hashed(password: str) -> str:
    check(password)
    return _hasher().hash(password)


def fits(stored: str | None, password: str) -> bool:
    """Takes the same time whether or not there is a stored hash."""
    try:
        _hasher().verify(stored or _decoy(), password[:1000])
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None


@functools.cache
def _decoy() -> str:
    return _hasher().hash(secrets.token_hex(16))
