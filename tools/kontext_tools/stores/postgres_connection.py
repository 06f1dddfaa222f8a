"""One connection to PostgreSQL: made, brought to this program's schema, and a transaction on it.

What it is not: who uses it when (`postgres_server`), or the words of errors (`postgres_errors`). Above:
postgres_server, postgres_ear, postgres_health. Below: postgres_schema.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import psycopg
from psycopg import RawCursor, conninfo
from psycopg.types.numeric import Int8Dumper
from psycopg.types.string import StrDumper

from kontext_tools.stores import postgres_schema
from kontext_tools.stores.postgres_errors import refuse_others

READING = b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
WRITING = b"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
LIGHTLY = b"; SET LOCAL synchronous_commit = off"
"""After `WRITING`: a power cut may undo it."""
_SILENT_MS = 10_000
"""A connection whose other end has taken nothing for so long is lost."""

T = TypeVar("T")
Connection = psycopg.Connection[tuple[Any, ...]]


class CommitLost(Exception):
    """Whether a transaction was committed was not heard."""

    def __init__(self, error: psycopg.Error) -> None:
        super().__init__()
        self.error = error


def channel(schema: str) -> str:
    """Give the name under which what is new in a schema is told: of at most 63 bytes, as the schema's own is."""
    return f"kontext:{schema}"[:63]


def connected(url: str, *, busy_s: float) -> Connection:
    """Give a new connection that nothing makes wait for ever.

    Raises:
        psycopg.Error: it cannot be made.
    """
    kept: dict[str, Any] = {
        "connect_timeout": max(2, round(busy_s)),
        "application_name": "kontext",
        "keepalives_idle": 10,
        "keepalives_interval": 3,
        "keepalives_count": 3,
        "tcp_user_timeout": _SILENT_MS,
        **conninfo.conninfo_to_dict(url),
        "client_encoding": "UTF8",
    }
    connection: Connection = psycopg.connect(**kept, autocommit=True)
    try:
        connection.cursor_factory = RawCursor
        # One type for each kind of value, so that a statement is prepared once; texts are texts.
        connection.adapters.register_dumper(int, Int8Dumper)
        connection.adapters.register_dumper(str, StrDumper)
        connection.prepared_max = 500
        lock_ms = max(1, round(busy_s * 1000))
        connection.execute(
            f"SET lock_timeout = {lock_ms}; SET statement_timeout = {lock_ms * 3}; "
            f"SET idle_in_transaction_session_timeout = {lock_ms * 3}; SET jit = off".encode(),
            prepare=False,
        )
        # What must outlive a power cut does, whatever the server is set to; a stronger setting stays.
        connection.execute(
            "SELECT SET_CONFIG('synchronous_commit', 'on', false) WHERE CURRENT_SETTING('synchronous_commit') = 'off'"
        )
    except BaseException:
        connection.close()
        raise
    return connection


def migrated(connection: Connection) -> str:
    """Bring the current schema to what this program knows, unless it is there; give its name.

    Raises:
        StorageDamaged: the database is not one that this program can use.
        psycopg.Error: it cannot be made.
    """
    encoding = connection.info.parameter_status("server_encoding") or ""
    refuse_others(postgres_schema.version_of(connection), connection.info.server_version, encoding)
    (schema,) = connection.execute("SELECT CURRENT_SCHEMA()").fetchone() or (None,)
    if schema is None:
        raise psycopg.errors.InsufficientPrivilege
    if postgres_schema.version_of(connection) < len(postgres_schema.MIGRATIONS):
        done(connection, WRITING + b"; SET LOCAL statement_timeout = 0", lambda: _migrate(connection, schema))
    return schema


def _migrate(connection: Connection, schema: str) -> None:
    connection.execute(b"SELECT PG_ADVISORY_XACT_LOCK(HASHTEXTEXTENDED($1, 0))", [f"{schema}/schema"])
    refuse_others(postgres_schema.version_of(connection), connection.info.server_version, "UTF8")
    postgres_schema.migrate(connection)


def done(connection: Connection, begin: bytes, work: Callable[[], T]) -> T:
    """Do work in a transaction; raises `CommitLost` where its end was not heard."""
    connection.execute(begin, prepare=False)
    try:
        given = work()
    except BaseException:
        with suppress(psycopg.Error):
            connection.execute(b"ROLLBACK", prepare=False)
        raise
    try:
        ended = connection.execute(b"COMMIT", prepare=False)
    except psycopg.Error as error:
        if connection.closed:
            raise CommitLost(error) from None
        raise
    if ended.statusmessage != "COMMIT":
        # So is the end of a transaction told in which a statement failed and nobody minded.
        raise psycopg.errors.InFailedSqlTransaction
    return given
