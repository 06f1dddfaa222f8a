"""SQLite as a database of statements: the library's own connection, with the words of its dialect.

A transaction has the whole file to itself, so that there is nothing to be kept from others. Above: sqlite_file. Below:
database.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence


class Fts:
    """Words by FTS5's index, walked from the newest image on: it stops where a page is full.

    The owner and the provider are words of the index too, so that another's images cost nothing.
    """

    source = "image_words CROSS JOIN outputs ON outputs.place = image_words.rowid"
    place = "image_words.rowid"
    where = "image_words MATCH :match"
    among = "+outputs.place IN (SELECT rowid FROM image_words WHERE image_words MATCH :match)"

    def asked(self, owner: str, words: Sequence[str], *, any_word: bool, provider: str | None) -> str | None:
        """Give a full-text query.

        Syntax: SQLite's FTS5, "Full-text Query Syntax". A quoted text is never syntax.
        """
        asked = list[str]()
        if provider is not None:
            asked.append(f'provider : "{provider.encode().hex()}"')
        if words:
            quoted = ['"{}"'.format(word.replace('"', '""')) for word in words]
            between = " OR " if any_word else " AND "
            asked.append(f"{{label prompt keep}} : ({between.join(quoted)} *)")
        return " AND ".join([f'owner : "{owner.encode().hex()}"', *asked]) if asked else None


class SqliteDatabase(sqlite3.Connection):
    """A connection to one file."""

    in_order = "CROSS JOIN"
    holding = ""
    passing = ""
    matching = Fts()

    def by_index(self, name: str, /) -> str:
        """Give `INDEXED BY`."""
        return f"INDEXED BY {name}"

    def alone(self, owner: str, /) -> None:
        """Nothing: a transaction has the whole file."""

    def alone_with(self, job_id: str, /) -> None:
        """Nothing, likewise."""

    def alone_claiming(self) -> None:
        """Nothing, likewise."""
