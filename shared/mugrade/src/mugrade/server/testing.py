"""A private PostgreSQL cluster for tests and benchmarks: started in a temporary folder, loopback
only, as an unprivileged user, gone afterwards."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg


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


class Cluster:
    """A cluster of our own in a folder, that can be killed and started again.

    Args:
        home: an empty folder, which `user` may write.
        user: whom to run it as; None: ourselves.
        durable: keep fsync on, as a real server has it; tests do without.

    Attributes:
        url: its address without a database's name, `postgresql://...:port/`.
    """

    def __init__(self, home: Path, user: str | None, *, durable: bool) -> None:
        self._programs, self._home, self._data = programs(), home, home / "data"
        self._as_user: dict[str, Any] = {"user": user, "cwd": home} if user else {"cwd": home}
        port = free_port()
        self.url = f"postgresql://mugrade@127.0.0.1:{port}/"
        options = f"-h 127.0.0.1 -p {port} -k {home} -c max_connections=200"
        if not durable:
            options += " -c fsync=off -c synchronous_commit=off -c full_page_writes=off"
        self._command: list[str | Path] = [
            self._programs / "postgres",
            "-D",
            self._data,
            *options.split(),
        ]
        make: list[str | Path] = [
            self._programs / "initdb",
            "-D",
            self._data,
            "-U",
            "mugrade",
            "-N",
        ]
        make += ["-A", "trust", "-E", "UTF8", "--locale=C"]
        subprocess.run(make, check=True, capture_output=True, **self._as_user)

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        with (self._home / "log").open("a") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, start_new_session=True, **self._as_user
            )
        while not self._answers():
            if self._process.poll() is not None:
                raise RuntimeError((self._home / "log").read_text())
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url + "postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def kill(self) -> None:
        """kill -9 it with everything that it started; returns when all of it is dead."""
        ours = [self._process.pid, *_children(self._process.pid)]
        for pid in ours:  # the first of them first, or it would start the others anew
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        while any(_lives(pid) for pid in ours):
            time.sleep(0.01)

    def stop(self) -> None:
        """End it without waiting for anybody."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait()


def _children(parent: int) -> list[int]:
    tasks = Path(f"/proc/{parent}/task").glob("*/children")
    return [int(pid) for task in tasks for pid in task.read_text().split()]


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


@contextlib.contextmanager
def private_cluster(*, durable: bool = False) -> Iterator[Cluster]:
    """A running cluster in a temporary folder, gone afterwards."""
    user = _unprivileged()
    home = Path(tempfile.mkdtemp(prefix="mugrade-pg-"))
    if user:
        shutil.chown(home, user)
    try:
        cluster = Cluster(home, user, durable=durable)
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def private_postgres(*, durable: bool = False) -> Iterator[str]:
    """The same; yields its URL without a database's name."""
    with private_cluster(durable=durable) as cluster:
        yield cluster.url
