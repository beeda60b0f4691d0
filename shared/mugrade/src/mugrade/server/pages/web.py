"""What every page shares: who is asking, forms, the Origin check, headers, rendering.

A page is a sync function marked with `@open_page`, `@student_page` or `@staff_page` on a router of
`make_router()`. It finds `request.state.actor` (an `accounts.Actor`, or None on open pages) and, on
POST, `request.state.form`. A router with an unmarked page does not start.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, quote, urlsplit

import jinja2
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from markupsafe import Markup
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

import mugrade
from mugrade.server.errors import Refusal, not_found, problem_document
from mugrade.server.routing import PlainRoute, read_capped
from mugrade.server.services import accounts, courses, policies, sessions
from mugrade.words import difference, distance, number

F = TypeVar("F", bound=Callable[..., Any])
COOKIE_DAYS = sessions.SESSION_DAYS
CSP = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}

# ------------------------------------------------------------------------------------- access


def _mark(who: str) -> Callable[[F], F]:
    def mark(endpoint: F) -> F:
        endpoint.mugrade_page = who  # type: ignore[attr-defined]
        return endpoint

    return mark


open_page, student_page, staff_page = _mark("open"), _mark("student"), _mark("staff")
"""For everybody; for everybody who is signed in; for graders and instructors."""


class PageRoute(PlainRoute):
    """Find out who asks, check the form's origin, then call the page."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        if not hasattr(endpoint, "mugrade_page"):
            raise TypeError(f"Page {path} must say who may see it: @open_page or the like.")
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Any]:
        handle = super().get_route_handler()
        who = self.endpoint.mugrade_page  # type: ignore[attr-defined]

        async def handler(request: Request) -> Response:
            actor = await run_in_threadpool(_actor_of, request)
            request.state.actor = actor
            if actor is None and who != "open":
                return to_sign_in(request)
            if who == "staff" and not (actor and actor.is_staff):
                raise not_found("page")
            if request.method == "POST":
                check_origin(request)
                limit = request.app.state.settings.max_body_bytes
                request.state.form = Form(await read_capped(request, limit))
            return await handle(request)

        return handler


def make_router() -> APIRouter:
    return APIRouter(route_class=PageRoute)


def _actor_of(request: Request) -> accounts.Actor | None:
    cookie = request.cookies.get(cookie_name(request))
    if not cookie:
        return None
    with request.app.state.database.read() as session:
        return sessions.actor(session, request.app.state.clock(), cookie)


def check_origin(request: Request) -> None:
    """A form counts only when one of our own pages sent it.

    Raises:
        Refusal: 403 for any other origin, or none.
    """
    origin = request.headers.get("origin")
    web, given = urlsplit(request.app.state.settings.web_address()), urlsplit(origin or "")
    hosts = {request.headers.get("host", ""), web.netloc}
    same = given.scheme == web.scheme and given.netloc in hosts
    if not same and not (origin is None and request.headers.get("sec-fetch-site") == "same-origin"):
        raise Refusal(
            403,
            "forbidden",
            "This form was not sent from a page of this site; open the page here and send it again.",
        )


# --------------------------------------------------------------------------------- the session


def is_https(request: Request) -> bool:
    return request.app.state.settings.web_address().startswith("https:")


def cookie_name(request: Request) -> str:
    """With https, browsers refuse a `__Host-` cookie that another host or path could have set."""
    return "__Host-mugrade" if is_https(request) else "mugrade"


def signed_in(request: Request, cookie: str, target: str) -> Response:
    response = redirect(target)
    response.set_cookie(
        cookie_name(request),
        cookie,
        max_age=COOKIE_DAYS * 86400,
        path="/",
        httponly=True,
        samesite="lax",
        secure=is_https(request),
    )
    return response


def to_sign_in(request: Request) -> Response:
    """To the sign-in page, and back to this one afterwards."""
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return redirect("/login" if request.method == "POST" else f"/login?next={quote(path)}")


def safe_next(target: str | None) -> str:
    """A path of this site, or `/`."""
    if target and target.startswith("/") and not target.startswith(("//", "/\\")):
        return target
    return "/"


def redirect(target: str) -> Response:
    return RedirectResponse(target, status_code=303, headers=HEADERS)


# --------------------------------------------------------------------------------------- forms


class Form:
    """A posted form (`application/x-www-form-urlencoded`)."""

    def __init__(self, body: bytes) -> None:
        try:
            self.fields = parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=500)
        except ValueError:
            raise Refusal(400, "invalid", "The form cannot be read; send it again.") from None

    def get(self, name: str, default: str = "") -> str:
        value = self.fields.get(name, [default])[0].replace("\r\n", "\n")  # as `maxlength` counts
        if "\0" in value:
            raise Refusal(400, "invalid", "A field holds a character that no text has.")
        return value

    def __contains__(self, name: str) -> bool:
        return name in self.fields

    def all(self, name: str) -> list[str]:
        """Every value of a field that may stand there more than once, such as a tick a line."""
        return self.fields.get(name, [])

    def needed(self, name: str) -> str:
        """A field that may not be left empty, whatever the browser let through."""
        value = self.get(name).strip()
        if not value or len(value) > 2000:
            raise Refusal(422, "invalid", f"The field {name} needs 1 to 2000 characters.")
        return value

    def items(self) -> list[tuple[str, str]]:
        return [(name, self.get(name)) for name in self.fields]


# ----------------------------------------------------------------------------------- rendering


def _environment() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    made = jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        number=number, distance=distance, percent=_percent, pretty=_pretty, browser=_browser
    )
    made.globals.update(difference=difference, version=mugrade.__version__)
    return made


def _iso(moment: dt.datetime) -> str:
    return moment.astimezone(dt.timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")


def _browser(agent: str) -> str:
    """`Firefox on Linux` for what a browser says of itself; what is unknown as it stands."""
    names = {
        "Edg": "Edge",
        "OPR": "Opera",
        "Firefox": "Firefox",
        "Chrome": "Chrome",
        "Safari": "Safari",
    }
    systems = {
        "Android": "Android",
        "iPhone": "iPhone",
        "iPad": "iPad",
        "Windows": "Windows",
        "Mac OS": "macOS",
        "Linux": "Linux",
    }
    name = next((shown for mark, shown in names.items() if f"{mark}/" in agent), None)
    system = next((shown for mark, shown in systems.items() if mark in agent), None)
    return f"{name} on {system}" if name and system else agent or "unknown"


def _percent(part: Any, whole: Any) -> int:
    return round(100 * float(part) / float(whole)) if whole else 0


def _pretty(data: Any) -> str:
    return json.dumps(data, sort_keys=True, ensure_ascii=False, default=str)


TEMPLATES = _environment()

DONE = {
    "revoked": "The key is revoked; programs that use it must get a new one.",
    "ended": "That browser is signed out.",
    "password": "The password is changed; other browsers are signed out.",
    "mailed": "If somebody here has this address, a sign-in link is on its way.",
    "saved": "Saved.",
    "asked": "Staff will look at it again and answer here.",
    "extended": "The extension is recorded.",
    "override": "The score is set.",
    "changed": "The account is changed.",
    "regraded": "The tolerance counts; the stored attempts are compared again.",
    "rolled-back": "The earlier revision counts again; the stored attempts are compared with it.",
    "imported": "The people are imported.",
    "arranged": "It is recorded for all of them.",
    "members": "The group's members are changed.",
    "course": "The course is changed; scores follow at once.",
    "looked-at": "Your note is recorded.",
    "answered": "Your answer is recorded.",
    "invited": "The invitation is there when they open their project page.",
    "proposed": "The proposal is handed in; staff will answer here.",
    "handed-in": "The project is handed in.",
    "left": "You have left the group.",
    "decided": "The group sees your decision on its project page.",
    "graded": "The grade is recorded.",
    "signed-out": "You are signed out.",
}


def page(
    request: Request,
    template: str,
    http_status: int = 200,
    refusal: Refusal | None = None,
    **context: Any,
) -> Response:
    """Render `template`; `now`, `when`, `actor` and the sentence of `?done=` are always there. A refusal
    stands above it, and `typed(field, otherwise)` is what was refused: nobody types it again."""
    form = getattr(request.state, "form", None)
    if refusal is not None:
        http_status, context["error"] = refusal.status_code, str(refusal.detail)
    text = TEMPLATES.get_template(template).render(
        request=request,
        actor=getattr(request.state, "actor", None),
        now=request.app.state.clock(),
        when=_when(request),
        done=DONE.get(request.query_params.get("done", "")),
        web=request.app.state.settings.web_address(),
        solo=request.app.state.settings.solo,
        error=context.pop("error", None),
        typed=form.get if refusal is not None and form else lambda field, otherwise="": otherwise,
        **context,
    )
    return HTMLResponse(text, status_code=http_status, headers=HEADERS)


class When:
    """Times as the course's people read them: in the course's zone, with the zone's name."""

    def __init__(self, zone: dt.tzinfo) -> None:
        self.zone = zone

    def __call__(self, moment: dt.datetime) -> Markup:
        return Markup('<time datetime="{}">{}</time>').format(_iso(moment), self.text(moment))

    def text(self, moment: dt.datetime) -> str:
        """The same for an attribute."""
        return f"{moment.astimezone(self.zone):%a %d %b %Y %H:%M %Z}"


def _when(request: Request) -> When:
    zone = policies.UTC
    actor = getattr(request.state, "actor", None)
    if actor is not None:
        with request.app.state.database.read() as session:
            zone = courses.view(session, actor.course_pk, actor.course_version).zone
    return When(zone)


def written(
    request: Request,
    write: Callable[[Session, dt.datetime, accounts.Actor], object],
    then: str,
    again: Callable[[Refusal], Response],
) -> Response:
    """Let `write` store what the form says, in one transaction, and go on to `then`; a refusal stands in
    the page that `again` makes."""
    state = request.app.state
    try:
        with state.database.write() as session:
            write(session, state.clock(), request.state.actor)
    except Refusal as refusal:
        return again(refusal)
    return redirect(then)


ADVICE = {
    400: "Go back and check what was entered.",
    401: "Sign in again.",
    403: "If you think you should be able to do this, ask the course's staff.",
    404: "Check the address, or start from the first page.",
    405: "Open the page with a link instead of reloading a sent form.",
    409: "Go back, reload the page and look at what has changed.",
    413: "Send less at once.",
    422: "Go back and check what was entered.",
    429: "Wait a little, then try again.",
    500: "Try again; if it happens again, tell the course's staff when it was.",
    503: "Try again in a few seconds.",
}


def error_page(request: Request, error: HTTPException) -> Response:
    """Any error outside the API, as a page that says what to do."""
    if not hasattr(request.state, "actor"):
        request.state.actor = None
    document = problem_document(error)
    if document["detail"] == "Not Found":  # Starlette's own words for an unknown address
        document["detail"] = "There is no page at this address."
    response = page(
        request,
        "error.html",
        error.status_code,
        document=document,
        advice=ADVICE.get(error.status_code, ADVICE[500]),
    )
    response.headers.update(error.headers or {})
    return response
