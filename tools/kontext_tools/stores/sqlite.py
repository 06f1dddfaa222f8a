"""The embedded store: jobs in one SQLite file.

What this is: the verbs (`sql_store`) over that file (`sqlite_file`), and what only SQLite has to do: it tells its
journal by numbers, and wipes the words of what was deleted. Above: app, engine, studio. Below: those.

Every connection overwrites what it deletes (`secure_delete`). Of the index of words that is not enough: there a
deletion is a note beside the words until both are merged. FTS5's own `secure-delete` would do without, but makes a file
that SQLite before 3.42 cannot read, and other programs with other versions of it may open this one; so `wipe` merges
the index, as much at a time as does not keep others waiting.
"""

from __future__ import annotations

import anyio

from kontext_tools.stores import sqlite_journal
from kontext_tools.stores.database import Database
from kontext_tools.stores.journal import Mark, Tidings
from kontext_tools.stores.sql_store import SqlStore
from kontext_tools.stores.sqlite_file import BUSY_S as BUSY_S
from kontext_tools.stores.sqlite_file import SqliteFile

MERGED_PAGES = 200
"""So many pages of the index of words are merged in one transaction: for less long than a batch of deletions."""


class SqliteStore(SqliteFile, SqlStore):
    """Jobs in one file. See `stores.base.Store` for the verbs."""

    async def tidings(self, since: Mark | None) -> Tidings:
        """Give what happened since a mark."""
        return await self._read(lambda db: sqlite_journal.tidings(db, since))

    async def stirred(self) -> None:
        """Never return: SQLite tells nobody."""
        await anyio.sleep_forever()

    async def wipe(self) -> None:
        """Merge the index of words and empty the log, so that the words of what was deleted are overwritten."""
        while await self._write(_merge, durable=False):
            pass
        await self._empty_log()


def _merge(db: Database) -> bool:
    """Merge a part of the index of words; whether there is more. Syntax: SQLite's FTS5, "The 'merge' Command"."""
    (before,) = db.execute("SELECT TOTAL_CHANGES()").fetchone()
    db.execute("INSERT INTO image_words (image_words, rank) VALUES ('merge', ?)", (-MERGED_PAGES,))
    (after,) = db.execute("SELECT TOTAL_CHANGES()").fetchone()
    return after - before > 1
