"""The ledger's rows: money reserved with a job, settled or released when a send ends; append-only. Above:
sqlite_writes. Below: records, budget.
"""

from __future__ import annotations

import sqlite3
from datetime import datetime
from decimal import Decimal

from kontext_tools.budget import Basis, Cost, day_of, to_nano
from kontext_tools.errors import Billed
from kontext_tools.jobs import Job, Send, SendState
from kontext_tools.stores import records


def settle(db: sqlite3.Connection, job: Job, send: Send, now: datetime) -> None:
    """Close the reservation of a send that ended: kept while unknown, given back where nothing was taken."""
    reserved = send.price.amount or Decimal(0)
    if send.state is SendState.UNKNOWN:
        return
    unbilled = send.state is not SendState.COMPLETED and send.failure is not None and send.failure.billed is Billed.NO
    if unbilled:
        enter(db, job, send.n, "released", -reserved, Cost.listed(send.price), now)
        return
    cost = send.cost if send.cost is not None and send.cost.unit is send.price.unit else Cost.listed(send.price)
    delta = Decimal(0) if cost.amount is None else cost.amount - reserved
    enter(db, job, send.n, "settled", delta, cost, now)


def enter(db: sqlite3.Connection, job: Job, n: int, entry: str, delta: Decimal, cost: Cost, now: datetime) -> None:
    """Append one row; `delta` is what it adds to the day's sum."""
    basis = cost.basis if cost.amount is not None else Basis.UNKNOWN
    # Counted to the day of the reservation, so that a release gives back to the day that it was taken from.
    day = day_of(job.created_at)
    db.execute(
        """INSERT INTO ledger (at_us, day, owner, job_id, n, provider, entry, delta_nano, unit, basis)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            records.to_us(now),
            day,
            job.owner,
            job.id,
            n,
            job.provider,
            entry,
            to_nano(delta),
            cost.unit.value,
            basis.value,
        ),
    )
