"""A SQLite store moved into an empty PostgreSQL database: every row, once, and the file takes no more writes after.

What this is: the rows. The file is sealed before the first one is read: a job that is still waiting to be sent must not
be sent by two, so that from then on no process can write there, not even one that has it open, and none can start on
it. Then all rows go over in one transaction, counted before it ends: they are all there or none is, and it can be done
again. What it is not: the pictures (`blobs.moving`). Above: the command line. Below: schema, sqlite_file,
postgres_connection, postgres_database.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg

from kontext_tools.errors import InvalidArgument, StorageBusy
from kontext_tools.stores import records, schema
from kontext_tools.stores.postgres_connection import WRITING, CommitLost, Connection, connected, done, migrated
from kontext_tools.stores.postgres_database import kept
from kontext_tools.stores.postgres_errors import translated, uncertain
from kontext_tools.stores.sqlite_file import refuse_newer
from kontext_tools.stores.sqlite_file import translated as translated_sqlite

BUSY_S = 5.0
TABLES: Mapping[str, tuple[str, ...]] = {
    "jobs": (
        *("id", "owner", "tool", "status", "label", "prompt", "provider", "parent", "created_us", "ended_us"),
        *("fingerprint", "request_key", "key_digest", "delivered", "cancel_requested", "doc"),
    ),
    "sends": (
        *("job_id", "n", "provider", "state", "due_us", "lease_owner", "lease_us", "fence", "remote_id"),
        *("searched", "doc"),
    ),
    "outputs": (
        *("job_id", "n", "owner", "created_us", "blob", "media_type", "width", "height", "size_bytes", "sha256"),
        *("seed", "remote_url", "place", "provider"),
    ),
    "ledger": ("at_us", "day", "owner", "job_id", "n", "provider", "entry", "delta_nano", "unit", "basis"),
    "gates": ("provider", "creates_us", "closed_us"),
    "answers": ("nonce", "job_id", "at_us"),
    "plans": ("job_id", "due_us", "lease_owner", "lease_us"),
    "runs": ("plan_id", "step", "n", "job_id", "carried", "refused"),
    "tasks": ("id", "owner", "kind", "created_us", "updated_us", "ends_us", "revision", "doc"),
    "trash": ("key", "at_ms"),
    "forgotten": ("job_id",),
    "provider_keys": ("id", "owner", "provider", "sealed", "entered_us"),
    "tickets": ("digest", "owner", "purpose", "about", "ends_us"),
}
"""What is taken over, each after what it refers to. Not the journal, which tells listeners of this moment what is new,
nor SQLite's index of words, which PostgreSQL makes of its own."""
_IN_ORDER = {"ledger": "ORDER BY seq", "trash": "ORDER BY seq", "jobs": "ORDER BY created_us, id"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What went over, in rows; `before` where an earlier run had done it."""

    jobs: int
    images: int
    before: bool = False


def move(path: Path, url: str, *, now: datetime, owners: Mapping[str, str]) -> Moved:
    """Seal a SQLite store and take its rows over into an empty database.

    Args:
        path: of the file.
        url: of the database.
        now: UTC; a lease that ends later is a living server's.
        owners: who another owner's rows belong to from then on.

    Raises:
        InvalidArgument: the database holds other jobs.
        StorageBusy: a server still drives jobs of the file, or the database does not answer.
        StorageDamaged: one of the two cannot be used, or not all rows arrived; nothing was taken over.
    """
    try:
        with closing(connected(url, busy_s=BUSY_S)) as connection, closing(_opened(path)) as db:
            migrated(connection)
            before = _compared(connection, db)
            if before is not None:
                return before
            _seal(db, now)
            without_limits = b"; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"
            return done(connection, WRITING + without_limits, lambda: _copied(connection, db, owners))
    except CommitLost:
        raise uncertain() from None
    except psycopg.Error as error:
        raise translated(error) from None
    except sqlite3.Error as error:
        raise translated_sqlite(error) from None


def _opened(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
    try:
        if schema.version_of(db) != schema.MOVED:
            refuse_newer(schema.version_of(db))
            schema.migrate(db)
    except BaseException:
        db.close()
        raise
    return db


def _seal(db: sqlite3.Connection, now: datetime) -> None:
    """Let the file take no more writes, from whoever has it open and from whoever opens it."""
    if schema.version_of(db) == schema.MOVED:
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        for table in ("sends", "plans"):
            sql = f"SELECT COUNT(*) FROM {table} WHERE lease_owner IS NOT NULL AND lease_us > ?"  # noqa: S608  # constants
            if db.execute(sql, (records.to_us(now),)).fetchone() != (0,):
                raise StorageBusy(
                    "A server or an assistant's program still drives jobs of this data folder; nothing was changed.",
                    fix="End every program that uses it, wait ten seconds and run the command again.",
                )
        for table in TABLES:
            for write in ("INSERT", "UPDATE", "DELETE"):
                db.execute(
                    f"CREATE TRIGGER moved_{table}_{write} BEFORE {write} ON {table}"
                    " BEGIN SELECT RAISE(ABORT, 'these jobs were moved'); END"
                )
        db.execute(f"PRAGMA user_version = {schema.MOVED}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _copied(connection: Connection, db: sqlite3.Connection, owners: Mapping[str, str]) -> Moved:
    for table, columns in TABLES.items():
        whose = columns.index("owner") if "owner" in columns else None
        rows = db.execute(f"SELECT {', '.join(columns)} FROM {table} {_IN_ORDER.get(table, '')}")  # noqa: S608  # constants
        into = f"COPY {table} ({', '.join(columns)}) FROM STDIN".encode()
        with connection.cursor() as cursor, cursor.copy(into) as copy:
            for row in rows:
                values = [kept(value) for value in row]
                if whose is not None:
                    values[whose] = owners.get(values[whose], values[whose])
                copy.write_row(values)
    moved = _compared(connection, db)
    if moved is None:
        return Moved(jobs=0, images=0)
    return Moved(jobs=moved.jobs, images=moved.images)


def _compared(connection: Connection, db: sqlite3.Connection) -> Moved | None:
    """Give what both hold alike; `None` where the database holds nothing.

    Raises:
        InvalidArgument: it holds something else.
    """
    counts = ", ".join(f"(SELECT COUNT(*) FROM {table})" for table in TABLES)  # noqa: S608  # constants
    money = "CAST((SELECT COALESCE(SUM(delta_nano), 0) FROM ledger) AS BIGINT)"
    counted = f"SELECT {counts}, {money}"  # the same
    there = tuple(connection.execute(counted.encode()).fetchone() or ())
    here = tuple(db.execute(counted).fetchone())
    if not any(there):
        return None
    if there != here or schema.version_of(db) != schema.MOVED:
        raise InvalidArgument(
            "The database of KONTEXT_DATABASE_URL holds other jobs; nothing was changed.",
            fix="A person must let KONTEXT_DATABASE_URL name an empty database, or an empty schema of one.",
        )
    names = list(TABLES)
    return Moved(jobs=there[names.index("jobs")], images=there[names.index("outputs")], before=True)
