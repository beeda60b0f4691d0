"""Final projects: groups of two or three, proposal, report, staff's decision and grade."""

from __future__ import annotations

from fastapi import Request

from mugrade.server import schemas
from mugrade.server.api.common import ActorHere, PublicId, make_router
from mugrade.server.routing import requires
from mugrade.server.services import courses, groups

router = make_router(tags=["project"])


def invitation_out(group: groups.Group) -> schemas.GroupOut:
    """What somebody who is only invited may see: who asks, not their work or what staff said."""
    hidden = {"proposal": "", "report": "", "feedback": "", "marks": None, "grade": None}
    return group_out(group).model_copy(update=hidden)


def group_out(group: groups.Group) -> schemas.GroupOut:
    row = group.row
    return schemas.GroupOut(
        id=row.id,
        state=row.state,
        title=row.title,
        proposal=row.proposal,
        report=row.report,
        feedback=row.feedback,
        marks=row.marks,
        grade=row.grade,
        members=[
            schemas.MemberOut(id=m.id, name=m.name, confirmed=m.confirmed) for m in group.members
        ],
    )


@router.get("/project")
@requires("read")
def get_project(request: Request, actor: ActorHere) -> schemas.Project:
    """The own group, invitations, and the rubric."""
    with request.app.state.database.read() as session:
        group = groups.own(session, actor.pk)
        invited = groups.invitations(session, actor.pk)
        rubric = courses.view(session, actor.course_pk).rubric
    return schemas.Project(
        group=group_out(group) if group else None,
        invitations=[invitation_out(g) for g in invited],
        rubric=list(rubric),
    )


@router.post("/project/group", status_code=201)
@requires("submit")
def form_group(request: Request, actor: ActorHere) -> schemas.GroupOut:
    """Form a group."""
    state = request.app.state
    with state.database.write() as session:
        return group_out(groups.form(session, state.clock(), actor))


@router.delete("/project/group", status_code=204)
@requires("submit")
def leave_group(request: Request, actor: ActorHere) -> None:
    """Leave the own group before its proposal stands."""
    state = request.app.state
    with state.database.write() as session:
        groups.leave(session, state.clock(), actor)


@router.post("/project/invitations")
@requires("submit")
def invite(request: Request, actor: ActorHere, body: schemas.InviteIn) -> schemas.GroupOut:
    """Invite a fellow student."""
    state = request.app.state
    with state.database.write() as session:
        return group_out(groups.invite(session, state.clock(), actor, body.email))


@router.post("/project/invitations/{group}/accept")
@requires("submit")
def accept_invitation(request: Request, actor: ActorHere, group: PublicId) -> schemas.GroupOut:
    """Join a group that has invited the account."""
    state = request.app.state
    with state.database.write() as session:
        joined = groups.answer(session, state.clock(), actor, group, accept=True)
        assert joined is not None
        return group_out(joined)


@router.post("/project/invitations/{group}/decline", status_code=204)
@requires("submit")
def decline_invitation(request: Request, actor: ActorHere, group: PublicId) -> None:
    """Turn an invitation down."""
    state = request.app.state
    with state.database.write() as session:
        groups.answer(session, state.clock(), actor, group, accept=False)


@router.put("/project/proposal")
@requires("submit")
def propose(request: Request, actor: ActorHere, body: schemas.ProposalIn) -> schemas.GroupOut:
    """Hand the proposal in."""
    state = request.app.state
    with state.database.write() as session:
        return group_out(
            groups.propose(session, state.clock(), actor, title=body.title, text=body.text)
        )


@router.put("/project/report")
@requires("submit")
def hand_in(request: Request, actor: ActorHere, body: schemas.ReportIn) -> schemas.GroupOut:
    """Hand the finished project in."""
    state = request.app.state
    with state.database.write() as session:
        return group_out(groups.hand_in(session, state.clock(), actor, body.report))


@router.get("/projects")
@requires("grade")
def list_groups(request: Request, actor: ActorHere) -> schemas.Groups:
    """Every group; those that wait for staff first."""
    with request.app.state.database.read() as session:
        return schemas.Groups(
            groups=[group_out(g) for g in groups.all_of(session, actor.course_pk)]
        )


@router.post("/projects/{group}/decision")
@requires("grade")
def decide(
    request: Request, actor: ActorHere, group: PublicId, body: schemas.DecisionIn
) -> schemas.GroupOut:
    """Accept a proposal, or return it with feedback."""
    state = request.app.state
    with state.database.write() as session:
        return group_out(
            groups.decide(
                session, state.clock(), actor, group, accept=body.accept, feedback=body.feedback
            )
        )


@router.put("/projects/{group}/grade")
@requires("grade")
def grade(
    request: Request, actor: ActorHere, group: PublicId, body: schemas.MarksIn
) -> schemas.GroupOut:
    """Grade by the rubric."""
    state = request.app.state
    with state.database.write() as session:
        return group_out(
            groups.grade(
                session, state.clock(), actor, group, marks=body.marks, feedback=body.feedback
            )
        )
