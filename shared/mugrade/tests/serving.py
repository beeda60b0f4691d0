"""`mugrade serve` in processes of its own, to be killed and started again.

Each is a fork of one process that has imported the server, and its workers are forks of it: to import
takes a processor one to two seconds, and the tests start a hundred of them.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import uuid

import typer

NURSERY = multiprocessing.get_context("forkserver")
NURSERY.set_forkserver_preload(["mugrade.server.commands"])


def serve(environment, options, out, log):
    """What the new process does: the command, with this environment, output and log."""
    import uvicorn._subprocess
    from mugrade.server import commands

    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    os.dup2(out.fileno(), 1)
    with log.open("a") as file:
        os.dup2(file.fileno(), 2)
    uvicorn._subprocess.spawn = multiprocessing.get_context("fork")
    sys.argv = ["serve", *options]
    typer.run(commands.serve)


class Process:
    """`mugrade serve` in a process of its own, on a fixed port so that it can be started again."""

    def __init__(self, settings, workers=1):
        self.environment = {**os.environ, "MUGRADE_DATA_DIR": str(settings.data_dir)}
        if settings.database_url:
            self.environment["MUGRADE_DATABASE_URL"] = settings.database_url
        self.workers = workers
        self.port = "0"
        self.log = settings.data_dir / f"log-{uuid.uuid4().hex}"

    def start(self):
        options = ["--port", self.port, "--json", "--workers", str(self.workers)]
        ours, theirs = NURSERY.Pipe(duplex=False)
        given = (self.environment, options, theirs, self.log)
        self.process = NURSERY.Process(target=serve, args=given)
        self.process.start()
        theirs.close()
        with os.fdopen(os.dup(ours.fileno())) as out:
            line = out.readline()
        self.out = ours  # open, or what it prints later would be an error to it
        assert line, self.log.read_text()
        self.address = json.loads(line)["address"]
        self.port = self.address.rstrip("/").rsplit(":", 1)[1]
        return self

    @property
    def runs(self):
        return self.process.is_alive()

    def kill(self):
        """kill -9 the server and its workers, all at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.join(20)
        self.out.close()
        return self.log.read_text()
