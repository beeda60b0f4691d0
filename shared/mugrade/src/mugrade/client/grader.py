"""Talking to a grader over HTTP: one request at a time, each failure a sentence of its own.

`Connection` sends and retries; `Grader` speaks `/api/v1` (docs/api.md). The public course's dialect
is in `public`. Nothing here prints.
"""

from __future__ import annotations

import email.utils
import random
import re
import time
from collections.abc import Callable
from typing import Any

import requests

import mugrade
from mugrade.client.errors import (
    AuthFault,
    ClientError,
    ClosedFault,
    NetworkFault,
    RateFault,
    UsageFault,
)

TIMEOUT = 30
COMMAND_TIMEOUT = 900
"""Seconds that a command of staff may take; it is sent once, whatever happens."""
RETRIES = 3
LONGEST_WAIT = 20.0
"""Seconds a `Retry-After` may ask for and still be waited out; longer ones are reported."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")

_BY_CODE: dict[str, type[ClientError]] = {
    "bad_token": AuthFault,
    "expired_token": AuthFault,
    "forbidden": AuthFault,
    "closed": ClosedFault,
    "not_open": ClosedFault,
    "late": ClosedFault,
    "rate_limited": RateFault,
    "cool_down": RateFault,
    "unavailable": NetworkFault,
}
_ADVICE = {
    "bad_token": "Run `mugrade login` to get a new key.",
    "expired_token": "Run `mugrade login` to get a new key.",
    "forbidden": "Run `mugrade whoami` to see which account this is.",
    "late": "To hand it in anyway, run `mugrade submit` with --late.",
    "closed": "`mugrade status` shows what is still open.",
    "not_open": "`mugrade status` shows what is open.",
    "rate_limited": "Test locally meanwhile: `mugrade run ASSIGNMENT PROBLEM`.",
    "cool_down": "Test locally meanwhile: `mugrade run ASSIGNMENT PROBLEM`.",
    "not_found": "`mugrade status` lists what there is.",
}


class _Bearer(requests.auth.AuthBase):
    """The key as a header. An auth object, so that a ~/.netrc cannot put another in its place."""

    def __init__(self, key: str | None) -> None:
        self.key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.key:
            request.headers["Authorization"] = f"Bearer {self.key}"
        return request


class Connection:
    """HTTP to one grader, with retries.

    Args:
        server: its URL with a slash at the end (`settings.choose_server` checked it).
        key: sent as a bearer token, or None.
        sleep: replaced by tests.
    """

    def __init__(
        self, server: str, key: str | None = None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.server = server
        self._auth = _Bearer(key)
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"mugrade/{mugrade.__version__}"
        self._sleep = sleep

    def send(
        self,
        method: str,
        path: str,
        *,
        repeatable: bool = True,
        bearer: bool = True,
        timeout: float = TIMEOUT,
        **arguments: Any,
    ) -> requests.Response:
        """Send until there is an answer that is worth reading.

        Args:
            repeatable: the request may be sent again after a failure in the middle of it.
            bearer: whether the key goes along as a header.
            arguments: `params`, `json`, `data` and `headers` as for requests.

        Raises:
            NetworkFault: no answer, or only server errors, after all retries.
        """
        answer: requests.Response | None = None
        for attempt in range(RETRIES + 1):
            if attempt:
                self._sleep(_pause(attempt, None if answer is None else _retry_after(answer)))
            last = attempt == RETRIES or not repeatable
            try:
                answer = self._session.request(
                    method,
                    self.server + path,
                    timeout=(TIMEOUT, timeout),
                    allow_redirects=False,
                    auth=self._auth if bearer else _Bearer(None),
                    **arguments,
                )
            except requests.RequestException as error:
                if last or not _worth_repeating(error):
                    raise _connection_fault(self.server, error, repeatable) from error
                continue
            if last or not _worth_waiting(answer):
                return answer
        raise AssertionError("the last round returns or raises")

    def json(self, method: str, path: str, **arguments: Any) -> Any:
        """`send`, then the answer's JSON; an error answer becomes its exception."""
        response = self.send(method, path, **arguments)
        if not 200 <= response.status_code < 300:
            raise answer_fault(self.server, response)
        if response.status_code == 204:
            return None
        return read_body(self.server, response)


class Grader:
    """A server that speaks `/api/v1`. Methods return the JSON that docs/api.md describes."""

    dialect = "v1"

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        return self.connection.json(method, "api/v1/" + path, **arguments)

    def meta(self) -> dict[str, Any]:
        return self.call("GET", "meta")

    def me(self) -> dict[str, Any]:
        return self.call("GET", "me")

    def assignments(self) -> dict[str, Any]:
        return self.call("GET", "assignments")

    def assignment(self, assignment: str) -> dict[str, Any]:
        return self.call("GET", homework_path(assignment))

    def attempt(self, assignment: str, problem: str, body: dict, idempotency_key: str) -> dict:
        return self.call(
            "POST",
            f"{problem_path(assignment, problem)}/attempts",
            json=body,
            headers={"Idempotency-Key": idempotency_key},
        )

    def command(self, method: str, path: str, **arguments: Any) -> Any:
        """A command of staff: sent once, with patience; whether it arrived is for them to look at."""
        return self.call(method, path, repeatable=False, timeout=COMMAND_TIMEOUT, **arguments)

    def publish(self, assignment: str, problem: str, body: dict[str, Any]) -> dict[str, Any]:
        return self.command("PUT", f"{problem_path(assignment, problem)}/revision", json=body)

    def regrade(self, assignment: str, problem: str, body: dict[str, Any]) -> dict[str, Any]:
        return self.command("POST", f"{problem_path(assignment, problem)}/regrade", json=body)

    def rollback(self, assignment: str, problem: str, body: dict[str, Any]) -> dict[str, Any]:
        return self.command("POST", f"{problem_path(assignment, problem)}/rollback", json=body)

    def revisions(self, assignment: str, problem: str) -> dict[str, Any]:
        return self.call("GET", f"{problem_path(assignment, problem)}/revisions")


def homework_path(assignment: str) -> str:
    return f"assignments/{_checked_name(assignment)}"


def problem_path(assignment: str, problem: str) -> str:
    return f"{homework_path(assignment)}/problems/{_checked_name(problem)}"


def _checked_name(name: str) -> str:
    """A name that stays one part of a path: `..` or `hw0?x` would ask for something else."""
    if not _NAME.fullmatch(name):
        raise UsageFault(
            f"{name!r:.60} is no name of a homework or problem; `mugrade status` lists what there is."
        )
    return name


# ------------------------------------------------------------------------- answers and failures


def read_body(server: str, response: requests.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        raise UsageFault(
            f"{server} answered with something that is not JSON, so it is probably no grader; check the address with "
            "`mugrade doctor`."
        ) from None


def answer_fault(server: str, response: requests.Response) -> ClientError:
    """The exception for an answer that is no success."""
    problem = _problem_document(response)
    code = str(problem.get("code", ""))
    wait = _retry_after(response)
    status = response.status_code
    if 300 <= status < 400:
        target = response.headers.get("Location", "another address")
        return UsageFault(
            f"{server} sends its visitors to {target}; set MUGRADE_SERVER to that address, or run "
            "`mugrade login --server URL`.",
            code="moved",
        )
    kind = _BY_CODE.get(code) or _kind_by_status(status)
    detail = str(problem.get("detail") or problem.get("title") or "").strip()
    if not detail:
        text = response.text.strip()
        plain = bool(text) and not text.startswith("<")
        detail = text.splitlines()[0][:200] if plain else f"the answer's status was {status}"
        detail = f"{server} refused: {detail}"
    if not code:
        code = {401: "bad_token", 403: "forbidden", 404: "not_found", 429: "rate_limited"}.get(
            status, ""
        )
    if code in ("rate_limited", "cool_down") and wait and "possible" not in detail:
        detail = detail.rstrip(".") + f"; try again in {in_words(wait)}"
    reasons = [str(reason) for reason in problem.get("errors") or []]
    lines = [
        detail if detail.endswith((".", "?", "!")) else detail + ".",
        *(f"- {r}" for r in reasons),
    ]
    advice = _ADVICE.get(code)
    text = "\n".join(lines) + (f" {advice}" if advice else "")
    return kind(text, code=code, retry_after=wait)


def _kind_by_status(status: int) -> type[ClientError]:
    if status in (401, 403):
        return AuthFault
    if status == 429:
        return RateFault
    return NetworkFault if status >= 500 else UsageFault


def _problem_document(response: requests.Response) -> dict[str, Any]:
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _connection_fault(
    server: str, error: requests.RequestException, repeatable: bool
) -> NetworkFault:
    if not repeatable and _went_out(error):
        return NetworkFault(
            f"The connection to {server} ended before the answer came, and what was asked for may be "
            "done or under way; it is not sent again by itself. Look first: `mugrade jobs`, `mugrade "
            "grades`, `mugrade roster`.",
            code="unanswered",
        )
    if isinstance(error, requests.exceptions.SSLError):
        return NetworkFault(
            f"The certificate of {server} cannot be trusted, so nothing was sent; check the address and this machine's clock "
            "with `mugrade doctor`.",
            code="tls",
        )
    if isinstance(error, requests.exceptions.ProxyError):
        return NetworkFault(
            f"The proxy of this network does not let {server} through; unset HTTPS_PROXY or ask for "
            "its right value, then run `mugrade sync`.",
            code="proxy",
        )
    if isinstance(error, requests.exceptions.ConnectTimeout | requests.exceptions.ReadTimeout):
        return NetworkFault(
            f"{server} did not answer within {TIMEOUT} seconds; run `mugrade sync` later.",
            code="timeout",
        )
    if "refused" in str(error).lower():
        return NetworkFault(
            f"Nothing listens at {server}: the address is wrong or the grader is down; `mugrade doctor` "
            "looks closer.",
            code="refused",
        )
    if "resolve" in str(error).lower() or "name or service" in str(error).lower():
        return NetworkFault(
            f"The name in {server} cannot be found: there is no network, or the address is misspelt; "
            "`mugrade doctor` looks closer.",
            code="dns",
        )
    return NetworkFault(
        f"The connection to {server} broke before the answer came; run `mugrade sync` to send it "
        "again, it will count once.",
        code="cut",
    )


def _went_out(error: requests.RequestException) -> bool:
    """Whether the request may have reached the server."""
    if isinstance(error, requests.exceptions.ReadTimeout):
        return True
    faults = requests.exceptions
    never = (faults.SSLError, faults.ProxyError, faults.ConnectTimeout)
    if not isinstance(error, faults.ConnectionError) or isinstance(error, never):
        return False
    return not any(word in str(error).lower() for word in ("refused", "resolve", "name or service"))


def _worth_repeating(error: requests.RequestException) -> bool:
    return not isinstance(error, requests.exceptions.SSLError | requests.exceptions.ProxyError)


def _worth_waiting(answer: requests.Response) -> bool:
    """Server errors and short rate limits pass by themselves."""
    if answer.status_code == 429:
        wait = _retry_after(answer)
        return wait is not None and wait <= LONGEST_WAIT
    return answer.status_code >= 500 and (_retry_after(answer) or 0) <= LONGEST_WAIT


def _retry_after(response: requests.Response) -> float | None:
    """Seconds, from either form of the header; a date is read against the server's own clock."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdigit():
        return float(text)
    try:
        until = email.utils.parsedate_to_datetime(text)
        now = email.utils.parsedate_to_datetime(response.headers.get("Date", ""))
        return max(0.0, (until - now).total_seconds())
    except (TypeError, ValueError):
        return None


def _pause(attempt: int, retry_after: float | None) -> float:
    """Doubling with jitter, so that a class of students does not come back all at once."""
    if retry_after is not None:
        return retry_after + random.uniform(0, 1)
    return random.uniform(0.5, 1.0) * 2 ** (attempt - 1)


def in_words(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} seconds"
    return f"{round(seconds / 60)} minutes" if seconds < 5400 else f"{round(seconds / 3600)} hours"
