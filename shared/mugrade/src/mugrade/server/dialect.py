"""The public client's three routes, byte for byte: arguments in the query, plain-text errors."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from mugrade.encoding import check_limits
from mugrade.server import lane, routing
from mugrade.server.errors import Refusal, gone, invalid, not_found
from mugrade.server.schemas import RevisionIn, VariantIn
from mugrade.server.services import accounts, public, publishing, tokens

router = APIRouter(include_in_schema=False)
_PICKLE_FIELDS = ("output", "outputs", "target_values", "values", "answer", "answers")
_MAX_PUBLISH_NODES = 2_000_000
_BASE64 = re.compile(r"[A-Za-z0-9+/_=\s-]{8,}")


@router.post("/submit")
async def submit(request: Request) -> JSONResponse:
    """Open a submission: `user_key`, `assignment`, `problem` -> `submission_id`."""
    actor = await _actor(request, "submit")
    _refuse_pickles(request)
    assignment, problem = _argument(request, "assignment"), _argument(request, "problem")

    state = request.app.state
    arrived = state.clock()

    def work() -> str:
        with state.database.write() as session:
            return public.open_submission(
                session, arrived, actor, assignment, problem, clock=state.clock
            )

    return JSONResponse({"submission_id": await run_in_threadpool(work)})


@router.post("/submit_test")
async def submit_test(request: Request) -> JSONResponse:
    """Compare one case: `user_key`, `submission_id`, `test_case_index` -> `correct`."""
    actor = await _actor(request, "submit")
    _refuse_pickles(request)
    submission, index = _argument(request, "submission_id"), _argument(request, "test_case_index")
    if not re.fullmatch(r"\d{1,6}", index):
        raise invalid(f"test_case_index is {index!r:.40}; expected a number from 0.")
    state = request.app.state
    body = await routing.read_capped(request, state.settings.max_case_bytes)
    arrived = state.clock()

    def work() -> bool:
        data = routing.parse_json(body)
        check_limits(data)
        _refuse_pickled(data)
        while True:
            with state.database.read() as session:
                compared = public.compare_case(session, actor, submission, int(index), data)
            with state.database.write() as session:
                correct = public.keep_case(session, arrived, actor, compared)
            if correct is not None:
                return correct

    return JSONResponse({"correct": await run_in_threadpool(work)})


@router.post("/publish")
async def publish(request: Request) -> JSONResponse:
    """Publish a list of values as the one variant 0 of a problem."""
    actor = await _actor(request, "publish")
    _refuse_pickles(request)
    assignment, problem = _argument(request, "assignment"), _argument(request, "problem")
    state = request.app.state
    body = await routing.read_capped(request, state.settings.max_publish_bytes)

    def work() -> dict[str, Any]:
        values = routing.parse_json(body, _MAX_PUBLISH_NODES)
        _refuse_pickled(values)
        if not isinstance(values, list):
            raise invalid("The body is no list; publish a JSON list with one value a case.")
        if len(values) > 1000:
            raise invalid(f"The list has {len(values)} values; a problem has at most 1000 cases.")
        given = RevisionIn(variants=[VariantIn(variant=0, seed=0, values=values)])
        with state.database.read() as session:
            publication = publishing.prepare(session, actor, assignment, problem, given)
        with state.database.write() as session:
            done = publishing.commit(session, state.clock(), actor, publication)
        lane.work_a_while(state, done.job_pk)
        return {"problem": problem, "cases": done.cases, "revision": done.revision}

    return JSONResponse(await run_in_threadpool(work))


async def _actor(request: Request, scope: str) -> accounts.Actor:
    state = request.app.state
    if not state.settings.legacy_routes:
        raise not_found("route for the public client")
    key = request.query_params.get("user_key", "")

    def work() -> accounts.Actor:
        if not key:
            raise Refusal(401, "bad_token", "No user_key was given; the course's page shows yours.")
        with state.database.read() as session:
            actor = tokens.authenticate(session, key, state.clock())
        accounts.require_scope(actor, scope)
        if not actor.use_noted:
            routing.note_use(state, actor)
        return actor

    return await run_in_threadpool(work)


def _argument(request: Request, name: str) -> str:
    value = request.query_params.get(name, "")
    if not 0 < len(value) <= 80 or "\0" in value:
        raise invalid(f"The argument {name} is missing or too long.")
    return value


def _refuse_pickles(request: Request) -> None:
    """The oldest clients send base64 pickles, as arguments or as a form."""
    form = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if form in ("application/x-www-form-urlencoded", "multipart/form-data") or any(
        name in request.query_params for name in _PICKLE_FIELDS
    ):
        raise gone()


def _refuse_pickled(data: Any) -> None:
    if isinstance(data, list):
        for item in data[:1000]:
            if isinstance(item, str):
                _refuse_pickled(item)
    if isinstance(data, str) and _BASE64.fullmatch(data):
        try:
            raw = base64.b64decode(data[: 1 << 16] + "===")
        except (binascii.Error, ValueError):
            return
        if raw[:1] == b"\x80" and 2 <= (raw[1] if len(raw) > 1 else 0) <= 5:
            raise gone()
