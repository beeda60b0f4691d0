"""Receipts and certificates: `mgr1.<payload>.<signature>`, both base64url, Ed25519 over the payload's bytes."""

from __future__ import annotations

import base64
import binascii
import json
from pathlib import Path
from typing import Any

from mugrade.client.settings import Folders, read_json
from mugrade.words import number


def unpack(text: str) -> tuple[dict[str, Any], bytes, bytes]:
    """Payload, payload bytes and signature.

    Raises:
        ValueError: not a receipt.
    """
    parts = text.strip().split(".")
    if len(parts) != 3 or parts[0] != "mgr1":
        raise ValueError("this is no receipt: it does not have the form mgr1.payload.signature")
    try:
        raw, signature = (base64.urlsafe_b64decode(p + "=" * (-len(p) % 4)) for p in parts[1:])
        payload = json.loads(raw)
    except (binascii.Error, ValueError, RecursionError):
        raise ValueError("this is no receipt: it was cut or changed on the way") from None
    if not isinstance(payload, dict):
        raise ValueError("this is no receipt: its payload is no object")
    return payload, raw, signature


def stored(folder: Path, assignment: str | None = None) -> list[tuple[Path, dict[str, Any]]]:
    """The receipts in `folder` with their payloads, oldest first; damaged files are left out."""
    found = []
    for path in folder.glob("*/*.txt"):
        if assignment not in (None, path.parent.name):
            continue
        try:
            found.append((path, unpack(path.read_text("utf-8"))[0]))
        except (OSError, ValueError):
            continue
    return sorted(found, key=lambda item: str(item[1].get("at", "")))


def known_keys(folders: Folders) -> dict[str, bytes]:
    """The receipt keys of every grader this machine has talked to, as first seen."""
    keys: dict[str, bytes] = {}
    for path in sorted((folders.data / "graders").glob("*/meta.json")):
        for key in read_json(path, {}).get("receipt_keys") or []:
            keys.setdefault(key["id"], base64.b64decode(key["public"]))
    return keys


def check(text: str, keys: dict[str, bytes]) -> tuple[bool, str]:
    """Whether the receipt is genuine, and one sentence about it."""
    from nacl.exceptions import BadSignatureError
    from nacl.signing import VerifyKey

    try:
        payload, raw, signature = unpack(text)
    except ValueError as error:
        return False, f"{error}."
    public = keys.get(str(payload.get("key")))
    if public is None:
        return (
            False,
            "signed with a key this machine has never seen; run `mugrade status` against its grader first.",
        )
    try:
        VerifyKey(public).verify(raw, signature)
    except (BadSignatureError, ValueError):
        return False, "the signature does not fit: it was changed, or another grader signed it."
    return True, words(payload)


def words(payload: dict[str, Any]) -> str:
    """What was signed, in one line: a receipt or a certificate.

    What was signed before there was a `type` is a certificate when it has a certificate's number.
    """
    at = str(payload.get("at"))[:16].replace("T", " ")
    if payload.get("type", "certificate" if "certificate" in payload else "receipt") != "receipt":
        return (
            f"certificate {payload.get('certificate')} of {payload.get('name')} for "
            f"{payload.get('title')}, average {number(payload.get('average'))}%, {at} UTC; whether "
            "it still stands is said where it is verified"
        )
    points = f", {number(payload['score'])} points" if "score" in payload else ""
    return (
        f"{payload.get('assignment')}/{payload.get('problem')}, {payload.get('correct')} of "
        f"{payload.get('total')} cases{points}, {at} UTC"
    )
