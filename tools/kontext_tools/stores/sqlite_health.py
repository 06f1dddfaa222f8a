"""Whether a SQLite file is sound, and what was left over in it: looked at, never changed.

What this is: questions of a person who looks after the file, each on a connection of its own that can only read. It
makes no database, migrates none, and is understood by every schema there was: only columns of the first are named.
What it is not: a store (`sqlite`). Above: the server's doctor. Below: sqlite_file, schema, health.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from kontext_tools.stores import records, schema
from kontext_tools.stores.health import Leftovers
from kontext_tools.stores.sqlite_file import BUSY_S, refuse_newer, translated

KNOWN = len(schema.MIGRATIONS)
"""The schema that this program makes."""

T = TypeVar("T")


class SqliteHealth:
    """Questions to one file that is there."""

    known = KNOWN

    def __init__(self, path: Path, *, busy_s: float = BUSY_S) -> None:
        self._path = path
        self._busy_s = busy_s

    def version(self) -> int:
        """Check the whole file and give its schema's number; 0 is a file that nothing was written to.

        Raises:
            StorageDamaged: it is not sound, or newer than this program.
            StorageBusy: another process holds it.
            StorageFull: it cannot be opened.
        """
        return self._ask(_checked)

    def leftovers(self, *, now: datetime) -> Leftovers:
        """Tell what is still to be ended. Raises as `version`."""
        return self._ask(lambda db: _leftovers(db, records.to_us(now)))

    def newest_blobs(self, *, limit: int) -> list[str]:
        """Give the keys of the newest images. Raises as `version`."""
        return self._ask(lambda db: _newest_blobs(db, limit))

    def _ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        logged = self._logged
        try:
            try:
                return self._answer(question, logged=logged)
            except sqlite3.Error:
                if logged or not self._logged:
                    raise
                # Another process began to write meanwhile; a second look takes its log into account.
                return self._answer(question, logged=True)
        except sqlite3.Error as error:
            raise translated(error) from error

    @property
    def _logged(self) -> bool:
        return self._path.with_name(f"{self._path.name}-wal").exists()

    def _answer(self, question: Callable[[sqlite3.Connection], T], *, logged: bool) -> T:
        # Without a log nobody writes, and SQLite need not lay its own two files beside: they would stay.
        how = "mode=ro" if logged else "mode=ro&immutable=1"
        db = sqlite3.connect(f"{self._path.absolute().as_uri()}?{how}", uri=True, timeout=self._busy_s)
        try:
            return question(db)
        finally:
            db.close()


def _checked(db: sqlite3.Connection) -> int:
    version = schema.version_of(db)
    refuse_newer(version)
    if [row[0] for row in db.execute("PRAGMA quick_check(1)")] != ["ok"]:
        raise records.damaged()
    return version


def _newest_blobs(db: sqlite3.Connection, limit: int) -> list[str]:
    if not schema.version_of(db):
        return []
    # The rowid orders as the rows were written: no index is needed, and no schema lacks it.
    newest = db.execute("SELECT blob FROM outputs ORDER BY rowid DESC LIMIT ?", (limit,))
    return [str(key) for (key,) in newest]


def _leftovers(db: sqlite3.Connection, now_us: int) -> Leftovers:
    if not schema.version_of(db):
        return Leftovers(running={}, unknown=(), stale=0)
    running = db.execute(
        "SELECT status, COUNT(*) FROM jobs WHERE status IN ('pending', 'processing', 'unknown') GROUP BY status"
    )
    unknown = db.execute("SELECT id FROM jobs WHERE status = 'unknown' ORDER BY created_us DESC, id")
    (stale,) = db.execute("SELECT COUNT(*) FROM sends WHERE state = 'intent' AND lease_us < ?", (now_us,)).fetchone()
    return Leftovers(
        running={str(status): int(count) for status, count in running},
        unknown=tuple(str(job_id) for (job_id,) in unknown),
        stale=int(stale),
    )
