"""Signing up and in, keys and sessions, terminals that wait for a code, my data."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response

from mugrade.server.errors import Refusal
from mugrade.server.pages import web
from mugrade.server.pages.web import make_router, open_page, page, redirect, refused, student_page
from mugrade.server.services import accounts, devices, mydata

router = make_router()


@router.get("/")
@open_page
def start(request: Request) -> Response:
    """The first page: one's own dashboard, or what this site is."""
    if request.state.actor is None:
        return page(request, "start.html")
    return redirect("/staff" if request.state.actor.is_staff else "/dashboard")


@router.get("/signup")
@open_page
def sign_up_form(request: Request) -> Response:
    return page(request, "signup.html", form={"code": request.query_params.get("code", "")})


@router.post("/signup")
@open_page
def sign_up(request: Request) -> Response:
    state, form = request.app.state, request.state.form
    given = {name: form.get(name) for name in ("code", "email", "name")}
    try:
        state.address_limit.check(request, "sign-up")
        with state.database.write() as session:
            account = accounts.sign_up(
                session, state.clock(), password=form.get("password"), **given
            )
            cookie = accounts.open_session(session, state.clock(), account, agent=_agent(request))
    except Refusal as error:
        return refused(request, "signup.html", error, form=given)
    return web.signed_in(request, cookie, "/keys?new=1")


@router.get("/login")
@open_page
def sign_in_form(request: Request) -> Response:
    return page(request, "login.html", form={"email": "", "next": _next(request)})


@router.post("/login")
@open_page
def sign_in(request: Request) -> Response:
    state, form = request.app.state, request.state.form
    try:
        state.address_limit.check(request, "sign-in")
        with state.database.write() as session:
            account = accounts.sign_in(
                session, email=form.get("email"), password=form.get("password")
            )
            cookie = accounts.open_session(session, state.clock(), account, agent=_agent(request))
    except Refusal as error:
        given = {"email": form.get("email"), "next": form.get("next")}
        return refused(request, "login.html", error, form=given)
    return web.signed_in(request, cookie, web.safe_next(form.get("next")))


@router.get("/link")
@open_page
def link_form(request: Request) -> Response:
    """A one-time link shows a button: programs that preview links must not use it up."""
    return page(request, "link.html", code=request.query_params.get("code", ""))


@router.post("/link")
@open_page
def use_link(request: Request) -> Response:
    state, code = request.app.state, request.state.form.get("code")
    state.address_limit.check(request, "sign-in")
    with state.database.write() as session:
        cookie = accounts.use_link(session, state.clock(), code, agent=_agent(request))
    return web.signed_in(request, cookie, "/")


@router.post("/logout")
@student_page
def sign_out(request: Request) -> Response:
    state = request.app.state
    with state.database.write() as session:
        accounts.sign_out(session, state.clock(), request.state.actor)
    response = redirect("/?done=signed-out")
    response.delete_cookie(web.cookie_name(request), path="/", secure=web.is_https(request))
    return response


# ------------------------------------------------------------------------------ keys, sessions


@router.get("/keys")
@student_page
def keys(request: Request) -> Response:
    return _keys_page(request)


def _keys_page(request: Request, status: int = 200, **context: Any) -> Response:
    state, actor = request.app.state, request.state.actor
    with state.database.read() as session:
        tokens = accounts.tokens(session, actor.pk)
        sessions = accounts.sessions(session, state.clock(), actor.pk)
        account = accounts.account_of(session, actor)
    return page(
        request,
        "keys.html",
        status,
        tokens=tokens,
        sessions=sessions,
        account=account,
        new_key=context.pop("new_key", None),
        **context,
    )


@router.post("/keys")
@student_page
def make_key(request: Request) -> Response:
    """A new key is shown once, on the answer to this form."""
    state, actor = request.app.state, request.state.actor
    with state.database.write() as session:
        account = accounts.account_of(session, actor)
        name = request.state.form.get("name") or "key"
        text, _ = accounts.issue_token(session, state.clock(), account, name=name)
    return _keys_page(request, new_key=text)


@router.post("/keys/{token_id}/revoke")
@student_page
def revoke_key(request: Request, token_id: str) -> Response:
    state = request.app.state
    with state.database.write() as session:
        accounts.revoke_token(session, state.clock(), request.state.actor, token_id)
    return redirect("/keys?done=revoked")


@router.post("/sessions/{session_id}/end")
@student_page
def end_session(request: Request, session_id: str) -> Response:
    state = request.app.state
    with state.database.write() as session:
        accounts.sign_out(session, state.clock(), request.state.actor, session_id)
    return redirect("/keys?done=ended")


@router.post("/password")
@student_page
def change_password(request: Request) -> Response:
    state, form, actor = request.app.state, request.state.form, request.state.actor
    try:
        state.address_limit.check(request, "sign-in")
        with state.database.write() as session:
            account = accounts.account_of(session, actor)
            accounts.change_password(
                session, state.clock(), account, old=form.get("old"), new=form.get("new")
            )
            cookie = accounts.open_session(session, state.clock(), account, agent=_agent(request))
    except Refusal as error:
        return _keys_page(request, error.status_code, error=str(error.detail))
    return web.signed_in(request, cookie, "/keys?done=password")


# ------------------------------------------------------------------------------------ terminals


@router.get("/device")
@student_page
def device_form(request: Request) -> Response:
    return _device_page(request, request.query_params.get("code", ""))


def _device_page(request: Request, code: str) -> Response:
    """Ask for the code, or, with one, whether the terminal that shows it may come in."""
    state = request.app.state
    if not code:
        return page(request, "device.html", code="", waiting=None)
    try:
        state.address_limit.check(request, "device")
        with state.database.read() as session:
            waiting = devices.waiting(session, state.clock(), code)
    except Refusal as error:
        return refused(request, "device.html", error, code=code, waiting=None)
    return page(request, "device.html", code=waiting.user_code, waiting=waiting)


@router.post("/device")
@student_page
def device_decide(request: Request) -> Response:
    state, form = request.app.state, request.state.form
    if form.get("answer") not in ("allow", "refuse"):
        return _device_page(request, form.get("code"))
    approve = form.get("answer") == "allow"
    try:
        state.address_limit.check(request, "device")
        with state.database.write() as session:
            row = devices.decide(
                session, state.clock(), request.state.actor, form.get("code"), approve=approve
            )
    except Refusal as error:
        return refused(request, "device.html", error, code=form.get("code"), waiting=None)
    return page(request, "device_done.html", approve=approve, client=row.client)


# -------------------------------------------------------------------------------------- my data


@router.get("/data")
@student_page
def my_data(request: Request) -> Response:
    state = request.app.state
    with state.database.read() as session:
        account = accounts.account_of(session, request.state.actor)
        data = mydata.of_account(session, state.clock(), account)
    return page(request, "data.html", data=data, account=account)


@router.get("/data.json")
@student_page
def my_data_file(request: Request) -> Response:
    state = request.app.state
    with state.database.read() as session:
        account = accounts.account_of(session, request.state.actor)
        data = mydata.of_account(session, state.clock(), account)
    named = {**web.HEADERS, "Content-Disposition": 'attachment; filename="my-data.json"'}
    return JSONResponse(data, headers=named)


@router.post("/data/pseudonym")
@student_page
def set_pseudonym(request: Request) -> Response:
    with request.app.state.database.write() as session:
        account = accounts.account_of(session, request.state.actor)
        accounts.set_pseudonym(session, account, request.state.form.get("pseudonym"))
    return redirect("/data?done=saved")


def _agent(request: Request) -> str:
    return request.headers.get("user-agent", "")[:120]


def _next(request: Request) -> str:
    return web.safe_next(request.query_params.get("next"))
