"""A private PostgreSQL cluster for tests and benchmarks: started in a temporary folder, loopback
only, as an unprivileged user, gone afterwards."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class PostgresMissing(RuntimeError):
    """No PostgreSQL programs on this machine."""


def programs() -> Path:
    """The folder of `initdb` and `postgres`, the newest version first.

    Raises:
        PostgresMissing: with the package to install.
    """
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True):
        if (folder / "initdb").exists():
            return folder
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    raise PostgresMissing(
        "PostgreSQL's initdb was found neither in /usr/lib/postgresql/*/bin nor on the PATH; "
        "install the package `postgresql`."
    )


def _version(folder: Path) -> int:
    name = folder.parent.name
    return int(name) if name.isdigit() else 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _unprivileged() -> str | None:
    """Whom to run the server as; PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise PostgresMissing(
        "Running as root, there is no user `postgres` or `nobody` to run a server as."
    )


@contextlib.contextmanager
def private_postgres(*, durable: bool = False) -> Iterator[str]:
    """A running cluster; yields its URL without a database name (`postgresql://...:port/`).

    Args:
        durable: keep fsync on, as a real server has it; tests do without.
    """
    folder, user, port = programs(), _unprivileged(), free_port()
    home = Path(tempfile.mkdtemp(prefix="mugrade-pg-"))
    if user:
        shutil.chown(home, user)
    as_user: dict[str, Any] = {"user": user, "cwd": home} if user else {"cwd": home}
    data = home / "data"
    try:
        subprocess.run(
            [
                folder / "initdb",
                "-D",
                data,
                "-U",
                "mugrade",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C",
                "-N",
            ],
            check=True,
            capture_output=True,
            **as_user,
        )
        options = f"-h 127.0.0.1 -p {port} -k {home} -c max_connections=200"
        if not durable:
            options += " -c fsync=off -c synchronous_commit=off -c full_page_writes=off"
        control: list[str | Path] = [folder / "pg_ctl", "-D", data, "-w", "-l", home / "log"]
        subprocess.run(
            [*control, "-o", options, "start"], check=True, stdout=subprocess.DEVNULL, **as_user
        )
        try:
            yield f"postgresql://mugrade@127.0.0.1:{port}/"
        finally:
            subprocess.run(
                [*control, "-m", "immediate", "stop"], stdout=subprocess.DEVNULL, **as_user
            )
    finally:
        shutil.rmtree(home, ignore_errors=True)
