"""Where the client keeps things, which grader it talks to, and over which URL.

Everything lies under the user's own folders (platformdirs), or under MUGRADE_HOME when that is
set. Files are replaced atomically and readable by their owner only.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import platformdirs

from mugrade.client.errors import UsageFault

DEFAULT_SERVER = "http://127.0.0.1:8000/"
"""Where `mugrade serve` listens: the grader of somebody who has no course behind them."""


@dataclass(frozen=True)
class Folders:
    """The client's folders; `create` nothing until something is written."""

    config: Path
    data: Path

    @classmethod
    def of_user(cls) -> Folders:
        home = os.environ.get("MUGRADE_HOME")
        if home:
            return cls(Path(home), Path(home))
        return cls(
            Path(platformdirs.user_config_dir("mugrade", appauthor=False)),
            Path(platformdirs.user_data_dir("mugrade", appauthor=False)),
        )

    @property
    def outbox(self) -> Path:
        return self.data / "outbox"

    @property
    def receipts(self) -> Path:
        return self.data / "receipts"

    def memory(self, server: str) -> Path:
        """What is remembered of one grader: plans of assignments and its receipt keys."""
        return self.data / "graders" / re.sub(r"[^A-Za-z0-9.-]+", "_", server).strip("_")


def write_private(path: Path, text: str) -> None:
    """Replace `path` by `text` in one step, with mode 0600 from the start.

    Raises:
        UsageFault: a full disk, a used-up quota, a folder of somebody else.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as out:
                out.write(text)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UsageFault(
            f"{path} cannot be written ({error.strerror}); make room, or set MUGRADE_HOME to a folder "
            "that has some."
        ) from None


def write_json(path: Path, data: Any) -> None:
    write_private(path, json.dumps(data, indent=1, sort_keys=True) + "\n")


def read_json(path: Path, default: Any) -> Any:
    """The file's content, or `default` where there is none or it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return default


def choose_server(given: str | None, folders: Folders) -> str:
    """The grader's URL: `--server`, then MUGRADE_SERVER, then the last login, then loopback."""
    url = given or os.environ.get("MUGRADE_SERVER") or _settings(folders).get("server")
    return checked_url(url or DEFAULT_SERVER)


def remember_server(server: str, folders: Folders) -> None:
    write_json(folders.config / "settings.json", {**_settings(folders), "server": server})


def _settings(folders: Folders) -> dict[str, Any]:
    found = read_json(folders.config / "settings.json", {})
    return found if isinstance(found, dict) else {}


def checked_url(url: str) -> str:
    """`url` with a slash at its end.

    Raises:
        UsageFault: no http(s) URL, a password or query in it, or plain http to another machine.
    """
    url = url.strip()
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and _is_host(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that hold no address, a port that is none
        good = False
    if not good:
        raise UsageFault(
            f"The grader's address is {url!r}; expected a URL such as https://grader.example.org/. "
            "Set MUGRADE_SERVER, or run `mugrade login --server URL`."
        )
    if parts.username or parts.query or parts.fragment:
        raise UsageFault(
            f"The grader's address {parts.scheme}://{parts.hostname}/ carries a name, a query or a "
            "fragment; give the plain address and log in with `mugrade login`."
        )
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise UsageFault(
            f"The grader's address {url} is not encrypted, and your key would be readable on the "
            f"way; use https://{parts.netloc}{parts.path}"
        )
    return url if url.endswith("/") else url + "/"


def _is_host(host: str | None) -> bool:
    """Whether it is a name or an address; a label that is too long is a ValueError."""
    labels = (host or "").removesuffix(".").split(".")
    return "*" not in labels and all(label.encode("idna") for label in labels)


def is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
