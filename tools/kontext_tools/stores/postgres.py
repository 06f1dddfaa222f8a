"""The distributed store: jobs in a PostgreSQL database, for any number of processes on any number of machines.

What this is: the verbs (`sql_store`) over that database (`postgres_server`), and what only PostgreSQL has to do. It is
imported only where it is chosen, for it needs the extra `postgres`. Above: the server's storage. Below: those.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from kontext_tools.errors import KontextError
from kontext_tools.stores import postgres_journal, sql_claims
from kontext_tools.stores.base import Claim
from kontext_tools.stores.database import Database
from kontext_tools.stores.journal import Mark, Tidings
from kontext_tools.stores.postgres_ear import PostgresEar
from kontext_tools.stores.postgres_server import BUSY_S, PostgresServer
from kontext_tools.stores.sql_store import SqlStore


class PostgresStore(PostgresServer, SqlStore):
    """Jobs in one database. See `stores.base.Store` for the verbs."""

    def __init__(self, url: str, *, busy_s: float = BUSY_S) -> None:
        super().__init__(url, busy_s=busy_s)
        self._unheard: list[Claim] = []
        self._ear = PostgresEar(url, self.name, busy_s=busy_s)

    async def claim(
        self, process: str, *, now: datetime, lease_until: datetime, limit: int, slots: Mapping[str, int]
    ) -> Sequence[Claim]:
        """Take due sends under a lease, and first those whose claim was not heard to be committed.

        Nobody would drive them: they bear this process's name, and whoever took them does not know it.
        """
        kept = list[Claim]()
        if self._unheard:
            # Waits for a commit that is still under way: it holds these rows.
            unheard = self._unheard
            kept = await self._write(lambda db: sql_claims.held_of(db, process, unheard), durable=False)
            self._unheard = []
        made = list[Claim]()

        def work(db: Database) -> None:
            made[:] = sql_claims.claim(
                db, process, now=now, lease_until=lease_until, limit=limit - len(kept), slots=slots
            )

        try:
            await self._write(work, durable=False)
        except KontextError:
            self._unheard = [*kept, *made]
            raise
        return [*kept, *made]

    async def tidings(self, since: Mark | None) -> Tidings:
        """Give what happened since a mark."""
        return await self._read(lambda db: postgres_journal.tidings(db, since))

    async def stirred(self) -> None:
        """Return when another process wrote, or may have."""
        await self._ear.stirred()

    async def close(self) -> None:
        """Let go of the database."""
        await self._ear.close()
        await super().close()

    async def wipe(self) -> None:
        """Nothing: what deleted rows leave in pages and logs is the server's to clean, by VACUUM and its log's age."""
