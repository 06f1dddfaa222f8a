"""One PostgreSQL database: connections in worker threads, one transaction for each piece of work.

What this is: the connections, who may be undone and done again, and a commit whose end was not heard. What it is not:
the verbs (`sql_store`), the statements, or the words of errors (`postgres_errors`). Above: postgres. Below:
postgres_connection, postgres_database, postgres_errors.

Any number of processes work at once. A write sees what is committed when each of its statements begins, and keeps
others out by what it locks (`Database.alone`); a read sees one moment. Nothing waits longer than `BUSY_S` for a lock.

The pool is a list: the limit of worker threads is that of connections, and who finds none opens one. So a server that
is gone is told at once, and served again from the first call after it is back.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TypeVar

import anyio.to_thread
import psycopg

from kontext_tools.errors import KontextError
from kontext_tools.stores.database import Transactions, Work
from kontext_tools.stores.postgres_connection import (
    LIGHTLY,
    READING,
    WRITING,
    CommitLost,
    Connection,
    channel,
    connected,
    done,
    migrated,
)
from kontext_tools.stores.postgres_database import PostgresDatabase
from kontext_tools.stores.postgres_errors import AGAIN, translated, uncertain

BUSY_S = 5.0
MOST_CONNECTIONS = 8
LONGEST_PAUSE_S = 0.05

T = TypeVar("T")


class _Undone(Exception):
    """A transaction was undone, by another one or with its connection: it may be done again."""

    def __init__(self, error: psycopg.Error) -> None:
        super().__init__()
        self.error = error


class PostgresServer(Transactions):
    """The connections of one process to one database.

    Args:
        url: `postgresql://user:password@host/database`; never told again.
        busy_s: how long a lock is waited for.
        most: connections at once.
    """

    def __init__(self, url: str, *, busy_s: float = BUSY_S, most: int = MOST_CONNECTIONS) -> None:
        self._url = url
        self._busy_s = busy_s
        self._idle: list[Connection] = []
        self._workers = anyio.CapacityLimiter(most)
        self._schema: str | None = None
        self.name = secrets.token_hex(8)
        """By which its own hints are told from others'."""

    async def open(self) -> None:
        """Connect and migrate; a failure shows again at every verb, which tries once more."""
        with suppress(KontextError):
            await self._write(lambda _: None, durable=False)

    async def close(self) -> None:
        """Let go of the database."""
        idle, self._idle = self._idle, []
        await anyio.to_thread.run_sync(_drain, idle)

    async def _write(self, work: Work[T], *, durable: bool = True) -> T:
        begin = WRITING if durable else WRITING + LIGHTLY
        return await anyio.to_thread.run_sync(partial(self._do, work, begin, tells=durable), limiter=self._workers)

    async def _read(self, work: Work[T]) -> T:
        return await anyio.to_thread.run_sync(partial(self._do, work, READING), limiter=self._workers)

    def _do(self, work: Work[T], begin: bytes, *, tells: bool = False) -> T:
        """Do work in a transaction of its own, anew where another one undid it or its connection was lost before."""
        deadline = time.monotonic() + self._busy_s
        while True:
            try:
                with self._borrowed() as connection:
                    given = done(connection, begin, lambda db=connection: work(self._database(db)))
                    if tells:
                        self._tell(connection)
                    return given
            except (CommitLost, _Undone) as undone:
                if isinstance(undone, CommitLost) and begin is not READING:
                    raise uncertain() from None
                if time.monotonic() > deadline:
                    raise translated(undone.error) from None
            time.sleep(random.uniform(0, LONGEST_PAUSE_S))  # noqa: S311  # apart from whom it lost against

    @contextmanager
    def _borrowed(self) -> Generator[Connection]:
        pool = self._idle
        try:
            connection = self._taken()
        except psycopg.Error as error:
            raise translated(error) from None
        try:
            yield connection
        except psycopg.Error as error:
            # Its words may hold values, and so it is nobody's cause.
            if connection.closed or error.sqlstate in AGAIN:
                raise _Undone(error) from None
            raise translated(error) from None
        finally:
            if pool is self._idle and not connection.closed:
                pool.append(connection)
            else:
                # Where it broke, the server was restarted, most likely: the others are lost as well.
                _drain(pool)
                connection.close()

    def _database(self, connection: Connection) -> PostgresDatabase:
        return PostgresDatabase(connection, self._schema or "")

    def _tell(self, connection: Connection) -> None:
        """Let listeners look now. It is a hint: after the commit, for one within makes commits wait for each other."""
        with suppress(psycopg.Error):
            connection.execute(b"SELECT PG_NOTIFY($1, $2)", [channel(self._schema or ""), self.name])

    def _taken(self) -> Connection:
        try:
            return self._idle.pop()
        except IndexError:
            connection = connected(self._url, busy_s=self._busy_s)
        if self._schema is None:
            try:
                self._schema = migrated(connection)
            except BaseException:
                connection.close()
                raise
        return connection


def _drain(pool: list[Connection]) -> None:
    # Other threads take from it meanwhile.
    with suppress(IndexError):
        while True:
            pool.pop().close()
