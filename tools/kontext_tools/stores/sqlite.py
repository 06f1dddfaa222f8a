"""The embedded store: SQLite in WAL, one writer connection and one reader, each in a worker thread.

What this is: the async face, the opening and the translation of SQLite's errors. What it is not: the statements
(`sqlite_writes`, `sqlite_reads`) or who shares a transaction (`turns`). Above: app, engine, studio. Below: schema,
records, turns.

Several processes open one file at once (two desktop clients on one data folder): write transactions are short,
take the lock at their first statement, and wait `BUSY_S` for another's.

A write is durable, on the disk before it is told, unless it says that a power cut may undo it: leases and due times
mean nothing to a machine that starts anew. No kill of a process undoes either kind.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import anyio.to_thread

from kontext_tools.budget import Caps, Price, Spending, Unit
from kontext_tools.errors import KontextError, StorageBusy, StorageDamaged, StorageFull
from kontext_tools.folders import make_private
from kontext_tools.jobs import Job, Output, Send
from kontext_tools.stores import records, schema, sqlite_claims, sqlite_ledger, sqlite_reads, sqlite_writes
from kontext_tools.stores.base import Admission, Claim, Handover, ImageRow, JobNews, Leasehold, Saved
from kontext_tools.stores.turns import Turns, Work

BUSY_S = 5.0

T = TypeVar("T")


class SqliteStore:
    """Jobs in one file. See `stores.base.Store` for the verbs."""

    def __init__(self, path: Path, *, busy_s: float = BUSY_S) -> None:
        self._path = path
        self._busy_s = busy_s
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
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

    async def admit(self, job: Job, *, caps: Caps, price: Price, now: datetime, nonce: str | None = None) -> Admission:
        """Record a job and reserve its money, or give the earlier one that it repeats."""
        return await self._write(lambda db: sqlite_writes.admit(db, job, caps=caps, price=price, now=now, nonce=nonce))

    async def claim(
        self, process: str, *, now: datetime, lease_until: datetime, limit: int, slots: Mapping[str, int]
    ) -> Sequence[Claim]:
        """Take due sends under a lease."""
        return await self._write(
            lambda db: sqlite_claims.claim(db, process, now=now, lease_until=lease_until, limit=limit, slots=slots),
            durable=False,
        )

    async def renew(self, process: str, *, until: datetime) -> None:
        """Lengthen this process's leases."""
        await self._write(lambda db: sqlite_claims.renew(db, process, until=until), durable=False)

    async def set_right(self, *, now: datetime, lease_until: datetime) -> None:
        """Pull in times that a clock which was set back left ahead."""
        await self._write(lambda db: sqlite_claims.set_right(db, now=now, lease_until=lease_until), durable=False)

    async def release(self, process: str) -> None:
        """Give this process's leases back."""
        await self._write(lambda db: sqlite_claims.release(db, process), durable=False)

    async def save(
        self,
        send: Send,
        *,
        now: datetime,
        release: bool,
        outputs: Sequence[Output] = (),
        news: JobNews | None = None,
        durable: bool = True,
    ) -> Saved:
        """Write a send under its fence."""
        return await self._write(
            lambda db: sqlite_writes.save(db, send, now=now, release=release, outputs=outputs, news=news),
            durable=durable,
        )

    async def hand_over(self, send: Send, handover: Handover, *, caps: Caps, now: datetime) -> bool:
        """Exchange a send that was not taken for others."""
        return await self._write(lambda db: sqlite_writes.hand_over(db, send, handover, caps=caps, now=now))

    async def gate(
        self, provider: str, *, creates_until: datetime | None = None, closed_until: datetime | None = None
    ) -> None:
        """Hold a provider's creates back, or all that is asked of it."""
        await self._write(
            lambda db: sqlite_claims.gate(db, provider, creates_until=creates_until, closed_until=closed_until),
            durable=False,
        )

    async def bind(self, send: Send, *, now: datetime) -> bool:
        """Bind a remote id to its own send."""
        return await self._write(lambda db: sqlite_writes.bind(db, send, now=now))

    async def add_news(self, job_id: str, news: JobNews) -> None:
        """Write what was learnt about a job."""
        await self._write(lambda db: sqlite_writes.add_news(db, job_id, news))

    async def poke(self, job_id: str, *, now: datetime) -> None:
        """Make a job's running sends due."""
        await self._write(lambda db: sqlite_writes.poke(db, job_id, now=now), durable=False)

    async def request_cancel(self, owner: str, job_id: str, *, now: datetime) -> Job | None:
        """Note a cancel; end what is queued."""
        return await self._write(lambda db: sqlite_writes.request_cancel(db, owner, job_id, now=now))

    async def mark_delivered(self, job_id: str) -> None:
        """Note that the final answer went out."""
        await self._write(lambda db: sqlite_writes.mark_delivered(db, job_id))

    async def job_of_key(self, owner: str, request_key: str) -> Job | None:
        """Give the job of a request_key."""
        return await self._read(lambda db: sqlite_reads.job_of_key(db, owner, request_key))

    async def job(self, owner: str, job_id: str) -> Job | None:
        """Give one of the owner's jobs."""
        return await self._read(lambda db: sqlite_reads.job(db, job_id, owner=owner))

    async def any_job(self, job_id: str) -> Job | None:
        """Give a job to the engine."""
        return await self._read(lambda db: sqlite_reads.job(db, job_id))

    async def jobs(self, owner: str, *, limit: int, before: str | None = None) -> Sequence[Job]:
        """Give the owner's newest jobs."""
        return await self._read(lambda db: sqlite_reads.jobs(db, owner, limit=limit, before=before))

    async def images(
        self, owner: str, *, words: Sequence[str] = (), limit: int, cursor: str | None = None
    ) -> tuple[Sequence[ImageRow], str | None]:
        """Give a page of the owner's images."""
        return await self._read(lambda db: sqlite_reads.images(db, owner, words=words, limit=limit, cursor=cursor))

    async def recent_ids(self, owner: str, *, limit: int = 200) -> Sequence[str]:
        """Give ids of the newest jobs."""
        return await self._read(lambda db: sqlite_reads.recent_ids(db, owner, limit=limit))

    async def give_back(self, held: Leasehold, *, due_at: datetime, aside: bool = False) -> None:
        """Give one lease back, unfinished."""
        await self._write(lambda db: sqlite_claims.give_back(db, held, due_at=due_at, aside=aside), durable=False)

    async def resolve(self, owner: str, job_id: str, *, charged: bool, now: datetime) -> Job | None:
        """Write what a person found out about an unknown job."""
        return await self._write(lambda db: sqlite_writes.resolve(db, owner, job_id, charged=charged, now=now))

    async def usage(self, owner: str, *, days: int) -> Sequence[Spending]:
        """Give the ledger by day, provider and unit."""
        return await self._read(lambda db: sqlite_ledger.usage(db, owner, days=days))

    async def held(self, provider: str, remote_ids: Sequence[str]) -> frozenset[str]:
        """Give those of a provider's ids that a send holds."""
        return await self._read(lambda db: sqlite_reads.held(db, provider, remote_ids))

    async def has_rival(self, send: Send, *, within: timedelta) -> bool:
        """Whether another send may own what this one finds."""
        return await self._read(lambda db: sqlite_reads.has_rival(db, send, within=within))

    async def next_due(self, providers: Iterable[str]) -> datetime | None:
        """Give when the next send is due."""
        return await self._read(lambda db: sqlite_claims.next_due(db, providers))

    async def spent(self, owner: str, *, day: str, unit: Unit) -> Decimal:
        """Give what was spent or reserved on a day."""
        return await self._read(lambda db: sqlite_reads.spent(db, owner, day=day, unit=unit))

    async def _write(self, work: Work[T], *, durable: bool = True) -> T:
        return await self._writes.take(work, durable=durable)

    async def _read(self, work: Work[T]) -> T:
        if self._writer is None:
            await self._write(lambda _: None)
        return await self._reads.take(work)

    def _begin_write(self, durable: bool) -> sqlite3.Connection:
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

    def _begin_read(self, _: bool) -> sqlite3.Connection:
        if self._reader is None:
            self._reader = self._attach()
        # One snapshot for all of a job's tables: a job that reads as ended has its images.
        self._reader.execute("BEGIN")
        return self._reader

    def _connect(self) -> sqlite3.Connection:
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

    def _attach(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=self._busy_s, isolation_level=None, check_same_thread=False)
        try:
            # Before anything is set: not even the journal's mode of a newer database is changed.
            if schema.version_of(db) > len(schema.MIGRATIONS):
                raise StorageDamaged(
                    "The database was made by a newer version of kontext; nothing was changed and nothing sent.",
                    fix="A person must update kontext-tool-server, or set KONTEXT_DATA_DIR to another folder.",
                )
            db.execute("PRAGMA journal_mode = WAL")
            # The intent must outlive a power cut before the first byte goes out.
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA foreign_keys = ON")
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
