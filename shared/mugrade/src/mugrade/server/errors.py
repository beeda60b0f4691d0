"""Errors as people and programs read them: RFC 9457 on /api, one plain line on legacy routes."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import compile_path

from mugrade.encoding import EncodingError

if TYPE_CHECKING:
    from fastapi import FastAPI

LEGACY_PATHS = frozenset({"/submit", "/submit_test", "/publish"})
TITLES = {
    400: "Bad request",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    410: "Gone",
    413: "Too large",
    422: "Invalid",
    429: "Too many requests",
    500: "Server error",
    503: "Unavailable",
}
CODES = {
    400: "invalid",
    401: "bad_token",
    403: "forbidden",
    404: "not_found",
    405: "invalid",
    410: "gone",
    413: "too_large",
    422: "invalid",
    429: "rate_limited",
}
log = logging.getLogger("mugrade")


class Refusal(HTTPException):
    """An error with a stable `code` and one sentence for a person.

    Args:
        status: HTTP status.
        code: stable word, see docs/api.md.
        detail: what was given, what was expected, what to do.
        retry_after: seconds until another try makes sense; becomes the header too.
        extra: further members of the problem document.
    """

    def __init__(
        self, status: int, code: str, detail: str, *, retry_after: int | None = None, **extra: Any
    ) -> None:
        headers = {}
        if retry_after is not None:
            extra["retry_after"] = retry_after
            headers["Retry-After"] = str(retry_after)
        if status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        super().__init__(status, detail, headers=headers)
        self.code = code
        self.extra = extra


def invalid(detail: str, **extra: Any) -> Refusal:
    return Refusal(400, "invalid", detail, **extra)


def not_found(what: str) -> Refusal:
    return Refusal(404, "not_found", f"There is no {what} here that you may see.")


def unusable(sentence: str) -> Refusal:
    """What keeps the server or one of its commands from working, for who runs it."""
    return Refusal(503, "unavailable", sentence)


def gone() -> Refusal:
    """What the oldest clients are told, on whatever path they ask."""
    return Refusal(
        410,
        "gone",
        "This client sends pickles, which are never read; install the current mugrade client.",
    )


def seconds_until(moment: Any, now: Any) -> int:
    """Whole seconds to wait, at least one."""
    return max(1, math.ceil((moment - now).total_seconds()))


def problem_document(error: HTTPException) -> dict[str, Any]:
    code = getattr(error, "code", None) or CODES.get(error.status_code, "unavailable")
    return {
        "type": "about:blank",
        "title": TITLES.get(error.status_code, "Error"),
        "status": error.status_code,
        "code": code,
        "detail": str(error.detail),
        **getattr(error, "extra", {}),
    }


def respond(request: Request, error: HTTPException) -> Response:
    """The error in the form that the route's readers expect."""
    path = request.url.path
    legacy = path in LEGACY_PATHS
    if not legacy and not path.startswith("/api/v1/") and "user_key" in request.query_params:
        legacy, error = True, gone()  # only the public client's ancestors ask like this
    headers = dict(error.headers or {})
    if error.status_code == 405 and (allowed := _allowed(request.app, path)):
        headers["Allow"] = allowed
    if legacy:
        line = " ".join(str(error.detail).split())
        return PlainTextResponse(line, status_code=error.status_code, headers=headers)
    render_page = getattr(request.app.state, "error_page", None)
    if render_page is not None and not path.startswith("/api/"):
        return render_page(request, error)
    return JSONResponse(
        problem_document(error),
        status_code=error.status_code,
        headers=headers,
        media_type="application/problem+json",
    )


def _allowed(app: FastAPI, path: str) -> str | None:
    """Every method that the API has on this path; each is a route of its own, and Starlette names
    the first one's only."""
    for template, operations in app.openapi()["paths"].items():
        if compile_path(template)[0].match(path):
            return ", ".join(sorted(method.upper() for method in operations))
    return None


def install(app: FastAPI) -> None:
    """Register the handlers. Pages may set `app.state.error_page(request, error) -> Response`."""
    from fastapi.exceptions import RequestValidationError  # commands refuse without FastAPI

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        return respond(request, error)

    @app.exception_handler(EncodingError)
    async def _encoding(request: Request, error: EncodingError) -> Response:
        return respond(request, invalid(str(error)))

    @app.exception_handler(RequestValidationError)
    async def _validation(request: Request, error: RequestValidationError) -> Response:
        reasons = [
            f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in error.errors()
        ][:20]
        return respond(
            request,
            Refusal(422, "invalid", f"The request is malformed: {reasons[0]}.", errors=reasons),
        )

    @app.exception_handler(OperationalError)
    @app.exception_handler(PoolTimeout)
    async def _database(request: Request, error: Exception) -> Response:
        reason = str(getattr(error, "orig", error))
        log.error("database: %s", reason)
        full = "is full" in reason or "No space left" in reason
        told = "The server's disk is full" if full else "The database does not answer"
        wait = 60 if full else 5
        return respond(
            request, Refusal(503, "unavailable", f"{told}; try again.", retry_after=wait)
        )

    @app.exception_handler(Exception)
    async def _bug(request: Request, error: Exception) -> Response:
        return respond(
            request,
            Refusal(500, "unavailable", "The server failed; nothing was stored. Try again."),
        )
