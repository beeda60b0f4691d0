"""Regrades as jobs: batches of attempts, each compared without a lock and written in one short
transaction together with the job's progress. A killed worker loses at most its last batch's
comparison, never half of it, and another one goes on from the cursor.

The queue is the table `job` itself. A worker takes a job by a lease (on PostgreSQL past rows that
others hold, SKIP LOCKED) and renews it with every batch. procrastinate was tried: its connector
for SQLAlchemy is psycopg2's, so a job could not be queued in the transaction that publishes; its
worker listens on a connection of its own, which PgBouncer's transaction pooling forbids; and
cursor, progress, stop and resume would need this table beside its own.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, func, insert, or_, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from mugrade.server.db import Database
from mugrade.server.errors import Refusal, not_found
from mugrade.server.models import Attempt, Job, JobChange, Revision
from mugrade.server.services import accounts, audit, courses, regrading, revisions
from mugrade.server.services.regrading import Again, Batch, Moved

log = logging.getLogger("mugrade")
Clock = Callable[[], dt.datetime]
UNFINISHED = ("waiting", "running", "stopped")
STRAGGLERS = dt.timedelta(minutes=5)
"""How long an attempt may take from its arrival to its commit: it may still have been compared with
the revision before, although its job has passed its place."""


@dataclass(frozen=True)
class JobStatus:
    """A job as people see it."""

    job: Job
    assignment: str
    problem: str
    revision: int
    students: Moved

    @property
    def done(self) -> int:
        return self.job.compared + self.job.skipped

    @property
    def so_far(self) -> regrading.Regrading:
        job = self.job
        return regrading.Regrading(
            job.compared, job.changed, job.up, job.down, job.skipped, self.students
        )

    @property
    def seconds_left(self) -> int | None:
        """By the pace so far; None where there is none to go by."""
        if not self.job.active or not self.done:
            return None
        return round(self.job.busy_seconds / self.done * max(0, self.job.total - self.done))


# ---------------------------------------------------------------------------------------- asking


def start(
    session: Session,
    now: dt.datetime,
    actor: accounts.Actor,
    *,
    problem_pk: int,
    revision_pk: int,
    kind: str,
) -> Job:
    """Queue the comparison of all attempts of a problem with a revision; in the transaction that
    makes the revision current. Asking again for what is under way gives the same job."""
    found = session.scalars(
        select(Job).where(Job.problem_pk == problem_pk, Job.state.in_(UNFINISHED)).with_for_update()
    )
    for job in found:
        if job.revision_pk == revision_pk and job.active:
            return job
        job.state, job.finished_at = "superseded", now
    last, count = session.execute(
        select(func.max(Attempt.pk), func.count()).where(Attempt.problem_pk == problem_pk)
    ).one()
    job = Job(
        course_pk=actor.course_pk,
        problem_pk=problem_pk,
        revision_pk=revision_pk,
        kind=kind,
        actor=actor.email,
        last_pk=last or 0,
        total=count,
        created_at=now,
    )
    session.add(job)
    session.flush()
    return job


def check_base(base: int | None, current: Revision | None) -> None:
    """409 when another revision stands than the one whose change was previewed."""
    stands = current.number if current else 0
    if base is not None and base != stands:
        raise Refusal(
            409,
            "conflict",
            f"Revision {stands} stands now, not {base or 'none'}, so what was previewed is out of "
            "date; run it again.",
        )


def find(session: Session, actor: accounts.Actor, job_id: str) -> Job:
    """A job of the actor's course, locked in a write transaction; or 404."""
    query = select(Job).where(Job.id == job_id, Job.course_pk == actor.course_pk)
    job = session.scalar(query.with_for_update())
    if job is None:
        raise not_found("job")
    return job


def stop(session: Session, now: dt.datetime, actor: accounts.Actor, job_id: str) -> None:
    """Stop after the batch that is under way; attempts done keep their new verdicts."""
    job = find(session, actor, job_id)
    if not job.active:
        raise Refusal(409, "conflict", f"This job is {job.state}; only one under way can stop.")
    job.state, job.worker, job.lease_until = "stopped", None, None
    _record(session, now, actor.email, job, "regrade-stopped")


def resume(session: Session, now: dt.datetime, actor: accounts.Actor, job_id: str) -> None:
    """Go on where a job was stopped or has failed."""
    job = find(session, actor, job_id)
    if job.state not in ("stopped", "failed"):
        raise Refusal(409, "conflict", f"This job is {job.state}; only a stopped one can go on.")
    job.state, job.error = "waiting", ""
    _record(session, now, actor.email, job, "regrade-resumed")


def by_pk(session: Session, job_pk: int) -> JobStatus:
    return status(session, session.get_one(Job, job_pk))


def recent(session: Session, course_pk: int, limit: int = 20) -> list[JobStatus]:
    """The course's newest jobs, without the students that they moved."""
    query = select(Job).where(Job.course_pk == course_pk).order_by(Job.pk.desc()).limit(limit)
    return [status(session, job, students=False) for job in session.scalars(query)]


def of_problem(session: Session, problem_pk: int) -> JobStatus | None:
    """The problem's newest job."""
    query = select(Job).where(Job.problem_pk == problem_pk).order_by(Job.pk.desc()).limit(1)
    job = session.scalar(query)
    return status(session, job, students=False) if job is not None else None


def status(session: Session, job: Job, *, students: bool = True) -> JobStatus:
    """Args:
    students: tell whose score moved, once the job is done.
    """
    course = courses.view(session, job.course_pk)
    assignment, problem = regrading.view_of(course, job.problem_pk)
    moved: Moved = []
    if students and job.state == "done" and job.up + job.down:
        moved = _moved(session, course, job)
    number = session.get_one(Revision, job.revision_pk).number
    return JobStatus(job, assignment.id, problem.id, number, moved)


def _moved(session: Session, course: courses.CourseView, job: Job) -> Moved:
    query = (
        select(Attempt.id, Attempt.account_pk, JobChange.before, JobChange.after)
        .join(Attempt, Attempt.pk == JobChange.attempt_pk)
        .where(JobChange.job_pk == job.pk)
    )
    rows = session.execute(query).all()
    before = {row.id: row.before for row in rows}
    after = {row.id: row.after for row in rows}
    owners = {row.account_pk for row in rows}
    return regrading.moved_scores(session, course, job.problem_pk, owners, before, after)


# --------------------------------------------------------------------------------------- working


def run(
    database: Database,
    clock: Clock,
    worker: str,
    *,
    job_pk: int | None = None,
    seconds: float | None = None,
    pause: Callable[[float], bool] = lambda worked: False,
) -> bool:
    """Work at one job until it ends or the time is up; False where there is none to take.

    Args:
        worker: a name that no other worker has.
        job_pk: this job only.
        seconds: give the job back for others after so long.
        pause: called between batches with the seconds worked; True gives the job back.
    """
    until = None if seconds is None else time.monotonic() + seconds
    if not _waiting(database, clock, job_pk):
        return False
    with database.write() as session:
        job_pk = _take(session, clock(), worker, job_pk)
    if job_pk is None:
        return False
    try:
        while True:
            began = time.monotonic()
            if not _step(database, clock, worker, job_pk):
                return True
            if pause(time.monotonic() - began):
                break
            if until is not None and time.monotonic() >= until:
                break
    except (DBAPIError, PoolTimeout):  # a database that is away comes back: the lease runs out
        raise
    except Exception as error:
        log.exception("job %s failed", job_pk)
        with database.write() as session:
            job = session.get_one(Job, job_pk)
            job.state, job.error = "failed", f"{type(error).__name__}: {error}"[:500]
    _give_back(database, worker, job_pk)
    return True


def _free(now: dt.datetime, lease: dt.timedelta) -> ColumnElement[bool]:
    """Jobs that nobody works at. A lease that ends later than any could was given by a clock that
    has been set back since, and does not hold."""
    return and_(
        Job.state.in_(("waiting", "running")),
        or_(Job.lease_until.is_(None), Job.lease_until <= now, Job.lease_until > now + 2 * lease),
    )


def _lease(session: Session) -> dt.timedelta:
    return dt.timedelta(seconds=session.info["settings"].job_lease_seconds)


def _waiting(database: Database, clock: Clock, job_pk: int | None) -> bool:
    """Looks without the write lock, which an idle lane must not take every second."""
    with database.read() as session:
        query = select(Job.pk).where(_free(clock(), _lease(session)))
        if job_pk is not None:
            query = query.where(Job.pk == job_pk)
        return session.scalar(query.limit(1)) is not None


def _take(session: Session, now: dt.datetime, worker: str, job_pk: int | None) -> int | None:
    lease = _lease(session)
    query = select(Job).where(_free(now, lease)).order_by(Job.pk).limit(1)
    if job_pk is not None:
        query = query.where(Job.pk == job_pk)
    job = session.scalar(query.with_for_update(skip_locked=True))
    if job is None:
        return None
    job.state, job.worker, job.lease_until = "running", worker, now + lease
    return job.pk


def _give_back(database: Database, worker: str, job_pk: int) -> None:
    with database.write() as session:
        session.execute(
            update(Job)
            .where(Job.pk == job_pk, Job.worker == worker)
            .values(worker=None, lease_until=None)
        )


def _step(database: Database, clock: Clock, worker: str, job_pk: int) -> bool:
    """One batch; False when the job is done, or no longer this worker's."""
    began = time.monotonic()
    with database.read() as session:
        job = session.get_one(Job, job_pk)
        found, last = _next_batch(session, job)
    with database.write() as session:
        if last:  # the order of locks in which publishing takes them
            courses.lock(session, job.course_pk)
        mine = select(Job).where(Job.pk == job_pk, Job.worker == worker, Job.state == "running")
        held = session.scalar(mine.with_for_update())
        if held is None:
            return False
        job = held
        now = clock()
        kept = _write(session, job, found)
        if not last:
            outcome = regrading.Regrading()
            outcome.count(kept)
            job.compared += outcome.attempts
            job.skipped += outcome.skipped
            job.changed += outcome.changed
            job.up, job.down = job.up + outcome.up, job.down + outcome.down
            job.cursor = kept.cursor
        job.busy_seconds += time.monotonic() - began
        job.lease_until = now + _lease(session)
        if last:
            _finish(session, now, job)
        return not last


def _next_batch(session: Session, job: Job) -> tuple[Batch, bool]:
    """The next attempts compared, and whether they are the stragglers at the job's end."""
    revision = revisions.view_of(session, session.get_one(Revision, job.revision_pk))
    target = regrading.stored(job.problem_pk, revision)
    then = regrading.made_for(session, job.problem_pk)
    stale = Attempt.revision_pk != job.revision_pk
    found = regrading.batch(
        session,
        target,
        then,
        after=job.cursor,
        limit=session.info["settings"].job_batch,
        only=or_(Attempt.pk <= job.last_pk, stale),
    )
    if found.size:
        return found, False
    late = and_(
        Attempt.graded_pk != job.revision_pk, Attempt.created_at > job.created_at - STRAGGLERS
    )
    return regrading.batch(session, target, then, after=0, limit=1000, only=late), True


def _write(session: Session, job: Job, found: Batch) -> Batch:
    """Keep the new verdicts; returns the part of the batch up to the first attempt that has got
    another case since it was compared (the public client sends one at a time)."""
    locked = select(Attempt.pk, Attempt.digest).where(
        Attempt.pk.in_([a.pk for a in found.compared])
    )
    rows = session.execute(locked.order_by(Attempt.pk).with_for_update())
    digests = {pk: digest for pk, digest in rows}
    stale = next((a.pk for a in found.compared if digests[a.pk] != a.digest), None)
    found = found if stale is None else found.before(stale)
    same = [a.pk for a in found.compared if not a.changed]
    session.execute(update(Attempt).where(Attempt.pk.in_(same)).values(graded_pk=job.revision_pk))
    changed = [a for a in found.compared if a.changed]
    if changed:
        session.execute(update(Attempt), [_changes(job, again) for again in changed])
    moved = [a for a in changed if a.after != a.before]
    _note_moves(session, job, moved)
    return found


def _changes(job: Job, again: Again) -> dict[str, object]:
    return {
        "pk": again.pk,
        "graded_pk": job.revision_pk,
        "verdicts": again.verdicts,
        "correct": again.after,
    }


def _note_moves(session: Session, job: Job, moved: list[Again]) -> None:
    """Once for each attempt: one that a straggler's pass meets again has its first count noted."""
    known = set(
        session.scalars(
            select(JobChange.attempt_pk).where(
                JobChange.job_pk == job.pk, JobChange.attempt_pk.in_([a.pk for a in moved])
            )
        )
    )
    rows = [
        {"job_pk": job.pk, "attempt_pk": a.pk, "before": a.before, "after": a.after}
        for a in moved
        if a.pk not in known
    ]
    if rows:
        session.execute(insert(JobChange), rows)


def _finish(session: Session, now: dt.datetime, job: Job) -> None:
    job.state, job.worker, job.lease_until, job.finished_at = "done", None, None, now
    courses.changed(session, job.course_pk)
    _record(session, now, job.actor, job, "regrade")


def _record(session: Session, now: dt.datetime, actor: str, job: Job, action: str) -> None:
    shown = status(session, job, students=False)
    counts = ("total", "compared", "skipped", "changed", "up", "down")
    audit.record(
        session,
        now,
        actor=actor,
        action=action,
        object=f"{shown.assignment}/{shown.problem}",
        course_pk=job.course_pk,
        job=job.id,
        kind=job.kind,
        revision=shown.revision,
        **{name: getattr(job, name) for name in counts},
    )
