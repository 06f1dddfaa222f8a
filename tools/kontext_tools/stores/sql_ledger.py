"""The ledger's rows: money reserved with a job, settled or released when a send ends; append-only. Above:
sql_writes. Below: records, budget.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from kontext_tools.budget import Basis, Cost, Spending, Unit, day_of, from_nano, to_nano
from kontext_tools.errors import Billed
from kontext_tools.jobs import Job, Send, SendState
from kontext_tools.stores import records
from kontext_tools.stores.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Whose money, and the UTC day it is counted to: the job's own, so that a release gives back where it was taken."""

    owner: str
    day: str

    @classmethod
    def of(cls, job: Job) -> Account:
        """Give the account of a job."""
        return cls(owner=job.owner, day=day_of(job.created_at))


def reserve(db: Database, account: Account, send: Send, now: datetime) -> None:
    """Set a send's price aside."""
    _enter(db, account, send, "reserved", send.price.amount or Decimal(0), Cost.listed(send.price), now)


def release(db: Database, account: Account, send: Send, now: datetime) -> None:
    """Give a send's reservation back: nothing was taken."""
    _enter(db, account, send, "released", -(send.price.amount or Decimal(0)), Cost.listed(send.price), now)


def settle(db: Database, account: Account, send: Send, now: datetime) -> None:
    """Close the reservation of a send that ended: kept while unknown, given back where nothing was taken."""
    if send.state is SendState.UNKNOWN:
        return
    if send.state is not SendState.COMPLETED and send.failure is not None and send.failure.billed is Billed.NO:
        release(db, account, send, now)
        return
    cost = send.cost if send.cost is not None and send.cost.unit is send.price.unit else Cost.listed(send.price)
    reserved = send.price.amount or Decimal(0)
    _enter(db, account, send, "settled", Decimal(0) if cost.amount is None else cost.amount - reserved, cost, now)


def usage(db: Database, owner: str, *, days: int) -> list[Spending]:
    """Give an owner's ledger by day, provider and unit, newest first, for the newest days that have any."""
    rows = db.execute(
        """SELECT day, provider, unit, CAST(SUM(delta_nano) AS BIGINT), COUNT(DISTINCT job_id) FROM ledger
            WHERE owner = ?1 AND day IN (SELECT DISTINCT day FROM ledger WHERE owner = ?1 ORDER BY day DESC LIMIT ?2)
            GROUP BY day, provider, unit ORDER BY day DESC, provider, unit""",
        (owner, days),
    )
    return [
        Spending(day=day, provider=provider, unit=Unit(unit), amount=from_nano(nano), jobs=jobs)
        for day, provider, unit, nano, jobs in rows
    ]


def _enter(db: Database, account: Account, send: Send, entry: str, delta: Decimal, cost: Cost, now: datetime) -> None:
    """Append one row; `delta` is what it adds to the day's sum."""
    basis = cost.basis if cost.amount is not None else Basis.UNKNOWN
    db.execute(
        """INSERT INTO ledger (at_us, day, owner, job_id, n, provider, entry, delta_nano, unit, basis)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            records.to_us(now),
            account.day,
            account.owner,
            send.job_id,
            send.n,
            send.provider,
            entry,
            to_nano(delta),
            cost.unit.value,
            basis.value,
        ),
    )
