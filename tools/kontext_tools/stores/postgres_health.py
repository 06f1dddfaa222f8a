"""Whether a PostgreSQL database can be used, and what was left over in it: looked at, never changed.

What this is: questions of a person who looks after it, each in a transaction that only reads. What it is not: a store
(`postgres`), or a judge of the server's files. Above: the server's doctor. Below: postgres_connection,
postgres_schema, health.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from typing import TypeVar

import psycopg

from kontext_tools.stores import postgres_schema, records
from kontext_tools.stores.health import Leftovers
from kontext_tools.stores.postgres_connection import READING, CommitLost, Connection, connected, done
from kontext_tools.stores.postgres_errors import refuse_others, translated

T = TypeVar("T")


class PostgresHealth:
    """Questions to one database.

    Args:
        url: as the store's.
        busy_s: how long it is waited for.
    """

    known = len(postgres_schema.MIGRATIONS)

    def __init__(self, url: str, *, busy_s: float) -> None:
        self._url = url
        self._busy_s = busy_s

    def version(self) -> int:
        """Reach the server and give the schema's number; 0 is one that nothing was written to.

        Raises:
            StorageDamaged: it cannot be used, or is newer than this program.
            StorageBusy: it cannot be reached, or is held.
        """
        return self._ask(_version)

    def leftovers(self, *, now: datetime) -> Leftovers:
        """Tell what is still to be ended. Raises as `version`."""
        return self._ask(lambda db: _leftovers(db, records.to_us(now)))

    def newest_blobs(self, *, limit: int) -> list[str]:
        """Give the keys of the newest images. Raises as `version`."""
        return self._ask(lambda db: _newest_blobs(db, limit))

    def _ask(self, question: Callable[[Connection], T]) -> T:
        try:
            with closing(connected(self._url, busy_s=self._busy_s)) as db:
                return done(db, READING, lambda: question(db))
        except CommitLost as lost:
            raise translated(lost.error) from None
        except psycopg.Error as error:
            raise translated(error) from None


def _version(db: Connection) -> int:
    version = postgres_schema.version_of(db)
    refuse_others(version, db.info.server_version, db.info.parameter_status("server_encoding") or "")
    return version


def _newest_blobs(db: Connection, limit: int) -> list[str]:
    if not postgres_schema.version_of(db):
        return []
    newest = db.execute(b"SELECT blob FROM outputs ORDER BY created_us DESC, job_id, n LIMIT $1", [limit])
    return [str(key) for (key,) in newest]


def _leftovers(db: Connection, now_us: int) -> Leftovers:
    if not postgres_schema.version_of(db):
        return Leftovers(running={}, unknown=(), stale=0)
    running = db.execute(
        b"SELECT status, COUNT(*) FROM jobs WHERE status IN ('pending', 'processing', 'unknown') GROUP BY status"
    )
    unknown = db.execute(b"SELECT id FROM jobs WHERE status = 'unknown' ORDER BY created_us DESC, id")
    stale = db.execute(b"SELECT COUNT(*) FROM sends WHERE state = 'intent' AND lease_us < $1", [now_us]).fetchall()
    return Leftovers(
        running={str(status): int(count) for status, count in running},
        unknown=tuple(str(job_id) for (job_id,) in unknown),
        stale=int(stale[0][0]),
    )
