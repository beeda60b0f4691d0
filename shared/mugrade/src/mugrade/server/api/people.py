"""Staff: who is in the course, how they come in, and what they may."""

from __future__ import annotations

from fastapi import Request

from mugrade.server import schemas
from mugrade.server.api.common import ActorHere, make_router
from mugrade.server.routing import requires
from mugrade.server.services import accounts, certificates, invitations, mail, roster

router = make_router(tags=["people"])


@router.get("/roster")
@requires("grade")
def get_roster(request: Request, actor: ActorHere) -> schemas.Roster:
    """Everybody in the course."""
    with request.app.state.database.read() as session:
        people = roster.people(session, actor.course_pk)
    return schemas.Roster.model_validate({"people": people}, from_attributes=True)


@router.post("/roster")
@requires("roster")
def import_roster(
    request: Request, actor: ActorHere, body: schemas.RosterIn
) -> schemas.RosterChange:
    """Add and change people from CSV, or from an export of Canvas or Moodle; a dry run says what would
    happen."""
    state = request.app.state
    with state.database.write() as session:
        change = roster.import_csv(
            session, state.clock(), actor, body.csv, dry_run=body.dry_run, domain=body.domain
        )
    return schemas.RosterChange(
        added=change.added,
        changed=change.changed,
        unchanged=change.unchanged,
        errors=[schemas.LineError(line=line, detail=detail) for line, detail in change.errors],
    )


@router.get("/invitations")
@requires("roster")
def uninvited(request: Request, actor: ActorHere) -> schemas.Uninvited:
    """Who is on the roster and has not come in yet, and whether this server can send mail."""
    state = request.app.state
    with state.database.read() as session:
        people = [account.email for account in invitations.waiting(session, actor.course_pk)]
    return schemas.Uninvited(people=people, mail=mail.is_configured(state.settings))


@router.post("/invitations")
@requires("roster")
def invite(request: Request, actor: ActorHere, body: schemas.InvitationsIn) -> schemas.Invitations:
    """A personal one-time invitation for each of these people, mailed if that is asked for."""
    state = request.app.state
    web = state.settings.web_address()
    with state.database.write() as session:
        result = invitations.invite(session, state.clock(), actor, body.people)
    told: dict[str, str | None] = {}
    if body.mail and result.made:
        letters = [invitations.letter(web, result.course, one) for one in result.made]
        told = mail.send(state.settings, letters)
    return schemas.Invitations(
        invitations=[
            schemas.InvitationOut(
                email=one.email,
                name=one.name,
                code=one.code,
                link=f"{web}invitation?code={one.code}",
                mailed=one.email in told and told[one.email] is None,
                problem=told.get(one.email),
            )
            for one in result.made
        ],
        skipped=[schemas.NotInvited(email=e, reason=r) for e, r in result.skipped],
    )


@router.post("/links")
@requires("roster")
def make_link(request: Request, actor: ActorHere, body: schemas.LinkIn) -> schemas.LinkOut:
    """A one-time sign-in link for somebody who forgot their password."""
    state = request.app.state
    with state.database.write() as session:
        account = accounts.find(session, actor.course_pk, body.person)
        code = invitations.link_for(session, state.clock(), actor, account, reason=body.reason)
    return schemas.LinkOut(link=f"{state.settings.web_address()}link?code={code}")


@router.post("/roles")
@requires("roster")
def change_role(request: Request, actor: ActorHere, body: schemas.RoleIn) -> schemas.Person:
    """Change somebody's role, deactivate or activate them."""
    state = request.app.state
    with state.database.write() as session:
        account = accounts.find(session, actor.course_pk, body.person)
        roster.set_role(
            session,
            state.clock(),
            actor,
            account,
            role=body.role,
            active=body.active,
            reason=body.reason,
        )
        return schemas.Person.model_validate(account, from_attributes=True)


@router.post("/revocations")
@requires("roster")
def revoke_certificate(
    request: Request, actor: ActorHere, body: schemas.RevocationIn
) -> schemas.RevocationOut:
    """Take a student's certificate back, or let it stand again."""
    state = request.app.state
    change = certificates.reinstate if body.reinstate else certificates.revoke
    with state.database.write() as session:
        account = accounts.find(session, actor.course_pk, body.student)
        row = change(session, state.clock(), actor, account, body.reason)
        return schemas.RevocationOut(id=row.id, revoked_at=row.revoked_at)
