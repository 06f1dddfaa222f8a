"""The distributed store: jobs in a PostgreSQL database, for any number of processes on any number of machines.

What this is: the verbs (`sql_store`) over that database (`postgres_server`), and what only PostgreSQL has to do. It is
imported only where it is chosen, for it needs the extra `postgres`. Above: the server's storage. Below: those.
"""

from __future__ import annotations

from kontext_tools.stores import postgres_journal
from kontext_tools.stores.journal import Mark, Tidings
from kontext_tools.stores.postgres_ear import PostgresEar
from kontext_tools.stores.postgres_server import BUSY_S, PostgresServer
from kontext_tools.stores.sql_store import SqlStore


class PostgresStore(PostgresServer, SqlStore):
    """Jobs in one database. See `stores.base.Store` for the verbs."""

    def __init__(self, url: str, *, busy_s: float = BUSY_S) -> None:
        super().__init__(url, busy_s=busy_s)
        self._ear = PostgresEar(url, self.name, busy_s=busy_s)

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
