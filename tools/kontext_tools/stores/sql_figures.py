"""Figures for an operator: the verb of `stores.figures`, and its statements. Above: sql_store. Below: database.

None of them walks all jobs: what has not ended stands in indexes of its own, and the ledger's index begins with the
owner, so that the few who spent on a day are found by a step for each owner there is.
"""

from __future__ import annotations

from kontext_tools.budget import Unit, from_nano
from kontext_tools.stores.database import Database, Transactions
from kontext_tools.stores.figures import Figures, Spent

_OPEN = "state IN ('queued', 'intent', 'submitted', 'ready')"
_JOBS = f"""SELECT status, COUNT(*) FROM jobs WHERE id IN (
        SELECT job_id FROM sends WHERE {_OPEN} UNION SELECT job_id FROM sends WHERE state = 'unknown'
        UNION SELECT job_id FROM plans WHERE due_us IS NOT NULL
    ) GROUP BY status"""  # noqa: S608  # constant
_SENDS = f"""SELECT provider, state, COUNT(*) FROM sends WHERE {_OPEN} GROUP BY provider, state
    UNION ALL SELECT provider, state, COUNT(*) FROM sends WHERE state = 'unknown' GROUP BY provider, state"""  # noqa: S608
_SPENT = """WITH RECURSIVE owners (owner) AS (
        SELECT MIN(owner) FROM ledger
        UNION ALL SELECT (SELECT MIN(owner) FROM ledger WHERE owner > owners.owner) FROM owners WHERE owner IS NOT NULL
    ), moves AS (
        SELECT provider, unit, SUM(delta_nano) AS nano, MAX(CASE WHEN entry <> 'reserved' THEN 1 ELSE 0 END) AS ended
        FROM owners JOIN ledger USING (owner) WHERE unit IN ('usd', 'credit') AND day = ?
        GROUP BY job_id, n, provider, unit
    ) SELECT provider, unit, CAST(SUM(nano * (1 - ended)) AS BIGINT), CAST(SUM(nano * ended) AS BIGINT) FROM moves
    GROUP BY provider, unit ORDER BY provider, unit"""


class SqlFigures(Transactions):
    """What of the store an operator watches."""

    async def figures(self, *, day: str) -> Figures:
        """Give the figures."""
        return await self._read(lambda db: figures(db, day))


def figures(db: Database, day: str) -> Figures:
    """Give how the store stands, and a day's money."""
    return Figures(
        jobs=dict(db.execute(_JOBS).fetchall()),
        sends={(provider, state): count for provider, state, count in db.execute(_SENDS)},
        leases=db.execute("SELECT COUNT(*) FROM sends WHERE lease_owner IS NOT NULL").fetchone()[0],
        spent=tuple(
            Spent(provider=provider, unit=Unit(unit), reserved=from_nano(reserved), settled=from_nano(settled))
            for provider, unit, reserved, settled in db.execute(_SPENT, (day,))
        ),
    )
