"""Hints that other processes wrote: a connection that listens, for the one who waits.

What this is: PostgreSQL's LISTEN, read as it comes, without a thread. A hint that is lost costs its hearer the time to
its next look, and nothing else: what happened stands in the journal. What it is not: the journal (`postgres_journal`).
Above: postgres. Below: postgres_connection.
"""

from __future__ import annotations

from functools import partial

import anyio
import anyio.to_thread
import psycopg
from psycopg import sql

from kontext_tools.errors import KontextError
from kontext_tools.stores.postgres_connection import CommitLost, Connection, channel, connected, migrated

LISTEN_AGAIN_S = 5.0
"""After a connection that was lost or could not be made."""


class PostgresEar:
    """Hears what others tell.

    Args:
        url: as the store's.
        own: what this process's own hints say: they are no news to it.
        busy_s: how long the server is waited for.
    """

    def __init__(self, url: str, own: str, *, busy_s: float) -> None:
        self._url = url
        self._own = own
        self._busy_s = busy_s
        self._connection: Connection | None = None
        self._times = 0

    async def stirred(self) -> None:
        """Return when another process wrote since the last return, or may have: also when it begins to listen."""
        while True:
            try:
                if self._connection is None:
                    # Whoever stops does not wait for a server that does not answer.
                    listen = partial(self._listen, self._times)
                    await anyio.to_thread.run_sync(listen, abandon_on_cancel=True)
                    return
                await anyio.wait_readable(self._connection.fileno())
                if self._heard(self._connection):
                    return
            except (psycopg.Error, CommitLost, KontextError, OSError):
                await self.close()
                await anyio.sleep(LISTEN_AGAIN_S)

    async def close(self) -> None:
        """Listen no more."""
        self._times += 1
        connection, self._connection = self._connection, None
        if connection is not None:
            await anyio.to_thread.run_sync(connection.close)

    def _listen(self, times: int) -> None:
        connection = connected(self._url, busy_s=self._busy_s)
        try:
            name = channel(migrated(connection))
            connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(name)), prepare=False)
            if times == self._times:
                self._connection = connection
        finally:
            if self._connection is not connection:
                connection.close()

    def _heard(self, connection: Connection) -> bool:
        connection.pgconn.consume_input()
        heard = False
        while (notify := connection.pgconn.notifies()) is not None:
            heard = heard or notify.extra.decode() != self._own
        return heard
