"""Who may call a route is decided before a byte of its body is read.

Every endpoint carries `@requires(scope)` or `@open_to_all`; an application with a route that
carries neither does not start. Bodies are capped while they arrive and decoded strictly, off the
event loop.
"""

from __future__ import annotations

import contextlib
import functools
import re
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

import msgspec
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from sqlalchemy.exc import SQLAlchemyError
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders, State
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mugrade.encoding import MAX_DEPTH, MAX_NODES, EncodingError, check_limits
from mugrade.server.errors import Refusal, invalid, respond
from mugrade.server.services import accounts, tokens

F = TypeVar("F", bound=Callable[..., Any])
_DECODER = msgspec.json.Decoder()
_STRING = re.compile(
    rb'"(?:[^"\\]|\\.)*+"' if sys.version_info >= (3, 11) else rb'"(?:[^"\\]|\\.)*"'
)
_ENVELOPE_DEPTH = 4
"""Levels that the request's own objects and lists add around a value."""


def requires(scope: str) -> Callable[[F], F]:
    """The endpoint needs a bearer token with `scope`; `request.state.actor` is who it is."""

    def mark(endpoint: F) -> F:
        endpoint.mugrade_scope = scope  # type: ignore[attr-defined]
        return endpoint

    return mark


def open_to_all(endpoint: F) -> F:
    """The endpoint needs no token."""
    endpoint.mugrade_scope = None  # type: ignore[attr-defined]
    return endpoint


def body_limit(setting: str, nodes: int = MAX_NODES) -> Callable[[F], F]:
    """The endpoint's body may have as many bytes as this setting says, and `nodes` nodes."""

    def mark(endpoint: F) -> F:
        endpoint.mugrade_body = (setting, nodes)  # type: ignore[attr-defined]
        return endpoint

    return mark


def include(app: FastAPI, *modules: ModuleType) -> None:
    """Add the routes of each module's `router` to the application."""
    app.router.routes.extend(_routes_of(modules))


@functools.cache
def _routes_of(modules: tuple[ModuleType, ...]) -> list[BaseRoute]:
    """The same for all applications of a process: to read the signatures of all endpoints anew, as
    `app.include_router` does at a first request, takes longer than to answer ten."""
    together = APIRouter()
    for module in modules:
        together.include_router(module.router)
    return together.routes


class Guard:
    """Around every route: a path or query with a NUL, which PostgreSQL's text cannot hold, is 400; an
    answer that says nothing else is not to be stored (static files may be), nor taken for another type
    than it states."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if not scope["path"].startswith("/static/"):
                    headers.setdefault("Cache-Control", "no-store")
                headers.setdefault("X-Content-Type-Options", "nosniff")
            await send(message)

        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            refusal = invalid("The address holds a NUL character, which no name here has.")
            await respond(Request(scope), refusal)(scope, receive, guarded)
            return
        await self.app(scope, receive, guarded)


class PlainRoute(APIRoute):
    """A route outside the API: as Starlette's own, which answers HEAD where it answers GET."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **{**options, "include_in_schema": False})
        if "GET" in (methods := self.methods or set()):
            methods.add("HEAD")


class StrictRequest(Request):
    """A request whose body is capped while being read and whose JSON is strict.

    `state.arrived` is when its last byte came: what an attempt's lateness is judged by, however
    long it waits for a thread or a lock afterwards.
    """

    max_bytes: int
    max_nodes: int

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            self._body = await read_capped(self, self.max_bytes)
            self.state.arrived = self.app.state.clock()
        return self._body

    async def json(self) -> Any:
        body = await self.body()
        return await run_in_threadpool(parse_json, body, self.max_nodes)


class StrictRoute(APIRoute):
    """Authenticate, check the scope, then read, decode and call the endpoint."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        if not hasattr(endpoint, "mugrade_scope"):
            raise TypeError(
                f"Route {path} must say who may call it: @requires(...) or @open_to_all."
            )
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Any]:
        handle = super().get_route_handler()
        scope = self.endpoint.mugrade_scope  # type: ignore[attr-defined]
        setting, nodes = getattr(self.endpoint, "mugrade_body", ("max_body_bytes", MAX_NODES))

        async def handler(request: Request) -> Response:
            strict = StrictRequest(request.scope, request.receive)
            strict.max_bytes = getattr(request.app.state.settings, setting)
            strict.max_nodes = nodes
            if scope is None:
                return await handle(strict)
            strict.state.actor = actor = await run_in_threadpool(_authenticate, request, scope)
            response = await handle(strict)
            if not actor.use_noted and response.background is None:
                response.background = BackgroundTask(note_use, request.app.state, actor)
            return response

        return handler


def _authenticate(request: Request, scope: str) -> accounts.Actor:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token:
        raise Refusal(401, "bad_token", "No token was sent; sign in with `mugrade login`.")
    with request.app.state.database.read() as session:
        actor = tokens.authenticate(session, token.strip(), request.app.state.clock())
    accounts.require_scope(actor, scope)
    return actor


def note_use(state: State, actor: accounts.Actor) -> None:
    """Write down that the key was used; a busy database is no reason to fail."""
    if actor.token_pk is None:
        return
    with contextlib.suppress(SQLAlchemyError), state.database.write() as session:
        tokens.note_use(session, actor.token_pk, state.clock())


async def read_capped(request: Request, limit: int) -> bytes:
    """The body, or 413 as soon as more than `limit` bytes are announced or have arrived."""
    too_large = Refusal(
        413, "too_large", f"The body has more than {limit} bytes; send a smaller one."
    )
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise too_large
    chunks, size = [], 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise too_large
            chunks.append(chunk)
    except ClientDisconnect:  # nobody reads the answer; it is no fault of the server
        raise invalid("The connection ended before all of the body had come.") from None
    return b"".join(chunks)


def _nodes_at_most(body: bytes) -> int:
    """An upper bound of the JSON's nodes, before anything is allocated for them."""
    return 1 + body.count(b",") + body.count(b"[") + body.count(b"{")


def parse_json(
    body: bytes, max_nodes: int = MAX_NODES, max_depth: int = MAX_DEPTH + _ENVELOPE_DEPTH
) -> Any:
    """Strict JSON: no NaN, no 1e999, 64-bit integers, bounded depth and nodes; 4xx otherwise."""
    if not body:
        raise invalid("The body is empty; expected JSON.")
    try:
        if _nodes_at_most(body) > max_nodes and _nodes_at_most(_STRING.sub(b"", body)) > max_nodes:
            raise EncodingError(f"The body has more than {max_nodes} nodes; send a smaller one.")
        data = _DECODER.decode(body)
        check_limits(data, max_depth=max_depth, max_nodes=max_nodes)
    except RecursionError:
        raise invalid(f"The JSON is nested deeper than {max_depth} levels.") from None
    except EncodingError as error:
        raise invalid(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise invalid(f"The body is not valid JSON: {str(error)[:120]}.") from None
    return data
