"""Writes, each the inside of one transaction that has its owner to itself. Above: sql_store. Below: records.

The rules that must hold between processes stand here and in `sql_admits` and nowhere else: no write under a stale
fence, no intent after a cancel, a plan looked at when a step of it ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from kontext_tools.budget import Caps, day_of
from kontext_tools.doubts import resolved
from kontext_tools.jobs import Job, Output, Send, SendState, Sought, dropped, may_move, priced, status_of
from kontext_tools.stores import records, sql_ledger, sql_plans, sql_reads
from kontext_tools.stores.base import Handover, JobNews, Saved
from kontext_tools.stores.database import Database
from kontext_tools.stores.sql_admits import add_send, check_day
from kontext_tools.stores.sql_ledger import Account
from kontext_tools.stores.sql_reads import ACTIVE


def save(
    db: Database,
    send: Send,
    *,
    now: datetime,
    release: bool,
    outputs: Sequence[Output],
    news: JobNews | None,
) -> Saved:
    """Write a send under its fence; settle its money when it ends."""
    db.alone_with(send.job_id)
    row = db.execute(
        f"""SELECT owner, created_us, cancel_requested, state, fence,
                (SELECT COUNT(*) FROM sends AS others WHERE others.job_id = jobs.id) - 1
            FROM sends JOIN jobs ON jobs.id = sends.job_id WHERE job_id = ? AND n = ? {db.holding}""",  # noqa: S608  # constant
        (send.job_id, send.n),
    ).fetchone()
    if row is None:
        return Saved.NO
    owner, created_us, cancel_requested, state, fence, others = row
    stored = SendState(state)
    if fence != send.fence or not may_move(stored, send.state):
        return Saved.NO
    if send.state is SendState.INTENT and cancel_requested:
        return Saved.NO
    for output in outputs:
        _keep(db, send.job_id, owner, output, now)
    _write_send(db, send, release=release or send.state.ended)
    if send.state.ended and send.state is not stored:
        sql_ledger.settle(db, Account(owner=owner, day=day_of(records.from_us(created_us))), send, now)
    if news is not None and news != JobNews():
        _add_news(db, send.job_id, news)
    _refresh(db, send, now, alone=not others)
    return Saved.CANCEL_ASKED if cancel_requested else Saved.YES


def bind(db: Database, send: Send, *, now: datetime) -> bool:
    """Bind a remote id to its own send, whoever holds its lease; the present holder goes on with it."""
    db.alone_with(send.job_id)
    job = sql_reads.job(db, send.job_id)
    if job is None:
        return False
    stored = job.sends[send.n - 1]
    if stored.state not in (SendState.INTENT, SendState.UNKNOWN) or stored.remote_id is not None:
        return False
    bound = replace(
        stored,
        state=SendState.SUBMITTED,
        remote_id=send.remote_id,
        due_at=now,
        failure=None,
        ended_at=None,
        sought=Sought.NO,
        misses=0,
    )
    _write_send(db, bound, release=False)
    # Whoever was told `unknown` was not told the end, nor was who was told it of the job's plan.
    db.execute(
        """UPDATE jobs SET delivered = 0 WHERE id = ?1
            OR (status = 'unknown' AND id IN (SELECT plan_id FROM runs WHERE job_id = ?1))""",
        (job.id,),
    )
    _refresh(db, bound, now)
    return True


def hand_over(db: Database, send: Send, handover: Handover, *, caps: Caps, now: datetime) -> bool:
    """Exchange a send that was not taken for others, its money with it; the caps are checked anew."""
    db.alone_with(send.job_id)
    db.execute(f"SELECT fence FROM sends WHERE job_id = ? AND n = ? {db.holding}", (send.job_id, send.n))  # noqa: S608  # constant
    job = sql_reads.job(db, send.job_id)
    if job is None or job.sends[send.n - 1].fence != send.fence or job.cancel_requested:
        return False
    account = Account.of(job)
    sql_ledger.release(db, account, send, now)
    first, *others = handover.sends
    price = first.price.times(len(handover.sends))
    # The caps are for a call, not for one of its sends.
    whole = priced([*handover.sends, *(other for other in job.sends if other.n != send.n)], price.unit)
    caps.check_call(whole)
    caps.check_agreed(whole, job.agreed)
    check_day(db, caps, price, account, now)
    if job.part is not None:
        sql_plans.check_max_cost(db, job.part.plan_id, price, but=send)
    _write_send(db, first, release=True)
    # Whoever did not hear that it was done, for the database was lost at the commit, may do it again: not twice.
    db.execute("UPDATE sends SET fence = fence + 1 WHERE job_id = ? AND n = ?", (first.job_id, first.n))
    sql_ledger.reserve(db, account, first, now)
    for other in others:
        add_send(db, job, other, now)
    told = replace(job, model=handover.model, request=handover.request, warnings=(*job.warnings, handover.warning))
    db.execute("UPDATE jobs SET provider = ?, doc = ? WHERE id = ?", (handover.provider, records.job_doc(told), job.id))
    _refresh(db, first, now)
    return True


def add_news(db: Database, job_id: str, news: JobNews) -> None:
    """Write what was learnt about a job; a warning is told once."""
    db.alone_with(job_id)
    _add_news(db, job_id, news)


def _add_news(db: Database, job_id: str, news: JobNews) -> None:
    job = sql_reads.job(db, job_id)
    if job is None:
        if news.source is not None and news.source.blob is not None:
            # It was deleted while its source was being fetched: nothing else knows of that file.
            db.execute("INSERT INTO trash (key) VALUES (?)", (news.source.blob,))
        return
    fresh = tuple(warning for warning in news.warnings if warning not in job.warnings)
    updated = replace(
        job,
        source=news.source or job.source,
        change=news.change or job.change,
        warnings=job.warnings + fresh,
    )
    db.execute("UPDATE jobs SET doc = ? WHERE id = ?", (records.job_doc(updated), job_id))


def poke(db: Database, job_id: str, *, now: datetime) -> None:
    """Make a job's running sends due."""
    db.execute(
        f"UPDATE sends SET due_us = ?1 WHERE job_id = ?2 AND state IN {ACTIVE} AND due_us > ?1",  # noqa: S608  # constant
        (records.to_us(now), job_id),
    )


def request_cancel(db: Database, owner: str, job_id: str, *, now: datetime) -> Job | None:
    """Note a cancel; what is queued and not being sent at this moment ends here."""
    db.alone(owner)
    return _cancel(db, owner, job_id, now=now)


def _cancel(db: Database, owner: str, job_id: str, *, now: datetime) -> Job | None:
    job = sql_reads.job(db, job_id, owner=owner)
    if job is None or job.status.ended:
        return job
    db.execute("UPDATE jobs SET cancel_requested = 1 WHERE id = ?", (job_id,))
    sql_plans.make_due(db, job_id, now=now)
    for run in job.runs:
        if run.job is not None and not run.carried:
            _cancel(db, owner, run.job.id, now=now)
    for send in job.sends:
        if send.state is SendState.QUEUED:
            ended = dropped(send, now)
            _write_send(db, ended, release=True)
            sql_ledger.settle(db, Account.of(job), ended, now)
            _refresh(db, ended, now)
    return sql_reads.job(db, job_id)


def resolve(db: Database, owner: str, job_id: str, *, charged: bool, now: datetime) -> Job | None:
    """End the unknown sends of a job as a person found them to be; the guard against repeating it ends with that."""
    db.alone(owner)
    job = sql_reads.job(db, job_id, owner=owner)
    for send in () if job is None else job.sends:
        if job is not None and send.state is SendState.UNKNOWN:
            ended = resolved(send, now, charged=charged)
            _write_send(db, ended, release=True)
            sql_ledger.settle(db, Account.of(job), ended, now)
            _refresh(db, ended, now)
    return None if job is None else sql_reads.job(db, job_id)


def mark_delivered(db: Database, job_id: str) -> None:
    """Note that the final answer went out; a plan's told of all its steps."""
    db.alone_with(job_id)
    db.execute(
        """UPDATE jobs SET delivered = 1 WHERE ended_us IS NOT NULL
            AND (id = ?1 OR id IN (SELECT job_id FROM runs WHERE plan_id = ?1))""",
        (job_id,),
    )


def _write_send(db: Database, send: Send, *, release: bool) -> None:
    lease = ", lease_owner = NULL, lease_us = 0" if release else ""
    db.execute(
        f"""UPDATE sends SET provider = ?, state = ?, due_us = ?, remote_id = ?, searched = ?, doc = ?{lease}
            WHERE job_id = ? AND n = ?""",  # noqa: S608  # constant
        (
            send.provider,
            send.state.value,
            records.to_us(send.due_at),
            send.remote_id,
            int(send.searched),
            records.send_doc(send),
            send.job_id,
            send.n,
        ),
    )


def _refresh(db: Database, send: Send, now: datetime, *, alone: bool = False) -> None:
    """Write the status of the job of a send that was just written, and when it ended, where that changed.

    A search that goes on changes nothing of either.
    """
    status = status_of([send, *(() if alone else sql_reads.sends_of(db, send.job_id, but=send.n))])
    ended_us = records.to_us(now) if status.ended else None
    changed = db.execute(
        """UPDATE jobs SET status = ?1, ended_us = ?2
            WHERE id = ?3 AND (status <> ?1 OR (ended_us IS NULL) <> (?4 = 0))""",
        (status.value, ended_us, send.job_id, int(status.ended)),
    )
    if changed.rowcount:
        sql_plans.wake(db, send.job_id, now=now)


def _keep(db: Database, job_id: str, owner: str, output: Output, now: datetime) -> None:
    facts = output.facts
    db.execute(
        """INSERT INTO outputs (job_id, n, owner, created_us, blob, media_type, width, height, size_bytes, sha256,
            seed, remote_url) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING""",
        (
            job_id,
            output.n,
            owner,
            records.to_us(now),
            output.blob,
            facts.media_type,
            facts.width,
            facts.height,
            facts.size_bytes,
            facts.sha256,
            output.seed,
            output.remote_url,
        ),
    )
