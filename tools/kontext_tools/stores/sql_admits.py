"""A call becomes a record: the inside of one transaction that has the lock. Above: sql_store, sql_writes.
Below: records.

What this is: the rules that must hold between processes when money is set aside: one job for a request_key, one for an
identical call, one for each run of a plan, the caps, a person's yes burnt with what it buys, money reserved with the
job.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from kontext_tools.budget import Caps, Price, day_of
from kontext_tools.errors import Cancelled, ConfirmationNeeded
from kontext_tools.jobs import Job, Send
from kontext_tools.plans import Part
from kontext_tools.stores import records, sql_ledger, sql_plans, sql_reads
from kontext_tools.stores.base import Admission
from kontext_tools.stores.database import Database
from kontext_tools.stores.repeats import joinable, same_key
from kontext_tools.stores.sql_ledger import Account


def admit(db: Database, job: Job, *, caps: Caps, price: Price, now: datetime, nonce: str | None) -> Admission:
    """Record a job and reserve its money, or give the earlier one that it repeats."""
    db.alone(job.owner)
    earlier = _repeated(db, job, now)
    if earlier is not None:
        return Admission(job=earlier, joined=True)
    caps.check_call(price)
    check_day(db, caps, price, Account(owner=job.owner, day=day_of(now)), now)
    if job.part is not None:
        sql_plans.check_max_cost(db, job.part.plan_id, price)
    # Last: nobody is asked about what would be joined or refused.
    caps.check_agreed(price, job.agreed)
    if nonce is not None:
        _burn(db, nonce, job, now)
    _insert(db, job)
    for send in job.sends:
        add_send(db, job, send, now)
    if job.part is not None:
        sql_plans.place(db, job)
    return Admission(job=job, joined=False)


def admit_plan(
    db: Database, job: Job, *, caps: Caps, prices: Sequence[Price], now: datetime, nonce: str | None
) -> Admission:
    """Record a plan under the caps, or give the earlier one that it repeats; its steps reserve their own money."""
    db.alone(job.owner)
    earlier = _repeated(db, job, now)
    if earlier is not None:
        return Admission(job=earlier, joined=True)
    assert job.plan is not None
    for price in prices:
        caps.check_call(price)
        check_day(db, caps, price, Account(owner=job.owner, day=day_of(now)), now)
    for price in prices:
        caps.check_agreed(price, price if job.plan.agreed else None)
    if nonce is not None:
        _burn(db, nonce, job, now)
    _insert(db, job)
    sql_plans.record(db, job, now=now)
    return Admission(job=job, joined=False)


def _insert(db: Database, job: Job) -> None:
    if db.execute("SELECT 1 FROM forgotten WHERE job_id = ?", (job.id,)).fetchone() is not None:
        # The ledger and burnt answers still name a deleted job by its id.
        raise LookupError(job.id)
    parent = None if job.source is None else job.source.parent
    written = db.execute(
        """INSERT INTO jobs (id, owner, tool, status, label, prompt, provider, parent, created_us, fingerprint,
                request_key, key_digest, doc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING""",
        (
            job.id,
            job.owner,
            job.tool,
            job.status.value,
            job.edit.label,
            job.edit.prompt,
            job.provider,
            parent,
            records.to_us(job.created_at),
            job.fingerprint,
            job.request_key or None,
            job.key_digest,
            records.job_doc(job),
        ),
    )
    if not written.rowcount:
        raise LookupError(job.id)


def check_day(db: Database, caps: Caps, price: Price, account: Account, now: datetime) -> None:
    """Refuse what would pass the day's cap; what a clock that was set back left ahead counts too."""
    if price.unit in caps.daily:
        spent = sql_reads.counted(db, account.owner, day=account.day, unit=price.unit, today=day_of(now))
        caps.check_day(price, spent)


def _burn(db: Database, nonce: str, job: Job, now: datetime) -> None:
    """Let a person's yes buy this job, and nothing else ever again."""
    burnt = db.execute(
        "INSERT INTO answers VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (nonce, job.id, records.to_us(now))
    )
    if not burnt.rowcount:
        raise ConfirmationNeeded(
            "Nothing was sent: that yes has bought its picture already, and a person wants to be asked again.",
            fix="Ask the person whether they want it once more, and call again.",
        )


def add_send(db: Database, job: Job, send: Send, now: datetime) -> None:
    """Write a send and set its money aside."""
    db.execute(
        "INSERT INTO sends (job_id, n, provider, state, due_us, doc) VALUES (?, ?, ?, ?, ?, ?)",
        (job.id, send.n, send.provider, send.state.value, records.to_us(send.due_at), records.send_doc(send)),
    )
    sql_ledger.reserve(db, Account.of(job), send, now)


def _repeated(db: Database, job: Job, now: datetime) -> Job | None:
    if job.part is not None:
        return _in_place(db, job, job.part, now)
    if job.request_key:
        earlier = sql_reads.job_of_key(db, job.owner, job.request_key)
        return None if earlier is None else same_key(earlier, job.key_digest)
    return joinable(sql_reads.newest_twin(db, job.owner, job.fingerprint), now)


def _in_place(db: Database, job: Job, part: Part, now: datetime) -> Job | None:
    """Give the job that a plan's run has already. It joins no other, for a plan may want the same twice.

    Raises:
        Cancelled: nothing of that plan, or of that run, is started any more.
        OutcomeUnknown: an identical call ended unknown less than 24 hours ago.
    """
    earlier = sql_plans.placed(db, job)
    if earlier is not None:
        return earlier
    if sql_plans.is_cancelled(db, part.plan_id):
        raise Cancelled("The plan was cancelled before this step was sent.", fix="Nothing is left to do.")
    joinable(sql_reads.newest_twin(db, job.owner, job.fingerprint), now)
    return None
