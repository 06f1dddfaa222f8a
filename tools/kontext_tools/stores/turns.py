"""One SQLite connection taken in turns: who waits together is served together.

What this is: group commit. While a worker thread is busy with one batch, whoever comes queues up, and the next batch
serves them all in one call of the thread and one transaction. A durable commit and a call of a thread each cost a
quarter of a millisecond of CPU: for jobs that move at once that is most of what the engine costs. Where one of several
fails, which is seldom, all is undone and done again, each under a savepoint of its own: work is a function of the
database alone (`database.Work`), and savepoints for all were a twelfth of what a job costs. What it is not: the
statements, or the words of errors. Above: sqlite_file. Below: sqlite_database.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread

from kontext_tools.stores.sqlite_database import SqliteDatabase

MOST_AT_ONCE = 64
"""So many turns share a transaction at most: another process waits for the lock meanwhile."""

T = TypeVar("T")
Work = Callable[[SqliteDatabase], T]


class _OneFailed(Exception):
    """One of several turns failed and took the others with it."""


class _Turn:
    """One piece of work and what became of it."""

    __slots__ = ("error", "result", "work")

    def __init__(self, work: Work[Any]) -> None:
        self.work = work
        self.error: Exception | None = None
        self.result: Any = None

    def run_together(self, db: SqliteDatabase) -> None:
        """Do the work as a part of what others do.

        Raises:
            _OneFailed: it failed, and with it all of the transaction is to be undone.
        """
        try:
            self.result = self.work(db)
        except Exception as error:
            if not db.in_transaction:
                raise
            raise _OneFailed from error

    def run(self, db: SqliteDatabase, *, undoing: bool) -> None:
        """Do the work, apart from the others of the transaction; raises where all of it is void."""
        if undoing:
            db.execute("SAVEPOINT turn")
        try:
            self.result = self.work(db)
        except Exception as error:
            if not db.in_transaction:
                raise
            if undoing:
                db.execute("ROLLBACK TO turn")
            self.error = error
        if undoing:
            db.execute("RELEASE turn")


class _Batch:
    """Turns that are served together, led by the first of them."""

    __slots__ = ("_over", "begun", "durable", "ended", "turns")

    def __init__(self) -> None:
        self.turns: list[_Turn] = []
        self.durable = False
        self.begun = False
        self.ended = False
        self._over: anyio.Event | None = None

    async def over(self) -> None:
        """Wait until all turns are over."""
        if not self.ended:
            self._over = self._over or anyio.Event()
            await self._over.wait()

    def end(self, error: Exception | None) -> None:
        """Tell those who wait; with an error, nothing of it was done."""
        for turn in self.turns if error is not None else ():
            turn.error = turn.error or error
        self.ended = True
        if self._over is not None:
            self._over.set()


class Turns:
    """Serves work on one connection, in order of arrival.

    Args:
        begin: opens the connection where it is not open, and its transaction; takes whether it must outlive a power
            cut. It runs in the worker thread.
        writes: whether work that fails has something to undo.
        told: gives what is raised in an error's place.
    """

    def __init__(
        self,
        begin: Callable[[bool], SqliteDatabase],
        *,
        writes: bool,
        told: Callable[[Exception], Exception] = lambda error: error,
    ) -> None:
        self._begin = begin
        self._writes = writes
        self._told = told
        self._last: _Batch | None = None
        self._one = anyio.CapacityLimiter(1)

    async def take(self, work: Work[T], *, durable: bool = False) -> T:
        """Do a piece of work in a transaction; what it raises is raised here and undoes this work alone.

        A cancelled caller takes its work back while nobody has begun with it; else it waits for its end.
        """
        await anyio.lowlevel.checkpoint_if_cancelled()
        turn = _Turn(work)
        before = self._last
        if before is None or before.begun or len(before.turns) >= MOST_AT_ONCE:
            batch = self._last = _Batch()
            batch.turns.append(turn)
            batch.durable = durable
            await self._lead(batch, before)
        else:
            before.turns.append(turn)
            before.durable = before.durable or durable
            await self._follow(before, turn)
        if turn.error is not None:
            told = self._told(turn.error)
            raise told from (None if told is turn.error else turn.error)
        return turn.result

    async def _lead(self, batch: _Batch, before: _Batch | None) -> None:
        failed: Exception | None = RuntimeError("interrupted")
        # Others rely on who leads: whatever becomes of its own caller, the batch is served.
        with anyio.CancelScope(shield=True):
            try:
                if before is not None:
                    await before.over()
                # Whoever comes in this round of the event loop is worth waiting for: that saves a call of the thread.
                await anyio.lowlevel.checkpoint()
                batch.begun = True
                await anyio.to_thread.run_sync(partial(self._run, batch), limiter=self._one)
                failed = None
            except Exception as error:  # noqa: BLE001  # it is raised to each who waits
                failed = error
            finally:
                batch.end(failed)
                if self._last is batch:
                    self._last = None

    async def _follow(self, batch: _Batch, turn: _Turn) -> None:
        try:
            await batch.over()
        except BaseException:
            if not batch.begun:
                batch.turns.remove(turn)
            elif not batch.ended:
                with anyio.CancelScope(shield=True):
                    await batch.over()
            raise

    def _run(self, batch: _Batch) -> None:
        try:
            self._serve(batch, apart=not self._writes)
        except _OneFailed:
            self._serve(batch, apart=True)

    def _serve(self, batch: _Batch, *, apart: bool) -> None:
        """Do a batch in one transaction; together, whatever one of several raises is raised as `_OneFailed`."""
        db = self._begin(batch.durable)
        try:
            for turn in batch.turns:
                if len(batch.turns) == 1:
                    turn.result = turn.work(db)
                elif apart:
                    turn.run(db, undoing=self._writes)
                else:
                    turn.run_together(db)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
