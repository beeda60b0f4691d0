"""The ASGI application: `create_app(settings)`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool

import mugrade
from mugrade.server import callers, dialect, errors, opening, pages, routing
from mugrade.server.api import open as open_routes
from mugrade.server.api import people, project, staff, student
from mugrade.server.clock import Clock, utc_now
from mugrade.server.lane import Lane
from mugrade.server.observe import Metrics, Observer
from mugrade.server.settings import Settings


def create_app(settings: Settings | None = None, clock: Clock = utc_now) -> FastAPI:
    """Build the application; the schema is brought up to date at once.

    `app.state` carries `settings`, `database`, `clock`, `lane` and `metrics` for routes.

    Args:
        settings: read from the environment when None.
        clock: the time, UTC and aware; tests give their own.
    """
    settings = settings or Settings()
    database = opening.open_database(settings, clock())

    lane = Lane(database, clock)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        lane.start()
        yield
        await run_in_threadpool(lane.stop)
        database.close()

    app = FastAPI(
        title="mugrade",
        version=mugrade.__version__,
        lifespan=lifespan,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
    )
    app.state.settings, app.state.database, app.state.clock = settings, database, clock
    app.state.lane = lane
    app.state.metrics = Metrics()
    app.add_middleware(routing.Guard)
    app.add_middleware(Observer, metrics=app.state.metrics)
    errors.install(app)
    _include_routes(app)
    pages.install(app)
    return app


def _include_routes(app: FastAPI) -> None:
    routing.include(app, dialect, open_routes, student, staff, people, project)
    _add_health(app)


def _add_health(app: FastAPI) -> None:
    app.router.route_class = routing.PlainRoute

    @app.get("/healthz")
    async def healthz() -> JSONResponse:
        """The process answers."""
        return JSONResponse({"status": "ok"})

    @app.get("/readyz")
    def readyz(request: Request) -> JSONResponse:
        """The database answers, with this code's schema, and there is room for more."""
        database, status = request.app.state.database, "ok"
        if not database.is_current():
            status = "migrate"
        elif not database.has_room():
            status = "no space left"
        return JSONResponse({"status": status}, status_code=200 if status == "ok" else 503)

    @app.get("/metrics")
    async def metrics(request: Request) -> Response:
        """For this machine's own collector unless the settings say otherwise."""
        allowed = request.app.state.settings.metrics
        if allowed == "off" or (allowed == "local" and not callers.is_local(request)):
            raise errors.not_found("page")
        return Response(request.app.state.metrics.text(), media_type="text/plain; version=0.0.4")
