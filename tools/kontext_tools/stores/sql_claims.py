"""Leases: which sends a process takes up, and which are held back. Above: sql_store. Below: records.

A send that may not be taken is left out by the query itself: were it passed over afterwards, a long line of such sends
would hide the others. Each query walks one line of the index `sends_active`, in order, and stops where it has enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from operator import attrgetter

from kontext_tools.jobs import SendState
from kontext_tools.stores import records
from kontext_tools.stores.base import Claim, Leasehold
from kontext_tools.stores.database import Database
from kontext_tools.stores.sql_reads import ACTIVE, DRIVEN

PROBE_EVERY = timedelta(seconds=15)
"""While a gate's provider does not answer, one send in so long tries whether it does again."""
LONGEST_WAIT = timedelta(minutes=2)
"""No send and no gate is ever told to wait longer."""
SET_ASIDE = "damaged"
"""In the place of a lease's owner: nobody can drive this row, and it takes no slot from those that can be driven."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gates:
    """Providers by what may be asked of them at this moment."""

    holding: frozenset[str]
    closed: frozenset[str]
    ajar: frozenset[str]


@dataclass(slots=True)
class _Due:
    """A send that is due, by its row, and how it is to be taken."""

    rowid: int
    due_us: int
    orphan: bool = False
    barred: bool = False
    probes: str = ""
    """The provider whose gate it tries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lines:
    """What is due for a process at a moment, line by line of the index."""

    db: Database
    process: str
    now_us: int
    limit: int

    def due(self, state: SendState, provider: str | None = None) -> list[_Due]:
        """Give the sends in one state that are due and unleased, at one provider or at any.

        Of the unknown ones, those that their provider is still to be asked for.

        What still bears this process's own name is driven by it at this moment, even where its lease ran out because
        the database was held or the clock was set ahead: it is no orphan, and the next renewal lengthens its lease.
        """
        at = "" if provider is None else "AND provider = ?4"
        line = f"{self.db.by_index('sends_active')} WHERE state IN {ACTIVE} AND state = '{state}'"
        if state is SendState.UNKNOWN:
            line = f"{self.db.by_index('sends_searched')} WHERE searched = 1"
        rows = self.db.execute(
            f"""SELECT rowid, due_us FROM sends {line} {at}
                    AND due_us <= ?1 AND lease_us <= ?1 AND (lease_owner IS NULL OR lease_owner <> ?2)
                ORDER BY due_us LIMIT ?3 {self.db.passing}""",  # noqa: S608  # constants
            (self.now_us, self.process, self.limit, *([] if provider is None else [provider])),
        )
        return [_Due(rowid, due_us) for rowid, due_us in rows]


def claim(
    db: Database,
    process: str,
    *,
    now: datetime,
    lease_until: datetime,
    limit: int,
    slots: Mapping[str, int],
) -> list[Claim]:
    """Take due sends under a lease: finished outputs first, queued ones last and only as far as there are slots."""
    db.alone_claiming()
    now_us = records.to_us(now)
    gates = _gates(db, now_us)
    lines = _Lines(db=db, process=process, now_us=now_us, limit=limit)
    ready, queued = list[_Due](), list[_Due]()
    # An orphan ends by itself, whether its provider is still configured or not.
    out = [replace(one, orphan=True) for one in lines.due(SendState.INTENT)]
    for provider, most in slots.items():
        ready += lines.due(SendState.READY, provider)
        looks, creates = _asks(lines, provider, most, gates)
        out += looks
        queued += creates
    by_due = attrgetter("due_us")
    due = [*sorted(ready, key=by_due), *sorted(out, key=by_due), *sorted(queued, key=by_due)][:limit]
    for provider in {one.probes for one in due if one.probes}:
        _move_gate(db, provider, creates_until=None, closed_until=now + PROBE_EVERY)
    return _take(db, process, due, lease_until) if due else []


def held_of(db: Database, process: str, claims: Sequence[Claim]) -> list[Claim]:
    """Give those of some claims that stand as they were made: under this process's name and their own fence."""
    asked = f"""SELECT 1 FROM sends
        WHERE job_id = ? AND n = ? AND fence = ? AND lease_owner = ? {db.holding}"""  # noqa: S608  # constant
    return [one for one in claims if db.execute(asked, (one.job_id, one.n, one.fence, process)).fetchone() is not None]


def _take(db: Database, process: str, due: list[_Due], lease_until: datetime) -> list[Claim]:
    rows = db.execute(
        f"""UPDATE sends SET lease_owner = ?, lease_us = ?, fence = fence + 1
            WHERE rowid IN ({", ".join("?" * len(due))}) RETURNING rowid, job_id, n, fence""",  # noqa: S608  # marks
        (process, records.to_us(lease_until), *(one.rowid for one in due)),
    ).fetchall()
    taken = {rowid: named for rowid, *named in rows}
    claims: list[Claim] = []
    for one in due:
        job_id, n, fence = taken[one.rowid]
        claims.append(
            Claim(job_id=job_id, n=n, fence=fence, orphan=one.orphan, barred=one.barred, probe=bool(one.probes))
        )
    return claims


def _asks(lines: _Lines, provider: str, slots: int, gates: _Gates) -> tuple[list[_Due], list[_Due]]:
    """Give the looks and the creates that may be asked of a provider now.

    While its gate is closed there are no looks, and creates are taken only to be passed on; of a gate that is ajar,
    the first that is due tries it, and for the others it is closed.
    """
    closed = provider in gates.closed
    looks = [] if closed else lines.due(SendState.SUBMITTED, provider) + lines.due(SendState.UNKNOWN, provider)
    creates = [] if provider in gates.holding else lines.due(SendState.QUEUED, provider)
    free = 0 if closed or not creates else max(0, _free_slots(lines.db, provider, slots, lines.now_us))
    if provider in gates.ajar:
        first = looks[0] if looks else creates[0] if creates and free > 0 else None
        if first is not None:
            first.probes, closed, looks = provider, True, [one for one in looks if one is first]
    if not closed:
        return looks, creates[:free]
    for one in creates:
        one.barred = not one.probes
    return looks, creates


def next_due(db: Database, providers: Iterable[str]) -> datetime | None:
    """Give when the next running send that nobody drives is due: the head of each line is looked at."""
    names = list(providers)
    if not names:
        return None
    states = ", ".join(f"('{state}')" for state in (SendState.READY, SendState.SUBMITTED, SendState.QUEUED))
    (due_us,) = db.execute(
        f"""SELECT MIN((SELECT due_us FROM sends {db.by_index("sends_active")}
                WHERE state IN {ACTIVE} AND state = states.column1 AND provider = providers.column1
                    AND lease_owner IS NULL
                ORDER BY due_us LIMIT 1))
            FROM (VALUES {states}) AS states, (VALUES {", ".join(["(?)"] * len(names))}) AS providers""",  # noqa: S608  # constants
        names,
    ).fetchone()
    return None if due_us is None else records.from_us(due_us)


def _gates(db: Database, now_us: int) -> _Gates:
    rows = db.execute("SELECT provider, creates_us, closed_us FROM gates").fetchall()
    return _Gates(
        holding=frozenset(provider for provider, creates_us, _ in rows if creates_us > now_us),
        closed=frozenset(provider for provider, _, closed_us in rows if closed_us > now_us),
        ajar=frozenset(provider for provider, _, closed_us in rows if 0 < closed_us <= now_us),
    )


def gate(db: Database, provider: str, *, creates_until: datetime | None, closed_until: datetime | None) -> None:
    """Hold a provider's creates back, or close its gate; with neither, open it."""
    db.alone_claiming()
    _move_gate(db, provider, creates_until=creates_until, closed_until=closed_until)


def _move_gate(db: Database, provider: str, *, creates_until: datetime | None, closed_until: datetime | None) -> None:
    if creates_until is None and closed_until is None:
        db.execute("DELETE FROM gates WHERE provider = ?", (provider,))
        return
    db.execute(
        """INSERT INTO gates (provider, creates_us, closed_us) VALUES (?, ?, ?) ON CONFLICT (provider) DO UPDATE SET
            creates_us = CASE WHEN gates.creates_us < excluded.creates_us
                THEN excluded.creates_us ELSE gates.creates_us END,
            closed_us = CASE WHEN gates.closed_us < excluded.closed_us
                THEN excluded.closed_us ELSE gates.closed_us END""",
        (
            provider,
            0 if creates_until is None else records.to_us(creates_until),
            0 if closed_until is None else records.to_us(closed_until),
        ),
    )


def _free_slots(db: Database, provider: str, slots: int, now_us: int) -> int:
    # The LIMIT bounds the count: how many more than `slots` are in flight is of no interest.
    (taken,) = db.execute(
        f"""SELECT COUNT(*) FROM (
            SELECT 1 FROM sends
            WHERE provider = ?1 AND state IN ('intent', 'submitted') AND state IN {ACTIVE}
                AND (lease_owner IS NULL OR lease_owner <> ?4)
            UNION ALL
            SELECT 1 FROM sends WHERE provider = ?1 AND state = 'queued' AND lease_owner IS NOT NULL AND lease_us > ?2
            LIMIT ?3) AS taken""",  # noqa: S608  # constant
        (provider, now_us, slots, SET_ASIDE),
    ).fetchone()
    return slots - taken


def renew(db: Database, process: str, *, until: datetime) -> None:
    """Lengthen the leases of a process."""
    db.execute("UPDATE sends SET lease_us = ? WHERE lease_owner = ?", (records.to_us(until), process))


def set_right(db: Database, *, now: datetime, lease_until: datetime) -> None:
    """Pull in what lies further ahead than anything that is ever set: the clock was set back since.

    Such a lease ends as one given now: an owner that lives renews it, a dead one's is over soon.
    """
    db.alone_claiming()
    now_us, lease_us, most_us = (records.to_us(moment) for moment in (now, lease_until, now + LONGEST_WAIT))
    for table, driven in (*(("sends", driven) for driven in DRIVEN), ("plans", "due_us IS NOT NULL")):
        db.execute(
            f"UPDATE {table} SET due_us = ? WHERE {driven} AND due_us > ?",  # noqa: S608  # constants
            (now_us, most_us),
        )
        db.execute(
            f"UPDATE {table} SET lease_us = ?1 WHERE {driven} AND lease_us > ?1",  # noqa: S608  # constants
            (lease_us,),
        )
    for column in ("creates_us", "closed_us"):
        db.execute(f"UPDATE gates SET {column} = ?1 WHERE {column} > ?1", (most_us,))  # noqa: S608  # constants


def release(db: Database, process: str) -> None:
    """Give the leases of a process back."""
    for table in ("sends", "plans"):
        db.execute(f"UPDATE {table} SET lease_owner = NULL, lease_us = 0 WHERE lease_owner = ?", (process,))  # noqa: S608  # constants


def give_back(db: Database, held: Leasehold, *, due_at: datetime, aside: bool) -> None:
    """Give back the lease of one send whose step did not end, unless it is another's by now."""
    db.execute(
        f"""UPDATE sends SET lease_owner = ?, lease_us = 0, due_us = ?
            WHERE job_id = ? AND n = ? AND fence = ? AND (state IN {ACTIVE} OR searched = 1)""",  # noqa: S608  # constant
        (SET_ASIDE if aside else None, records.to_us(due_at), held.job_id, held.n, held.fence),
    )
