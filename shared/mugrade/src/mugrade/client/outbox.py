"""Attempts that have not been acknowledged yet.

An attempt is written here *before* it is sent for the first time, and removed when the grader gave
a definite answer. So neither a broken connection nor a killed client loses it, and because its
idempotency key is kept with it, sending it again cannot make two of it.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mugrade.client.settings import read_json, write_json


@dataclass
class Entry:
    """One attempt on its way.

    Attributes:
        account: the account's id, or a key's fingerprint where the grader has no accounts; an
            entry is only ever sent for the same one.
        body: the attempt as docs/api.md describes it.
        places: for each case, file and line of its `submit` call (stays on this machine).
    """

    server: str
    account: str
    assignment: str
    problem: str
    body: dict[str, Any]
    places: list[list[Any]] = field(default_factory=list)
    key: str = field(default_factory=lambda: str(uuid.uuid4()))
    created: float = field(default_factory=time.time)
    reason: str = ""


class Outbox:
    """A folder of entries, one JSON file each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, entry: Entry) -> None:
        write_json(self.folder / f"{entry.key}.json", asdict(entry))

    def remove(self, entry: Entry) -> None:
        """Sent again, what cannot be removed is known by its key."""
        with contextlib.suppress(OSError):
            (self.folder / f"{entry.key}.json").unlink()

    def entries(self, server: str | None = None) -> list[Entry]:
        """All entries, oldest first; files that are no entries are left alone and left out."""
        found = []
        for path in self.folder.glob("*.json"):
            data = read_json(path, None)
            try:
                entry = Entry(**data)
            except TypeError:
                continue
            if server is None or entry.server == server:
                found.append(entry)
        return sorted(found, key=lambda entry: (entry.created, entry.key))
