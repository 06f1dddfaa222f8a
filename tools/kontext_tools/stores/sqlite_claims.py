"""The SQLite store's leases: which sends a process takes up, and which are held back. Above: sqlite. Below: records.

A send that may not be taken is left out by the query itself: were it passed over afterwards, a long line of such sends
would hide the others.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from kontext_tools.jobs import Send, SendState
from kontext_tools.stores import records
from kontext_tools.stores.base import Claim
from kontext_tools.stores.sqlite_reads import ACTIVE

PROBE_EVERY = timedelta(seconds=15)
"""While a gate's provider does not answer, one send in so long tries whether it does again."""
LONGEST_WAIT = timedelta(minutes=2)
"""No send and no gate is ever told to wait longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gates:
    """Providers by what may be asked of them at this moment."""

    holding: frozenset[str]
    closed: frozenset[str]
    ajar: frozenset[str]


def claim(
    db: sqlite3.Connection,
    process: str,
    *,
    now: datetime,
    lease_until: datetime,
    limit: int,
    slots: Mapping[str, int],
) -> list[Claim]:
    """Take due sends under a lease: finished outputs first, queued ones last and only as far as there are slots."""
    now_us = records.to_us(now)
    gates = _gates(db, now_us)
    due = _due(db, gates, now_us, limit * 4)
    queued = {provider for _, _, state, provider in due if state == SendState.QUEUED}
    free = {provider: _free_slots(db, provider, slots.get(provider, 0), now_us) for provider in queued}
    probed: set[str] = set()
    claims: list[Claim] = []
    for job_id, n, state, provider in due:
        if len(claims) == limit:
            break
        asks = state in (SendState.QUEUED, SendState.SUBMITTED)
        closed = asks and (provider in gates.closed or provider in probed)
        if closed and state == SendState.SUBMITTED:
            continue
        if state == SendState.QUEUED and not closed:
            if free[provider] <= 0:
                continue
            free[provider] -= 1
        probe = asks and not closed and provider in gates.ajar
        if probe:
            probed.add(provider)
        send = _take(db, process, job_id, n, lease_until)
        claims.append(Claim(send=send, orphan=state == SendState.INTENT, barred=closed, probe=probe))
    for provider in probed:
        gate(db, provider, creates_until=None, closed_until=now + PROBE_EVERY)
    return claims


def _take(db: sqlite3.Connection, process: str, job_id: str, n: int, lease_until: datetime) -> Send:
    row = db.execute(
        """UPDATE sends SET lease_owner = ?, lease_us = ?, fence = fence + 1 WHERE job_id = ? AND n = ?
            RETURNING n, state, due_us, fence, doc""",
        (process, records.to_us(lease_until), job_id, n),
    ).fetchone()
    return records.send_from(job_id, *row)


def _due(db: sqlite3.Connection, gates: _Gates, now_us: int, limit: int) -> list[tuple[str, int, str, str]]:
    held, closed = sorted(gates.holding), sorted(gates.closed)
    return db.execute(
        f"""SELECT job_id, n, state, provider FROM sends
            WHERE state IN {ACTIVE} AND due_us <= ? AND lease_us <= ?
                AND NOT (state = 'queued' AND provider IN ({", ".join("?" * len(held))}))
                AND NOT (state = 'submitted' AND provider IN ({", ".join("?" * len(closed))}))
            ORDER BY state = 'ready' DESC, state = 'queued', due_us LIMIT ?""",  # noqa: S608  # constants and marks
        (now_us, now_us, *held, *closed, limit),
    ).fetchall()


def _gates(db: sqlite3.Connection, now_us: int) -> _Gates:
    rows = db.execute("SELECT provider, creates_us, closed_us FROM gates").fetchall()
    return _Gates(
        holding=frozenset(provider for provider, creates_us, _ in rows if creates_us > now_us),
        closed=frozenset(provider for provider, _, closed_us in rows if closed_us > now_us),
        ajar=frozenset(provider for provider, _, closed_us in rows if 0 < closed_us <= now_us),
    )


def gate(
    db: sqlite3.Connection, provider: str, *, creates_until: datetime | None, closed_until: datetime | None
) -> None:
    """Hold a provider's creates back, or close its gate; with neither, open it."""
    if creates_until is None and closed_until is None:
        db.execute("DELETE FROM gates WHERE provider = ?", (provider,))
        return
    db.execute(
        """INSERT INTO gates (provider, creates_us, closed_us) VALUES (?1, ?2, ?3) ON CONFLICT (provider)
            DO UPDATE SET creates_us = MAX(creates_us, ?2), closed_us = MAX(closed_us, ?3)""",
        (
            provider,
            0 if creates_until is None else records.to_us(creates_until),
            0 if closed_until is None else records.to_us(closed_until),
        ),
    )


def _free_slots(db: sqlite3.Connection, provider: str, slots: int, now_us: int) -> int:
    # The LIMIT bounds the count: how many more than `slots` are in flight is of no interest.
    (taken,) = db.execute(
        """SELECT COUNT(*) FROM (
            SELECT 1 FROM sends WHERE provider = ?1 AND state IN ('intent', 'submitted')
            UNION ALL
            SELECT 1 FROM sends WHERE provider = ?1 AND state = 'queued' AND lease_us > MAX(0, ?2)
            LIMIT ?3)""",
        (provider, now_us, slots),
    ).fetchone()
    return slots - taken


def renew(db: sqlite3.Connection, process: str, *, until: datetime) -> None:
    """Lengthen the leases of a process."""
    db.execute(
        f"UPDATE sends SET lease_us = ? WHERE lease_owner = ? AND state IN {ACTIVE}",  # noqa: S608  # constant
        (records.to_us(until), process),
    )


def set_right(db: sqlite3.Connection, *, now: datetime, lease_until: datetime) -> None:
    """Pull in what lies further ahead than anything that is ever set: the clock was set back since.

    Such a lease ends as one given now: an owner that lives renews it, a dead one's is over soon.
    """
    now_us, lease_us, most_us = (records.to_us(moment) for moment in (now, lease_until, now + LONGEST_WAIT))
    db.execute(
        f"UPDATE sends SET due_us = ? WHERE state IN {ACTIVE} AND due_us > ?",  # noqa: S608  # constant
        (now_us, most_us),
    )
    db.execute(
        f"UPDATE sends SET lease_us = ?1 WHERE state IN {ACTIVE} AND lease_us > ?1",  # noqa: S608  # constant
        (lease_us,),
    )
    db.execute(
        """UPDATE gates SET creates_us = MIN(creates_us, ?1), closed_us = MIN(closed_us, ?1)
            WHERE creates_us > ?1 OR closed_us > ?1""",
        (most_us,),
    )


def release(db: sqlite3.Connection, process: str) -> None:
    """Give the leases of a process back."""
    db.execute(
        f"UPDATE sends SET lease_owner = NULL, lease_us = 0 WHERE lease_owner = ? AND state IN {ACTIVE}",  # noqa: S608  # constant
        (process,),
    )


def give_back(db: sqlite3.Connection, send: Send, *, due_at: datetime) -> None:
    """Give back the lease of one send whose step did not end, unless it is another's by now."""
    db.execute(
        f"""UPDATE sends SET lease_owner = NULL, lease_us = 0, due_us = ?
            WHERE job_id = ? AND n = ? AND fence = ? AND state IN {ACTIVE}""",  # noqa: S608  # constant
        (records.to_us(due_at), send.job_id, send.n, send.fence),
    )
