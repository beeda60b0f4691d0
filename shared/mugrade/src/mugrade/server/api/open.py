"""Routes that need no token: what server this is, and signing in from a terminal."""

from __future__ import annotations

from urllib.parse import urlencode

from fastapi import Request

import mugrade
from mugrade.server import callers, schemas
from mugrade.server.api.common import PublicId, make_router
from mugrade.server.errors import Refusal
from mugrade.server.routing import open_to_all
from mugrade.server.services import certificates, devices, signing
from mugrade.server.services.courses import courses

router = make_router(open_routes=True, tags=["open"])
_WAITING = {
    "authorization_pending": "Nobody has entered the code yet; ask again in a few seconds.",
    "slow_down": "Asked too often; wait for the interval.",
    "expired_device_code": "The code was used or is too old; start again.",
    "access_denied": "The sign-in was refused on the web page.",
}


@router.get("/meta")
@open_to_all
def meta(request: Request) -> schemas.Meta:
    """Which server this is, its time, and the keys that verify its receipts."""
    state = request.app.state
    with state.database.read() as session:
        receipt_keys = [schemas.ReceiptKey(**key) for key in signing.public_keys(session)]
    return schemas.Meta(
        version=mugrade.__version__,
        time=state.clock(),
        web=state.settings.web_address(),
        receipt_keys=receipt_keys,
    )


@router.post("/device/code")
@open_to_all
def device_code(request: Request, body: schemas.DeviceCodeIn) -> schemas.DeviceCode:
    """Start signing in from a terminal."""
    state = request.app.state
    with state.database.write() as session:
        started = devices.start(
            session,
            state.clock(),
            body.client,
            address=callers.address(request),
            block=callers.block(request),
            scopes=body.scopes,
        )
    page = state.settings.web_address() + "device"
    return schemas.DeviceCode(
        device_code=started.device_code,
        user_code=started.user_code,
        verification_uri=page,
        verification_uri_complete=f"{page}?{urlencode({'code': started.user_code})}",
        interval=devices.INTERVAL_SECONDS,
        expires_in=int(devices.LIFETIME.total_seconds()),
    )


@router.post("/device/token")
@open_to_all
def device_token(request: Request, body: schemas.DeviceTokenIn) -> schemas.DeviceToken:
    """Whether the terminal is let in; its token, once."""
    state = request.app.state
    with state.database.write() as session:
        outcome = devices.poll(session, state.clock(), body.device_code)
        if not isinstance(outcome, str):
            text, token, account = outcome
            course = next(c for c in courses(session) if c.pk == account.course_pk)
            me = schemas.Me(
                id=account.id,
                name=account.name,
                email=account.email,
                role=account.role,
                scopes=token.scopes,
                key_expires_at=token.expires_at,
                course=schemas.CourseOut(id=course.id, title=course.title),
            )
            return schemas.DeviceToken(token=text, account=me)
    raise Refusal(400, outcome, _WAITING[outcome])


@router.get("/certificates/{certificate}")
@open_to_all
def check_certificate(request: Request, certificate: PublicId) -> schemas.CertificateCheck:
    """Whether a certificate is this server's and stands."""
    with request.app.state.database.read() as session:
        found = certificates.check(session, certificate)
    return schemas.CertificateCheck.model_validate(found, from_attributes=True)
