"""The lane of slow jobs: one thread in each server process that takes what the queue holds."""

from __future__ import annotations

import logging
import os
import secrets
import sys
import threading
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from mugrade.server.db import Database
from mugrade.server.services import jobs

log = logging.getLogger("mugrade")
SHARE = 0.5
"""Part of the time that the lane works; the rest belongs to requests."""
SWITCH_SECONDS = 0.0005
"""How long a computing thread may keep the interpreter while others wait for it. Python's own 5 ms
would be paid at each of a request's dozens of waits for the database."""


class Lane:
    """Works at jobs until it is stopped.

    Args:
        poll_seconds: how often the queue is looked at; `wake` shortens the wait in this process.
    """

    def __init__(self, database: Database, clock: jobs.Clock, poll_seconds: float = 1.0) -> None:
        self._database, self._clock, self._poll = database, clock, poll_seconds
        self._name = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._stopping, self._wake = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        sys.setswitchinterval(SWITCH_SECONDS)
        self._stopping.clear()
        self._thread = threading.Thread(target=self._work, name="mugrade-lane", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        self._wake.set()

    def stop(self) -> None:
        """Give the job at hand back after its batch."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(20)

    def _work(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                busy = jobs.run(self._database, self._clock, self._name, pause=self._give_way)
            except (SQLAlchemyError, PoolTimeout) as error:
                log.error(
                    "the lane of jobs waits for the database: %s", getattr(error, "orig", error)
                )
                busy = False
            if not busy:
                self._wake.wait(self._poll)

    def _give_way(self, worked: float) -> bool:
        return self._stopping.wait(min(2.0, worked * (1 / SHARE - 1)))


def work_a_while(state: Any, job_pk: int | None) -> None:
    """Do a small job at once, so that its answer tells how it ended; leave a large one to the lane.

    Args:
        state: the application's.
    """
    if job_pk is None:
        return
    worker, seconds = f"request-{secrets.token_hex(8)}", state.settings.job_seconds_in_request
    try:
        if seconds > 0:
            jobs.run(state.database, state.clock, worker, job_pk=job_pk, seconds=seconds)
    except (SQLAlchemyError, PoolTimeout) as error:  # what was asked for stands; the lane goes on
        log.error("job %s is left to the lane: %s", job_pk, getattr(error, "orig", error))
    state.lane.wake()
