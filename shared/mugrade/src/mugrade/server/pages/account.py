"""Signing up and in, invitations, keys and sessions, terminals that wait for a code, my data."""

from __future__ import annotations

import contextlib
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from starlette.background import BackgroundTask

from mugrade.server import callers
from mugrade.server.errors import Refusal
from mugrade.server.pages import web
from mugrade.server.pages.web import make_router, open_page, page, redirect, student_page
from mugrade.server.services import (
    accounts,
    devices,
    identity,
    mail,
    mydata,
    sessions,
    tokens,
    tries,
)

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
        cookie = identity.sign_up(
            state.database, state.clock, _caller(request), password=form.get("password"), **given
        )
    except Refusal as error:
        return page(request, "signup.html", refusal=error, form=given)
    return web.signed_in(request, cookie, "/welcome")


@router.get("/login")
@open_page
def sign_in_form(request: Request) -> Response:
    return page(request, "login.html", form={"email": "", "next": _next(request)})


@router.post("/login")
@open_page
def sign_in(request: Request) -> Response:
    state, form = request.app.state, request.state.form
    try:
        cookie = identity.sign_in(
            state.database,
            state.clock,
            _caller(request),
            email=form.get("email"),
            password=form.get("password"),
        )
    except Refusal as error:
        given = {"email": form.get("email"), "next": form.get("next")}
        return page(request, "login.html", refusal=error, form=given)
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
    cookie = identity.use_link(state.database, state.clock, _caller(request), code)
    return web.signed_in(request, cookie, "/")


# ----------------------------------------------------------------- invitation, forgotten password


@router.get("/invitation")
@open_page
def invitation_form(request: Request) -> Response:
    """Ask for the code of a personal invitation, or, with one, for the password to be."""
    return _invitation_page(request, request.query_params.get("code", ""))


def _invitation_page(
    request: Request, code: str, status: int = 200, error: str | None = None
) -> Response:
    state, person = request.app.state, None
    if code:
        try:
            person = identity.invited(state.database, state.clock, _caller(request), code)
        except Refusal as refusal:
            status, error = refusal.status_code, str(refusal.detail)
    return page(request, "invitation.html", status, code=code, person=person, error=error)


@router.post("/invitation")
@open_page
def accept_invitation(request: Request) -> Response:
    state, form = request.app.state, request.state.form
    try:
        cookie = identity.accept(
            state.database,
            state.clock,
            _caller(request),
            code=form.get("code"),
            password=form.get("password"),
        )
    except Refusal as error:
        return _invitation_page(request, form.get("code"), error.status_code, str(error.detail))
    return web.signed_in(request, cookie, "/welcome")


@router.get("/forgot")
@open_page
def forgot_form(request: Request) -> Response:
    return _forgot_page(request)


def _forgot_page(request: Request, status: int = 200, error: str | None = None) -> Response:
    mailed = mail.is_configured(request.app.state.settings)
    return page(request, "forgot.html", status, mailed=mailed, error=error)


@router.post("/forgot")
@open_page
def forgot(request: Request) -> Response:
    """Mail a one-time link, where the server can; the answer tells nothing about who is here."""
    state, email = request.app.state, request.state.form.get("email")
    if not mail.is_configured(state.settings):
        return _forgot_page(request)
    try:
        send = identity.mail_links(state.database, state.clock, _caller(request), email)
    except Refusal as error:
        return _forgot_page(request, error.status_code, str(error.detail))
    response = redirect("/forgot?done=mailed")
    response.background = BackgroundTask(send)
    return response


@router.post("/logout")
@student_page
def sign_out(request: Request) -> Response:
    state = request.app.state
    with state.database.write() as session:
        sessions.sign_out(session, state.clock(), request.state.actor)
    response = redirect("/?done=signed-out")
    response.delete_cookie(web.cookie_name(request), path="/", secure=web.is_https(request))
    return response


# ------------------------------------------------------------------------------ keys, sessions


@router.get("/keys")
@student_page
def keys(request: Request) -> Response:
    return _keys_page(request)


def _keys_page(request: Request, **context: Any) -> Response:
    state, actor = request.app.state, request.state.actor
    with state.database.read() as session:
        keys = tokens.of_account(session, actor.pk)
        browsers = sessions.of_account(session, state.clock(), actor.pk)
        account = accounts.account_of(session, actor)
    return page(
        request,
        "keys.html",
        offered=_staff_scopes(actor),
        days=state.settings.key_days,
        tokens=keys,
        sessions=browsers,
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
        scopes = accounts.EVERYDAY_SCOPES | _ticked(request)
        text, _ = tokens.issue(session, state.clock(), account, name=name, scopes=scopes)
    return _keys_page(request, new_key=text)


@router.post("/keys/{token_id}/revoke")
@student_page
def revoke_key(request: Request, token_id: str) -> Response:
    state = request.app.state
    with state.database.write() as session:
        tokens.revoke(session, state.clock(), request.state.actor, token_id)
    return redirect("/keys?done=revoked")


@router.post("/sessions/{session_id}/end")
@student_page
def end_session(request: Request, session_id: str) -> Response:
    state = request.app.state
    with state.database.write() as session:
        sessions.sign_out(session, state.clock(), request.state.actor, session_id)
    return redirect("/keys?done=ended")


@router.post("/password")
@student_page
def change_password(request: Request) -> Response:
    state, form, actor = request.app.state, request.state.form, request.state.actor
    try:
        cookie = identity.set_password(
            state.database,
            state.clock,
            _caller(request),
            actor,
            old=form.get("old"),
            new=form.get("new"),
            revoke_keys=bool(form.get("revoke")),
        )
    except Refusal as error:
        return _keys_page(request, refusal=error)
    return web.signed_in(request, cookie, "/keys?done=password")


# ------------------------------------------------------------------------------------ terminals


@router.get("/device")
@student_page
def device_form(request: Request) -> Response:
    return _device_page(request, request.query_params.get("code", ""))


def _device_page(request: Request, code: str) -> Response:
    """Ask for the code, or, with one, whether the terminal that shows it may come in."""
    state, actor = request.app.state, request.state.actor
    offered = _staff_scopes(actor)
    if not code:
        return page(request, "device.html", code="", waiting=None, offered=offered)
    try:
        with _guessing(request), state.database.read() as session:
            waiting = devices.waiting(session, state.clock(), code)
    except Refusal as error:
        return page(request, "device.html", refusal=error, code=code, waiting=None, offered=offered)
    return page(request, "device.html", code=waiting.user_code, waiting=waiting, offered=offered)


@router.post("/device")
@student_page
def device_decide(request: Request) -> Response:
    state, form = request.app.state, request.state.form
    if form.get("answer") not in ("allow", "refuse"):
        return _device_page(request, form.get("code"))
    approve = form.get("answer") == "allow"
    try:
        with _guessing(request), state.database.write() as session:
            row = devices.decide(
                session,
                state.clock(),
                request.state.actor,
                form.get("code"),
                approve=approve,
                scopes=_ticked(request),
            )
    except Refusal as error:
        offered = _staff_scopes(request.state.actor)
        return page(
            request,
            "device.html",
            refusal=error,
            code=form.get("code"),
            waiting=None,
            offered=offered,
        )
    return page(request, "device_done.html", approve=approve, client=row.client)


def _guessing(request: Request) -> contextlib.AbstractContextManager[None]:
    """A wrong code counts against the account that typed it, and its network."""
    state, actor = request.app.state, request.state.actor
    return tries.counted(
        state.database,
        state.clock,
        tries.of_account(state.database, actor.id),
        tries.of_address(state.database, callers.block(request)),
    )


SCOPE_WORDS = {
    "grade": "see everybody's grades and attempts, regrade, extend, grade projects",
    "publish": "publish answers",
    "roster": "change who is in the course and what they may",
}


def _staff_scopes(actor: accounts.Actor) -> dict[str, str]:
    """What this person may allow a key beyond reading and submitting, in words."""
    return {name: words for name, words in SCOPE_WORDS.items() if name in actor.scopes}


def _ticked(request: Request) -> set[str]:
    return {
        n for n in SCOPE_WORDS if request.state.form.get(f"scope-{n}")
    } & request.state.actor.scopes


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


def _caller(request: Request) -> identity.Caller:
    return identity.Caller(callers.block(request), request.headers.get("user-agent", "")[:120])


def _next(request: Request) -> str:
    return web.safe_next(request.query_params.get("next"))
