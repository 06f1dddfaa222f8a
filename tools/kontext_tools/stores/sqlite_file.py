"""One SQLite file: opened and migrated, one writer connection and one reader, each in a worker thread.

What this is: the connections, and the translation of SQLite's errors. What it is not: the verbs (`sql_store`),
the statements, or who shares a transaction (`turns`). Above: sqlite, sqlite_health. Below: schema, turns, records.

Several processes open one file at once (two desktop clients on one data folder): write transactions are short,
take the lock at their first statement, and wait `BUSY_S` for another's.

A write is durable, on the disk before it is told, unless it says that a power cut may undo it: leases and due times
mean nothing to a machine that starts anew. No kill of a process undoes either kind.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import anyio.to_thread

from kontext_tools.errors import KontextError, StorageBusy, StorageDamaged, StorageFull
from kontext_tools.folders import make_private
from kontext_tools.stores import records, schema
from kontext_tools.stores.database import Transactions, Work
from kontext_tools.stores.sqlite_database import SqliteDatabase
from kontext_tools.stores.turns import Turns

BUSY_S = 5.0
ASK_AGAIN_S = 0.01

T = TypeVar("T")


class SqliteFile(Transactions):
    """The connections of one process to one file."""

    def __init__(self, path: Path, *, busy_s: float = BUSY_S) -> None:
        self._path = path
        self._busy_s = busy_s
        self._writer: SqliteDatabase | None = None
        self._reader: SqliteDatabase | None = None
        self._writes = Turns(self._begin_write, writes=True, told=_told)
        self._reads = Turns(self._begin_read, writes=False, told=_told)
        self._durable = True

    async def open(self) -> None:
        """Open and migrate; a failure shows again at every verb, which tries once more."""
        try:
            await self._write(lambda _: None)
        except KontextError:
            return

    async def close(self) -> None:
        """Let go of the file."""
        writer, reader, self._writer, self._reader = self._writer, self._reader, None, None
        for connection in (reader, writer):
            if connection is not None:
                await anyio.to_thread.run_sync(connection.close)

    async def _write(self, work: Work[T], *, durable: bool = True) -> T:
        return await self._writes.take(work, durable=durable)

    async def _read(self, work: Work[T]) -> T:
        if self._writer is None:
            await self._write(lambda _: None)
        return await self._reads.take(work)

    async def _empty_log(self) -> None:
        """Carry the log over to the file and cut it to nothing, unless others read or write for too long."""

        def empty() -> None:
            with closing(self._attach()) as db:
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

        try:
            await anyio.to_thread.run_sync(empty)
        except (sqlite3.Error, OSError) as error:
            raise _told(error) from error

    def _begin_write(self, durable: bool) -> SqliteDatabase:
        if self._writer is None:
            self._writer = self._connect()
            self._durable = True
        db = self._writer
        if durable is not self._durable:
            # NORMAL writes the log without waiting for the disk; the next durable commit brings it there as well.
            db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._durable = durable
        db.execute("BEGIN IMMEDIATE")
        return db

    def _begin_read(self, _: bool) -> SqliteDatabase:
        if self._reader is None:
            self._reader = self._attach()
        # One snapshot for all of a job's tables: a job that reads as ended has its images.
        self._reader.execute("BEGIN")
        return self._reader

    def _connect(self) -> SqliteDatabase:
        make_private(self._path.parent)
        self._path.touch(mode=0o600, exist_ok=True)
        db = self._attach()
        try:
            if schema.version_of(db) < len(schema.MIGRATIONS):
                schema.migrate(db)
        except BaseException:
            db.close()
            raise
        return db

    def _log_ahead(self, db: SqliteDatabase) -> None:
        """Put the file into WAL mode. Of two that do so to a new file, SQLite refuses one at once, without waiting."""
        deadline = time.monotonic() + self._busy_s
        while True:
            try:
                db.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode not in _BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(ASK_AGAIN_S)

    def _attach(self) -> SqliteDatabase:
        db = sqlite3.connect(
            self._path, timeout=self._busy_s, isolation_level=None, check_same_thread=False, factory=SqliteDatabase
        )
        try:
            # Before anything is set: not even the journal's mode of a newer database is changed.
            refuse_newer(schema.version_of(db))
            self._log_ahead(db)
            # The intent must outlive a power cut before the first byte goes out.
            db.execute("PRAGMA synchronous = FULL")
            # As in `disk.sync`; SQLite takes no notice of it anywhere but on macOS.
            db.execute("PRAGMA fullfsync = ON")
            db.execute("PRAGMA foreign_keys = ON")
            # What a person deletes is not to be read in the file's free places; most systems build SQLite so anyway.
            db.execute("PRAGMA secure_delete = ON")
            # Carrying the log over to the file takes as long as some ten claims: seldom, then, and never beyond 16 MB.
            db.execute("PRAGMA wal_autocheckpoint = 4000")
        except BaseException:
            db.close()
            raise
        return db


def _told(error: Exception) -> Exception:
    """Give what went wrong in the contract's words; what is ours already stays."""
    if isinstance(error, sqlite3.Error):
        return translated(error)
    if isinstance(error, OSError):
        return StorageFull(
            "The data folder cannot be written.",
            fix="A person must free space or mend the rights of KONTEXT_DATA_DIR.",
        )
    return error


def refuse_newer(version: int) -> None:
    """Refuse a database whose schema this program does not know.

    Raises:
        StorageDamaged: it is newer, or was moved.
    """
    known = len(schema.MIGRATIONS)
    if version == schema.MOVED:
        raise StorageDamaged(
            "The jobs of this data folder were moved to PostgreSQL by `kontext migrate`; nothing was changed or sent.",
            fix="A person must set KONTEXT_DATABASE_URL to that database, or KONTEXT_DATA_DIR to another folder.",
        )
    if version > known:
        raise StorageDamaged(
            f"The database was made by a newer version of kontext (its schema is {version}, this program knows {known})"
            "; nothing was changed and nothing sent.",
            fix="A person must update kontext-tool-server, or set KONTEXT_DATA_DIR to another folder.",
        )


_FULL = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY})
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


def translated(error: sqlite3.Error) -> KontextError:
    """Give the failure of the contract that a SQLite error stands for."""
    primary = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if primary in _BUSY:
        return StorageBusy(
            "The database is held by another process; nothing was sent.",
            fix="Call again in a few seconds; if it stays so, a person must end the program that holds kontext.db.",
        )
    if primary in _FULL:
        return StorageFull(
            "The database cannot be written: the disk is full or the data folder is not writable.",
            fix="A person must free space or mend the rights of KONTEXT_DATA_DIR; then call again.",
        )
    return records.damaged()
