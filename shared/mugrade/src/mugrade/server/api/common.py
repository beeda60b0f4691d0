"""What the routers share."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Security
from fastapi.security import HTTPBearer

from mugrade.server.routing import StrictRoute
from mugrade.server.schemas import ProblemDocument
from mugrade.server.services.accounts import Actor

_BEARER = HTTPBearer(
    auto_error=False, description="`mug_...`, from the key page or `mugrade login`"
)
_PROBLEM = {
    "application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}
}
_STATUSES = {
    400: "The request cannot be read",
    401: "No key, or one that does not work",
    403: "Scope or role missing; closed or late",
    404: "Not there, or not yours",
    409: "In conflict with what stands",
    413: "Too large",
    422: "A field is not what it must be",
    429: "Too many attempts",
}


def make_router(*, open_routes: bool = False, tags: list[str] | None = None) -> APIRouter:
    """A router of /api/v1 whose routes check their caller before they read."""
    responses: dict[int | str, dict[str, Any]] = {
        status: {"description": text, "content": _PROBLEM} for status, text in _STATUSES.items()
    }
    responses[422]["model"] = ProblemDocument
    dependencies = [] if open_routes else [Security(_BEARER)]
    return APIRouter(
        prefix="/api/v1",
        route_class=StrictRoute,
        responses=responses,
        dependencies=dependencies,
        tags=list(tags or []),
    )


def _actor(request: Request) -> Actor:
    return request.state.actor


ActorHere = Annotated[Actor, Depends(_actor)]
Assignment = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")]
Problem = Annotated[str, Path(max_length=80, pattern=r"^[A-Za-z0-9_.-]+$")]
PublicId = Annotated[str, Path(max_length=40, pattern=r"^[A-Za-z0-9_]+$")]
