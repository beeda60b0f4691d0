"""The key: where it comes from, where it is kept, and what is certainly no key.

Looked for in this order: the command line, MUGRADE_KEY, the system keyring, the 0600 file that
`mugrade login` writes. A key is never part of a URL of ours (the public dialect puts it in the
query; nothing can be done about that) and is never printed whole.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mugrade.client.errors import AuthFault
from mugrade.client.settings import Folders, read_json, write_json

SERVICE = "mugrade"
_PLACEHOLDER = re.compile(
    r"^<.*>$|^\[.*\]$|^\.\.\.$|^x{4,}$|"
    r"^(your|my|the|enter|insert|paste|replace)?[\s_-]*"
    r"(your|mugrade|grader|grading|api|user|student|secret)?[\s_-]*key([\s_-]*(here|goes[\s_-]*here))?$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Key:
    """A key and the place it was found in, for `mugrade doctor`."""

    text: str
    source: str

    @property
    def hint(self) -> str:
        """Enough to tell two keys apart, too little to use."""
        return self.text[:6] + "..." if len(self.text) > 12 else "..."


def is_placeholder(text: str) -> bool:
    """Whether `text` is what a notebook says where the key belongs (`YOUR_GRADER_KEY_HERE`)."""
    return bool(_PLACEHOLDER.match(text.strip()))


def checked_key(text: str, server: str) -> str:
    """`text` without surrounding blanks.

    Raises:
        AuthFault: the notebook's placeholder, or something that no key can look like.
    """
    text = text.strip()
    if is_placeholder(text):
        raise AuthFault(
            f"{text!r} stands in for your key: copy the real one from {server}keys, or run "
            "`mugrade login` and leave the key out of the command."
        )
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise AuthFault(
            f"A key is one word of letters and digits, and this one is not; copy it again from {server}keys, "
            "or run `mugrade login`."
        )
    return text


def find_key(server: str, folders: Folders, given: str | None = None) -> Key | None:
    """The key for `server`, or None when there is none."""
    if given is not None:
        return Key(checked_key(given, server), "the command line")
    if os.environ.get("MUGRADE_KEY"):
        return Key(checked_key(os.environ["MUGRADE_KEY"], server), "MUGRADE_KEY")
    keyring = _keyring()
    if keyring is not None:
        try:
            stored = keyring.get_password(SERVICE, server)
        except Exception:  # a locked or broken keyring is no reason to fail: the file comes next
            stored = None
        if stored:
            return Key(checked_key(stored, server), "the system keyring")
    stored = _read_file(folders).get(server)
    return Key(checked_key(stored, server), str(key_file(folders))) if stored else None


def need_key(server: str, folders: Folders, given: str | None = None) -> Key:
    """As `find_key`, but a missing key is an AuthFault that says how to get one."""
    key = find_key(server, folders, given)
    if key is None:
        raise AuthFault(
            f"There is no key for {server} on this machine: run `mugrade login`, or set MUGRADE_KEY "
            f"to the key shown at {server}keys."
        )
    return key


def store_key(server: str, key: str, folders: Folders) -> str:
    """Keep the key and return where."""
    keyring = _keyring()
    if keyring is not None:
        try:
            keyring.set_password(SERVICE, server, key)
            return "the system keyring"
        except Exception as error:
            print(f"The system keyring refused ({error}); using a file instead.", file=sys.stderr)
    write_json(key_file(folders), {**_read_file(folders), server: key})
    return str(key_file(folders))


def forget_key(server: str, folders: Folders) -> None:
    keyring = _keyring()
    if keyring is not None:
        with contextlib.suppress(Exception):  # it was not stored there
            keyring.delete_password(SERVICE, server)
    keys = _read_file(folders)
    if keys.pop(server, None) is not None:
        write_json(key_file(folders), keys)


def key_file(folders: Folders) -> Path:
    return folders.config / "keys.json"


def _read_file(folders: Folders) -> dict[str, str]:
    path = key_file(folders)
    if os.name == "posix" and path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
        print(f"{path} was readable by others; now only you can read it.", file=sys.stderr)
        path.chmod(0o600)
    found = read_json(path, {})
    return found if isinstance(found, dict) else {}


def _keyring() -> Any:
    """The keyring module when it has a real backend, else None."""
    if os.environ.get("MUGRADE_KEYRING", "").lower() in ("off", "no", "0"):
        return None
    try:
        import keyring

        return keyring if keyring.get_keyring().priority >= 1 else None
    except Exception:  # not installed, or a backend that fails while looking for itself
        return None
