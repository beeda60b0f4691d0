"""What can go wrong, as exceptions that carry the exit status of the command.

Each message is one sentence for the person at the terminal and names the next command.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit statuses of the command `mugrade`."""

    OK = 0
    WRONG = 1
    USAGE = 2
    AUTH = 3
    NETWORK = 4
    RATE = 5
    CLOSED = 6
    HARDWARE = 7


class ClientError(Exception):
    """A failure that ends the command with `status`."""

    status = Exit.USAGE

    def __init__(self, message: str, *, code: str = "", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after = retry_after


class UsageFault(ClientError):
    """Wrong arguments, wrong configuration, or a request that the grader refuses as invalid."""


class AuthFault(ClientError):
    """No key, a wrong key, or a key that may not do this."""

    status = Exit.AUTH


class NetworkFault(ClientError):
    """The grader could not be reached or failed: worth sending again later."""

    status = Exit.NETWORK


class RateFault(ClientError):
    """Too many attempts for now."""

    status = Exit.RATE


class ClosedFault(ClientError):
    """Not open yet, late without consent, or past the cut-off."""

    status = Exit.CLOSED
