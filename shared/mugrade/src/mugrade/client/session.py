"""A session with one grader: address, key, dialect, and what is remembered for times without network."""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mugrade.client.errors import AuthFault, NetworkFault, UsageFault
from mugrade.client.grader import Connection, Grader
from mugrade.client.keys import Key, need_key
from mugrade.client.outbox import Outbox
from mugrade.client.public import PublicGrader
from mugrade.client.settings import Folders, choose_server, read_json, write_json

DIALECTS = ("auto", "v1", "public")


@dataclass
class Session:
    """Everything a command needs to talk to one grader as one account."""

    folders: Folders
    server: str
    key: Key
    grader: Grader | PublicGrader

    @property
    def outbox(self) -> Outbox:
        return Outbox(self.folders.outbox)

    def v1(self) -> Grader:
        """The grader, where a command needs more than the public dialect has."""
        if isinstance(self.grader, PublicGrader):
            raise UsageFault(
                f"{self.server} speaks only the public dialect, which has `mugrade submit` and "
                "`mugrade publish` and nothing else."
            )
        return self.grader

    def plan(self, assignment: str) -> tuple[dict[str, Any], bool]:
        """The assignment as this account sees it, and whether it is fresh.

        Raises:
            NetworkFault: not reachable, and never fetched before on this machine.
        """
        if isinstance(self.grader, PublicGrader):
            return {"id": assignment, "account": self.fingerprint(), "problems": None}, True
        path = self.folders.memory(self.server) / self.fingerprint() / f"{assignment}.json"
        try:
            plan = self.grader.assignment(assignment)
        except NetworkFault as fault:
            plan = read_json(path, None)
            if plan is None:
                raise NetworkFault(
                    f"{fault} Nothing was run: this machine has not seen {assignment} yet and does "
                    "not know your variant of its problems.",
                    code=fault.code,
                ) from fault
            return plan, False
        with contextlib.suppress(UsageFault):  # a full disk costs the memory, not the submission
            write_json(path, plan)
        return plan, True

    def require_scope(self, scope: str) -> None:
        """Refuse a key without this scope before any work is done; the public dialect cannot tell."""
        if self.grader.dialect != "v1":
            return
        held = self.v1().me()["scopes"]
        if scope not in held:
            raise AuthFault(
                f"This needs the scope {scope!r}, and your key has {', '.join(held)}. "
                f"Run `mugrade login --scope {scope}`; `mugrade whoami` shows whose key it is."
            )

    def account(self) -> str:
        """Whose attempts these are, as a plan and the outbox name it."""
        if isinstance(self.grader, PublicGrader):
            return self.fingerprint()
        return str(self.grader.me()["id"])

    def fingerprint(self) -> str:
        """Tells keys apart in file names without giving them away."""
        return hashlib.sha256(self.key.text.encode()).hexdigest()[:12]


def open_session(server: str | None = None, key: str | None = None) -> Session:
    """Find address, key and dialect (MUGRADE_DIALECT, or by asking) and return the session."""
    folders = Folders.of_user()
    url = choose_server(server, folders)
    found = need_key(url, folders, key)
    if choose_dialect(url, folders) == "public":
        return Session(folders, url, found, PublicGrader(Connection(url), found.text))
    return Session(folders, url, found, Grader(Connection(url, found.text)))


def choose_dialect(url: str, folders: Folders) -> str:
    """`v1` or `public`. A grader's answer is remembered for when it cannot be reached."""
    wanted = os.environ.get("MUGRADE_DIALECT", "auto").lower()
    if wanted == "legacy":
        wanted = "public"
    if wanted not in DIALECTS:
        raise UsageFault(f"MUGRADE_DIALECT is {wanted!r}; expected one of {', '.join(DIALECTS)}.")
    if wanted != "auto":
        return wanted
    path = folders.memory(url) / "meta.json"
    before = read_json(path, {})
    meta: dict[str, Any] | UsageFault
    try:
        meta = Grader(Connection(url)).meta()
    except NetworkFault:
        return "public" if before.get("api") == 0 else "v1"
    except UsageFault as fault:
        if fault.code == "moved":
            raise
        meta = fault
    if isinstance(meta, dict) and meta.get("api"):
        keep_receipt_keys(path, meta)
        return "v1"
    if before.get("api"):
        # Once a grader has spoken v1, the login page of a network in its place must not be sent
        # the key in a query.
        raise (
            meta
            if isinstance(meta, UsageFault)
            else UsageFault(
                f"{url} does not answer as the grader it was, so it is probably no grader just now; open the address in a "
                "browser: this network may want you to log in first."
            )
        )
    keep_receipt_keys(path, {"api": 0})
    return "public"


def keep_receipt_keys(path: Path, meta: dict[str, Any]) -> None:
    """Remember the grader's answer; a receipt key once seen is kept, so that old receipts stay
    verifiable and a changed key under an old id shows."""
    known = {key["id"]: key for key in read_json(path, {}).get("receipt_keys") or []}
    fresh = {key["id"]: key for key in meta.get("receipt_keys") or []}
    merged = {**meta, "receipt_keys": list({**fresh, **known}.values())}
    merged.pop("time", None)
    if merged != read_json(path, None):
        with contextlib.suppress(UsageFault):
            write_json(path, merged)
